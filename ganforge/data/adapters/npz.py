"""``--data x.npz:images=KEY,labels=KEY``: arrays in a zip, unpacked to the disk and mapped, never unpickled."""

from __future__ import annotations

import shutil
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np

from ganforge.data.adapters.beside import stamp
from ganforge.data.adapters.keys import Held, choose_keys
from ganforge.data.adapters.npy import WAY_OUT, header, mapped
from ganforge.data.adapters.options import FileOptions
from ganforge.data.adapters.table import Rows, Table
from ganforge.errors import GANForgeError, reason

# What labels may take in memory: a hundred million of them.
_MOST_LABELS = 2**30
_CHUNK, _MOST_ARRAYS = 2**22, 10_000


def is_npz(path: Path) -> bool:
    """Tell whether a zip holds arrays and nothing else."""
    try:
        with zipfile.ZipFile(path) as file:
            names = [info.filename for info in file.infolist() if not info.is_dir()]
    except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError):
        return path.suffix.lower() == ".npz"
    return bool(names) and all(name.endswith(".npy") for name in names)


def npz_table(path: Path, options: FileOptions) -> Table:
    """Return the table in a .npz file, and its labels. Raises as ``choose_keys`` does, or where it is damaged."""
    name = path.name
    with _archive(path) as file:
        entries = [info for info in file.infolist() if info.filename.endswith(".npy")]
        arrays = {}
        unread: dict[str, GANForgeError] = {}
        if len(entries) > _MOST_ARRAYS:
            raise GANForgeError(f"{name} holds {len(entries):,} arrays; expected at most {_MOST_ARRAYS:,}")
        for info in entries:
            key = info.filename.removesuffix(".npy")
            try:
                with _entry(file, info, name) as stream:
                    arrays[key] = header(stream, f"'{key}' in {name}", info.file_size)
            except GANForgeError as error:  # another one may be what is wanted
                unread[key] = error
    for asked in (options.images, options.labels):
        if asked in unread:
            raise unread[asked]
    if not arrays and unread:
        raise next(iter(unread.values()))
    images, labels = choose_keys(name, arrays, options)

    @contextmanager
    def rows(folder: Path) -> Iterator[Rows]:
        unpacked = folder / "unpacked.tmp"
        try:
            with _archive(path) as file:
                _unpack(file, f"{images}.npy", name, unpacked)
            with open(unpacked, "rb") as stream:
                if header(stream, name, unpacked.stat().st_size) != arrays[images]:
                    raise GANForgeError(f"{name} has changed while it was read; start again")
            array = mapped(unpacked, name)
            yield array
            del array
        finally:
            unpacked.unlink(missing_ok=True)

    return Table(
        kind="npz",
        name=name,
        shape=arrays[images].shape,
        dtype=arrays[images].dtype,
        stamp=lambda: f"{stamp(path)} {images} {labels}",
        opened=rows,
        labels=(lambda: None) if labels is None else lambda: _labels(path, labels, arrays[labels]),
        flat=options.shape,
        way_out=WAY_OUT,
    )


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    try:
        with zipfile.ZipFile(path) as file:
            yield file
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, KeyError, NotImplementedError) as error:
        if isinstance(error, OSError) and error.errno:  # the disk's word, not the file's
            raise
        raise GANForgeError(f"{path.name} is a damaged .npz file: {reason(error, kind=False)}") from None


def _entry(file: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> IO[bytes]:
    # numpy writes no others, and of these no more is unpacked than the entry declares.
    if info.flag_bits & 1 or info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise GANForgeError(f"'{info.filename}' in {name} has a compression that numpy cannot read; save it again")
    return file.open(info)


def _unpack(file: zipfile.ZipFile, entry: str, name: str, target: Path) -> None:
    info = file.getinfo(entry)
    free = shutil.disk_usage(target.parent).free
    if info.file_size > free:
        raise GANForgeError(
            f"{name} unpacks to {info.file_size:,} bytes, but the picture cache has room for {free:,}; "
            "free some space, or set GANFORGE_CACHE_DIR to another disk"
        )
    with _entry(file, info, name) as stream, open(target, "wb") as out:
        while chunk := stream.read(_CHUNK):
            out.write(chunk)


def _labels(path: Path, key: str, held: Held) -> np.ndarray:
    with _archive(path) as file:
        info = file.getinfo(f"{key}.npy")
        if info.file_size > _MOST_LABELS:
            raise GANForgeError(f"labels '{key}' in {path.name} are {held.dtype} {held.shape}; expected one per row")
        with _entry(file, info, path.name) as stream:
            return np.asarray(np.lib.format.read_array(stream, allow_pickle=False))
