"""Where a command prints to: a closed stream, one that cannot say every letter, one that is full."""

from __future__ import annotations

import errno
import os
import sys
from contextlib import suppress


def prepare() -> None:
    """Make sure that there is something to print to, and that no letter is one too many for it.

    A process may be started with closed streams. Files that it opens would get their numbers, and what a library
    prints would be written into them.
    """
    closed = []
    for number in (0, 1, 2):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
            closed.append(number)
    # They stay open for as long as the process lives.
    sys.stdin = sys.stdin or open(os.devnull, encoding="utf-8")  # noqa: SIM115
    sys.stdout = sys.stdout or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    sys.stderr = sys.stderr or open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # something else stands in its place
            stream.reconfigure(errors="replace")  # type: ignore[union-attr]
    if 1 in closed:
        with suppress(OSError):
            sys.stderr.write("ganforge: the standard output is closed; what is printed is lost\n")


def refused(error: OSError | None = None) -> str | None:
    """Return why what was printed could not be written, or None; from then on nothing is printed any more.

    ``error`` is what came up: of a file it names the file, and is not meant.
    """
    if error is not None and error.filename is not None:
        return None
    try:
        if error is not None:
            sys.stdout.write("\n")  # what failed may be gone: whether a line can be written tells
        sys.stdout.flush()
        return None
    except ValueError:  # closed by somebody
        return None
    except OSError as why:
        with suppress(OSError):
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # Python flushes once more at its end
        return "" if why.errno == errno.EPIPE else f"the output cannot be written: {why.strerror}"
