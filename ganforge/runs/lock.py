"""One process at a time trains a run.

The lock is the operating system's (flock, or its equivalent on Windows): it is released when the process that holds
it ends, however that happens, so it is never stale and there is nothing to clean up by hand.
"""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge.errors import GANForgeError, reason
from ganforge.files import own
from ganforge.runs.manifest import read_manifest

if TYPE_CHECKING:
    from filelock import BaseFileLock

NAME = ".lock"
# A listing of runs holds a lock for an instant to see whether it is free.
PATIENCE = 0.5


def lock_run(run: Path) -> BaseFileLock:
    """Take a run's lock and return it; it has ``release()``.

    Raises:
        GANForgeError: another process trains this run, or the directory cannot be written.
    """
    from filelock import FileLock, Timeout

    path = own(run, NAME)  # some versions of filelock empty what a link leads to
    if path.exists() and not path.is_file():
        raise GANForgeError(f"{path} is not a regular file; remove it")
    lock = FileLock(path, thread_local=False)
    try:
        lock.acquire(timeout=PATIENCE, poll_interval=0.05)
    except Timeout:
        raise GANForgeError(
            f"{run.name} is being trained by {_holder(run)}; wait until it finishes, or stop it first"
        ) from None
    except NotImplementedError:
        pass  # a disk without locks: training there without one is better than not at all
    except OSError as error:
        raise GANForgeError(f"{run} cannot be written: {reason(error, kind=False)}") from None
    return lock


def is_locked(run: Path) -> bool:
    """Say whether a process is training this run now."""
    from filelock import FileLock

    if (run / NAME).is_symlink() or not (run / NAME).is_file():
        return False
    lock = FileLock(run / NAME, thread_local=False)
    try:
        lock.acquire(timeout=0)
    except (OSError, NotImplementedError) as error:  # filelock's Timeout is an OSError
        return isinstance(error, TimeoutError)
    lock.release()
    return False


def _holder(run: Path) -> str:
    process = {}
    with suppress(GANForgeError):
        process = read_manifest(run).get("process", {})
    if isinstance(process, dict) and process.get("pid"):
        return f"process {process['pid']} on {process.get('host', 'this machine')}"
    return "another process"
