"""Writing a table's rows into the picture cache, once, and mapping them from there."""

from __future__ import annotations

import hashlib
import json
import math
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import PIL

from ganforge.data.adapters.labels import Labels, classes_of
from ganforge.data.adapters.source import FoundSource, asked, found, own_channels, own_size
from ganforge.data.adapters.table import Form, Rows, Table, blocks, plain
from ganforge.data.cache import ArrayWriter, building, cache_root, new_entry, open_entry, write_record
from ganforge.data.decode import Reading, fitted
from ganforge.data.layout import draw
from ganforge.data.ranges import Values, choose_range, to_bytes
from ganforge.data.record import VERSION, notes, warnings
from ganforge.data.settings import Range, parse_range
from ganforge.data.shards import let_go
from ganforge.errors import GANForgeError
from ganforge.plugin.dataset import Images, describe
from ganforge.plugin.options import Options
from ganforge.plugin.registry import Choice
from ganforge.plugin.sizes import written_size

_DEPTHS = {2: "16-bit", 4: "32-bit", 8: "64-bit"}
Progress = Callable[[int, int], None]


def table_choice(table: Table, options: Options | None = None) -> Choice:
    """Return a table as a data source, with its pictures' own size, or without a size for vectors.

    Raises ``GANForgeError`` if its rows are neither.
    """
    form = table.form

    def load(
        image_shape: tuple[int, ...] | None = None,
        image_size: Any = None,
        channels: int | None = None,
        limit: int | None = None,
        seed: int = 0,
        cache_dir: Path | None = None,
        progress: Progress | None = None,
        fit: str = "crop",
        background: str = "white",
        value_range: Range | None = None,
    ) -> Images:
        if form.vector:
            return load_table(table, None, limit=limit, seed=seed, cache_dir=cache_dir, progress=progress)
        size, channels = asked(image_shape, image_size, channels)
        own = own_size(*form.shape[:2])
        reading = Reading(size or own, channels or own_channels(form.shape[2]), fit, background)
        how: dict[str, Any] = {"value_range": value_range, "limit": limit, "seed": seed, "cache_dir": cache_dir}
        return load_table(table, reading, progress=progress, **how)

    source = FoundSource(
        table.kind,
        load=load,
        options=Options if options is None else type(options),
        summary=f"{table.name}: {table.dtype} {table.shape}",
        image_size=None if form.vector else written_size(own_size(*form.shape[:2])),
        channels=3 if form.vector else own_channels(form.shape[2]),
    )
    return found(source, options)


def load_table(
    table: Table,
    reading: Reading | None,
    *,
    value_range: Range | None = None,
    limit: int | None = None,
    seed: int = 0,
    cache_dir: Path | str | None = None,
    progress: Progress | None = None,
) -> Images:
    """Return a table's pictures, uint8 (N, H, W, C) as ``reading`` says, or without it its vectors, float32 (N, D).

    8-bit integers are taken as levels; deeper integers and floats are scaled by ``value_range``, or by a range
    measured on the set (``ganforge.data.ranges``). ``limit`` keeps that many, chosen by ``seed``, from every class.

    Raises:
        GANForgeError: a row is not finite, or the file is incomplete or damaged.
        UsageError: the labels are not classes.
    """
    count, form = table.shape[0], table.form
    value_range = None if value_range is None else parse_range(value_range)
    raw = table.labels()
    labels = Labels((), np.empty(0, np.int32)) if raw is None else classes_of(raw, count, table.classes)
    chosen = None
    if limit is not None and limit < count:
        of = labels.by_row if labels.names else [""] * count
        chosen = np.asarray(draw(of, limit, seed)[:limit], np.int64)
    labels = labels.of(chosen)
    how = [] if reading is None else [*_said(reading), reading.colour, PIL.__version__]
    settings = [VERSION, "table", how, table.stamp(), form.shape, labels.names, _digest(labels.index)]
    settings += [] if chosen is None else [limit, seed]
    where = cache_root(cache_dir)
    key = own = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    entry = open_entry(where, key)
    if value_range is not None and entry is not None and entry[1].range not in (None, value_range):
        entry = None
    if value_range is not None and entry is None:
        own = hashlib.sha256(json.dumps([*settings, value_range]).encode()).hexdigest()
        entry = open_entry(where, own)
    if entry is None:
        with building(where, own):
            entry = open_entry(where, own)
            if entry is None:
                with new_entry(where, own) as folder:
                    with table.opened(folder) as rows:
                        filling = _Filling(table, form, reading, rows, chosen, labels, progress)
                        about = filling.fill(folder, value_range)
                    write_record(folder, about)
                entry = open_entry(where, own)
    if entry is None:
        raise GANForgeError(f"the picture cache in '{where}' was removed while it was being written")
    array, record = entry
    return Images(
        array=array,
        fingerprint=record.fingerprint,
        description=_described(array, table.name, reading),
        found=count,
        labels=np.asarray(record.labels, np.int32) if record.classes else None,
        classes=record.classes,
        range=record.range,
        notes=(*table.notes, *_notes(form), *notes(record)),
        warnings=() if reading is None else tuple(warnings(record, reading, value_range is not None)),
    )


def _said(reading: Reading) -> list[Any]:
    return [reading.image_size, reading.channels, reading.fit]


def _notes(form: Form) -> list[str]:
    return ["the array is read as (N, C, H, W), channels first"] if form.channels_first else []


def _digest(index: np.ndarray) -> str:
    return hashlib.sha256(index.astype("<i4").tobytes()).hexdigest()


def _described(array: np.ndarray, name: str, reading: Reading | None) -> str:
    if reading is None:
        return f"{len(array):,} vectors of {array.shape[1]:,} numbers from {name}"
    return describe(len(array), f"images from {name}", reading.image_size, reading.channels)


class _Filling:
    """A table that is being written to a cache entry."""

    def __init__(
        self,
        table: Table,
        form: Form,
        reading: Reading | None,
        rows: Rows,
        chosen: np.ndarray | None,
        labels: Labels,
        progress: Progress | None,
    ) -> None:
        self._table, self._form, self._reading, self._rows = table, form, reading, rows
        self._chosen, self._labels, self._progress = chosen, labels, progress
        self._count = table.shape[0] if chosen is None else len(chosen)
        self._passes = self._passed = 0

    def fill(self, folder: Path, value_range: Range | None) -> dict[str, Any]:
        """Write the array into ``folder``; return its entries of the record."""
        deep = self._reading is not None and self._table.dtype.itemsize > 1
        look = deep and value_range is None
        self._passes = 2 if look else 1
        value_range = self._find_range() if look else value_range if deep else None
        reading, dtype = self._reading, self._table.dtype
        shape = self._form.shape if reading is None else reading.shape
        digest = hashlib.sha256(json.dumps([VERSION, [] if reading is None else _said(reading)]).encode())
        digest.update(f"\n{dtype.newbyteorder('<').str} {self._form.shape}\n".encode())
        one_colour = 0
        _require_room(folder, self._table.name, self._count * math.prod(shape) * (4 if reading is None else 1))
        writer = ArrayWriter(folder, shape, "<f4" if reading is None else "|u1")
        try:
            for block in self._blocks():
                digest.update(plain(block).data)
                if reading is None:
                    writer.write_rows(self._vectors(block))
                    continue
                pixels = _levels(block, value_range)
                if pixels.shape[1:] == shape:
                    writer.write_rows(pixels)
                    continue
                for one in pixels:
                    picture = fitted(one, reading)
                    one_colour += picture.one_colour
                    writer.write(picture.pixels)
        except BaseException:
            writer.abandon()
            raise
        writer.close()
        if self._labels.names:
            digest.update(f"\nlabels {json.dumps(self._labels.names)} {_digest(self._labels.index)}".encode())
        if value_range is not None:
            digest.update(f"\nrange {value_range[0]:.17g} {value_range[1]:.17g}".encode())
        if reading is not None and reading.colour != (255, 255, 255):
            digest.update(f"\nbackground {reading.colour}".encode())
        depth = "float" if dtype.kind == "f" else _DEPTHS.get(dtype.itemsize, "")
        return {
            "fingerprint": digest.hexdigest(),
            "dtype": "float32" if reading is None else "uint8",
            "classes": self._labels.names,
            "labels": self._labels.index.tolist() if self._labels.names else (),
            "depths": {depth: self._count} if deep else {},
            "range": value_range,
            "fit": "" if reading is None else reading.fit,
            "background": "" if reading is None else reading.background,
            "one_colour": one_colour,
        }

    def _blocks(self) -> Iterator[np.ndarray]:
        """Yield the selected rows as pictures or vectors, after checking that they are finite."""
        table, done = self._table, 0
        row_bytes = int(np.prod(table.shape[1:], dtype=np.int64)) * max(4, table.dtype.itemsize)
        for start, block in blocks(self._rows, table.shape[0], row_bytes, self._chosen):
            if block.dtype.kind == "f" and not np.isfinite(block).all():
                bad = ~np.isfinite(block).reshape(len(block), -1).all(1)
                first = int(np.argmax(bad)) + start
                first = first if self._chosen is None else int(self._chosen[first])
                raise GANForgeError(
                    f"{table.name} holds numbers that are not finite (nan or infinite), first in row {first:,}; "
                    "remove such rows, or replace the numbers (numpy.nan_to_num)"
                )
            yield self._form.arranged(block)
            done += len(block)
            let_go(self._rows)
            if self._progress:
                self._progress((self._passed * self._count + done) // self._passes, self._count)
        if done != self._count:
            raise GANForgeError(f"{table.name} gave {done:,} rows; expected {self._count:,}")
        self._passed += 1

    def _find_range(self) -> Range:
        values, floats = Values(), self._table.dtype.kind == "f"
        for block in self._blocks():
            values.add(_as_float32(block, self._table.name), floats)
        return choose_range(values)

    def _vectors(self, block: np.ndarray) -> np.ndarray:
        return np.ascontiguousarray(_as_float32(block, self._table.name), "<f4")


def _require_room(folder: Path, name: str, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size > free:
        raise GANForgeError(
            f"{name} takes {size:,} bytes in the picture cache, but there is room for {free:,}; use a limit, free "
            "some space, or set GANFORGE_CACHE_DIR to another disk"
        )


def _as_float32(block: np.ndarray, name: str) -> np.ndarray:
    with np.errstate(over="ignore"):
        narrow = block.astype(np.float32)
    if block.dtype.itemsize > 4 and not np.isfinite(narrow).all():
        raise GANForgeError(f"{name} holds numbers above 3.4e38, the largest float32; scale them down")
    return narrow


def _levels(block: np.ndarray, value_range: Range | None) -> np.ndarray:
    """Return pictures of any number type as uint8."""
    if block.dtype == np.bool_:
        return block.astype(np.uint8) * np.uint8(255)
    if block.dtype == np.uint8:
        return block
    if value_range is None:  # signed, of 8 bits
        return (block.astype(np.int16) + 128).astype(np.uint8)
    return to_bytes(block, value_range)
