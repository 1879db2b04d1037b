"""``--data x.h5:images=KEY,labels=KEY``: datasets of an HDF5 file, stored in that file and nowhere else.

A link or dataset that leads to another file would read a file chosen by the author instead of the user.
"""

from __future__ import annotations

import errno
import math
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.data.adapters.beside import stamp
from ganforge.data.adapters.keys import Held, choose_keys
from ganforge.data.adapters.npy import WAY_OUT
from ganforge.data.adapters.options import FileOptions
from ganforge.data.adapters.table import Rows, Table
from ganforge.errors import GANForgeError, UsageError, reason

MAGIC = b"\x89HDF\r\n\x1a\n"
# What one chunk may unpack to in memory; what a packed dataset may declare of each byte it holds (deflate: 1,032);
# how many groups and datasets are looked at.
_MOST_CHUNK, _MOST_RATIO, _MOST_NAMES, _MOST_DEPTH = 2**30, 1100, 10_000, 16
_MOST_LABELS = 2**30


def hdf5_table(path: Path, options: FileOptions) -> Table:
    """Return the table in an HDF5 file. Raises as ``choose_keys`` does, or where a dataset lies elsewhere."""
    name = path.name
    with _file(path) as file:
        arrays: dict[str, Held] = {}
        refused: dict[str, str] = {}
        _look(file, "", arrays, refused, set())
    for asked in (options.images, options.labels):
        parts = (asked or "").strip("/").split("/")
        for key in ("/".join(parts[: i + 1]) for i in range(len(parts))):
            if key in refused:
                raise GANForgeError(f"'{key}' in {name} {refused[key]}")
    if not arrays and refused:
        key, why = next(iter(refused.items()))
        raise GANForgeError(f"'{key}' in {name} {why}")
    plain = {option: value.strip("/") for option in ("images", "labels") if (value := getattr(options, option))}
    images, labels = choose_keys(name, arrays, options.model_copy(update=plain))

    @contextmanager
    def rows(_: Path) -> Iterator[Rows]:
        with _file(path) as file:
            yield _dataset(file, images, name, arrays[images])

    def read_labels() -> Any:
        assert labels is not None
        held = arrays[labels]
        if math.prod(held.shape) * held.dtype.itemsize > _MOST_LABELS:
            raise UsageError(f"the labels '{labels}' in {name} are {held.dtype} {held.shape}; expected one per row")
        with _file(path) as file:
            found = _dataset(file, labels, name, held)
            return np.asarray(found.asstr()[:] if held.dtype.kind == "U" else found[:])

    return Table(
        kind="h5",
        name=name,
        shape=arrays[images].shape,
        dtype=arrays[images].dtype,
        stamp=lambda: f"{stamp(path)} {images} {labels}",
        opened=rows,
        labels=(lambda: None) if labels is None else read_labels,
        flat=options.shape,
        way_out=WAY_OUT,
    )


@contextmanager
def _file(path: Path) -> Iterator[Any]:
    import h5py

    try:
        with h5py.File(path, "r", locking="best-effort") as file:
            yield file
    except (OSError, ValueError, RuntimeError, KeyError) as error:
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # of the cache's disk
            raise
        raise GANForgeError(f"{path.name} cannot be read: {reason(error, kind=False)}") from None


def _look(group: Any, prefix: str, arrays: dict[str, Held], refused: dict[str, str], seen: set[int]) -> None:
    """Note the datasets of a group and of those in it, links not followed; every group once, however it is linked."""
    import h5py

    seen.add(h5py.h5o.get_info(group.id).addr)
    for key in group:
        if len(arrays) + len(refused) + len(seen) >= _MOST_NAMES or prefix.count("/") > _MOST_DEPTH:
            return
        name, link = f"{prefix}{key}", group.get(key, getlink=True)
        if not isinstance(link, h5py.HardLink):
            where = "to another file" if isinstance(link, h5py.ExternalLink) else "elsewhere"
            refused[name] = f"is a link {where}, which is not followed; expected a dataset of its own"
            continue
        found = group[key]
        if isinstance(found, h5py.Group):
            if h5py.h5o.get_info(found.id).addr not in seen:
                _look(found, f"{name}/", arrays, refused, seen)
        elif isinstance(found, h5py.Dataset):
            why = _why_not(found)
            if why:
                refused[name] = why
            else:
                text = h5py.check_string_dtype(found.dtype) is not None
                arrays[name] = Held(tuple(found.shape), np.dtype("U1") if text else found.dtype)


def _why_not(dataset: Any) -> str:
    """Return why a dataset is not read, in words; none where it may be."""
    import h5py

    if dataset.external or dataset.is_virtual:
        return "keeps its numbers in another file, which is not opened; copy them into this one"
    if dataset.shape is None or (dataset.dtype.hasobject and h5py.check_string_dtype(dataset.dtype) is None):
        return "holds no array of numbers"
    if dataset.dtype.hasobject:
        return ""  # texts, of any length
    declared, held = math.prod(dataset.shape) * dataset.dtype.itemsize, dataset.id.get_storage_size()
    most = held * (_MOST_RATIO if dataset.compression or dataset.id.get_create_plist().get_nfilters() else 1)
    if declared > most:
        return f"declares {dataset.dtype} {dataset.shape}, {declared:,} bytes, but holds {held:,}"
    if dataset.chunks and math.prod(dataset.chunks) * dataset.dtype.itemsize > _MOST_CHUNK:
        return f"is in pieces of {dataset.chunks}; expected at most {_MOST_CHUNK:,} bytes each"
    return ""


def _dataset(file: Any, key: str, name: str, held: Held) -> Any:
    """Return a dataset by a way of which no part is a link."""
    import h5py

    group = file
    for part in key.split("/"):
        if not isinstance(group.get(part, getlink=True), h5py.HardLink):
            raise GANForgeError(f"'{key}' in {name} has changed while it was read; start again")
        group = group[part]
    if tuple(group.shape) != held.shape or _why_not(group):
        raise GANForgeError(f"'{key}' in {name} has changed while it was read; start again")
    return group
