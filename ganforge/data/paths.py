"""``--data`` texts that name a path, or several; nothing heavy is imported for them."""

from __future__ import annotations

import os
import re

from ganforge.files import at_home

# What a data source and a file of arrays have.
_OPTIONS = re.compile(r":[a-z_]+=")
_URL = re.compile(r"[a-z][a-z0-9+.-]+://", re.IGNORECASE)


def is_url(text: str) -> bool:
    """Tell whether a text is an address such as ``s3://bucket/photos`` (``ganforge.data.remote``)."""
    return _URL.match(text) is not None


def is_packed_folder(text: str) -> bool:
    """Tell whether a text names a folder with a packed set (``ganforge.data.packed``)."""
    try:
        return all((at_home(text) / name).is_file() for name in ("about.json", "images-00000.npy"))
    except (OSError, ValueError):
        return False


def is_path(text: str) -> bool:
    """Tell whether a ``--data`` text is a path rather than a source's ``NAME:key=value``.

    A path has a separator, starts with ``.`` or ``~``, ends in ``.zip``, or exists.
    """
    separators = {"/", os.sep, os.altsep or "/"}
    # The options of a name may hold a separator, or name a zip; what stands before its colon may not.
    name, colon, rest = text.partition(":")
    written = name if colon and "=" in rest else text
    if text.startswith((".", "~")) or written.lower().endswith(".zip"):
        return True
    if any(mark in written for mark in separators):
        return True
    try:
        return os.path.exists(text)
    except ValueError:  # a null character
        return False


def parts_of(text: str) -> list[str]:
    """Return the paths that a ``--data`` text names if there are several; else none.

    A text that exists as a path is one path, whatever commas it contains; so are the longest parts that exist.
    """
    if "," not in text or is_url(text) or _exists(text) or _OPTIONS.search(text):
        return []
    pieces, parts, start = text.split(","), [], 0
    while start < len(pieces):
        ends = range(len(pieces), start, -1)
        stop = next((end for end in ends if _exists(",".join(pieces[start:end]))), start + 1)
        parts.append(",".join(pieces[start:stop]).strip())
        start = stop
    return parts if all(parts) and any(is_path(part) or _exists(part) for part in parts) else []


def _exists(text: str) -> bool:
    try:
        return at_home(text).exists() or at_home(text.strip()).exists()
    except (OSError, ValueError):
        return False
