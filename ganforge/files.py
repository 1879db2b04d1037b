"""Files that are complete or absent, never half, and on the disk before anything relies on them.

And whether something can be written at a place: asked before long work, not after it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, UsageError


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file by way of a temporary one beside it, on the disk before it takes the name."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with open(temporary, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # what went wrong before says more
            temporary.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Bring a file, or a folder's names, to the disk, where the system offers that."""
    with suppress(OSError):  # Windows opens no folders, and some network disks have no fsync
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written: hidden ``.….tmp`` files and folders. Nobody else may write."""
    for leftover in folder.glob(".*"):
        if leftover.name.startswith(".tmp-") or ".tmp" in leftover.suffixes:
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                with suppress(OSError):
                    leftover.unlink()


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    # A file name that is not UTF-8 holds lone surrogates; a backslash escape is how JSON writes them.
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


def read_json(path: Path) -> Any:
    """Read a JSON file. Raises ``GANForgeError`` when it is damaged."""
    try:
        return json.loads(path.read_text("utf-8"))
    except (ValueError, OSError, RecursionError) as error:
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise GANForgeError(f"{path} cannot be read: {(reason.splitlines() or [''])[0]}") from None


def default_runs_dir() -> str:
    """Return where runs are kept unless a command or call says otherwise: ``GANFORGE_RUNS_DIR``, else ``runs``."""
    return os.environ.get("GANFORGE_RUNS_DIR") or "runs"


def obstacle(path: Path) -> str | None:
    """Return in words why ``path`` could not be made or replaced, folders above it included, or None."""
    above = path.absolute().parent
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    if not above.is_dir():
        return f"{above} is not a folder"
    if os.access(above, os.W_OK | os.X_OK):
        return None
    read_only = hasattr(os, "statvfs") and os.statvfs(above).f_flag & os.ST_RDONLY
    return os.strerror(errno.EROFS if read_only else errno.EACCES)


def require_runs_dir(runs_dir: Path) -> None:
    """Raise ``GANForgeError`` where no run could be made in ``runs_dir``."""
    if why := obstacle(runs_dir / "run_1"):
        raise GANForgeError(
            f"the runs directory {runs_dir} cannot be written ({why}); choose another with --runs-dir"
        )


def require_file(path: Path) -> None:
    """Raise where no file could be written to ``path``; folders that are missing will be made.

    Raises:
        UsageError: it is a folder.
        GANForgeError: something stands in the way.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; expected the name of a file")
    if why := obstacle(path):
        raise GANForgeError(f"{path} cannot be written: {why}")
