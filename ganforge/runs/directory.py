"""Run directories: numbering them so that two starts never share one, and finding them by name."""

from __future__ import annotations

import errno
import os
import re
import shutil
import time
import uuid
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, closest, reason
from ganforge.files import at_home
from ganforge.runs.manifest import write_manifest

NAME = r"run_[0-9]{1,18}"  # a longer number would leave no room for the next


def create_run(runs_dir: Path, manifest: dict[str, Any] | None = None) -> Path:
    """Create and return the next free ``run_N``; ``manifest`` and the id are its ``run.json`` from the start.

    Raises ``GANForgeError`` if the runs directory cannot be written.
    """
    number = max((_number(path) for path in list_runs(runs_dir, complete=False)), default=0) + 1
    new = None
    try:
        runs_dir.mkdir(parents=True, exist_ok=True)
        _clear(runs_dir)
        new = runs_dir / f".new-{uuid.uuid4().hex}"
        new.mkdir()
        (new / "snapshots").mkdir()
        (new / "checkpoints").mkdir()
        while True:
            run = runs_dir / f"run_{number}"
            if manifest is not None:
                write_manifest(new, {"id": run.name, **manifest})
            try:
                # The exclusive act: a folder takes the name of none, or of an empty one. Of two starts at once, one
                # fails here and takes the next number.
                os.rename(new, run)
                return run
            except OSError as error:
                if error.errno not in (errno.EEXIST, errno.ENOTEMPTY, errno.ENOTDIR) and not run.exists():
                    raise
                number += 1
    except OSError as error:
        raise GANForgeError(
            f"the runs directory {runs_dir} cannot be written ({reason(error, kind=False)}); choose another with "
            "--runs-dir"
        ) from None
    finally:
        if new is not None:
            shutil.rmtree(new, ignore_errors=True)


def _clear(runs_dir: Path) -> None:
    """Remove the remains of starts that were killed over an hour ago; younger ones may still be at work."""
    for leftover in runs_dir.glob(".new-*"):
        with suppress(OSError):
            if time.time() - leftover.stat().st_mtime > 3600:
                shutil.rmtree(leftover, ignore_errors=True)


def list_runs(runs_dir: Path, complete: bool = True) -> list[Path]:
    """Return the run directories by number; only those with a ``run.json`` unless ``complete`` is false."""
    try:
        paths = [path for path in runs_dir.iterdir() if re.fullmatch(NAME, path.name) and path.is_dir()]
    except OSError:
        return []
    return sorted((p for p in paths if not complete or (p / "run.json").is_file()), key=_number)


def find_run(name: str | Path, runs_dir: Path) -> Path:
    """Return a run's directory by ``run_12``, ``12``, a path, or ``latest``.

    Raises:
        GANForgeError: there is no such run; the message names the closest, or says how to make one.
    """
    text = str(name)
    runs = list_runs(runs_dir)
    by_name = {run.name: run for run in runs}
    if text == "latest" and runs:
        return runs[-1]
    for key in (text, f"run_{text}"):
        if key in by_name:
            return by_name[key]
    path = at_home(text)
    if path.is_dir() and (path / "run.json").is_file():
        return path
    if path.is_dir() and ("/" in text or not runs):
        raise GANForgeError(f"{text} is not a run directory; expected one with a run.json in it")
    if not runs:
        raise GANForgeError(f"there is no run '{text}': {runs_dir} has no runs yet; ganforge train makes one")
    has = ", ".join(by_name) if len(runs) <= 5 else f"{runs[0].name} to {runs[-1].name}"
    raise GANForgeError(f"there is no run '{text}' in {runs_dir}; it has {has}.{closest(text, by_name)}")


def _number(path: Path) -> int:
    return int(path.name.removeprefix("run_"))
