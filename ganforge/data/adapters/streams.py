"""Streams of batches or single pictures, written to the disk once and then read like an array.

They are sorted by content, so that a loader that shuffles gives the same set, with the same fingerprint, whenever it
is read.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import math
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import IO, Any

import numpy as np

from ganforge.data.adapters.arrays import array_table, is_array, is_picture, kind_of, to_array
from ganforge.data.adapters.filling import table_choice
from ganforge.data.adapters.keys import LABELS, NAMES
from ganforge.data.adapters.labels import classes_of
from ganforge.data.adapters.source import found
from ganforge.data.adapters.table import Rows, Table, plain
from ganforge.data.cache import cache_root
from ganforge.errors import GANForgeError, UsageError, log, reason
from ganforge.plugin.calling import call_by_name
from ganforge.plugin.dataset import Images
from ganforge.plugin.registry import Choice

# More than that, or longer than an hour without a length, is taken for what never ends.
MOST, MOST_SECONDS, _WARN_SECONDS = 2**22, 3600, 60
ENDLESS = "add steps=N to train N steps on it, or limit=N to train on its first N pictures, or pass data that end"


@dataclass
class Stream:
    """A source of pictures, with or without labels, singly or in batches.

    Args:
        kind: its name in a run, such as ``tf.data``.
        name: its name in messages.
        iterate: returns an iterator from its beginning.
        length: the number of items (batches or pictures), if it is known.
        singly: whether items are single pictures; None if each item's shape decides.
        endless: it declares that it never ends.
        classes: names of the classes that its labels number.
        listed: its items are in a list, where numbers in two dimensions are one grey picture.
        once: it can be iterated only once.
    """

    kind: str
    name: str
    iterate: Callable[[], Iterator[Any]]
    length: int | None = None
    singly: bool | None = None
    endless: bool = False
    classes: tuple[str, ...] = ()
    listed: bool = False
    once: bool = False
    _begun: tuple[Any, Iterator[Any]] | None = None
    _spent: bool = False

    def first(self) -> Any:
        """Return the first item, which ``items`` yields again. Raises ``GANForgeError`` if there is none."""
        if self._begun is None:
            with self._blamed(0):
                items = self.iterate()
                try:
                    self._begun = next(items), items
                except StopIteration:
                    raise GANForgeError(f"{self.name} is empty; expected pictures") from None
        return self._begun[0]

    def items(self) -> Iterator[Any]:
        """Yield all items from the first on. Raises ``GANForgeError``, also for errors in the stream's own code."""
        if self._spent:
            raise GANForgeError(f"{self.name} can be read only once and was read already; pass a new one")
        items = self.iterate()
        if self.once:
            self._spent = True
            first, rest = self.first(), self._begun[1] if self._begun else items
            items = itertools.chain((first,), rest)
        self._begun = None  # it may hold threads, or a file
        count = 0
        while True:
            with self._blamed(count):
                try:
                    item = next(items)
                except StopIteration:
                    return
            yield item
            count += 1

    @contextmanager
    def _blamed(self, count: int) -> Iterator[None]:
        try:
            yield
        except (GANForgeError, MemoryError):
            raise
        except Exception as error:
            after = f" after {count:,} item{'s' * (count != 1)}" if count else ""
            raise GANForgeError(f"{self.name} failed{after}: {reason(error)}") from error


def of_iterable(things: Iterable[Any], kind: str = "batches", name: str = "", **how: Any) -> Stream:
    """Return a stream over an iterable, or over an iterator, which is iterated once."""
    iterator = iter(things)
    return Stream(kind, name or kind_of(things), lambda: iter(things), once=iterator is things, **how)


# ------------------------------------------------------------------ items


def split(item: Any) -> tuple[Any, Any]:
    """Return the pictures and the labels of an item: a pair, a mapping with common names, or only pictures."""
    if isinstance(item, Mapping):
        lower = {str(key).lower(): key for key in reversed(list(item))}
        images = next((lower[known] for known, _ in NAMES if known in lower), None)
        if images is None and len(item) == 1:
            images = next(iter(item))
        if images is None:
            raise GANForgeError(
                f"items have the keys {', '.join(map(str, item))}; expected one called image or images"
            )
        labels = next((lower[known] for known in LABELS if known in lower), None)
        return item[images], None if labels is None else item[labels]
    if isinstance(item, (tuple, list)) and 1 <= len(item) <= 3 and _holds(item[0]):
        if len(item) == 1:
            return item[0], None
        if isinstance(item, list) and _alike(item):
            return item, None
        return item[0], item[1]
    return item, None


def _holds(thing: Any) -> bool:
    """Tell whether a value may be pictures, rather than the first number of one."""
    if is_array(thing):
        return len(thing.shape) > 0
    return is_picture(thing) or isinstance(thing, (list, tuple))


def _alike(items: list[Any]) -> bool:
    """Tell whether a short list is of pictures, rather than of pictures and their labels."""
    if all(map(is_picture, items)):
        return True
    shapes = {tuple(one.shape) if is_array(one) else None for one in items}
    return len(shapes) == 1 and len(shapes.pop() or ()) > 1


def batch_of(stream: Stream, item: Any) -> tuple[np.ndarray, np.ndarray | None]:
    """Return an item as rows (n, …) and their labels, one each or one-hot, or None.

    Raises ``GANForgeError`` where it is no array, or its pictures differ in size.
    """
    images, labels = split(item)
    batch = isinstance(images, (list, tuple))
    if batch:
        made = [to_array(one) for one in images]
        other = next((one.shape for one in made if one.shape != made[0].shape), None)
        if other is not None:
            raise GANForgeError(_mixed(stream, made[0].shape, other))
        rows = np.stack(made) if made else np.empty(0)
        batch = rows.ndim > 1  # else it is a list of numbers, one vector
    else:
        rows = to_array(images)
    known = None if labels is None else _labels(labels)
    single = stream.singly if stream.singly is not None else _is_single(rows, known, stream.listed)
    if single and not batch:
        rows, known = rows[None], None if known is None else known[None]
    return rows, known


def _labels(labels: Any) -> np.ndarray:
    texts = isinstance(labels, (str, bytes)) or (isinstance(labels, (list, tuple)) and isinstance(labels[0], str))
    return np.asarray(labels) if texts else to_array(labels)


def _is_single(rows: np.ndarray, labels: np.ndarray | None, listed: bool) -> bool:
    """Tell whether an array is one picture or vector, rather than a batch: its labels say so, else its shape."""
    if rows.ndim in (1, 4):
        return rows.ndim == 1
    if labels is not None and (labels.ndim == 0 or len(labels) != len(rows)):
        return True
    if labels is not None and rows.ndim > 1:
        return False
    if rows.ndim == 3:
        return rows.shape[2] <= 4 or rows.shape[0] in (1, 3, 4)
    return listed or rows.dtype.kind != "f"


def _mixed(stream: Stream, first: Sequence[int], other: Sequence[int]) -> str:
    return (
        f"{stream.name} gives pictures of mixed sizes, {tuple(first)} and {tuple(other)}; resize them to one size, "
        "or pass a folder or a list of paths, whose pictures may have any size"
    )


# ------------------------------------------------------------------ spooling


@dataclass
class _Spool:
    """Rows on the disk in an unnamed file, which is removed with the process, and what is known about each."""

    file: IO[bytes]
    shape: tuple[int, ...] = ()
    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype("u1"))
    digests: list[bytes] = field(default_factory=list)
    labels: list[np.ndarray] = field(default_factory=list)

    def add(self, stream: Stream, rows: np.ndarray, labels: np.ndarray | None) -> None:
        if not self.digests:
            self.shape, self.dtype = rows.shape[1:], rows.dtype
        if rows.shape[1:] != self.shape:
            raise GANForgeError(_mixed(stream, self.shape, rows.shape[1:]))
        if rows.dtype != self.dtype:
            raise GANForgeError(f"{stream.name} gives {self.dtype} first and {rows.dtype} later; expected one type")
        if labels is not None and len(labels) != len(rows):
            raise GANForgeError(
                f"{stream.name} gives {len(labels)} labels with {len(rows)} pictures; expected one per picture"
            )
        for i, row in enumerate(rows):
            content = plain(row)
            digest = hashlib.sha256(content.data)
            if labels is not None:
                digest.update(str(labels[i].tolist()).encode())
                self.labels.append(labels[i])
            self.digests.append(digest.digest())
            self.file.write(content.data)


class _Ordered:
    """Rows on the disk in an order of their own."""

    def __init__(self, array: np.ndarray, order: np.ndarray) -> None:
        self._array, self._order = array, order

    def __getitem__(self, rows: slice) -> np.ndarray:
        return np.asarray(self._array[self._order[rows]])


def read_stream(stream: Stream, limit: int | None, cache_dir: Path | str | None, progress: Any = None) -> Table:
    """Write a stream's pictures to the disk, all or the first ``limit``, and return them as a table.

    Raises:
        GANForgeError: pictures differ in size or type, the disk is full, or the stream does not end.
    """
    if stream.endless and limit is None:
        raise GANForgeError(f"{stream.name} never ends; {ENDLESS}")
    root, begun, said = cache_root(cache_dir), time.monotonic(), False
    file = tempfile.TemporaryFile(dir=root)  # noqa: SIM115 - goes with the table
    spool = _Spool(file)
    try:
        for item in stream.items():
            rows, labels = batch_of(stream, item)
            left = len(rows) if limit is None else limit - len(spool.digests)
            spool.add(stream, rows[:left], None if labels is None else labels[:left])
            count, seconds = len(spool.digests), time.monotonic() - begun
            if count == limit:
                break
            if stream.length is None and (count > MOST or seconds > MOST_SECONDS):
                raise GANForgeError(f"{stream.name} gave {count:,} pictures without an end; {ENDLESS}")
            if seconds > _WARN_SECONDS and not said:
                said = True
                log.warning("%s has given %s pictures and is still being read", stream.name, f"{count:,}")
        file.flush()
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise GANForgeError(
                f"no space left in '{root}' for the pictures of {stream.name}; free some space, or set "
                "GANFORGE_CACHE_DIR"
            ) from error
        raise
    return _table(stream, spool, progress)


def _table(stream: Stream, spool: _Spool, progress: Any) -> Table:
    count = len(spool.digests)
    if not count or not math.prod(spool.shape):
        raise GANForgeError(f"{stream.name} is empty; expected pictures")
    order = np.asarray(sorted(range(count), key=spool.digests.__getitem__))
    stored = np.memmap(spool.file, spool.dtype.newbyteorder("<"), "r", shape=(count, *spool.shape))
    labels, notes = _classes(stream, spool, order)
    if progress is not None:
        progress(0, count)

    @contextmanager
    def rows(_: Path) -> Iterator[Rows]:
        yield _Ordered(stored, order)

    content = hashlib.sha256(f"{stored.dtype.str} {stored.shape}".encode())
    for i in order:
        content.update(spool.digests[i])
    return Table(
        kind=stream.kind,
        name=stream.name,
        shape=stored.shape,
        dtype=stored.dtype,
        stamp=content.hexdigest,
        opened=rows,
        labels=lambda: labels,
        classes=stream.classes,
        notes=notes,
    )


def _classes(stream: Stream, spool: _Spool, order: np.ndarray) -> tuple[np.ndarray | None, tuple[str, ...]]:
    """Return the labels in the rows' order; if they are not classes, None and the reason in one line."""
    if not spool.labels:
        return None, ()
    if len(spool.labels) != len(order):
        raise GANForgeError(f"{stream.name} gives labels with only some pictures; expected them with all or none")
    try:
        labels = np.stack(spool.labels)[order]
        classes_of(labels, len(labels), stream.classes)
    except (UsageError, ValueError):
        return None, (f"what {stream.name} gives with each picture is not a class label, and is not used",)
    return labels, ()


def stream_choice(stream: Stream) -> Choice:
    """Return a stream as a data source; it is read once, when its pictures are needed.

    A limit takes the first pictures of a stream of unknown length, and draws from all pictures of any other.

    Raises ``GANForgeError`` if its first item is not a picture or vector, or there is none.
    """
    rows, _ = batch_of(stream, stream.first())
    if not len(rows):
        raise GANForgeError(f"{stream.name} begins with an empty batch; expected pictures")
    like = array_table(np.broadcast_to(rows[:1], (2, *rows.shape[1:])), kind=stream.kind, name=stream.name)
    usual = table_choice(like).value  # its size, or what is wrong with it
    read: dict[int | None, Callable[..., Images]] = {}

    def load(limit: int | None = None, cache_dir: Path | None = None, progress: Any = None, **how: Any) -> Images:
        part = limit if stream.length is None or stream.endless else None
        if part not in read:
            table = read_stream(stream, part, cache_dir, progress)
            read[part] = call_by_name(table_choice(table).value.load)
        return read[part](limit=limit, cache_dir=cache_dir, progress=progress, **how)

    summary = f"{stream.name}: {rows.dtype} {rows.shape[1:]}"
    return found(replace(usual, load=load, summary=summary))
