"""Pictures in several files as one array: mapped when first needed, and verified before they are returned."""

from __future__ import annotations

import copy
import math
import mmap
import threading
import zlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError

# Pictures a checksum is of.
BLOCK = 16
# Of memory maps, how much may stay resident, and what a picture's first touch brings besides it (Linux maps the
# cached pages around a fault).
RESIDENT_BYTES, AROUND_BYTES = 2**27, 2**16
# Shards that are mapped at a time: each takes a file descriptor, of which a process usually has 1,024.
_MOST_OPEN = 256


class Damaged(GANForgeError):
    """A shard is not as it was written."""


class Shard:
    """One file's rows, a read-only memory map (n, …), and CRC-32 of each 16 of them, uint32 (⌈n / 16⌉,)."""

    def __init__(self, name: str, rows: np.ndarray, sums: np.ndarray) -> None:
        self.name, self.sums = name, sums
        self.rows, self._mapped = np.asarray(rows), rows

    def take(self, rows: np.ndarray, known: np.ndarray) -> np.ndarray:
        """Return rows; blocks not yet ``known``, bool, are verified before.

        Raises ``Damaged``.
        """
        blocks = np.unique(rows // BLOCK)
        for k in blocks[~known[blocks]].tolist():
            if block_sum(self.rows, k) != self.sums[k]:
                raise Damaged(f"pictures {k * BLOCK:,} to {(k + 1) * BLOCK - 1:,} of '{self.name}' are damaged")
            known[k] = True
        found: np.ndarray = self.rows[rows]
        # A fault may map megabytes around what was asked for, and hardly any of it is asked for next.
        let_go(self._mapped)
        return found


class Shards:
    """Rows in several files as one read-only array (N, …), indexed by whole numbers, slices and arrays of them.

    A shard is opened when one of its rows is first read, and each block of 16 rows is verified when it is first read.
    No page of a map stays resident after the call that read it; a byte for each 16 rows of the shards seen so far
    does, and 4 for those of the 256 open shards. ``open_shard(k)`` returns a shard, ``counts`` are the rows of each;
    ``damaged`` is called once if one is not as it was written, and returns the message; ``prepare`` is called with
    all shards that are about to be opened. May be used from several threads.
    """

    def __init__(
        self,
        row_shape: Sequence[int],
        dtype: Any,
        counts: Sequence[int],
        open_shard: Callable[[int], Shard],
        damaged: Callable[[Damaged], GANForgeError] | None = None,
        prepare: Callable[[list[int]], None] | None = None,
    ) -> None:
        self._chosen: np.ndarray | None = None
        self._starts = np.concatenate([[0], np.cumsum(np.asarray(counts, np.int64))])
        self.shape = (int(self._starts[-1]), *row_shape)
        self.dtype = np.dtype(dtype)
        self._open_shard, self._damaged, self._prepare = open_shard, damaged, prepare
        self._open: OrderedDict[int, Shard] = OrderedDict()
        self._known: dict[int, np.ndarray] = {}
        self._lock = threading.RLock()

    @property
    def ndim(self) -> int:
        """How many dimensions it has."""
        return len(self.shape)

    @property
    def nbytes(self) -> int:
        """Bytes of all rows."""
        return math.prod(self.shape) * int(self.dtype.itemsize)

    def __len__(self) -> int:
        """The number of rows."""
        return self.shape[0]

    def __getitem__(self, index: Any) -> np.ndarray:
        """Return rows as an array with the same index would; the rest of a tuple applies to these rows."""
        if isinstance(index, tuple):
            first, *rest = index or (slice(None),)
            rows = self[first]
            return rows[tuple(rest)] if isinstance(first, (int, np.integer)) else rows[(slice(None), *rest)]
        if isinstance(index, (int, np.integer)):
            return np.asarray(self.take(np.asarray([index]))[0])
        if isinstance(index, slice):
            return self.take(np.arange(*index.indices(len(self))))
        chosen = np.asarray(index)
        return self.take(np.flatnonzero(chosen) if chosen.dtype == np.bool_ else chosen)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Return all rows in memory."""
        if copy is False:
            raise ValueError("an array in several files can only be copied into one")
        return np.asarray(self[:], dtype)

    def take(self, indices: np.ndarray) -> np.ndarray:
        """Return the rows of ``indices``, whole numbers (n,), contiguous. Raises ``GANForgeError`` where damaged."""
        indices = np.asarray(indices, np.int64)
        indices = np.where(indices < 0, indices + len(self), indices)
        if len(indices) and not 0 <= indices.min() <= indices.max() < len(self):
            raise IndexError(f"index out of bounds for {len(self):,} rows")
        if self._chosen is not None:
            indices = self._chosen[indices]
        rows = np.empty((len(indices), *self.shape[1:]), self.dtype)
        of = np.searchsorted(self._starts, indices, side="right") - 1
        with self._lock:
            try:
                shards = np.unique(of).tolist()
                if self._prepare and (new := [k for k in shards if k not in self._open]):
                    self._prepare(new)
                for k in shards:
                    places = np.flatnonzero(of == k)
                    rows[places] = self._take(k, indices[places] - self._starts[k])
            except Damaged as error:
                raise (self._damaged(error) if self._damaged else error) from None
        return rows

    def _take(self, k: int, rows: np.ndarray) -> np.ndarray:
        shard = self._open.pop(k, None) or self._open_shard(k)
        self._open[k] = shard
        if len(self._open) > _MOST_OPEN:
            self._open.popitem(last=False)
        if k not in self._known:
            self._known[k] = np.zeros(len(shard.sums), np.bool_)
        return shard.take(rows, self._known[k])

    def chosen(self, indices: np.ndarray) -> Shards:
        """Return some of the rows as such an array, without reading them."""
        some = copy.copy(self)
        some.narrow(indices)
        return some

    def narrow(self, indices: np.ndarray) -> None:
        """Be these rows alone."""
        self._chosen = indices if self._chosen is None else self._chosen[indices]
        self.shape = (len(indices), *self.shape[1:])

    def forget(self, k: int) -> None:
        """Let go of a shard, whose file goes; whoever prepares may do it, while another thread waits for that."""
        self._open.pop(k, None)

    def min(self) -> Any:
        """Return the smallest number in it."""
        return min(self[at : at + _AT_ONCE].min() for at in range(0, len(self), _AT_ONCE))

    def max(self) -> Any:
        """Return the largest number in it."""
        return max(self[at : at + _AT_ONCE].max() for at in range(0, len(self), _AT_ONCE))


_AT_ONCE = 2**14


def let_go(array: Any) -> None:
    """Let go of a memory map's pages: the system keeps them as long as it has room, and reads them quickly again.

    Of one that was opened for reading: another holds what was written to it.
    """
    pages = getattr(array, "_mmap", None) if getattr(array, "mode", "") == "r" else None
    if pages is not None and hasattr(mmap, "MADV_DONTNEED"):
        pages.madvise(mmap.MADV_DONTNEED)


def block_sum(array: np.ndarray, block: int) -> int:
    """Return the CRC-32 of a block of 16 rows."""
    return zlib.crc32(np.ascontiguousarray(array[block * BLOCK : (block + 1) * BLOCK]).data)


def sums_of(array: np.ndarray) -> np.ndarray:
    """Return the CRC-32 of each block of 16 rows, uint32 little-endian."""
    return np.fromiter((block_sum(array, k) for k in range(-(-len(array) // BLOCK))), "<u4")
