"""What GANForge says when something is wrong: one line, what was expected, and the way out."""

from __future__ import annotations

import difflib
import errno
import logging
import re
from collections.abc import Iterable

# What a person should hear while it works: the command line prints it, a library's user sees it on stderr.
log = logging.getLogger("ganforge")


_MEMORY_SIGNS = (
    *("out of memory", "Out of memory", "can't allocate memory", "Cannot allocate memory", "RESOURCE_EXHAUSTED"),
    *("failed to map segment", "cannot allocate memory", "can't start new thread"),
)
# C0 and C1 but for line ends and tabs, and what is no character (half of a name that is not UTF-8).
CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


OUT_OF_MEMORY = "out of memory: close other programs, or allow this one more"


class GANForgeError(Exception):
    """Something failed; the message is one line a person can act on. The command line exits with 1.

    Names in it may come from anywhere: a terminal obeys nothing of it.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(on_one_line(message))


class UsageError(GANForgeError):
    """A wrong name, option or value was asked for. The command line exits with 2."""

    exit_code = 2


class PeerLost(GANForgeError):
    """Another of the processes that train a run together has ended, or cannot be reached."""


def out_of_memory(error: BaseException | None) -> bool:
    """Say whether there was not enough memory: Python's own word for it, a backend's, or that of a library loaded.

    What an import fails with often stands behind another error.
    """
    seen = 0
    while error is not None and seen < 10:
        if isinstance(error, MemoryError) or type(error).__name__ in ("OutOfMemoryError", "ResourceExhaustedError"):
            return True
        if isinstance(error, OSError) and error.errno == errno.ENOMEM:
            return True
        if isinstance(error, (RuntimeError, ImportError, OSError)) and any(s in str(error) for s in _MEMORY_SIGNS):
            return True
        error, seen = error.__cause__ or error.__context__, seen + 1
    return False


def closest(name: str, known: Iterable[str], near: float = 0.6) -> str:
    """Return `` Did you mean 'x'?`` for the nearest of ``known``, or an empty string when none is ``near``."""
    matches = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=near)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def on_one_line(text: str) -> str:
    """Return ``text`` as a terminal may show it: names of files may hold line ends, escapes and surrogates."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def shown(value: object, most: int = 80) -> str:
    """Return a value for a message, on one line and no longer than ``most``: an array by its type and shape."""
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "dtype"):
        return f"a {type(value).__name__} of {value.dtype} {tuple(shape)}"
    try:
        text = on_one_line(value if isinstance(value, str) else repr(value))
    except Exception:  # a thing of a person's own
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 1]}…"


def clean(text: str) -> str:
    """Return ``text`` with a mark for each character that a terminal would obey or cannot be given; lines stay."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def reason(error: BaseException, kind: bool = True) -> str:
    """Return what an error says, in one line with its kind; GANForge's own speak for themselves.

    Where Keras only says in which layer it came up, what it was follows. Without ``kind``, for a message that names
    the file or the thing itself: the words alone, the system's own for a file, the kind only where there are none.
    """
    lines = [line.strip() for line in re.sub(r"\x1b\[[0-9;]*m", "", str(error)).splitlines() if line.strip()]
    text = lines[0] if lines else ""
    if len(lines) > 1 and text.startswith("Exception encountered when calling"):
        text = f"{text.rstrip('.')}: {lines[1]}"
    if isinstance(error, OSError) and error.strerror and not kind:
        text = error.strerror
    if kind and not isinstance(error, GANForgeError):
        text = f"{type(error).__name__}: {text}".rstrip(": ")
    return on_one_line(text or type(error).__name__)
