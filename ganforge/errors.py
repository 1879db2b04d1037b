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


OUT_OF_MEMORY = "out of memory: close other programs, or allow this one to use more memory"
_THEIR_WORDS = {
    "expected greater than or equal to": "expected at least",
    "expected less than or equal to": "expected at most",
    "expected greater than": "expected a number above",
    "expected less than": "expected a number below",
}


class GANForgeError(Exception):
    """Something failed; the message is one line that says what to do. The command line exits with 1.

    Control characters in the message, such as those of a file name, are escaped.
    """

    exit_code = 1

    def __init__(self, message: str = "") -> None:
        super().__init__(on_one_line(message))


class UsageError(GANForgeError):
    """A name, option or value is wrong. The command line exits with 2."""

    exit_code = 2


class PeerLost(GANForgeError):
    """Another of the processes that train a run together has ended, or cannot be reached."""


def out_of_memory(error: BaseException | None) -> bool:
    """Tell whether an error, or one that caused it, means that there was not enough memory."""
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


def in_our_words(message: str) -> str:
    """Return a message of pydantic in the form of ours, such as ``expected at least 1``."""
    text = message.removeprefix("Value error, ").partition(", unable to")[0].replace("Input should be", "expected")
    for theirs, ours in _THEIR_WORDS.items():
        text = text.replace(theirs, ours)
    return text[:1].lower() + text[1:]


def on_one_line(text: str) -> str:
    """Return ``text`` with line ends, control characters and surrogates escaped; file names may contain them."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def shown(value: object, most: int = 80) -> str:
    """Return a value for a message, on one line of at most ``most`` characters; an array by its type and shape."""
    shape = getattr(value, "shape", None)
    if shape is not None and hasattr(value, "dtype"):
        return f"a {type(value).__name__} of {value.dtype} {tuple(shape)}"
    try:
        text = on_one_line(value if isinstance(value, str) else repr(value))
    except Exception:  # a thing of a person's own
        text = f"a {type(value).__name__}"
    return text if len(text) <= most else f"{text[: most - 1]}…"


def clean(text: str) -> str:
    """Return ``text`` with each control character replaced by a mark; line ends and tabs are kept."""
    return CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)


def reason(error: BaseException, kind: bool = True) -> str:
    """Return an error's message in one line, after the name of its class; errors of GANForge without that name.

    If Keras only says in which layer an error occurred, the next line is added. Without ``kind``, for messages that
    already name the file or object, only the message is returned, or the class if there is none.
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
