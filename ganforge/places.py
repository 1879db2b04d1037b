"""Where things are kept, and whether something can be written there: asked before long work, not after it."""

from __future__ import annotations

import errno
import os
from pathlib import Path

from ganforge.errors import GANForgeError, UsageError


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
