"""Finding picture files in a folder or a zip, and reading their bytes."""

from __future__ import annotations

import bz2
import copy
import errno
import lzma
import os
import stat
import struct
import zipfile
import zlib
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, Protocol

from ganforge.data.decode import Unreadable
from ganforge.errors import GANForgeError, closest, reason
from ganforge.files import read_file

MAX_BYTES = 512 * 1024 * 1024
DENIED = "no permission to read"
_MOST_BESIDE = 256 * 1024 * 1024
# What reading says of a file that was there: it was removed, or its disk was.
_GONE = (errno.ENOENT, errno.ENOTDIR, errno.ESTALE, errno.ENODEV, errno.ENXIO, errno.ENOTCONN)
# What lies beside pictures in real folders. Anything else that Pillow cannot read is reported.
_NOT_IMAGES = """
    txt md rst html htm xml json jsonl csv tsv yaml yml toml ini log pdf
    doc docx xls xlsx py ipynb js css sh bat npy npz pkl pt pth h5
    safetensors parquet db sqlite lnk url xmp aae thm zip tar gz tgz bz2 xz 7z
    rar mp4 mov avi mkv webm m4v mp3 wav ogg flac
"""
NOT_IMAGES = frozenset("." + suffix for suffix in _NOT_IMAGES.split())
NOT_IMAGE_NAMES = frozenset({"thumbs.db", "desktop.ini", "license", "readme", "makefile", "__macosx"})


@dataclass(frozen=True)
class File:
    """A file that may be a picture: its path below the root with ``/``, and a stamp that shows changes."""

    name: str
    size: int
    stamp: int


class TemporarilyUnreadable(Unreadable):
    """The bytes could not be read this time (permission, a failing disk); it is worth trying again later."""


class Files(Protocol):
    """Where picture files are: a folder, a zip, a tar or a list."""

    files: list[File]
    denied: list[tuple[str, str]]
    folders: list[str]

    def read(self, file: File) -> bytes:
        """Return a file's bytes. Raises ``Unreadable``. May be called from many threads.

        Raises ``GANForgeError`` if it has disappeared since it was listed.
        """

    def beside(self, name: str) -> bytes | None:
        """Return the bytes of a small file that is not a picture, by its path; None if there is none."""

    def close(self) -> None:
        """Close whatever is open."""


def find_files(path: Path, listed: bool = True) -> Files:
    """List the files of a folder or zip by name. Raises ``GANForgeError`` if it is neither.

    Without ``listed``, a folder is not searched: its files can be read only by known names.
    """
    try:
        status = path.stat()
    except PermissionError:
        raise GANForgeError(f"{DENIED} '{path}'") from None
    except (OSError, ValueError):
        raise GANForgeError(_missing(path)) from None
    if stat.S_ISDIR(status.st_mode):
        return _Folder(path, listed)
    try:
        if stat.S_ISREG(status.st_mode) and zipfile.is_zipfile(path):
            return _Zip(path)
        if stat.S_ISREG(status.st_mode):
            path.open("rb").close()  # is_zipfile hides a missing permission
    except PermissionError:
        raise GANForgeError(f"{DENIED} '{path}'") from None
    except (zipfile.BadZipFile, OSError) as error:
        raise GANForgeError(f"'{path}' is a damaged zip: {reason(error, kind=False)}") from None
    hint = " (damaged?)" if path.suffix.lower() == ".zip" else ""
    raise GANForgeError(
        f"'{path}' is neither a folder nor a zip{hint}; expected a folder or zip of images, a tar of them, or "
        "a .npy, .npz, .h5, .parquet, idx or .csv file"
    )


def require_there(data: str) -> None:
    """Report a missing path at once if ``data`` can only be a path, because importing Keras takes seconds.

    Raises:
        GANForgeError: the path does not exist.
    """
    # A colon may be that of a source's options or of an address, a comma may separate several.
    if os.sep in data and not set(data) & {":", ","} and not os.path.lexists(data):
        raise GANForgeError(_missing(Path(data)))


def _missing(path: Path) -> str:
    try:
        near = closest(path.name, os.listdir(path.parent))
    except OSError:
        near = ""
    return f"there is no folder or zip '{path}'.{near}"


def _why(error: OSError) -> str:
    return DENIED if isinstance(error, PermissionError) else reason(error, kind=False)


def _ignored(name: str) -> bool:
    return name.startswith(".") or name.lower() in NOT_IMAGE_NAMES


def _beside(name: str) -> bool:
    return _ignored(name) or PurePosixPath(name).suffix.lower() in NOT_IMAGES


def may_be_picture(parts: Sequence[str]) -> bool:
    """Tell whether a path may be a picture's: no part of it is hidden, and it is not a document."""
    return bool(parts) and not any(map(_ignored, parts[:-1])) and not _beside(parts[-1])


_Identity = tuple[int, int | str]
_Waiting = tuple[str, Path, _Identity]


def _identity(folder: Path, status: os.stat_result) -> _Identity:
    # On Windows scandir leaves the inode out.
    return (status.st_dev, status.st_ino) if status.st_ino else (0, os.path.realpath(folder))


@dataclass
class _Folder:
    root: Path
    listed: bool = True
    files: list[File] = field(default_factory=list)
    denied: list[tuple[str, str]] = field(default_factory=list)
    folders: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        try:
            self.files = sorted(self._walk(), key=lambda file: file.name) if self.listed else []
        except PermissionError:
            raise GANForgeError(f"{DENIED} '{self.root}'") from None

    def _walk(self) -> Iterator[File]:
        """Visit every folder once, so that loops of links end; links that lead outside are not followed."""
        whole = os.path.realpath(self.root)
        seen: set[tuple[int, int | str]] = set()
        # Real folders before any link to one, so that a picture is known by its own name.
        waiting, linked = deque([("", self.root, _identity(self.root, self.root.stat()))]), deque[_Waiting]()
        while waiting or linked:
            prefix, folder, identity = (waiting or linked).popleft()
            if identity in seen:
                continue
            seen.add(identity)
            try:
                with os.scandir(folder) as listing:
                    entries = sorted(listing, key=lambda entry: entry.name)
            except OSError as error:
                if not prefix:
                    raise
                self.denied.append((prefix, _why(error)))
                continue
            for entry in entries:
                name = prefix + entry.name
                if _ignored(entry.name):
                    continue
                try:
                    status = entry.stat()
                except OSError:
                    if not _beside(entry.name):
                        self.denied.append((name, "a broken link"))
                    continue
                folder_of_its_own = stat.S_ISDIR(status.st_mode)
                if entry.is_symlink() and (folder_of_its_own or not _beside(entry.name)):
                    target = os.path.realpath(entry.path)
                    if target != whole and not target.startswith(whole.rstrip(os.sep) + os.sep):
                        self.denied.append((name, "a link that leads out of the folder is not followed"))
                        continue
                if folder_of_its_own:
                    path = Path(entry.path)
                    self.folders.append(name)
                    later = linked if entry.is_symlink() else waiting
                    later.append((name + "/", path, _identity(path, status)))
                elif stat.S_ISREG(status.st_mode) and not _beside(entry.name):
                    yield File(name, status.st_size, status.st_mtime_ns)

    def read(self, file: File) -> bytes:
        if file.size > MAX_BYTES:
            raise Unreadable(f"{file.size:,} bytes, more than {MAX_BYTES:,}")
        try:
            return read_file(self.root / file.name, MAX_BYTES)  # it may be another one by now
        except OSError as error:
            if error.errno in _GONE:
                raise GANForgeError(
                    f"'{file.name}' in '{self.root}' has disappeared since the folder was listed ({_why(error)}); "
                    "restore the pictures and start again"
                ) from None
            raise TemporarilyUnreadable(_why(error)) from None

    def beside(self, name: str) -> bytes | None:
        try:
            return read_file(self.root / name, _MOST_BESIDE, links=False)
        except OSError:
            return None

    def close(self) -> None:
        """Nothing is open."""


class _Zip:
    """Entries are read into memory and never extracted, so their names can do no harm."""

    def __init__(self, path: Path) -> None:
        self._zip = zipfile.ZipFile(path)
        self._entries: dict[str, zipfile.ZipInfo] = {}
        self.denied: list[tuple[str, str]] = []
        self.folders: list[str] = []
        for info in self._zip.infolist():
            parts = PurePosixPath(info.filename.replace("\\", "/")).parts
            if info.is_dir() and ".." not in parts and not any(map(_ignored, parts)):
                self.folders.append("/".join(parts))
            if ".." in parts:
                self.denied.append((info.filename, "its name leads out of the zip"))
            elif not info.is_dir() and may_be_picture(parts):
                self._entries[info.filename] = info
        self.files = sorted(
            (File(name, info.file_size, info.CRC) for name, info in self._entries.items()),
            key=lambda file: file.name,
        )

    def read(self, file: File) -> bytes:
        info = self._entries[file.name]
        if file.size > MAX_BYTES:
            raise Unreadable(f"declares {file.size:,} bytes, more than {MAX_BYTES:,}")
        if info.flag_bits & 1:
            raise Unreadable("encrypted")
        try:
            return self._content(info)
        except Exception as error:  # a damaged entry fails in zlib, lzma, bz2 or zipfile, each in its own way
            raise Unreadable(reason(error, kind=False)) from error

    def beside(self, name: str) -> bytes | None:
        try:
            info = self._zip.getinfo(name)
            return self._content(info) if info.file_size <= _MOST_BESIDE else None
        except Exception:  # as above
            return None

    def _content(self, info: zipfile.ZipInfo) -> bytes:
        """Return an entry's bytes; one that would unpack to more than its declared size is refused before it does.

        For deflate, ``zipfile`` itself stops there; for bzip2 and LZMA it unpacks everything that it has read, and a
        thousand bytes may unpack to a gigabyte.
        """
        if info.compress_type not in (zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA):
            return self._zip.read(info)
        packed = copy.copy(info)
        packed.compress_type, packed.file_size = zipfile.ZIP_STORED, info.compress_size
        unchecked: Any = packed
        unchecked.CRC = None  # it is of what is packed
        if info.compress_size > MAX_BYTES:
            raise Unreadable(f"{info.compress_size:,} bytes, more than {MAX_BYTES:,}")
        with self._zip.open(packed) as file:
            raw = file.read()
        if info.compress_type == zipfile.ZIP_BZIP2:
            content = bz2.BZ2Decompressor().decompress(raw, info.file_size + 1)
        else:
            # Version and size of the properties, the properties, the data (APPNOTE 5.8.8); in a .lzma file their size
            # stands between. Unknown where the data say where they end.
            size = 2**64 - 1 if info.flag_bits & 2 else info.file_size
            alone = raw[4:9] + struct.pack("<Q", size) + raw[9:]
            unpacker = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=MAX_BYTES)
            content = unpacker.decompress(alone, info.file_size + 1)
        if len(content) != info.file_size or zlib.crc32(content) != info.CRC:
            raise Unreadable("its size or checksum differs from what the zip declares")
        return content

    def close(self) -> None:
        self._zip.close()
