"""The processes that train one run together, as the rest of the engine and the loop see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")


class Team:
    """One process, which trains a run by itself: on JAX with any number of devices.

    Attributes:
        rank: this process's number, from 0; the first one alone writes.
        count: how many processes share a batch.
    """

    rank, count = 0, 1

    @property
    def parts(self) -> int:
        """In how many parts the batch is that an update is given now."""
        return 1

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return for each flag whether it is set in any of the processes."""
        return flags

    def shared(self, value: _T) -> _T:
        """Return the first process's value, of what JSON can hold."""
        return value

    def require_equal(self, sums: Mapping[str, int], what: str) -> None:
        """Raise ``GANForgeError`` where the processes' checksums of things by the same names differ."""

    def give(self, variables: Any) -> None:
        """Give all processes the first one's values of these variables."""

    @contextmanager
    def trial(self, rows: int, alone: bool) -> Iterator[None]:
        """Have updates be given so many rows for a while: parts of a batch, or ``alone`` whole ones."""
        yield
