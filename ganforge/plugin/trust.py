"""Which Python files may run because a run directory names them.

A run directory may come from anywhere, and ``run.json`` is only text: it must not be able to choose code that runs.
A plugin file runs without being asked for again only when a person gave this very content with ``--plugin`` on this
machine before. What was given is remembered by its SHA-256 outside every run directory.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError

NAME = "plugins-given.txt"


@dataclass
class PluginFiles:
    """The plugin files of a run: those that may be loaded, and for the others one line why not."""

    load: tuple[str, ...] = ()
    refused: list[str] = field(default_factory=list)


def remember(files: Iterable[str]) -> None:
    """Note that a person gave these plugin files. Where nothing can be noted they are asked for again."""
    known = _known()
    lines = [f"{digest}  {Path(file).name}\n" for file in files if (digest := _digest(file)) and digest not in known]
    if lines:
        with suppress(OSError):
            _place().parent.mkdir(parents=True, exist_ok=True)
            with open(_place(), "a", encoding="utf-8", errors="backslashreplace") as file:
                file.write("".join(lines))


def plugin_files(run: Path, manifest: dict[str, Any], given: Sequence[str]) -> PluginFiles:
    """Return which plugin files a run may load: those ``given`` now, and those recorded that are known and unchanged.

    A given file stands for the recorded one of the same name.
    """
    names = {Path(file).name for file in given}
    recorded = {entry.get("file"): entry.get("sha256") for entry in manifest.get("plugins", [])}
    settings = manifest["config"].get("plugins") or []
    known, files = _known(), PluginFiles()
    for file in settings if isinstance(settings, (list, tuple)) else []:
        if not isinstance(file, str) or Path(file).name in names:
            continue
        digest = _digest(file)
        if digest is None:
            files.refused.append(
                f"{run.name} needs the plugin file {file}, which is not there; give it with --plugin"
            )
        elif digest not in known:
            files.refused.append(
                f"{run.name} names the plugin file {file}, which was never given on this machine; read it, and if "
                f"you trust it add --plugin {file}"
            )
        elif digest != recorded.get(file):
            files.refused.append(
                f"the plugin file {file} has changed since {run.name} was made; put the old one back, or add "
                f"--plugin {file} to go on with the new one"
            )
        else:
            files.load += (file,)
    files.load = tuple(dict.fromkeys((*files.load, *given)))
    return files


def require(files: PluginFiles) -> tuple[str, ...]:
    """Return the files to load. Raises ``GANForgeError`` when one was refused."""
    if files.refused:
        raise GANForgeError(files.refused[0])
    return files.load


def hashes(files: Iterable[str]) -> list[dict[str, str]]:
    """Return what ``run.json`` records of plugin files."""
    return [{"file": str(file), "sha256": _digest(file) or ""} for file in files]


def _digest(file: str | Path) -> str | None:
    try:
        return hashlib.sha256(Path(file).read_bytes()).hexdigest()
    except (OSError, ValueError):
        return None


def _known() -> set[str]:
    try:
        lines = _place().read_text("utf-8", errors="replace").splitlines()
    except OSError:
        return set()
    return {line.split()[0] for line in lines if line.strip()}


def _place() -> Path:
    import platformdirs

    return Path(os.environ.get("GANFORGE_STATE_DIR") or platformdirs.user_state_dir("ganforge")) / NAME
