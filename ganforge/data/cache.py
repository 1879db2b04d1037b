"""Entries of the picture cache: an array and its record, complete or absent."""

from __future__ import annotations

import atexit
import errno
import math
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np

from ganforge.data.record import Record, checksums, names_as_text, record_of
from ganforge.data.shards import BLOCK, Damaged, Shard, Shards, let_go, sums_of
from ganforge.errors import GANForgeError, log, reason
from ganforge.files import at_home, beside, user_folder, write_atomic

# A file alone, or several, each with its checksums in a file of its own; and the labels beside several.
ARRAY, ABOUT, SUMS, LABELS = "images.npy", "about.json", ".crc", "labels.i4"
# What is larger lies in several files of at most so many bytes.
SHARD_BYTES = 2**26


def cache_root(cache_dir: Path | str | None = None) -> Path:
    """Return a writable directory: ``cache_dir``, ``GANFORGE_CACHE_DIR``, the user's cache, or a temporary.

    A temporary one is removed when the process ends, so the next start decodes again.
    """
    chosen = cache_dir or os.environ.get("GANFORGE_CACHE_DIR")
    root = at_home(chosen) if chosen else user_folder("cache")
    if root is None or root.parts[:1] == ("~",):  # nobody's: a folder of that name here would be a surprise
        return _temporary_root()
    try:
        root.mkdir(parents=True, exist_ok=True)
        # Asking by doing: permission bits do not tell of read-only mounts.
        with tempfile.TemporaryFile(dir=root):
            return root
    except OSError:
        return _temporary_root()


@cache
def _temporary_root() -> Path:
    root = Path(tempfile.mkdtemp(prefix="ganforge-"))
    atexit.register(shutil.rmtree, root, ignore_errors=True)
    return root


def open_entry(root: Path, key: str) -> tuple[np.ndarray, Record] | None:
    """Return the entry's array, a read-only memory map uint8 (N, H, W, C), and its record; or None."""
    folder = root / key
    try:
        record = record_of((folder / ABOUT).read_text("utf-8"))
        if record is not None and record.shards:
            return _open_shards(folder, record)
        array = mapped(folder / ARRAY)
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError):
        record, array = None, np.empty(0)
    if record is None or not record.fits(array, SHARD_BYTES):
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or of another version: make it again
        return None
    let_go(array)
    return array, record


def _open_shards(folder: Path, record: Record) -> tuple[np.ndarray, Record] | None:
    """Return an entry in several files, none of which is opened yet; if one is damaged, remove it and return None."""
    if not record.fits_shards(lambda k: (folder / shard_name(k)).stat().st_size):
        shutil.rmtree(folder, ignore_errors=True)
        return None

    def damaged(error: Damaged) -> GANForgeError:
        shutil.rmtree(folder, ignore_errors=True)
        return GANForgeError(
            f"the picture cache is damaged ({error}), so these pictures were removed from it; start again, or "
            "resume, to read them again"
        )

    shards = Shards(
        record.shape, record.dtype, record.shards, lambda k: open_shard(folder / shard_name(k), record, k), damaged
    )
    try:
        labels = read_labels(folder / LABELS, record)
    except (OSError, Damaged):
        shutil.rmtree(folder, ignore_errors=True)
        return None
    # Indexed and looked at as an array is. Labels are an array where there are many: nobody looks at their type.
    return cast(np.ndarray, shards), record.model_copy(update={"labels": labels})


def open_shard(path: Path, record: Record, k: int) -> Shard:
    """Return a shard of an entry, mapped. Raises ``Damaged``."""
    try:
        content = path.with_suffix(SUMS).read_bytes()
        rows = mapped(path)
    except (OSError, ValueError, EOFError) as error:
        raise Damaged(f"'{path.name}': {reason(error, kind=False)}") from None
    if rows.shape != (record.shards[k], *record.shape) or rows.dtype.name != record.dtype:
        raise Damaged(f"'{path.name}' holds {rows.dtype} {rows.shape}")
    if zlib.crc32(content) != record.checksums[k] or len(content) != 4 * -(-len(rows) // BLOCK):
        raise Damaged(f"the checksums of '{path.name}' are damaged")
    return Shard(path.name, rows, np.frombuffer(content, "<u4"))


def mapped(path: Path) -> np.ndarray:
    """Return an array file, mapped.

    NumPy has Python's parser read its head, and CPython 3.11's takes one thread's depth for another's now and then
    ("AST constructor recursion depth mismatch"): threads open shards, so it is asked again.
    """
    for _ in range(9):
        with suppress(SystemError):
            return cast(np.ndarray, np.load(path, mmap_mode="r"))
    return cast(np.ndarray, np.load(path, mmap_mode="r"))


def read_labels(path: Path, record: Record) -> np.ndarray | tuple[int, ...]:
    """Return the labels of an entry in several files, int32 (N,), mapped; none where there are none.

    Raises ``Damaged`` or ``OSError``.
    """
    if record.labels_sum is None:
        return ()
    labels = np.memmap(path, "<i4", "r")
    if len(labels) != record.count or zlib.crc32(labels.data) != record.labels_sum:
        raise Damaged("the labels are damaged")
    return labels


@contextmanager
def building(root: Path, key: str) -> Iterator[None]:
    """Hold the right to make entry ``key``; a second process waits here, and then finds the entry.

    The lock is the operating system's and is released with its process, so a killed process blocks nobody; what it
    left half made is removed.
    """
    from filelock import FileLock, Timeout

    lock = FileLock(root / f".{key[:24]}.lock", thread_local=False)
    try:
        try:
            lock.acquire(timeout=0)
        except Timeout:
            log.warning("another process is reading the same pictures into the cache; waiting for it")
            lock.acquire(poll_interval=0.1)
    except (OSError, NotImplementedError):
        pass  # a disk without locks: at worst two make it, and one of the two stands
    try:
        if lock.is_locked:
            for leftover in (*root.glob(f".{key[:24]}*.tmp"), *root.glob(f".{key[:24]}-*")):  # as 0.1 named them
                shutil.rmtree(leftover, ignore_errors=True)
        yield
    finally:
        lock.release()


@contextmanager
def new_entry(root: Path, key: str) -> Iterator[Path]:
    """Yield a private folder to fill; it becomes entry ``key`` in one rename if the block ends without an error.

    If another process was faster, its entry is kept and this one is discarded. Raises ``GANForgeError`` if the disk
    is full.
    """
    folder = beside(root / key)
    folder.mkdir()
    try:
        yield folder
        try:
            os.rename(folder, root / key)
        except OSError:
            if not (root / key).is_dir():
                raise
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            way_out = "make room, or set GANFORGE_CACHE_DIR to another disk"
            raise GANForgeError(f"no space left for the picture cache in '{root}'; {way_out}") from error
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def drop_entry(root: Path, key: str) -> None:
    """Remove an entry, if it is there."""
    shutil.rmtree(root / key, ignore_errors=True)


class ArrayWriter:
    """Writes rows, usually uint8 pictures (H, W, C), one by one as a .npy file whose count is known only at the end.

    An array larger than ``SHARD_BYTES`` is written to several files, ``images-00000.npy`` and so on; ``first`` is the
    number of the first one, if another process writes those before it.
    """

    def __init__(
        self,
        folder: Path,
        shape: tuple[int, ...],
        descr: str = "|u1",
        first: int | None = None,
        shard_bytes: int | None = None,
    ) -> None:
        self._folder, self._shape, self._descr = folder, shape, descr
        self._row_bytes = math.prod(shape) * np.dtype(descr).itemsize
        self._rows, self._first = rows_a_shard(self._row_bytes, shard_bytes), first
        self._files: list[tuple[Path, int]] = []
        self.count = self._here = 0
        self._begin()

    def _begin(self) -> None:
        number = len(self._files) + (self._first or 0)
        alone = self._first is None and not number
        path = self._folder / (ARRAY if alone else shard_name(number))
        self._file: BinaryIO = open(path, "wb")  # noqa: SIM115 - closed by close()
        self._path, self._here = path, 0
        self._header()
        self._start = self._file.tell()

    def _header(self) -> None:
        # numpy pads its header so that the first dimension can be rewritten in place.
        described = {"descr": self._descr, "fortran_order": False, "shape": (self._here, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, described)

    def write(self, picture: np.ndarray) -> None:
        """Append one row."""
        self.write_rows(picture[None])

    def write_rows(self, rows: np.ndarray) -> None:
        """Append rows (n, …)."""
        rows = np.ascontiguousarray(rows, self._descr)
        while len(rows):
            if self._here == self._rows:
                self._end()
                self._begin()
            some = rows[: self._rows - self._here]
            self._file.write(some.data)
            self._here += len(some)
            self.count += len(some)
            rows = rows[len(some) :]

    def replace(self, index: int, picture: np.ndarray) -> None:
        """Put another row in the place of one that was written; after it none is appended."""
        number, row = divmod(index, self._rows)
        here, file = number == len(self._files), self._file
        with nullcontext(file) if here else open(self._files[number][0], "r+b") as file:
            file.seek(self._start + row * self._row_bytes)
            file.write(np.ascontiguousarray(picture, self._descr).data)

    def close(self) -> None:
        """Write the final counts and close."""
        self._end()
        alone = self._folder / ARRAY
        if len(self._files) > 1 and self._first is None:
            os.replace(alone, self._folder / shard_name(0))

    def _end(self) -> None:
        self._file.seek(0)
        self._header()
        if self._file.tell() != self._start:
            raise RuntimeError("numpy's header changed its length")
        self._file.flush()
        os.fsync(self._file.fileno())  # else a power cut after the rename leaves pictures that are black
        self._file.close()
        self._files.append((self._path, self._here))

    def abandon(self) -> None:
        """Close a file that will not be used."""
        with suppress(OSError):  # on a full disk closing fails too
            self._file.close()


def rows_a_shard(row_bytes: int, shard_bytes: int | None = None) -> int:
    """Return how many rows a shard holds at most: whole blocks, one at least."""
    return max(1, (shard_bytes or SHARD_BYTES) // max(1, row_bytes * BLOCK)) * BLOCK


def shard_name(number: int) -> str:
    """Return the name of a shard's file."""
    return f"images-{number:05d}.npy"


def seal(path: Path) -> tuple[int, int]:
    """Write the checksums of a shard that is whole beside it; return its rows and the CRC-32 of these checksums."""
    array = mapped(path)
    content = sums_of(array).tobytes()
    write_atomic(path.with_suffix(SUMS), content)
    return len(array), zlib.crc32(content)


def write_record(folder: Path, about: Mapping[str, Any], sealed: Sequence[tuple[int, int]] | None = None) -> None:
    """Write the record of an entry whose array is whole: its count, shape and checksums are added to ``about``.

    ``sealed`` says of shards, in order, that others made, what ``seal`` returned.
    """
    named = names_as_text(dict(about))
    if (folder / ARRAY).exists():
        array = mapped(folder / ARRAY)
        record = Record(count=len(array), shape=array.shape[1:], checksums=checksums(array), **named)
    else:
        paths = sorted(folder.glob("images-*.npy"))
        counts, sums = zip(*(sealed or [seal(path) for path in paths]))
        labels = named.pop("labels", ())
        if len(labels):
            content = np.asarray(labels, "<i4").tobytes()
            write_atomic(folder / LABELS, content)
            named["labels_sum"] = zlib.crc32(content)
        shape = mapped(paths[0]).shape[1:]
        record = Record(count=sum(counts), shape=shape, checksums=sums, shards=counts, **named)
    write_atomic(folder / ABOUT, record.model_dump_json().encode())
