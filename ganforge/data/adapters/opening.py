"""Opening ``--data FILE[:key=value,…]`` as a data source, by the file's content, or if that is unclear, its name."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from ganforge.data.adapters import csv, hdf5, idx, npy, npz, parquet, single
from ganforge.data.adapters.filling import table_choice
from ganforge.data.adapters.options import FileOptions
from ganforge.data.adapters.table import Table
from ganforge.data.paths import is_url, parts_of
from ganforge.errors import GANForgeError, UsageError, closest, reason
from ganforge.files import at_home
from ganforge.plugin.options import make_options, parse_spec
from ganforge.plugin.registry import Choice

_OPTIONS = re.compile(r"[a-z_]+=[^,]*(,[a-z_]+=[^,]*)*")
_NAMED = re.compile(r"\.(npy|npz|h5|hdf5|parquet|csv|tsv|idx|idx\.gz)$|[.-]idx\d-ubyte(\.gz)?$", re.IGNORECASE)
_TEXT = (".csv", ".tsv")
# A tar has its mark here, and is read as a folder is.
_START = 512


def split_options(text: str) -> tuple[str, str]:
    """Return the path and the options of ``FILE[:key=value,…]``; a text that exists as a path is only a path."""
    if not _exists(at_home(text)):
        for mark in re.finditer(":", text):
            if _OPTIONS.fullmatch(text, mark.end()):
                return text[: mark.start()], text[mark.end() :]
    return text, ""


def file_source(text: str) -> Choice | None:
    """Return the pictures or vectors in the file that a ``--data`` text names, as a data source.

    Return None for a folder, zip or tar of pictures, and for a text that does not name a file.

    Raises:
        UsageError: it has no such key, column or option.
        GANForgeError: there is no such file, it is damaged, or it holds neither pictures nor vectors.
    """
    written, options = split_options(text)
    path = at_home(written)
    if not _exists(path):
        if not _NAMED.search(written):
            return None
        try:
            near = closest(path.name, os.listdir(path.parent))
        except OSError:
            near = ""
        raise GANForgeError(f"there is no file '{written}'.{near}")
    looks_like_path = bool(_NAMED.search(written)) or any(mark in written for mark in ("/", os.sep, "."))
    if not options or looks_like_path:
        make = _kind(path)
        if make is not None:
            return _made(make, path, written, options)
        if options:
            raise UsageError(
                f"'{written}' is not a file of arrays or tables, so it has no options; leave :{options} out"
            )
    return None


def is_there(text: str) -> bool:
    """Tell whether the folder or file that a ``--data`` text names exists."""
    return is_url(text) or all(_exists(at_home(split_options(one)[0])) for one in parts_of(text) or [text])


def place_of(text: str) -> str:
    """Return a ``--data`` text with the full path and the same options, so that it works from any folder."""
    if is_url(text):
        return text
    if paths := parts_of(text):
        return ",".join(map(place_of, paths))
    path, options = split_options(text)
    return str(at_home(path).resolve()) + (f":{options}" if options else "")


def _exists(path: Path) -> bool:
    try:
        return path.exists()
    except (OSError, ValueError):
        return False


_Make = Callable[[Path, str], Choice]


def _made(make: _Make, path: Path, written: str, options: str) -> Choice:
    try:
        choice = make(path, options)
        return replace(choice, entry=replace(choice.entry, value=replace(choice.value, file=True)))
    except OSError as error:
        raise GANForgeError(f"'{written}' cannot be read: {reason(error, kind=False)}") from None


def _kind(path: Path) -> _Make | None:
    """Return the function that opens a file as a source, or None if it is not one of these kinds."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            return None
        with path.open("rb") as file:
            start = file.read(_START)
    except OSError:
        return None  # said where folders are read
    if start.startswith(npy.MAGIC):
        return _of_table(single.npy_file)
    if start.startswith(b"PK") and npz.is_npz(path):
        return _of_table(npz.npz_table)
    if start.startswith(hdf5.MAGIC):
        return _of_table(hdf5.hdf5_table)
    if start.startswith(parquet.MAGIC):
        return _of_choice(parquet.parquet_choice)
    if start.startswith(idx.GZIP):
        start = idx.packed_start(path, 4)
    if idx.is_idx(start):
        return _of_table(single.idx_file)
    if path.suffix.lower() in _TEXT:
        return _of_choice(csv.csv_choice)
    if _NAMED.search(path.name):
        raise GANForgeError(f"'{path}' is not what its name says: it begins with {start[:8].hex() or 'nothing'}")
    return None


def _options(path: Path, text: str) -> FileOptions:
    made = make_options(f"'{path.name}'", FileOptions, parse_spec(f"x:{text}").values)
    assert isinstance(made, FileOptions)
    return made


def _of_table(table: Callable[[Path, FileOptions], Table]) -> _Make:
    def make(path: Path, text: str) -> Choice:
        options = _options(path, text)
        return table_choice(table(path, options), options)

    return make


def _of_choice(choice: Callable[[Path, FileOptions], Choice]) -> _Make:
    return lambda path, text: choice(path, _options(path, text))
