"""Which of the processes that train one run together this one is, as torchrun's environment says."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Place:
    """A process among those that train one run: its number from 0, how many there are, its number on its machine."""

    rank: int = 0
    count: int = 1
    local: int = 0

    @property
    def first(self) -> bool:
        """Whether it is the one that writes and speaks."""
        return self.rank == 0


def place() -> Place:
    """Return where this process stands; alone where nothing says otherwise."""
    rank, count, local = (_number(name) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK"))
    if rank is None or count is None or not 0 <= rank < count:
        return Place()
    return Place(rank, count, local if local is not None else rank)


def _number(name: str) -> int | None:
    text = os.environ.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 7 else None


# Set where a process has joined others: tells the first one why this one ends.
_tell: Callable[[str], None] | None = None


def hear(tell: Callable[[str], None]) -> None:
    """Have ``tell`` called with what this process says when it fails."""
    global _tell
    _tell = tell


def ended(why: str) -> None:
    """Tell the first process why this one ends; nothing where it is that one, or alone."""
    if _tell is not None:
        _tell(why)


def hush() -> None:
    """Print nothing from here on: the first process speaks for all."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    for number in (1, 2):
        os.dup2(nowhere, number)
    os.close(nowhere)
