"""``--data x.csv``: a column of paths to pictures below the file's folder, else rows of numbers."""

from __future__ import annotations

import csv
import itertools
import math
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any

import numpy as np

from ganforge.data.adapters.beside import stamp
from ganforge.data.adapters.filling import table_choice
from ganforge.data.adapters.keys import LABELS
from ganforge.data.adapters.listed import Listed, listed_choice
from ganforge.data.adapters.options import FileOptions
from ganforge.data.adapters.table import Rows, Table
from ganforge.errors import GANForgeError, UsageError, closest, reason
from ganforge.plugin.registry import Choice

PATHS = ("images", "image", "path", "paths", "file", "filename", "file_name", "filepath", "image_path", "img")
_LOOKED_AT, _MOST_LINE, _MOST_COLUMNS, _MOST_ROWS = 100, 2**24, 2**22, 2**26
_AT_ONCE = 2**22  # numbers


@dataclass(frozen=True)
class _Form:
    """The format of a file: the delimiter, the names of the columns, and the number of lines before the first row."""

    delimiter: str
    names: tuple[str, ...]
    first: tuple[tuple[str, ...], ...]

    def column(self, asked: str, file: str) -> int:
        """Return the index of a column given by name or by number, from 0."""
        if asked in self.names:
            return self.names.index(asked)
        if asked.isdecimal() and int(asked) < len(self.first[0]):
            return int(asked)
        known = ", ".join(self.names[:8]) or f"0 to {len(self.first[0]) - 1}"
        raise UsageError(f"{file} has no column '{asked}'; its columns are {known}.{closest(asked, self.names)}")


def csv_choice(path: Path, options: FileOptions) -> Choice:
    """Return a file's pictures, listed by path or stored as numbers, or its vectors, as a data source.

    Raises:
        UsageError: there is no such column.
        GANForgeError: it holds neither paths nor numbers.
    """
    form = _form_of(path)
    labels = _label_column(form, options, path.name)
    paths = _path_column(form, options, path.name)
    if paths is not None:
        return _listed(path, form, paths, labels, options)
    return table_choice(_numbers(path, form, labels, options), options)


# ------------------------------------------------------------------ how it is written


@contextmanager
def _text(path: Path) -> Iterator[IO[str]]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            yield file
    except UnicodeDecodeError as error:
        raise GANForgeError(f"{path.name} is not a text table: {reason(error, kind=False)}") from None


def _lines(file: IO[str], name: str) -> Iterator[str]:
    """Yield the lines that are not empty, one row each; a line that would fill the memory is refused."""
    while line := file.readline(_MOST_LINE):
        if len(line) == _MOST_LINE:
            raise GANForgeError(f"{name} has a line of {_MOST_LINE:,} characters or more; expected one row per line")
        if line.strip():
            yield line


def _cells(line: str, delimiter: str) -> list[str]:
    if '"' in line:
        return [cell.strip() for cell in next(csv.reader([line.rstrip("\n")], delimiter=delimiter))]
    return [cell.strip() for cell in line.split(delimiter)]


def _form_of(path: Path) -> _Form:
    rows: list[tuple[str, ...]] = []
    with _text(path) as file:
        start = file.readline(_MOST_LINE)
        delimiter = max(",\t;", key=start.count)
        file.seek(0)
        for line in _lines(file, path.name):
            rows.append(tuple(_cells(line, delimiter)))
            if len(rows) > _LOOKED_AT:
                break
    if not rows:
        raise GANForgeError(f"{path.name} is empty; expected a row for each picture")
    if len(rows[0]) > _MOST_COLUMNS:
        raise GANForgeError(f"{path.name} has {len(rows[0]):,} columns; expected at most {_MOST_COLUMNS:,}")
    # A header: names where the rows below have numbers, or words over paths.
    numbers_below = len(rows) > 1 and any(map(_is_number, rows[1]))
    named = not any(map(_is_number, rows[0])) and (numbers_below or not any(map(_is_picture, rows[0])))
    if named and len(rows) < 2:
        raise GANForgeError(f"{path.name} has a header but no rows; expected a row for each picture")
    return _Form(delimiter, rows[0] if named else (), tuple(rows[1:] if named else rows))


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def _is_picture(text: str) -> bool:
    return bool(PurePosixPath(text.replace("\\", "/")).suffix) and not _is_number(text)


def _label_column(form: _Form, options: FileOptions, name: str) -> int | None:
    if options.labels is not None:
        return form.column(options.labels, name)
    lower = [one.lower() for one in form.names]
    return next((lower.index(known) for known in LABELS if known in lower), None)


def _path_column(form: _Form, options: FileOptions, name: str) -> int | None:
    """Return the column of paths; None if the rows are numbers."""
    if options.images is not None:
        return form.column(options.images, name)
    lower = [one.lower() for one in form.names]
    for known in PATHS:
        if known in lower and not _is_number(form.first[0][lower.index(known)]):
            return lower.index(known)
    paths = [i for i in range(len(form.first[0])) if all(len(row) > i and _is_picture(row[i]) for row in form.first)]
    if len(paths) > 1:
        raise UsageError(f"{name} has several columns that could be paths; choose one: {name}:images=COLUMN")
    return paths[0] if paths else None


# ------------------------------------------------------------------ paths


def _listed(path: Path, form: _Form, paths: int, labels: int | None, options: FileOptions) -> Choice:
    names: list[str] = []
    of: list[str] = []
    for number, line in _rows(path, form):
        row = _cells(line, form.delimiter)
        if len(row) <= max(paths, labels or 0):
            raise GANForgeError(f"{path.name}, row {number:,}: {_columns(len(row))}; expected {len(form.first[0])}")
        names.append(row[paths])
        of.append("" if labels is None else row[labels])
    known = None if labels is None else of
    return listed_choice("csv", path.name, Listed(names, known, path.parent), known, options)


def _rows(path: Path, form: _Form) -> Iterator[tuple[int, str]]:
    """Yield the number of each row, from 1, and its text, without the header."""
    with _text(path) as file:
        lines = _lines(file, path.name)
        if form.names:
            next(lines)
        for number, line in enumerate(lines, 1):
            if number > _MOST_ROWS:
                raise GANForgeError(f"{path.name} has more than {_MOST_ROWS:,} rows")
            yield number, line


# ------------------------------------------------------------------ numbers


def _numbers(path: Path, form: _Form, labels: int | None, options: FileOptions) -> Table:
    """Return the rows as a table: pictures where they list levels of squares, or a shape is given, else vectors."""
    name, columns = path.name, len(form.first[0])
    keep = [i for i in range(columns) if i != labels]
    for number, row in enumerate(form.first, 1):
        for i in keep:
            if len(row) != columns or not _is_number(row[i]):
                what = f"'{row[i][:20]}'" if len(row) == columns else _columns(len(row))
                raise GANForgeError(
                    f"{name}, row {number}: {what}; expected a column of paths to pictures (images=COLUMN), or "
                    f"numbers in {_columns(columns)}, and labels (labels=COLUMN)"
                )
    levels = all(float(row[i]).is_integer() and 0 <= float(row[i]) <= 255 for row in form.first for i in keep)
    flat = options.shape or (_square(len(keep)) if levels else None)
    dtype = np.dtype("u1" if levels and flat else "<f4")
    count = sum(1 for _ in _rows(path, form))

    def of() -> np.ndarray:
        assert labels is not None
        return _whole([_cells(line, form.delimiter)[labels] for _, line in _rows(path, form)])

    @contextmanager
    def rows(folder: Path) -> Iterator[Rows]:
        unpacked = folder / "unpacked.tmp"
        size = count * len(keep) * dtype.itemsize
        if size > shutil.disk_usage(folder).free:
            raise GANForgeError(f"{name} needs {size:,} bytes in the picture cache, more than the free space")
        try:
            with open(unpacked, "wb") as out:
                for block in _parsed(path, form, keep, dtype, columns):
                    out.write(block.data)
            array = np.memmap(unpacked, dtype, "r", shape=(count, len(keep)))
            yield array
            del array
        finally:
            unpacked.unlink(missing_ok=True)

    return Table(
        kind="csv",
        name=name,
        shape=(count, len(keep)),
        dtype=dtype,
        stamp=lambda: f"{stamp(path)} {labels} {flat}",
        opened=rows,
        labels=(lambda: None) if labels is None else of,
        flat=flat,
        way_out="; for pictures, give height-width: :shape=28-28",
    )


def _columns(count: int) -> str:
    return f"{count} column{'s' * (count != 1)}"


def _parsed(path: Path, form: _Form, keep: Sequence[int], dtype: np.dtype[Any], columns: int) -> Iterator[np.ndarray]:
    """Yield the numbers as rows (n, D), some thousand at a time."""
    rows = _rows(path, form)
    at_once = max(1, _AT_ONCE // columns)
    while waiting := list(itertools.islice(rows, at_once)):
        yield _array(path.name, waiting, form.delimiter, keep, dtype, columns)


def _array(
    name: str, rows: list[tuple[int, str]], delimiter: str, keep: Sequence[int], dtype: np.dtype[Any], columns: int
) -> np.ndarray:
    for number, line in rows:
        if '"' not in line and line.count(delimiter) != columns - 1:
            found = line.count(delimiter) + 1
            raise GANForgeError(f"{name}, row {number:,}: {_columns(found)}; expected {columns}")
    try:
        lines = [line for _, line in rows]
        values = np.loadtxt(lines, delimiter=delimiter, comments=None, quotechar='"', usecols=keep, ndmin=2)
    except (ValueError, IndexError):
        for number, line in rows:
            cells = _cells(line, delimiter)
            wrong = next((cell for i in keep if not _is_number(cell := cells[i] if i < len(cells) else "")), None)
            if wrong is not None:
                raise GANForgeError(f"{name}, row {number:,}: '{wrong[:20]}'; expected a number") from None
        raise
    if dtype.kind == "u":
        good = ((values >= 0) & (values <= 255) & (values == np.rint(values))).all(1)
        if not good.all():
            raise GANForgeError(
                f"{name}, row {rows[int(np.argmin(good))][0]:,}: expected whole numbers from 0 to 255, as in the "
                "rows before"
            )
    return np.ascontiguousarray(values.astype(dtype))


def _square(count: int) -> tuple[int, ...] | None:
    """Return the shape of a square picture of so many numbers, grey or in colour; None if there is none."""
    for channels in (1, 3):
        side = math.isqrt(count // channels)
        if side >= 8 and side * side * channels == count:
            return side, side, channels
    return None


def _whole(texts: Sequence[str]) -> np.ndarray:
    """Return labels as whole numbers if all of them are, so that 10 comes after 9."""
    try:
        return np.asarray([int(text) for text in texts])
    except ValueError:
        return np.asarray(texts)
