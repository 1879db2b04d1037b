"""``--data x.parquet:images=COLUMN,labels=COLUMN``: encoded pictures, or numbers, in a table (extra: parquet).

As Hugging Face stores them, a picture is bytes, or a record of ``bytes`` and ``path``; a path is not followed.
"""

from __future__ import annotations

import math
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.data.adapters.beside import stamp
from ganforge.data.adapters.filling import table_choice
from ganforge.data.adapters.keys import LABELS, NAMES
from ganforge.data.adapters.labels import classes_of
from ganforge.data.adapters.listed import Held, listed_choice
from ganforge.data.adapters.options import FileOptions
from ganforge.data.adapters.table import Rows, Table
from ganforge.data.decode import Unreadable
from ganforge.errors import GANForgeError, UsageError, closest, reason
from ganforge.plugin.registry import Choice

MAGIC = b"PAR1"
# What a part of the file may take in memory; a writer's usual parts have a hundred to a million rows.
_MOST_PART, _ROWS_AT_ONCE = 2**30, 1024


def parquet_choice(path: Path, options: FileOptions) -> Choice:
    """Return what a Parquet file holds as a data source.

    Raises:
        UsageError: there is no such column, or nothing says which holds the pictures.
        GANForgeError: pyarrow is missing, the file is damaged, or it holds neither pictures nor numbers.
    """
    file = _open(path)
    schema = file.schema_arrow
    names = list(schema.names)
    for asked in (options.images, options.labels):
        if asked is not None and asked not in names:
            raise UsageError(
                f"{path.name} has no column '{asked}'; its columns are {', '.join(names)}.{closest(asked, names)}"
            )
    labels = options.labels or next((one for known in LABELS for one in names if one.lower() == known), None)
    images = options.images or _images(path.name, schema, labels)
    raw = None if labels is None or labels == images else _column(path, file, labels)
    if images is not None and _encoded(schema.field(images).type):
        _require_parts(path, file, images)
        by_row = None if raw is None else classes_of(raw, len(raw)).by_row
        held = Held(file.metadata.num_rows, f"{stamp(path)} {images}", _Encoded(path, images).row, by_row)
        return listed_choice("parquet", path.name, held, by_row, options)
    columns = (
        [images] if images is not None else [one for one in names if one != labels and _number(schema.field(one))]
    )
    if not columns:
        raise GANForgeError(f"{path.name} has no column of pictures or numbers; its columns are {', '.join(names)}")
    return table_choice(_table(path, file, columns, labels, raw, options), options)


def _open(path: Path) -> Any:
    try:
        import pyarrow.parquet as pq
    except ImportError:
        raise GANForgeError(f"{path.name} needs pyarrow: pip install 'ganforge[parquet]'") from None
    try:
        return pq.ParquetFile(path)
    except Exception as error:  # pyarrow raises its own, and the system's, on damaged files
        raise GANForgeError(f"{path.name} is a damaged Parquet file: {reason(error, kind=False)}") from None


def _encoded(kind: Any) -> bool:
    import pyarrow.types as types

    if types.is_struct(kind):
        return any(kind.field(i).name == "bytes" for i in range(kind.num_fields))
    return bool(types.is_binary(kind) or types.is_large_binary(kind))


def _lists(kind: Any) -> int:
    """Return how deep lists of numbers are nested; 0 for what are none."""
    import pyarrow.types as types

    depth = 0
    while types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind):
        kind, depth = kind.value_type, depth + 1
    return depth if types.is_integer(kind) or types.is_floating(kind) else 0


def _number(field: Any) -> bool:
    import pyarrow.types as types

    return bool(types.is_integer(field.type) or types.is_floating(field.type))


def _images(name: str, schema: Any, labels: str | None) -> str | None:
    """Return the column of the pictures; None where all columns of numbers together are vectors."""
    able = [one.name for one in schema if one.name != labels and (_encoded(one.type) or _lists(one.type))]
    for known, _ in NAMES:
        for one in able:
            if one.lower() == known:
                return str(one)
    if len(able) > 1:
        raise UsageError(f"{name} has the columns {', '.join(able)}; choose that of the pictures: :images={able[0]}")
    return str(able[0]) if able else None


def _require_parts(path: Path, file: Any, column: str) -> None:
    """Refuse a file of which one part would fill the memory."""
    about = file.metadata
    for k in range(about.num_row_groups):
        part = about.row_group(k)
        size = sum(
            part.column(i).total_uncompressed_size
            for i in range(part.num_columns)
            if part.column(i).path_in_schema.split(".")[0] == column
        )
        if size > _MOST_PART:
            raise GANForgeError(
                f"{path.name} has {size:,} bytes of '{column}' in one part (row group); expected at most "
                f"{_MOST_PART:,}: write it again with fewer rows per group"
            )


def _column(path: Path, file: Any, name: str) -> np.ndarray:
    _require_parts(path, file, name)
    try:
        return np.asarray(file.read(columns=[name]).column(0).to_pylist())
    except Exception as error:
        raise GANForgeError(f"{path.name} is a damaged Parquet file: {reason(error, kind=False)}") from None


class _Encoded:
    """Pictures as bytes, of which the two parts of the file that were read last stay in memory."""

    def __init__(self, path: Path, column: str) -> None:
        self._path, self._column = path, column
        self._lock = threading.Lock()
        self._file: Any = None
        self._starts: list[int] = []
        self._parts: dict[int, Any] = {}

    def row(self, row: int) -> bytes:
        """Return the bytes of a picture. Raises ``Unreadable`` where there are none."""
        with self._lock:
            if self._file is None:
                self._file = _open(self._path)
                about = self._file.metadata
                counts = [about.row_group(k).num_rows for k in range(about.num_row_groups)]
                self._starts = [0, *np.cumsum(counts).tolist()]
            part = int(np.searchsorted(self._starts, row, side="right")) - 1
            if part not in self._parts:
                for known in list(self._parts)[:-1]:  # the one before may still be asked for
                    del self._parts[known]
                self._parts[part] = self._file.read_row_group(part, columns=[self._column]).column(0)
            value = self._parts[part][row - self._starts[part]].as_py()
        content = value.get("bytes") if isinstance(value, dict) else value
        if not isinstance(content, bytes):
            raise Unreadable("the table holds no bytes for it (paths in a table are not followed)")
        return content


def _table(path: Path, file: Any, columns: list[str], labels: str | None, raw: Any, options: FileOptions) -> Table:
    """Return columns of numbers, or one of lists of numbers, as a table; the first row says the shape of all."""
    for column in columns:
        _require_parts(path, file, column)
    count = file.metadata.num_rows
    try:
        first = next(_batches(path, file, columns, None), np.empty((0, 1)))
    except StopIteration:
        first = np.empty((0, 1))
    shape, dtype = first.shape[1:], first.dtype

    @contextmanager
    def rows(folder: Path) -> Iterator[Rows]:
        unpacked, size = folder / "unpacked.tmp", count * math.prod(shape) * dtype.itemsize
        if size > shutil.disk_usage(folder).free:
            raise GANForgeError(f"{path.name} needs {size:,} bytes in the picture cache, more than the free space")
        try:
            with open(unpacked, "wb") as out:
                for block in _batches(path, _open(path), columns, shape):
                    out.write(np.ascontiguousarray(block, dtype).data)
            array = np.memmap(unpacked, dtype, "r", shape=(count, *shape))
            yield array
            del array
        finally:
            unpacked.unlink(missing_ok=True)

    return Table(
        kind="parquet",
        name=path.name,
        shape=(count, *shape),
        dtype=dtype,
        stamp=lambda: f"{stamp(path)} {columns} {labels}",
        opened=rows,
        labels=lambda: raw,
        flat=options.shape,
        way_out="; for pictures, give height-width: :shape=28-28",
    )


def _batches(path: Path, file: Any, columns: list[str], shape: tuple[int, ...] | None) -> Iterator[np.ndarray]:
    """Yield the numbers of some rows at a time, all of one shape."""
    start = 0
    try:
        for batch in file.iter_batches(batch_size=_ROWS_AT_ONCE, columns=columns):
            if len(columns) > 1 or not _lists(batch.schema.field(0).type):
                made = np.stack([one.to_numpy(zero_copy_only=False) for one in batch.columns], 1).astype(np.float32)
            else:
                made = _nested(batch.column(0))
            if shape is not None and made.shape[1:] != shape:
                raise GANForgeError(
                    f"{path.name}: rows of mixed sizes, {shape} and {made.shape[1:]}, from row {start:,}"
                )
            yield made
            start += len(made)
    except GANForgeError:
        raise
    except ValueError:
        raise GANForgeError(f"{path.name}: rows of mixed sizes, or with missing values, from row {start:,}") from None
    except Exception as error:
        raise GANForgeError(f"{path.name} is a damaged Parquet file: {reason(error, kind=False)}") from None


def _nested(column: Any) -> np.ndarray:
    """Return lists of numbers, nested or not, as an array. Raises ``ValueError`` where their lengths differ."""
    shape, kind = [len(column)], column.type
    for _ in range(_lists(kind)):
        if column.null_count:
            raise ValueError
        flat = column.flatten()
        if not len(column) or len(flat) % len(column):
            raise ValueError
        each = len(flat) // len(column)
        lengths = getattr(column, "value_lengths", None)
        if lengths is not None and any(n != each for n in np.unique(lengths().to_numpy(zero_copy_only=False))):
            raise ValueError
        shape.append(each)
        column = flat
    if column.null_count:
        raise ValueError
    return np.asarray(column.to_numpy(zero_copy_only=False)).reshape(shape)
