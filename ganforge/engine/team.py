"""The processes that train one run together, as the rest of the engine and the loop see them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

_T = TypeVar("_T")


class Team:
    """One process that trains a run by itself; on JAX with any number of devices.

    Attributes:
        rank: this process's number, from 0; only the first one writes.
        count: how many processes share a batch.
    """

    rank, count = 0, 1

    @property
    def parts(self) -> int:
        """The number of parts of the batch that the current update is given."""
        return 1

    def any(self, *flags: bool) -> tuple[bool, ...]:
        """Return, for each flag, whether it is set in any of the processes."""
        return flags

    def shared(self, value: _T) -> _T:
        """Return the first process's value; it must be representable as JSON."""
        return value

    def require_equal(self, sums: Mapping[str, int], what: str) -> None:
        """Raise ``GANForgeError`` if the processes' checksums under the same names differ."""

    def give(self, variables: Any) -> None:
        """Give all processes the first one's values of these variables."""

    @contextmanager
    def trial(self, rows: int, alone: bool) -> Iterator[None]:
        """Within the context, give updates so many rows: a part of a batch, or ``alone``, the whole batch."""
        yield
