"""A run's files on their way between machines that share no disk: whole, or what changed since the last time."""

from __future__ import annotations

import os
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

from ganforge.errors import GANForgeError
from ganforge.files import MIB, own, parse_json, read_file, write_atomic, write_json

PRUNED = ("checkpoints", "snapshots")  # what is pruned while a run is trained


@dataclass
class Sent:
    """What of a run was sent: the size and time of each file, by its path within the run."""

    known: dict[str, tuple[int, int]] = field(default_factory=dict)
    checkpoints: frozenset[str] = frozenset()

    def due(self, run: Path) -> bool:
        """Say whether there is a checkpoint that was not sent."""
        with suppress(OSError):
            return not frozenset(os.listdir(run / "checkpoints")) <= self.checkpoints
        return False

    def changed(self, run: Path) -> dict[str, Any]:
        """Return ``files`` that changed since the last time, with what they hold, and the ``names`` of all."""
        files: dict[str, bytes] = {}
        names = []
        checkpoints = frozenset(os.listdir(run / "checkpoints"))
        for path in sorted(run.rglob("*")):
            name = path.relative_to(run).as_posix()
            hidden = any(part.startswith(".") for part in PurePosixPath(name).parts)
            with suppress(OSError):  # pruned meanwhile; or it grew by much, and is sent the next time
                about = path.lstat()
                if hidden or not path.is_file() or path.is_symlink():
                    continue
                names.append(name)
                stamp = (about.st_size, about.st_mtime_ns)
                if self.known.get(name) != stamp:
                    files[name] = read_file(path, about.st_size + MIB, links=False)
                    self.known[name] = stamp
        self.checkpoints = checkpoints
        return {"files": files, "names": names}


def put(run: Path, runs_dir: str, files: dict[str, bytes], names: Collection[str]) -> None:
    """Write what came into a run's directory, ``run.json`` last, and then remove what is no longer there.

    ``run.json`` says where the run is here: its ``id`` is the directory's name, its ``runs_dir`` the one given.

    Raises:
        GANForgeError: a name leads out of the directory.
    """
    for name in sorted(files, key=lambda name: (name == "run.json", name)):
        parts = PurePosixPath(name).parts
        if not parts or PurePosixPath(name).is_absolute() or any(part.startswith(".") for part in parts):
            raise GANForgeError(f"{name} is not a file of a run")
        path = own(run, *parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        if name == "run.json":
            manifest = parse_json(files[name])
            write_json(path, {**manifest, "id": run.name, "config": {**manifest["config"], "runs_dir": runs_dir}})
        else:
            write_atomic(path, files[name])
    for folder in PRUNED:
        for path in own(run, folder).rglob("*"):
            if path.is_file() and path.relative_to(run).as_posix() not in names:
                path.unlink()
    for left in own(run, "checkpoints").glob("step_*"):
        if not any(left.iterdir()):
            left.rmdir()
