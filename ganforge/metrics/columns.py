"""Logged lines by columns."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, overload

import numpy as np

# What the discriminator says of real and fake pictures, on average: probabilities, and logits.
PROBABILITIES, LOGITS = ("d_real", "d_fake"), ("d_real_logit", "d_fake_logit")
NAMES = 1000  # a history has at most, so that a file of few bytes cannot fill the memory with columns
_MISSING = math.inf  # no logged number is infinite: null stands for it


class History(Sequence[dict[str, Any]]):
    """Logged lines, kept as columns of 8 bytes a number: a million lines take some 150 MB, as dicts 1.5 GB.

    A line is a dict again when it is asked for. What is null, or no finite number, is None there; in a column it is
    NaN, as is what a line does not have.
    """

    def __init__(self, lines: Sequence[Mapping[str, Any]] = ()) -> None:
        self._columns: dict[str, array[float]] = {}
        self._steps = array("q")  # floats hold whole numbers up to 2**53 alone
        for line in lines:
            self.append(line)

    def append(self, line: Mapping[str, Any]) -> None:
        """Add a line. Raises ``ValueError`` where it would be the one with too many different names."""
        count = len(self)
        for name, value in line.items():
            if name == "step":
                continue
            if name not in self._columns:
                if len(self._columns) >= NAMES:
                    raise ValueError(f"more than {NAMES:,} different names are logged")
                self._columns[name] = array("d", [_MISSING]) * count
            number = math.nan if value is None else float(value)
            self._columns[name].append(number if math.isfinite(number) else math.nan)
        self._steps.append(int(line.get("step") or 0))
        for numbers in self._columns.values():
            if len(numbers) == count:
                numbers.append(_MISSING)

    @property
    def nbytes(self) -> int:
        """How many bytes its numbers take."""
        return 8 * len(self) * (len(self._columns) + 1)

    def __len__(self) -> int:
        return len(self._steps)

    @overload
    def __getitem__(self, at: int) -> dict[str, Any]: ...
    @overload
    def __getitem__(self, at: slice) -> History: ...
    def __getitem__(self, at: int | slice) -> dict[str, Any] | History:
        if isinstance(at, slice):
            return History([self[i] for i in range(*at.indices(len(self)))])
        line: dict[str, Any] = {"step": self._steps[at]}
        for name, numbers in self._columns.items():
            if numbers[at] != _MISSING:
                line[name] = None if math.isnan(numbers[at]) else numbers[at]
        return line

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return map(self.__getitem__, range(len(self)))

    def names(self) -> list[str]:
        """Return what was ever logged, in the order in which it came up."""
        return ["step", *(name for name, numbers in self._columns.items() if (np.array(numbers) != _MISSING).any())]

    def column(self, name: str, start: int = 0) -> np.ndarray:
        """Return a column from the line ``start`` on, float (N,), with NaN where there is none."""
        if name == "step":
            return np.array(self._steps[start:], dtype=float)
        if name not in self._columns:
            return np.full(len(self._steps[start:]), np.nan)
        values = np.array(self._columns[name][start:], dtype=float)
        values[np.isinf(values)] = np.nan
        return values

    def first_null(self, names: Sequence[str]) -> int | None:
        """Return the place of the first line in which one of ``names`` is logged and is None; None without one."""
        known = [np.isnan(np.array(self._columns[name])) for name in names if name in self._columns]
        found = np.flatnonzero(np.any(known, axis=0)) if known else np.array([])
        return int(found[0]) if len(found) else None


def names(lines: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return every name that was ever logged, in the order in which it came up."""
    if isinstance(lines, History):
        return lines.names()
    return list(dict.fromkeys(name for line in lines for name in line))


def judged_in_pairs(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether logits have no zero of their own: then no probability is logged, and D is right in pairs."""
    known = names(lines)
    return LOGITS[0] in known and PROBABILITIES[0] not in known


def column(lines: Sequence[Mapping[str, Any]], name: str, last: int | None = None) -> np.ndarray:
    """Return a column of the lines, or of the ``last`` of them, float (N,), with NaN where there is none."""
    start = 0 if last is None else max(0, len(lines) - last)
    if isinstance(lines, History):
        return lines.column(name, start)
    return np.array([np.nan if line.get(name) is None else line[name] for line in lines[start:]], dtype=float)


def first_null(lines: Sequence[Mapping[str, Any]], looked_at: Sequence[str]) -> int | None:
    """Return the place of the first line that has one of ``looked_at`` and no number for it; None without one."""
    if isinstance(lines, History):
        return lines.first_null(looked_at)
    found = (i for i, line in enumerate(lines) if any(k in line and line[k] is None for k in looked_at))
    return next(found, None)
