"""Files that a data file refers to: only those inside its own folder."""

from __future__ import annotations

import os
from pathlib import Path

from ganforge.errors import UsageError, closest


def inside(folder: Path, name: str) -> Path | None:
    """Return the path of a file below ``folder``; None if it is outside, by its name or through a link."""
    whole = os.path.realpath(folder)
    target = os.path.realpath(os.path.join(whole, name))
    return Path(target) if target.startswith(whole.rstrip(os.sep) + os.sep) else None


def beside(path: Path, name: str) -> Path:
    """Return a file in the folder of ``path``, or below it, that an option names. Raises ``UsageError``."""
    found = inside(path.parent, name)
    if found is None:
        raise UsageError(f"invalid labels={name}: outside the folder of {path.name}; expected a file beside it")
    if not found.is_file():
        try:
            near = closest(name, os.listdir(path.parent))
        except OSError:
            near = ""
        raise UsageError(f"there is no file '{name}' beside {path.name}.{near}")
    return found


def stamp(path: Path) -> str:
    """Return a stamp that shows whether a file has changed: its name, size and time."""
    about = path.stat()
    return f"{path.name} {about.st_size} {about.st_mtime_ns}"
