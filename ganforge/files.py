"""Files that are complete or absent, never half, and on the disk before anything relies on them.

And whether something can be written at a place: asked before long work, not after it.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

from ganforge.errors import GANForgeError, UsageError, reason


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """Give a new file beside ``path``, open for writing, which takes its place when the block ends well.

    Until then ``path`` keeps what it held. A library that opens its files itself is given ``file.name``, which ends
    as ``path`` does. The new file has the permissions of the one it replaces, else what the umask leaves of 0666.

    Raises:
        OSError: it cannot be written, or something else was put in the new file's place meanwhile.
    """
    file = _new(path)
    temporary = Path(file.name)
    try:
        with suppress(OSError):  # none yet, or a disk without permissions
            os.chmod(file.fileno() if os.chmod in os.supports_fd else temporary, path.stat().st_mode & 0o777 | 0o200)
        yield file
        file.flush()
        os.fsync(file.fileno())  # what a library wrote by the name is in the same file, and must be
        if not os.path.samestat(os.fstat(file.fileno()), os.lstat(temporary)):
            raise FileExistsError(errno.EEXIST, "another file was put in its place", str(path))
        file.close()  # Windows renames no open file
        os.replace(temporary, path)
    finally:
        with suppress(OSError):  # what went wrong before says more
            file.close()
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync(path.parent)


def beside(path: Path) -> Path:
    """Return a hidden name beside ``path`` that nobody can guess, for what takes its place; ``sweep`` knows it."""
    return path.with_name(f".{path.stem[:32]}.{os.urandom(8).hex()}.tmp{path.suffix[:16]}")


def _new(path: Path) -> BinaryIO:
    """Open a file that was not there, for writing; neither a file nor a link at that name is ever opened."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    for _ in range(100):
        temporary = beside(path)
        with suppress(FileExistsError):
            return open(temporary, "wb", opener=lambda name, _: os.open(name, flags, 0o666))
    raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(temporary))


def write_atomic(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, on the disk before it takes the name."""
    with replacing(path) as file:
        file.write(content)


def sync(path: Path) -> None:
    """Bring a file, or a folder's names, to the disk, where the system offers that."""
    with suppress(OSError):  # Windows opens no folders, and some network disks have no fsync
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def sweep(folder: Path) -> None:
    """Remove what a killed process left half written: hidden ``.….tmp`` files and folders. Nobody else may write."""
    for leftover in folder.glob(".*"):
        if leftover.name.startswith(".tmp-") or ".tmp" in leftover.suffixes:
            if leftover.is_dir() and not leftover.is_symlink():
                shutil.rmtree(leftover, ignore_errors=True)
            else:
                with suppress(OSError):
                    leftover.unlink()


MIB = 2**20
DEEPEST = 64
_TOO_DEEP = "nested too deeply"


def at_home(path: str | os.PathLike[str]) -> Path:
    """Return a path with ``~`` replaced, or as it is where nobody knows what that is: no HOME, or no such user."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)


def user_folder(kind: str) -> Path | None:
    """Return where a person's ``cache`` or ``state`` belongs, or None where nobody knows their home."""
    import platformdirs

    try:
        place = Path(getattr(platformdirs, f"user_{kind}_dir")("ganforge"))
    except RuntimeError:  # older versions return a path that begins with ~, which would be a folder here
        return None
    return None if place.parts[:1] == ("~",) else place


def own(folder: Path, *names: str) -> Path:
    """Return the path of a part of ``folder``, which may be missing.

    A run may come from anywhere, and what a link in it leads to is not the run's to read, to change or to remove.

    Raises:
        GANForgeError: it, or a folder on the way to it, is a link.
    """
    path = folder
    for name in names:
        path = path / name
        if path.is_symlink():
            raise GANForgeError(f"{path} is a link; expected a file or folder: replace it with what it points to")
    return path


@contextmanager
def opened(path: Path, most: int, links: bool = True) -> Iterator[BinaryIO]:
    """Open a regular file of at most ``most`` bytes for reading; ``links`` false: and not through a link.

    What may block, never end or do something when it is opened (a pipe, a device, a socket) is refused before.

    Raises:
        OSError: it is something else, or too large; its ``strerror`` says what was expected.
    """
    _require_regular(os.stat(path, follow_symlinks=links), path, most)
    flags = os.O_RDONLY | sum(getattr(os, name, 0) for name in ("O_NONBLOCK", "O_NOCTTY", "O_BINARY"))
    flags |= 0 if links else getattr(os, "O_NOFOLLOW", 0)
    with open(path, "rb", opener=lambda name, _: os.open(name, flags)) as file:
        _require_regular(os.fstat(file.fileno()), path, most)  # it may be another one by now
        yield file


def read_file(path: Path, most: int, links: bool = True) -> bytes:
    """Return what a regular file of at most ``most`` bytes holds. Raises as ``opened`` does."""
    with opened(path, most, links) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # what is added meanwhile is not waited for


def _require_regular(about: os.stat_result, path: Path, most: int) -> None:
    kinds = (
        ("a link", stat.S_ISLNK),
        ("a folder", stat.S_ISDIR),
        ("a pipe", stat.S_ISFIFO),
        ("a socket", stat.S_ISSOCK),
    )
    if not stat.S_ISREG(about.st_mode):
        kind = next((name for name, tells in kinds if tells(about.st_mode)), "a device")
        raise _refused(path, f"it is {kind}; expected a regular file")
    if about.st_size > most:
        raise _refused(path, f"it holds {about.st_size:,} bytes; expected at most {most:,}")


def _refused(path: Path, why: str) -> OSError:
    return OSError(errno.EINVAL, why, str(path))


def write_json(path: Path, value: Any) -> None:
    """Write a value as indented JSON, atomically."""
    text = json.dumps(value, indent=2, ensure_ascii=False) + "\n"
    # A file name that is not UTF-8 holds lone surrogates; a backslash escape is how JSON writes them.
    write_atomic(path, text.encode("utf-8", "backslashreplace"))


def read_json(path: Path, most: int = 256 * MIB, links: bool = True) -> Any:
    """Read a JSON file. Raises ``GANForgeError`` when it is damaged, or what ``opened`` refuses."""
    try:
        return parse_json(read_file(path, most, links))
    except (ValueError, OSError) as error:
        raise GANForgeError(f"{path} cannot be read: {reason(error, kind=False)}") from None


def parse_json(content: bytes) -> Any:
    """Return what JSON in UTF-8 says. Raises ``ValueError`` where it says nothing, or is nested more than 64 deep.

    Whoever follows it from level to level, as writing it again does, would come to the end of Python's stack.
    """
    try:
        value = json.loads(content.decode("utf-8"))
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [value] if isinstance(value, (dict, list)) else []
    for _ in range(DEEPEST):
        level = [one for each in level for one in (each.values() if isinstance(each, dict) else each)]
        level = [one for one in level if isinstance(one, (dict, list))]
        if not level:
            return value
    raise ValueError(_TOO_DEEP)


def read_toml(path: Path, what: str) -> dict[str, Any]:
    """Read a TOML file. Raises ``UsageError``, which calls it ``what``, when it cannot be read or is none."""
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8"))
    except OSError as error:
        raise UsageError(f"{what} cannot be read: {reason(error, kind=False)}") from None
    except (ValueError, RecursionError) as error:  # no UTF-8 is one too
        raise UsageError(f"{what} is not TOML: {reason(error, kind=False)}") from None


def default_runs_dir() -> str:
    """Return where runs are kept unless a command or call says otherwise: ``GANFORGE_RUNS_DIR``, else ``runs``."""
    return os.environ.get("GANFORGE_RUNS_DIR") or "runs"


def obstacle(path: Path) -> str | None:
    """Return in words why ``path`` could not be made or replaced, folders above it included, or None."""
    above = path.absolute().parent
    while not os.path.lexists(above) and above != above.parent:
        above = above.parent
    if not above.is_dir():
        return f"{above} is not a folder"
    if os.access(above, os.W_OK | os.X_OK):
        return None
    read_only = hasattr(os, "statvfs") and os.statvfs(above).f_flag & os.ST_RDONLY
    return os.strerror(errno.EROFS if read_only else errno.EACCES)


def require_runs_dir(runs_dir: Path) -> None:
    """Raise ``GANForgeError`` where no run could be made in ``runs_dir``."""
    if why := obstacle(runs_dir / "run_1"):
        raise GANForgeError(
            f"the runs directory {runs_dir} cannot be written ({why}); choose another with --runs-dir"
        )


def require_file(path: Path) -> None:
    """Raise where no file could be written to ``path``; folders that are missing will be made.

    Raises:
        UsageError: it is a folder.
        GANForgeError: something stands in the way.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; expected a file name")
    if why := obstacle(path):
        raise GANForgeError(f"{path} cannot be written: {why}")
