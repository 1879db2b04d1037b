"""The common form of all arrays of pictures or vectors: rows of one shape and type, read in blocks."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from ganforge.errors import GANForgeError

# As for files: a larger picture is more likely an attack on memory than a photograph.
MAX_PIXELS, MAX_SIDE_VECTORS = 178_956_970, 2**24
_BLOCK_BYTES = 2**25


class Rows(Protocol):
    """Something that rows are read from: an array, a memory map, a dataset in a file."""

    def __getitem__(self, rows: slice, /) -> Any:
        """Return consecutive rows as an array."""


@dataclass(frozen=True)
class Form:
    """How a row is a picture, (height, width, channels), or a vector of ``numbers``.

    ``flat``: a row lists a picture's numbers; ``channels_first``: it is (C, H, W).
    """

    shape: tuple[int, ...]
    flat: bool = False
    channels_first: bool = False

    @property
    def vector(self) -> bool:
        """Whether rows are vectors."""
        return len(self.shape) == 1

    def arranged(self, block: np.ndarray) -> np.ndarray:
        """Return rows of numbers (n, …) as (n, H, W, C), or unchanged if they are vectors."""
        if self.vector or self.flat:
            return block.reshape(len(block), *self.shape)
        if self.channels_first:
            return np.moveaxis(block, 1, -1)
        return block if block.ndim == 4 else block[..., None]


@dataclass(frozen=True)
class Table:
    """Rows of one shape and type.

    Args:
        kind: its kind, such as ``npy``.
        name: its name in messages, such as ``x.npz``.
        shape: (N, …), as it is stored.
        stamp: returns a text that differs for different contents: a digest, or a file's name, size and time.
        opened: a context in which the rows can be read; it takes a folder for data that must be unpacked first.
        labels: returns (N,) whole numbers or texts, or None.
        classes: names of the classes if labels are numbers from 0.
        flat: the shape of the picture that a row lists, if it is given.
    """

    kind: str
    name: str
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    stamp: Callable[[], str]
    opened: Callable[[Path], AbstractContextManager[Rows]]
    labels: Callable[[], Any] = lambda: None
    classes: tuple[str, ...] = ()
    flat: tuple[int, ...] | None = None
    way_out: str = ""
    notes: tuple[str, ...] = field(default_factory=tuple)

    @property
    def form(self) -> Form:
        """How a row is a picture or a vector. Raises ``GANForgeError`` where it is neither."""
        return form_of(self.name, self.shape, self.dtype, self.flat, self.way_out)


def form_of(
    name: str, shape: tuple[int, ...], dtype: np.dtype[Any], flat: tuple[int, ...] | None = None, way_out: str = ""
) -> Form:
    """Return how the rows of an array are pictures or vectors.

    (N, H, W), (N, H, W, C) and (N, C, H, W) with up to 4 channels are pictures, (N, D) floats are vectors.
    ``way_out`` tells the user how to declare that rows of numbers are pictures.

    Raises:
        GANForgeError: they are neither; the message says what was expected.
    """
    what = f"{name} holds {dtype} {_written(shape)}"
    if dtype.kind not in "buif":
        kinds = {"O": "Python objects", "c": "complex numbers", "U": "texts", "S": "texts", "V": "records"}
        sizes = " (pictures of mixed sizes? give a folder or a list of paths)" if dtype.kind == "O" else ""
        raise GANForgeError(
            f"{name} holds {kinds.get(dtype.kind, str(dtype))}; expected numbers, uint8 or float{sizes}"
        )
    if len(shape) >= 1 and shape[0] < 2:
        held = "nothing" if not shape[0] else "only one row"
        raise GANForgeError(f"{what}: {held}; training needs at least 2 pictures, (N, H, W, C)")
    if flat is not None:
        form = _flat(what, shape, flat)
    elif len(shape) == 4:
        form = _colours(what, shape)
    elif len(shape) == 3:
        if shape[2] <= 4:
            raise GANForgeError(f"{what}: a single picture; expected several, (N, H, W, C), or grey ones (N, H, W)")
        form = Form((shape[1], shape[2], 1))
    elif len(shape) == 2 and dtype.kind == "f":
        form = Form((shape[1],))
    elif len(shape) == 2:
        hint = way_out or "; for pictures, reshape them to (N, H, W, C)"
        raise GANForgeError(f"{what}; expected vectors (N, D) of floats{hint}")
    else:
        raise GANForgeError(f"{what}; expected pictures (N, H, W, C) or (N, H, W), or vectors (N, D)")
    if min(form.shape) < 1 or math.prod(form.shape[:2]) > (MAX_SIDE_VECTORS if form.vector else MAX_PIXELS):
        raise GANForgeError(f"{what}; expected rows of 1 to {MAX_PIXELS:,} pixels")
    return form


def _flat(what: str, shape: tuple[int, ...], flat: tuple[int, ...]) -> Form:
    whole = flat if len(flat) == 3 else (*flat, 1)
    if len(whole) != 3 or min(whole) < 1 or whole[2] > 4:
        raise GANForgeError(
            f"invalid shape={'-'.join(map(str, flat))}: expected the shape of a picture, such as 28-28 or 32-32-3"
        )
    if math.prod(whole) != math.prod(shape[1:]):
        raise GANForgeError(
            f"{what}, {math.prod(shape[1:]):,} numbers per row; a picture {_written(whole)} has {math.prod(whole):,}"
        )
    return Form(whole, flat=True)


def _colours(what: str, shape: tuple[int, ...]) -> Form:
    if 1 <= shape[3] <= 4:
        return Form((shape[1], shape[2], shape[3]))
    if 1 <= shape[1] <= 4:
        return Form((shape[2], shape[3], shape[1]), channels_first=True)
    raise GANForgeError(f"{what}; expected 1 to 4 channels, (N, H, W, C)")


def _written(shape: tuple[int, ...]) -> str:
    return "(" + ", ".join(map(str, shape)) + ("," if len(shape) == 1 else "") + ")"


def blocks(rows: Rows, count: int, row_bytes: int, chosen: np.ndarray | None) -> Iterator[tuple[int, np.ndarray]]:
    """Yield (index of the first, rows) in order, about 32 MB at a time; only the sorted ``chosen`` ones, if given."""
    at_once = max(1, _BLOCK_BYTES // max(1, row_bytes))
    for start in range(0, count, at_once):
        stop = min(count, start + at_once)
        if chosen is None:
            yield start, np.asarray(rows[start:stop])
            continue
        first, last = np.searchsorted(chosen, (start, stop))
        if first < last:
            low = int(chosen[first])
            block = np.asarray(rows[low : int(chosen[last - 1]) + 1])
            yield int(first), block[chosen[first:last] - low]


def plain(block: np.ndarray) -> np.ndarray:
    """Return rows in a form that is the same on every machine: contiguous and little-endian."""
    return np.ascontiguousarray(block, block.dtype.newbyteorder("<"))


def digest_of(array: np.ndarray) -> str:
    """Return a digest of an array's content and shape."""
    digest = hashlib.sha256(f"{array.dtype.newbyteorder('<').str} {array.shape}".encode())
    for _, block in blocks(array, len(array), array[:1].nbytes, None):
        digest.update(plain(block).data)
    return digest.hexdigest()
