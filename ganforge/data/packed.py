"""A packed set: pictures decoded once, in shards that any machine opens, from a folder or from a store.

It is a folder with the files of a cache entry: ``about.json``, ``images-00000.npy`` and so on with their checksums,
and the labels.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import numpy as np

from ganforge.data.adapters.source import FoundSource, asked, found, own_channels
from ganforge.data.cache import (
    ABOUT,
    LABELS,
    SUMS,
    ArrayWriter,
    cache_root,
    open_shard,
    read_labels,
    shard_name,
    write_record,
)
from ganforge.data.layout import draw
from ganforge.data.order import LARGE, some
from ganforge.data.paths import is_url
from ganforge.data.record import Record, notes, record_of
from ganforge.data.remote import Copies, Store
from ganforge.data.shards import Damaged, Shard, Shards, sums_of
from ganforge.data.workers import Workers, patiently
from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.files import at_home, beside, read_file
from ganforge.plugin.dataset import Images, describe
from ganforge.plugin.registry import Choice
from ganforge.plugin.sizes import size_of, spoken_size, written_size

_MOST_ABOUT = 2**28
_AT_ONCE, _TOGETHER = 2**12, 8


def packed_choice(place: Path | Store) -> Choice:
    """Return a packed set in a folder or a store as a data source.

    Raises ``GANForgeError`` where it is damaged.
    """
    opened = _Remote(place) if isinstance(place, Store) else _Local(place)
    record = opened.record
    vector = len(record.shape) == 1
    size = None if vector else size_of(record.shape[0], record.shape[1])
    channels = 3 if vector else own_channels(record.shape[2])

    def load(
        image_shape: tuple[int, ...] | None = None,
        image_size: Any = None,
        channels: int | None = None,
        limit: int | None = None,
        seed: int = 0,
    ) -> Images:
        wanted, channels = asked(image_shape, image_size, channels)
        if (
            size is not None
            and wanted is not None
            and (wanted, channels or record.shape[2]) != (size, record.shape[2])
        ):
            raise UsageError(
                f"{opened.name} is packed with --image-size {written_size(size)} and --channels {record.shape[2]}; "
                f"expected these, or a set that is packed with --image-size {written_size(wanted)}"
            )
        return _limited(_images(opened), limit, seed)

    summary = f"{opened.name}: {record.count:,} {'vectors' if size is None else spoken_size(size) + ' pictures'}"
    source = FoundSource(
        "packed",
        load=load,
        summary=summary,
        image_size=None if size is None else written_size(size),
        channels=channels,
        file=True,
    )
    return found(source)


def _images(opened: _Local) -> Images:
    record = opened.record
    labels = read_labels(opened.path(LABELS, 4 * record.count), record) if record.classes else None
    shards = Shards(record.shape, record.dtype, record.shards, opened.shard, opened.damaged, opened.prepare)
    opened.array = shards
    name = opened.name
    size = None if len(record.shape) == 1 else size_of(record.shape[0], record.shape[1])
    return Images(
        array=cast(np.ndarray, shards),
        fingerprint=record.fingerprint,
        description=f"{record.count:,} vectors of {record.shape[0]:,} numbers from {name}"
        if size is None
        else describe(record.count, f"images from {name}", size, record.shape[2]),
        found=record.count,
        labels=None if labels is None else np.asarray(labels, np.int32),
        classes=record.classes,
        range=record.range,
        notes=tuple(notes(record)),
    )


def _limited(images: Images, limit: int | None, seed: int) -> Images:
    """Return ``limit`` of the pictures, of every class where there are not too many to look at each."""
    count = len(images)
    if limit is None or limit >= count:
        return images
    if images.labels is not None and count <= LARGE:
        of = [images.classes[k] for k in images.labels.tolist()]
        chosen = np.asarray(draw(of, limit, seed)[:limit], np.int64)
    else:
        chosen = some(np.random.default_rng(seed), count, limit)
    array = cast(Shards, images.array).chosen(chosen)
    return replace(
        images,
        array=cast(np.ndarray, array),
        fingerprint=hashlib.sha256(f"{images.fingerprint} {limit} {seed}".encode()).hexdigest(),
        labels=None if images.labels is None else images.labels[chosen],
    )


class _Local:
    """A set in a folder of this machine."""

    def __init__(self, folder: Path) -> None:
        self._folder, self.name = folder, folder.resolve().name
        self.array: Shards | None = None
        try:
            about = read_file(folder / ABOUT, _MOST_ABOUT).decode()
        except (OSError, ValueError) as error:
            raise GANForgeError(f"'{folder}' cannot be read: {reason(error, kind=False)}") from None
        self.record = _require(about, str(folder))

    def path(self, name: str, size: int) -> Path:  # noqa: ARG002 - of a copy
        """Return where a file of the set is on this disk."""
        return self._folder / name

    def prepare(self, shards: list[int]) -> None:
        """Nothing is to be copied."""

    def damaged(self, error: Damaged) -> GANForgeError:
        """Return what is said of a shard that is damaged."""
        return GANForgeError(f"the packed set '{self._folder}' is damaged ({error}); copy it again, or pack it again")

    def shard(self, k: int) -> Shard:
        """Open a shard. Raises ``Damaged``."""
        return open_shard(self._folder / shard_name(k), self.record, k)


class _Remote(_Local):
    """A set in a store, of which the shards in use are copied."""

    def __init__(self, store: Store) -> None:
        self._store, self.name = store, store.name
        self.array = None
        self.record = _require(store.content(ABOUT).decode("utf-8", "replace"), store.url)
        self._copies = Copies(store, f"{self.record.fingerprint} {self.record.checksums}", self._gone)

    def _gone(self, name: str) -> None:
        if self.array is not None and name.endswith(".npy"):
            self.array.forget(int(name.removeprefix("images-").removesuffix(".npy")))

    def path(self, name: str, size: int) -> Path:
        return self._copies.get(name, size)

    def _size(self, k: int) -> int:
        row = int(np.prod(self.record.shape, dtype=np.int64)) * np.dtype(self.record.dtype).itemsize
        return self.record.shards[k] * row

    def prepare(self, shards: list[int]) -> None:
        """Copy shards, some at a time, where there is room for all; else they come and go one by one."""
        if len(shards) < 2 or not self._copies.has_room(sum(map(self._size, shards))):
            return
        workers = Workers(_TOGETHER, "ganforge-copies")
        try:
            for future in [workers.submit(self._copied, k) for k in shards]:
                patiently(future)
        finally:
            workers.close(0)

    def _copied(self, k: int) -> Path:
        """Return the copy of a shard; one that is made is verified whole. Raises ``Damaged``."""
        fresh = not (self._copies.folder / shard_name(k)).exists()
        path = self.path(shard_name(k), self._size(k))
        self.path(path.with_suffix(SUMS).name, self.record.shards[k] // 4)
        shard = open_shard(path, self.record, k) if fresh else None
        if shard is not None and not np.array_equal(sums_of(shard.rows), shard.sums):
            self._drop(k)
            raise Damaged(f"'{path.name}' is damaged in {self._store.url}, or on the way from there")
        return path

    def _drop(self, k: int) -> None:
        for name in (shard_name(k), Path(shard_name(k)).with_suffix(SUMS).name):
            self._copies.drop(name)

    def shard(self, k: int) -> Shard:
        """Open the copy of a shard; where it is not what it was, it is made again, once."""
        try:
            return open_shard(self._copied(k), self.record, k)
        except Damaged:
            self._drop(k)
        try:
            return open_shard(self._copied(k), self.record, k)
        except Damaged:
            self._drop(k)
            raise

    def damaged(self, error: Damaged) -> GANForgeError:
        """Return what is said of a copy that is damaged on this disk, after all are removed."""
        for k in range(len(self.record.shards)):
            self._drop(k)
        return GANForgeError(f"{error}; its copies on this disk were removed: start again, or resume")


def _require(text: str, place: str) -> Record:
    record = record_of(text)
    if record is None or not record.shards or len(record.checksums) != len(record.shards):
        raise GANForgeError(f"{place} is not a packed set, or its about.json is damaged; pack it again")
    if sum(record.shards) != record.count or min(record.shards) < 1 or len(record.shape) not in (1, 3):
        raise GANForgeError(f"{place} is damaged: its about.json and its shards do not match; pack it again")
    return record


def pack(
    images: Images, target: str, shard_bytes: int, progress: Callable[[int, int], None] | None = None
) -> tuple[int, int]:
    """Write pictures as a packed set into a new folder, or to an address of a store; return its shards and bytes.

    Raises ``GANForgeError`` if something exists there already, or it cannot be written.
    """
    store = _target(target)
    path = at_home(target)
    folder = beside(cache_root() / "pack" if store else path.resolve())
    try:
        folder.mkdir(parents=True)
        array, count = images.array, len(images)
        writer = ArrayWriter(folder, array.shape[1:], array.dtype.str, first=0, shard_bytes=shard_bytes)
        for start in range(0, count, _AT_ONCE):
            writer.write_rows(np.asarray(array[start : start + _AT_ONCE]))
            if progress:
                progress(min(count, start + _AT_ONCE), count)
        writer.close()
        about: dict[str, Any] = {"fingerprint": images.fingerprint, "dtype": array.dtype.name, "range": images.range}
        about |= {"depths": {"deep": count} if images.range else {}}
        if images.labels is not None and len(images.classes) > 1:
            about |= {"classes": images.classes, "labels": images.labels}
        write_record(folder, about)
        paths = sorted(folder.iterdir(), key=lambda path: path.name == ABOUT)  # last: with it the set is whole
        found = sum(path.suffix == ".npy" for path in paths), sum(path.stat().st_size for path in paths)
        if store is None:
            folder.rename(path)
        else:
            for path in paths:
                store.write(path.name, path)
        return found
    except OSError as error:
        raise GANForgeError(f"'{target}' cannot be written: {reason(error, kind=False)}") from None
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _target(target: str) -> Store | None:
    """Return the store to write to, None for a folder. Raises ``GANForgeError`` where something is there."""
    store = Store(target) if is_url(target) else None
    there = store.has(ABOUT) if store else at_home(target).exists()
    if there:
        raise GANForgeError(f"'{target}' already exists; expected a new folder for the packed set")
    return store
