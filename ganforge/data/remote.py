"""``--data s3://bucket/photos`` and any other address that fsspec knows: sets in a store, with copies on this disk.

A file (zip, tar, .npy …) is copied whole, a folder of pictures is read picture by picture into the cache, and of a
packed set (``ganforge.data.packed``) the shards in use are copied, when the first of their pictures is asked for.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from contextlib import suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from ganforge.data.cache import ABOUT, cache_root
from ganforge.data.decode import Unreadable
from ganforge.data.files import MAX_BYTES, File, TemporarilyUnreadable, may_be_picture
from ganforge.errors import GANForgeError, UsageError, log, reason
from ganforge.files import beside

ROOM = "GANFORGE_COPIES_MIB"
_MOST_BESIDE = 256 * 1024 * 1024
# Of a disk, what copies leave free.
_FREE = 0.05


class Store:
    """A place that fsspec opens: a folder, or a file, and what is in it.

    Raises:
        UsageError: fsspec knows no such kind of address.
        GANForgeError: it, or what it needs for this kind, is not installed; there is nothing at the address.
    """

    def __init__(self, url: str) -> None:
        try:
            fsspec: Any = import_module("fsspec")  # it has no types
        except ImportError:
            raise GANForgeError(f"{url} needs fsspec: pip install 'ganforge[remote]'") from None
        self.url = url.rstrip("/")
        try:
            self._system, self._path = fsspec.core.url_to_fs(self.url)
        except ImportError as error:
            raise GANForgeError(f"{url} needs another package: {reason(error, kind=False)}") from None
        except ValueError as error:
            raise UsageError(f"invalid address {url}: {reason(error, kind=False)}") from None
        self.name = self.url.rsplit("/", 1)[-1]

    def ask(self, act: Callable[[Any, str], Any], name: str = "") -> Any:
        """Return ``act(file system, path)`` of what is below the address. Raises ``GANForgeError``."""
        try:
            return act(self._system, f"{self._path}/{name}" if name else self._path)
        except FileNotFoundError:
            where = f"{self.url}/{name}" if name else self.url
            raise GANForgeError(f"there is nothing at {where}") from None
        except Exception as error:  # each store raises what its library does
            raise GANForgeError(f"{self.url} cannot be read: {reason(error)}") from None

    def has(self, name: str) -> bool:
        """Tell whether there is a file of that name below the address."""
        return bool(self.ask(lambda system, path: system.isfile(path), name))

    def is_file(self) -> bool:
        """Tell whether the address is a file's; an address with nothing there is refused."""
        about = self.ask(lambda system, path: system.info(path))
        return bool(about.get("type") == "file")

    def content(self, name: str) -> bytes:
        """Return a small file's bytes."""
        found: bytes = self.ask(lambda system, path: system.cat_file(path), name)
        return found

    def write(self, name: str, source: Path) -> None:
        """Copy a file of this disk to the address."""

        def put(system: Any, path: str) -> None:
            system.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
            system.put_file(str(source), path)

        self.ask(put, name)

    def stamp(self) -> str:
        """Return a stamp that shows whether the file at the address has changed, as far as its store says."""
        about = self.ask(lambda system, path: system.info(path))
        return _stamp(about)

    def pictures(self) -> RemoteFiles:
        """Return the pictures below the address."""
        return RemoteFiles(self, self.ask(lambda system, path: (path, system.find(path, detail=True))))


def _stamp(about: dict[str, Any]) -> str:
    known = [about.get(name) for name in ("size", "ETag", "etag", "md5Hash", "mtime", "LastModified", "created")]
    return " ".join(str(one) for one in known if one is not None)


class RemoteFiles:
    """The picture files below an address, for ``load_folder``."""

    def __init__(self, store: Store, found: tuple[str, dict[str, dict[str, Any]]]) -> None:
        self._store = store
        root, entries = found
        self.denied: list[tuple[str, str]] = []
        self.folders: list[str] = []
        self.files: list[File] = []
        for path, about in entries.items():
            name = path.removeprefix(root).lstrip("/")
            if about.get("type", "file") == "file" and may_be_picture(name.split("/")):
                stamp = int(hashlib.sha256(_stamp(about).encode()).hexdigest()[:15], 16)
                self.files.append(File(name, int(about.get("size") or 0), stamp))
        self.files.sort(key=lambda file: file.name)

    def read(self, file: File) -> bytes:
        """Return a file's bytes. Raises ``Unreadable``."""
        if file.size > MAX_BYTES:
            raise Unreadable(f"{file.size:,} bytes, more than {MAX_BYTES:,}")
        try:
            return self._store.content(file.name)
        except GANForgeError as error:  # a store may answer the next time
            raise TemporarilyUnreadable(str(error)) from None

    def beside(self, name: str) -> bytes | None:
        """Return a small file's bytes that is no picture; None where there is none."""
        with suppress(GANForgeError):
            if self._store.has(name):
                return self._store.content(name)
        return None

    def close(self) -> None:
        """Nothing is open."""


class Copies:
    """Local copies of files in a store, each made when it is first needed, complete or absent.

    They take at most ``GANFORGE_COPIES_MIB``, or else leave a twentieth of the disk free; the least recently used one
    is removed first, and ``gone`` is called with its name.
    """

    def __init__(self, store: Store, key: str, gone: Callable[[str], None] = lambda _: None) -> None:
        self._store, self._gone = store, gone
        self.folder = cache_root() / "copies" / hashlib.sha256(f"{store.url} {key}".encode()).hexdigest()[:32]
        self.folder.mkdir(parents=True, exist_ok=True)
        held = sorted((path for path in self.folder.iterdir() if not path.name.endswith(".tmp")), key=_used)
        self._lock = threading.RLock()
        self._held = OrderedDict((path.name, path.stat().st_size) for path in held)

    def get(self, name: str, size: int) -> Path:
        """Return the copy of a file of about ``size`` bytes. Raises ``GANForgeError``."""
        path = self.folder / name
        if not path.exists():
            with self._lock:
                self._make_room(size)
                self._held[name] = size
            waiting = beside(path)
            try:
                self._store.ask(lambda system, there: system.get_file(there, str(waiting)), name)
                os.replace(waiting, path)
            except OSError as error:
                raise GANForgeError(f"{name} cannot be copied to this disk: {reason(error, kind=False)}") from None
            finally:
                waiting.unlink(missing_ok=True)
        with suppress(OSError):
            os.utime(path)
        with self._lock:
            self._held[name] = size
            self._held.move_to_end(name)
        return path

    def drop(self, name: str) -> None:
        """Remove a copy."""
        with self._lock:
            self._held.pop(name, None)
        (self.folder / name).unlink(missing_ok=True)
        self._gone(name)

    def has_room(self, size: int) -> bool:
        """Tell whether there is room for files of so many bytes at the same time."""
        return self._fits(size, {})

    def _make_room(self, size: int) -> None:
        while self._held and not self._fits(size, self._held):
            self.drop(next(iter(self._held)))

    def _fits(self, size: int, held: Mapping[str, int]) -> bool:
        if most := os.environ.get(ROOM):
            with suppress(ValueError):
                return sum(held.values()) + size <= float(most) * 2**20
        disk = shutil.disk_usage(self.folder)
        return disk.free - size > _FREE * disk.total


def _used(path: Path) -> float:
    return path.stat().st_mtime


def local_copy(store: Store) -> Path:
    """Return a copy of the file at the address, made again if the file has changed."""
    outer = Store(store.url.rsplit("/", 1)[0])
    copies = Copies(outer, f"{store.name} {store.stamp()}")
    path = copies.folder / store.name
    if not path.exists():
        log.info("%s is copied to %s", store.url, path)
    return copies.get(store.name, int(store.ask(lambda system, there: system.info(there)).get("size") or 0))


def is_packed(store: Store) -> bool:
    """Tell whether there is a packed set at the address."""
    return store.has(ABOUT)
