"""onnxruntime-web, the npm package that computes in browsers: found where a person has it, and kept for next time.

GANForge downloads nothing: ``npm pack onnxruntime-web`` makes the ``.tgz``, ``npm install`` the folder. Two of its
files are needed, and its version and licence are named in every page that holds them.
"""

from __future__ import annotations

import gzip
import json
import os
import tarfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.files import MIB, at_home, parse_json, read_file, user_folder, write_atomic

# The processor alone, its loader inside: one script, one binary, no threads that a page of its own could not start.
SCRIPT, BINARY, PACKAGE = "dist/ort.wasm.bundle.min.mjs", "dist/ort-wasm-simd-threaded.wasm", "package.json"
FILES = {SCRIPT: 4 * MIB, BINARY: 64 * MIB, PACKAGE: MIB}
NAME = "onnxruntime-web"
WAY_OUT = f"run `npm pack {NAME}`, then give the .tgz once: --{NAME} FILE.tgz (in Python: onnxruntime_web=)"


@dataclass(frozen=True)
class Web:
    """What a page needs of the package: the script, the binary, and whose they are."""

    script: bytes
    binary: bytes
    version: str
    licence: str


def find_web(given: str | Path | None) -> Web:
    """Return the package of a folder or a ``.tgz``, and keep it; without one, what was kept before.

    Raises:
        UsageError: what was given is none.
        GANForgeError: nothing was given, and nothing is kept.
    """
    kept = _kept()
    if given is None:
        if kept is None or not (kept / PACKAGE).is_file():
            raise GANForgeError(f"a page needs the npm package {NAME}: {WAY_OUT}")
        return _whole(_in_folder(kept), kept)
    path = at_home(given)
    if not path.exists():
        raise UsageError(f"invalid {NAME} {path}: there is no such file or folder; {WAY_OUT}")
    files = _in_folder(path) if path.is_dir() else _in_archive(path)
    web = _whole(files, path)
    if kept is not None:
        with suppress(OSError):  # then it is asked for again
            (kept / "dist").mkdir(parents=True, exist_ok=True)
            for name in FILES:
                write_atomic(kept / name, files[name])
    return web


def _kept() -> Path | None:
    chosen = os.environ.get("GANFORGE_CACHE_DIR")
    root = Path(chosen) if chosen else user_folder("cache")
    return None if root is None else root / NAME


def _in_folder(folder: Path) -> dict[str, bytes]:
    found = {}
    for name, most in FILES.items():
        with suppress(FileNotFoundError, NotADirectoryError):
            try:
                found[name] = read_file(folder / name, most)
            except (FileNotFoundError, NotADirectoryError):
                raise
            except OSError as error:
                raise GANForgeError(f"{folder / name} cannot be read: {reason(error, kind=False)}") from None
    return found


def _in_archive(path: Path) -> dict[str, bytes]:
    """Return the files of a ``.tgz`` as npm makes it, everything below ``package/``; nothing is unpacked to disk."""
    found = {}
    try:
        with tarfile.open(path, "r:gz") as archive:
            for member in archive:
                name = member.name.partition("/")[2]
                if name in FILES and member.isreg() and member.size <= FILES[name]:
                    found[name] = _content(archive.extractfile(member))
    except (OSError, EOFError, tarfile.TarError, gzip.BadGzipFile) as error:
        raise GANForgeError(f"{path} cannot be read: {reason(error, kind=False)}") from None
    return found


def _content(file: IO[bytes] | None) -> bytes:
    return b"" if file is None else file.read()


def _whole(files: Mapping[str, bytes], path: Path) -> Web:
    """Return what was found, if it is the package."""
    missing = [name for name in FILES if name not in files]
    about = None if missing else _parsed(files[PACKAGE])
    if not isinstance(about, dict) or about.get("name") != NAME:
        why = f"it has no {missing[0]}" if missing else f"its {PACKAGE} belongs to another package"
        raise UsageError(f"invalid {NAME} {path}: {why}; expected the npm package {NAME}: {WAY_OUT}")
    version, licence = str(about.get("version", "?"))[:40], str(about.get("license", "?"))[:40]
    return Web(files[SCRIPT], files[BINARY], version, licence)


def _parsed(content: bytes) -> object:
    read: Callable[[bytes], object] = parse_json
    try:
        return read(content)
    except (ValueError, json.JSONDecodeError):
        return None
