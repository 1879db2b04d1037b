"""What ends training from outside (signals, a full disk, lack of memory), and the messages for it."""

from __future__ import annotations

import errno
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, PeerLost, out_of_memory

SIGNALS = ("SIGINT", "SIGTERM", "SIGHUP")


class StoppedAtOnce(KeyboardInterrupt):
    """A second Ctrl-C ended a run in the middle of a step; ``run`` is its directory."""

    def __init__(self, run: Path) -> None:
        super().__init__()
        self.run = run


def stop_on_signals(stopping: threading.Event) -> AbstractContextManager[None]:
    """Turn the first Ctrl-C, SIGTERM or lost terminal into a request to stop; a second acts as usual."""
    return hearing_signals(lambda _: stopping.set(), once=True)


@contextmanager
def hearing_signals(hear: Callable[[int], object], once: bool = False) -> Iterator[None]:
    """Call ``hear`` with the number of each SIGINT, SIGTERM or SIGHUP, instead of its usual effect.

    ``once``: only for the first one; afterwards all have their usual effect again. Signals that the process ignores
    (``nohup``) stay ignored.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    known = [getattr(signal, name) for name in SIGNALS if hasattr(signal, name)]
    before = {number: signal.getsignal(number) for number in known}
    before = {number: handler for number, handler in before.items() if handler not in (signal.SIG_IGN, None)}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def heard(number: int, _frame: Any) -> None:
        hear(number)
        if once:
            restore()

    for number in before:
        signal.signal(number, heard)
    try:
        yield
    finally:
        restore()


def explained(error: BaseException, run: Path, saved_step: int) -> GANForgeError | None:
    """Return the message for a failure that is not a programming error, or None."""
    if isinstance(error, (OSError, GANForgeError)) and not (run / "run.json").is_file():
        return GANForgeError(
            f"{run} is gone: it was renamed or removed during training; if it was renamed, it is saved up to step "
            f"{saved_step:,}: ganforge resume PATH"
        )
    saved = f"the run is saved up to step {saved_step:,}"
    if isinstance(error, PeerLost):
        return PeerLost(f"{error}; {saved}: continue with ganforge resume {run.name}")
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return GANForgeError(f"no space left for {run}; {saved}: free some space, then ganforge resume {run.name}")
    if isinstance(error, OSError) and error.errno in (errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO):
        return GANForgeError(
            f"{error.filename or run} can no longer be written ({error.strerror}); {saved}: fix that, then "
            f"ganforge resume {run.name}"
        )
    if out_of_memory(error):
        return GANForgeError(
            f"out of memory; {saved}: close other programs, then ganforge resume {run.name}; or start again with a "
            "smaller --batch-size, --image-size or network"
        )
    return None
