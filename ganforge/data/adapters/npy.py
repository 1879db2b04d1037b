"""``--data x.npy``: one array, mapped and never unpickled."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np

from ganforge.data.adapters.beside import stamp
from ganforge.data.adapters.keys import Held
from ganforge.data.adapters.options import FileOptions
from ganforge.data.adapters.table import Rows, Table
from ganforge.errors import GANForgeError, reason
from ganforge.files import opened

MAGIC = b"\x93NUMPY"
WAY_OUT = "; for pictures, give height-width or height-width-channels: :shape=28-28"
ANY_SIZE = 2**62


def header(file: IO[bytes], name: str, size: int) -> Held:
    """Return the contents of an array's header; a file of ``size`` bytes must hold exactly what it declares.

    Raises ``GANForgeError`` if it is damaged, or declares more or less than there is.
    """
    try:
        version = np.lib.format.read_magic(file)
        read: Callable[..., Any] = {
            (1, 0): np.lib.format.read_array_header_1_0,
            (2, 0): np.lib.format.read_array_header_2_0,
        }[version]
        shape, _, dtype = read(file)
    except KeyError:
        raise GANForgeError(f"{name} is a .npy file of records, or of an unknown version") from None
    except (ValueError, OSError, EOFError, TypeError, RecursionError, MemoryError, SyntaxError) as error:
        raise GANForgeError(f"{name} is a damaged .npy file: {reason(error, kind=False)}") from None
    shape = tuple(int(n) for n in shape)
    if dtype.hasobject:
        raise GANForgeError(
            f"{name} holds Python objects (pickle), which are refused; expected an array of numbers: "
            "pictures of one size, uint8 or float"
        )
    held, declared = size - file.tell(), math.prod(shape) * dtype.itemsize
    if min(shape, default=0) < 0 or declared > held:
        raise GANForgeError(f"{name} declares {dtype} {shape}, {declared:,} bytes, but holds {max(0, held):,}")
    return Held(shape, dtype)


def mapped(path: Path, name: str) -> Any:
    """Return a .npy file as a read-only memory map. Raises ``GANForgeError``."""
    try:
        return np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, OSError, EOFError, OverflowError) as error:
        raise GANForgeError(f"{name} cannot be read: {reason(error, kind=False)}") from None


def read_held(path: Path) -> Held:
    """Return shape and type of the array in a .npy file."""
    with opened(path, ANY_SIZE) as file:
        return header(file, path.name, path.stat().st_size)


def npy_table(path: Path, options: FileOptions) -> Table:
    """Return the table in a .npy file."""
    held = read_held(path)

    @contextmanager
    def rows(_: Path) -> Iterator[Rows]:
        array = mapped(path, path.name)
        if array.shape != held.shape or array.dtype != held.dtype:
            raise GANForgeError(f"{path.name} has changed while it was read; start again")
        yield array

    return Table(
        kind="npy",
        name=path.name,
        shape=held.shape,
        dtype=held.dtype,
        stamp=lambda: stamp(path),
        opened=rows,
        flat=options.shape,
        way_out=WAY_OUT,
    )
