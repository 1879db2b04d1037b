"""Which values are black and white in pictures deeper than 8 bits: one range for a whole set, by one function."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from ganforge.data.settings import Range

# What cameras, scanners and programs write, by width.
KNOWN: tuple[Range, ...] = (
    (0, 1),
    (-1, 1),
    (0, 255),
    (0, 1023),
    (0, 4095),
    (0, 16383),
    (0, 65535),
    (0, 2**31 - 1),
    (0, 2**32 - 1),
)
COVERED = 0.999
# Interpolation overshoots: so much beyond a known range, in parts of its width, is of it where values are floats.
OVERSHOOT = 0.05
# A known range of which less is used says nothing: float pictures of 0 to 3 are not nearly black ones of 0 to 255.
USED = 1 / 16
# A value's place in the histogram: the sign, the exponent and eleven bits of its mantissa, in order of size.
_SHIFT = 12
# Counting takes seven times the memory of what is counted.
_AT_ONCE = 2**20


class Values:
    """What is known of the values of a set: how many lie in each known range, and a histogram fine to 1 in 2,000."""

    def __init__(self) -> None:
        self.total = 0
        self.within = np.zeros(len(KNOWN), np.int64)
        self.histogram = np.zeros(0, np.int64)
        self.low, self.high = math.inf, -math.inf

    def add(self, values: np.ndarray, floats: bool) -> Values:
        """Count finite ``values``, float32 of any shape; ``floats``: they were floats in the file too."""
        flat = values.reshape(-1)
        for start in range(0, flat.size, _AT_ONCE):
            self._add(flat[start : start + _AT_ONCE], floats)
        return self

    def _add(self, flat: np.ndarray, floats: bool) -> None:
        self.total += flat.size
        self.low, self.high = min(self.low, float(flat.min())), max(self.high, float(flat.max()))
        for i, (low, high) in enumerate(KNOWN):
            beyond = OVERSHOOT * (high - low) if floats else 0.0
            # Below 0, only of the narrow ranges: what reaches to -10 is not of 0 to 255.
            below = beyond if high <= 1 else 0.0
            self.within[i] += np.count_nonzero((flat >= low - below) & (flat <= high + beyond))
        self._merge(np.bincount(_places(flat)))

    def merge(self, other: Values) -> None:
        """Add what another has counted."""
        self.total += other.total
        self.within += other.within
        self.low, self.high = min(self.low, other.low), max(self.high, other.high)
        self._merge(other.histogram)

    def _merge(self, counts: np.ndarray) -> None:
        if len(counts) > len(self.histogram):
            self.histogram = np.pad(self.histogram, (0, len(counts) - len(self.histogram)))
        self.histogram[: len(counts)] += counts

    def percentile(self, part: float) -> float:
        """Return the value that ``part`` of all are not above, to about 1 in 2,000."""
        place = int(np.searchsorted(np.cumsum(self.histogram), max(1, math.ceil(part * self.total))))
        return min(max(_value(place), self.low), self.high)


def _places(values: np.ndarray) -> np.ndarray:
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    ordered = np.where(bits >> 31, ~bits, bits | np.uint32(2**31))
    return (ordered >> _SHIFT).astype(np.int64)


def _value(place: int) -> float:
    ordered = (place << _SHIFT) + 2 ** (_SHIFT - 1)
    bits = ordered - 2**31 if ordered >= 2**31 else 2**32 - 1 - ordered
    return float(np.uint32(bits).reshape(1).view(np.float32)[0])


def choose_range(values: Values) -> Range:
    """Return the smallest known range that covers 99.9 % of a set, else its percentiles 0.1 and 99.9.

    A known range of which less than a sixteenth is used is passed over. Percentiles are rounded to four digits.
    """
    low, high = values.percentile(1 - COVERED), values.percentile(COVERED)
    for known, count in zip(KNOWN, values.within.tolist()):
        if count >= COVERED * values.total and (high - low >= USED * (known[1] - known[0]) or known == KNOWN[0]):
            return known
    low, high = float(f"{low:.4g}"), float(f"{high:.4g}")
    return (low, high) if high > low else (low, low + 1)


def to_bytes(
    values: np.ndarray, value_range: Range, inverted: bool = False, background: Sequence[int] = (255,)
) -> np.ndarray:
    """Return float32 (…, C) as uint8: the range's low end 0, its high end 255, beyond it cut off.

    ``inverted``: the low end is white. What is NaN becomes ``background``, one level or C of them.
    """
    low, high = value_range
    scaled = np.clip((values.astype(np.float64) - low) * (255.0 / (high - low)), 0, 255)
    scaled = 255 - scaled if inverted else scaled
    return np.rint(np.where(np.isnan(scaled), np.asarray(background, np.float64), scaled)).astype(np.uint8)


def spoken(value_range: Range) -> str:
    """Return ``0 to 4,095`` or ``-998.7 to 1.25``."""
    low, high = (f"{end:,.0f}" if float(end).is_integer() else f"{end:,.10g}" for end in value_range)
    return f"{low} to {high}"
