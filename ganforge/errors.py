"""What GANForge says when something is wrong: one line, what was expected, and the way out."""

from __future__ import annotations

import difflib
import logging
from collections.abc import Iterable

# What a person should hear while it works: the command line prints it, a library's user sees it on stderr.
log = logging.getLogger("ganforge")


class GANForgeError(Exception):
    """Something failed; the message is one line a person can act on. The command line exits with 1."""

    exit_code = 1


class UsageError(GANForgeError):
    """A wrong name, option or value was asked for. The command line exits with 2."""

    exit_code = 2


def closest(name: str, known: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest of ``known``, or an empty string when none is near."""
    matches = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.5)
    return f" Did you mean '{matches[0]}'?" if matches else ""


def on_one_line(text: str) -> str:
    """Return ``text`` as a terminal may show it: names of files may hold line ends, escapes and surrogates."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape", "backslashreplace").decode() for c in text)


def reason(error: BaseException) -> str:
    """Return what an error says, in one line with its kind; GANForge's own speak for themselves."""
    text = (str(error).strip().splitlines() or [""])[0]
    return on_one_line(text if isinstance(error, GANForgeError) else f"{type(error).__name__}: {text}".rstrip(": "))
