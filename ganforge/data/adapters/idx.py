"""``--data train-images-idx3-ubyte.gz``: the idx format of MNIST (LeCun et al.), plain or compressed by gzip.

Two zero bytes, a byte for the type, one for the number of dimensions, each dimension as four bytes, the most
significant first, and the numbers in the same byte order.
"""

from __future__ import annotations

import gzip
import math
import shutil
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ganforge.data.adapters.beside import stamp
from ganforge.data.adapters.keys import Held
from ganforge.data.adapters.npy import ANY_SIZE, WAY_OUT
from ganforge.data.adapters.options import FileOptions
from ganforge.data.adapters.table import Rows, Table
from ganforge.errors import GANForgeError, reason
from ganforge.files import opened

TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}
GZIP = b"\x1f\x8b"
_CHUNK, _MOST_LABELS = 2**22, 2**30


def is_idx(start: bytes) -> bool:
    """Tell whether a file that begins with these four bytes has this format."""
    return len(start) >= 4 and start[:2] == b"\0\0" and start[2] in TYPES and 1 <= start[3] <= 4


def packed_start(path: Path, count: int) -> bytes:
    """Return the first unpacked bytes of a gzip file; none if it is damaged."""
    try:
        with gzip.open(path) as file:
            return file.read(count)
    except (OSError, EOFError, zlib.error):
        return b""


def idx_table(path: Path, options: FileOptions) -> Table:
    """Return the table in an idx file."""
    with _stream(path) as file:
        held = _header(file, path.name)

    @contextmanager
    def rows(folder: Path) -> Iterator[Rows]:
        unpacked = folder / "unpacked.tmp"
        try:
            with _stream(path) as file, open(unpacked, "wb") as out:
                if _header(file, path.name) != held:
                    raise GANForgeError(f"{path.name} has changed while it was read; start again")
                _require_room(held, folder, path.name)
                for chunk in _content(file, held, path.name):
                    out.write(chunk)
            array = np.memmap(unpacked, held.dtype, "r", shape=held.shape)
            yield array
            del array
        finally:
            unpacked.unlink(missing_ok=True)

    return Table(
        kind="idx",
        name=path.name,
        shape=held.shape,
        dtype=held.dtype,
        stamp=lambda: stamp(path),
        opened=rows,
        flat=options.shape,
        way_out=WAY_OUT,
    )


def read_idx(path: Path) -> np.ndarray:
    """Return the array in an idx file of labels."""
    with _stream(path) as file:
        held = _header(file, path.name)
        if math.prod(held.shape) * held.dtype.itemsize > _MOST_LABELS:
            raise GANForgeError(f"{path.name} holds {held.dtype} {held.shape}; expected one label per picture")
        return np.frombuffer(b"".join(_content(file, held, path.name)), held.dtype).reshape(held.shape)


def usual_labels(path: Path) -> Path | None:
    """Return MNIST's file of labels beside a file of pictures, if it exists."""
    name = path.name.replace("images-idx3", "labels-idx1").replace("images.idx3", "labels.idx1")
    found = path.with_name(name)
    return found if name != path.name and found.is_file() else None


@contextmanager
def _stream(path: Path) -> Iterator[Any]:
    try:
        with opened(path, ANY_SIZE) as file:
            packed = file.read(2) == GZIP
            file.seek(0)
            if packed:
                with gzip.GzipFile(fileobj=file) as inner:
                    yield inner
            else:
                yield file
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise GANForgeError(f"{path.name} is damaged: {reason(error, kind=False)}") from None


def _header(file: IO[bytes], name: str) -> Held:
    start = file.read(4)
    if not is_idx(start):
        raise GANForgeError(f"{name} is not an idx file: it begins with {start.hex() or 'nothing'}; expected 0000")
    sizes = file.read(4 * start[3])
    if len(sizes) < 4 * start[3]:
        raise GANForgeError(f"{name} is damaged: it ends within its header")
    return Held(struct.unpack(f">{start[3]}I", sizes), np.dtype(TYPES[start[2]]))


def _require_room(held: Held, folder: Path, name: str) -> None:
    size, free = math.prod(held.shape) * held.dtype.itemsize, shutil.disk_usage(folder).free
    if size > free:
        raise GANForgeError(
            f"{name} declares {held.dtype} {held.shape}, {size:,} bytes, but the picture cache has room for {free:,}"
        )


def _content(file: IO[bytes], held: Held, name: str) -> Iterator[bytes]:
    left = math.prod(held.shape) * held.dtype.itemsize
    while left:
        chunk = file.read(min(left, _CHUNK))
        if not chunk:
            missing = f"{left:,} byte{'s' * (left != 1)}"
            raise GANForgeError(f"{name} is damaged: {missing} of the declared {held.shape} are missing")
        yield chunk
        left -= len(chunk)
