"""Entries of the picture cache: an array and what is known of it, complete or absent."""

from __future__ import annotations

import atexit
import errno
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

from ganforge.data.record import Record, checksums, names_as_text, record_of
from ganforge.errors import GANForgeError, log
from ganforge.files import at_home, beside, user_folder, write_atomic

ARRAY, ABOUT = "images.npy", "about.json"


def cache_root(cache_dir: Path | str | None = None) -> Path:
    """Return a writable directory: ``cache_dir``, ``GANFORGE_CACHE_DIR``, the user's cache, or a temporary.

    A temporary one, which goes when the process ends, costs only that the next start decodes again.
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
        array = np.load(folder / ARRAY, mmap_mode="r")
    except FileNotFoundError:
        return None
    except (OSError, ValueError, EOFError):
        record, array = None, np.empty(0)
    if record is None or not record.fits(array):
        shutil.rmtree(folder, ignore_errors=True)  # damaged, or of another version: make it again
        return None
    return array, record


@contextmanager
def building(root: Path, key: str) -> Iterator[None]:
    """Hold the right to make entry ``key``; a second process waits here, and finds it made.

    The lock is the operating system's and goes with its process, so a killed one blocks nobody; what it left
    half made is removed.
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
    """Give a private folder to fill; it becomes entry ``key`` in one rename when the block ends well.

    When another process was quicker its entry stands and this one is discarded. Raises ``GANForgeError``
    when the disk is full.
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
    """Writes uint8 pictures (H, W, C) one by one as a .npy file whose count is known only at the end."""

    def __init__(self, folder: Path, shape: tuple[int, int, int]) -> None:
        self._file: BinaryIO = open(folder / ARRAY, "wb")  # noqa: SIM115 - closed by close()
        self._shape = shape
        self.count = 0
        self._header()
        self._start = self._file.tell()

    def _header(self) -> None:
        # numpy pads its header so that the first dimension can be rewritten in place.
        described = {"descr": "|u1", "fortran_order": False, "shape": (self.count, *self._shape)}
        np.lib.format.write_array_header_1_0(self._file, described)

    def write(self, picture: np.ndarray) -> None:
        """Append one picture."""
        self._file.write(np.ascontiguousarray(picture, dtype=np.uint8).data)
        self.count += 1

    def replace(self, index: int, picture: np.ndarray) -> None:
        """Put another picture in the place of one that was written; after it none is appended."""
        self._file.seek(self._start + index * picture.size)
        self._file.write(np.ascontiguousarray(picture, dtype=np.uint8).data)

    def close(self) -> None:
        """Write the final count and close."""
        self._file.seek(0)
        self._header()
        if self._file.tell() != self._start:
            raise RuntimeError("numpy's header changed its length")
        self._file.flush()
        os.fsync(self._file.fileno())  # else a power cut after the rename leaves pictures that are black
        self._file.close()

    def abandon(self) -> None:
        """Close a file that will not be used."""
        with suppress(OSError):  # on a full disk closing fails too
            self._file.close()


def write_record(folder: Path, about: Mapping[str, Any]) -> None:
    """Write the record of an entry whose array is whole: its count, shape and checksums are added to ``about``."""
    array = np.load(folder / ARRAY, mmap_mode="r")
    record = Record(count=len(array), shape=array.shape[1:], checksums=checksums(array), **names_as_text(dict(about)))
    write_atomic(folder / ABOUT, record.model_dump_json().encode())
