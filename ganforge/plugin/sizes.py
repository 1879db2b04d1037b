"""Sizes of pictures: WIDTHxHEIGHT where people write them, (height, width) as arrays have them."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from typing import SupportsIndex

from ganforge.errors import UsageError, shown

# A square's side, or (height, width).
Size = int | tuple[int, int]
LEAST, MOST = 8, 1024


def parse_size(value: object) -> Size:
    """Return a size in pixels as a person gives it: a square's side, else (height, width).

    ``value`` is a whole number, a text such as ``64`` or ``128x64``, or a pair (width, height).

    Raises:
        UsageError: it is none of these, or a side is below 8 or above 1,024.
    """
    try:
        width, height = _pair(value)
    except (TypeError, ValueError):
        width = height = 0
    if not (LEAST <= width <= MOST and LEAST <= height <= MOST):
        raise UsageError(
            f"invalid --image-size {shown(_written(value), 40)}: expected {LEAST} to {MOST:,} pixels, "
            "or WIDTHxHEIGHT, such as 64 or 128x64"
        )
    return height if width == height else (height, width)


def _pair(value: object) -> tuple[int, int]:
    """Return (width, height). Raises ``TypeError`` or ``ValueError``."""
    if isinstance(value, str):
        numbers = re.fullmatch(r"\s*([0-9]{1,6})(?:\s*[xX×]\s*([0-9]{1,6}))?\s*", value)
        if not numbers:
            raise ValueError
        return int(numbers[1]), int(numbers[2] or numbers[1])
    if isinstance(value, Iterable):
        width, height = value
        return _whole(width), _whole(height)
    return _whole(value), _whole(value)


def _whole(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, SupportsIndex):
        raise TypeError
    return operator.index(value)


def _written(value: object) -> object:
    return "x".join(map(str, value)) if isinstance(value, (list, tuple)) else value


def sides(size: Size) -> tuple[int, int]:
    """Return (height, width)."""
    return (size, size) if isinstance(size, int) else size


def size_of(height: int, width: int) -> Size:
    """Return a square's side, or (height, width) where they differ."""
    return height if height == width else (height, width)


def written_size(size: Size) -> int | str:
    """Return a size as settings, ``run.json`` and ``--image-size`` have it: ``64``, or ``128x64``."""
    return size if isinstance(size, int) else spoken_size(size)


def spoken_size(size: Size) -> str:
    """Return WIDTHxHEIGHT, of squares too."""
    height, width = sides(size)
    return f"{width}x{height}"


def nearest_size(size: Size, fits: Callable[[tuple[int, int]], bool]) -> Size | None:
    """Return a size that ``fits``, both sides multiples of 8, 16, … near those of ``size``; None where none does."""
    unit = LEAST
    while unit <= MOST:
        height, width = (min(MOST // unit * unit, max(unit, unit * round(side / unit))) for side in sides(size))
        if fits((height, width)):
            return size_of(height, width)
        unit *= 2
    return None
