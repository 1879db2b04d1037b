"""Picture files in a tar, read in place: nothing is extracted, and no link in it is followed."""

from __future__ import annotations

import json
import stat
import tarfile
import threading
from pathlib import Path, PurePosixPath

from ganforge.data.decode import Unreadable
from ganforge.data.files import MAX_BYTES, File, Files, TemporarilyUnreadable, find_files, may_be_picture
from ganforge.data.layout import LABELS
from ganforge.errors import GANForgeError, reason

# The mark of a tar, and where it stands.
_MARK, _AT = b"ustar", 257
_CLASS, _MOST_CLASS, _MOST_BESIDE = ".cls", 16, 256 * 1024 * 1024


def find_pictures(path: Path, listed: bool = True) -> Files:
    """List the files of a folder, zip or tar by name; without ``listed``, a folder's are not (``find_files``).

    Raises ``GANForgeError`` if it is none of these.
    """
    return Tar(path) if _is_tar(path) else find_files(path, listed)


def _is_tar(path: Path) -> bool:
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return False
        with path.open("rb") as file:
            file.seek(_AT)
            return file.read(len(_MARK)) == _MARK
    except (OSError, ValueError):
        return False  # said by find_files


class Tar:
    """Members are read into memory and never extracted, so their names can do no harm.

    As WebDataset writes them, ``0001.cls`` beside ``0001.jpg`` holds the number of its class.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()
        self._members: dict[str, tarfile.TarInfo] = {}
        self._others: dict[str, tarfile.TarInfo] = {}
        self.denied: list[tuple[str, str]] = []
        self.folders: list[str] = []
        try:
            time = path.stat().st_mtime_ns
            with tarfile.open(path, "r:") as tar:
                for member in tar:
                    self._look_at(member)
                end = tar.offset
            self._file = path.open("rb")
            self._require_end(end)
        except (tarfile.TarError, OSError, ValueError) as error:
            raise GANForgeError(f"'{path}' is a damaged tar: {reason(error, kind=False)}") from None
        self.files = sorted(
            (File(name, member.size, time) for name, member in self._members.items()), key=lambda file: file.name
        )

    def _require_end(self, end: int) -> None:
        """Refuse what goes on after its last member with anything but nothing: ``tarfile`` takes that for the end."""
        self._file.seek(end)
        rest = self._file.read(tarfile.BLOCKSIZE)
        if rest.strip(b"\0") or 0 < len(rest) < tarfile.BLOCKSIZE:
            self._file.close()
            raise tarfile.ReadError(f"it is cut off or overwritten at byte {end:,}")

    def _look_at(self, member: tarfile.TarInfo) -> None:
        name = member.name.replace("\\", "/")
        parts = [part for part in name.split("/") if part not in ("", ".")]
        known = "/".join(parts)
        if ".." in parts or name.startswith("/"):
            self.denied.append((name, "its name leads out of the tar"))
        elif member.isdir():
            if parts:
                self.folders.append(known)
        elif not may_be_picture(parts) or known.endswith(_CLASS):
            if member.isreg():
                self._others[known] = member
        elif member.isreg() and not member.issparse():
            self._members[known] = member
        else:
            self.denied.append((name, "a link, a device or a sparse file is not read"))

    def read(self, file: File) -> bytes:
        """Return a member's bytes. Raises ``Unreadable``."""
        return self._content(self._members[file.name], MAX_BYTES)

    def _content(self, member: tarfile.TarInfo, most: int) -> bytes:
        if member.size > most:
            raise Unreadable(f"{member.size:,} bytes, more than {most:,}")
        try:
            with self._lock:
                self._file.seek(member.offset_data)
                content = self._file.read(member.size)
        except OSError as error:
            raise TemporarilyUnreadable(reason(error, kind=False)) from None
        if len(content) < member.size:
            raise Unreadable("the tar ends within it")
        return content

    def beside(self, name: str) -> bytes | None:
        """Return a small member's bytes that is no picture; labels where there are classes beside the pictures."""
        member = self._others.get(name)
        if member is None:
            return self._classes() if name == LABELS else None
        try:
            return self._content(member, _MOST_BESIDE)
        except Unreadable:
            return None

    def _classes(self) -> bytes | None:
        """Return the numbers beside the pictures in the form of dataset.json; None where there are none."""
        numbers = {}
        for name, member in self._others.items():
            if name.endswith(_CLASS):
                try:
                    numbers[name.removesuffix(_CLASS)] = int(self._content(member, _MOST_CLASS))
                except (Unreadable, ValueError):
                    return None
        found = [[name, numbers[key]] for name in self._members if (key := _key(name)) in numbers]
        return json.dumps({"labels": found}).encode() if found else None

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()


def _key(name: str) -> str:
    """Return what the files of one sample have in common: the path up to the first dot of its last part."""
    path = PurePosixPath(name)
    return str(path.with_name(path.name.split(".")[0])) if path.name.split(".")[0] else name
