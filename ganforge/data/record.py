"""The typed record of a cache entry, which is written beside its array, and its description for people."""

from __future__ import annotations

import io
import math
import os
from collections.abc import Callable
from typing import Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, ValidationError

from ganforge.data.decode import Reading
from ganforge.data.ranges import spoken
from ganforge.data.shards import BLOCK, block_sum, sums_of
from ganforge.errors import on_one_line

VERSION: Literal[1] = 1
_MARK_IN_JSON = "\\u0000"


class Record(BaseModel):
    """The record of a cache entry; if it has another version or lacks a field, the entry is made again.

    ``checksums`` are CRC-32 of blocks of 16 items; for an array in several files, whose rows ``shards`` counts, they
    are CRC-32 of each file's own checksums, and ``labels_sum`` is that of the file of labels. ``range`` holds the
    values of black and white in the ``depths`` beyond 8 bits. ``frames``: the number of files with several frames, of
    their frames, and of those used. ``colours`` counts pictures converted to sRGB, by profile or gamma.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: Literal[1] = VERSION
    count: int
    shape: tuple[int, ...]
    dtype: str = "uint8"
    checksums: tuple[int, ...]
    shards: tuple[int, ...] = ()
    labels_sum: int | None = None
    fingerprint: str = ""
    skipped: tuple[tuple[str, str], ...] = ()
    retry: bool = False
    classes: tuple[str, ...] = ()
    labels: tuple[int, ...] = ()
    formats: dict[str, int] = {}
    depths: dict[str, int] = {}
    range: tuple[float, float] | None = None
    frames: tuple[int, int, int] = (0, 0, 0)
    fit: str = ""
    background: str = ""
    one_colour: int = 0
    colours: dict[str, int] = {}
    train: str = ""
    left: dict[str, int] = {}
    strays: tuple[str, ...] = ()
    loose: int = 0
    empty: tuple[str, ...] = ()
    problem: str = ""

    def fits(self, array: np.ndarray, most: int) -> bool:
        """Tell whether an array is the one this is of; of one beyond ``most`` bytes, by its first and last block."""
        blocks = -(-self.count // BLOCK)
        if array.shape != (self.count, *self.shape) or array.dtype.name != self.dtype or self.count < 1:
            return False
        if len(self.checksums) != blocks:
            return False
        looked_at = range(blocks) if array.nbytes <= most else (0, blocks - 1)
        return all(self.checksums[k] == block_sum(array, k) for k in looked_at)

    def fits_shards(self, size: Callable[[int], int]) -> bool:
        """Tell whether files are as long as those this is of; ``size(k)`` is the k-th one's, in bytes."""
        if self.count != sum(self.shards) or len(self.checksums) != len(self.shards) or min(self.shards) < 1:
            return False
        if (self.labels_sum is None) != (len(self.classes) < 2):
            return False
        header, row = io.BytesIO(), np.dtype(self.dtype).itemsize * math.prod(self.shape)
        described = {"descr": np.dtype(self.dtype).str, "fortran_order": False, "shape": (0, *self.shape)}
        np.lib.format.write_array_header_1_0(header, described)
        try:
            return all(size(k) == header.tell() + n * row for k, n in enumerate(self.shards))
        except (OSError, ValueError):
            return False


def record_of(text: str) -> Record | None:
    """Return a record as it was written; None if it is not a record, or has another version."""
    try:
        record = Record.model_validate_json(text)
        if _MARK_IN_JSON not in text:
            return record
        named = ("skipped", "classes", "train", "left", "strays", "empty")
        return record.model_copy(update={name: _map(getattr(record, name), _name) for name in named})
    except (ValidationError, ValueError, RecursionError):
        return None


def names_as_text(value: Any) -> Any:
    """Return a value whose names JSON can hold: what is not UTF-8 is written by its bytes, after a null character."""
    return _map(value, lambda name: name if _is_text(name) else "\0" + os.fsencode(name).hex())


def _is_text(name: str) -> bool:
    return name.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in name)


def _name(text: str) -> str:
    return os.fsdecode(bytes.fromhex(text[1:])) if text.startswith("\0") else text


def _map(value: Any, change: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return change(value)
    if isinstance(value, dict):
        return {_map(key, change): _map(one, change) for key, one in value.items()}
    # Labels, of which there may be a million, have no names in them.
    many = isinstance(value, (list, tuple)) and value and not isinstance(value[0], (int, float))
    return tuple(_map(one, change) for one in value) if many else value


def checksums(array: np.ndarray) -> tuple[int, ...]:
    """Return the CRC-32 of each block of 16 items."""
    return tuple(sums_of(array).tolist())


def notes(record: Record) -> list[str]:
    """Return what was done to the pictures, one line each."""
    said = []
    if record.range is not None:
        said.append(
            f"{' and '.join(sorted(record.depths))} pictures: values {spoken(record.range)} scaled to 0 to 255"
        )
    files, held, used = record.frames
    if files:
        way = " (--frames all uses them)" if used < held else ""
        said.append(f"{files:,} file{_s(files)} hold{_s(files, verb=True)} {held:,} frames, {used:,} used{way}")
    for how, count in sorted(record.colours.items()):
        said.append(f"{count:,} picture{_s(count)} brought to sRGB by {_their(count)} {_COLOURS.get(how, how)}")
    if record.left:
        others = " and ".join(f"{name}/ ({count:,})" for name, count in record.left.items())
        said.append(
            f"{record.train}/ is used; {others} {'is' if len(record.left) == 1 else 'are'} left for evaluate --data"
        )
    if record.loose:
        lie = f"picture{_s(record.loose)} lie{_s(record.loose, verb=True)}"
        said.append(f"{record.loose:,} {lie} beside the subfolders, so the subfolders are not used as classes")
    return [on_one_line(line) for line in said]


def warnings(record: Record, reading: Reading, asked_range: bool) -> list[str]:
    """Return warnings to look at before training, one line each."""
    said = []
    if record.one_colour:
        other = "black" if sum(reading.colour) > 382 else "white"
        said.append(
            f"{record.one_colour:,} of {record.count:,} pictures are transparent and become a single colour on "
            f"{reading.background}; try --background {other}, or another colour"
        )
    if asked_range and record.range is None:
        said.append("--range has no effect: all pictures have 8 bits")
    if record.problem:
        said.append(f"dataset.json is not used: {record.problem}")
    if record.strays:
        few = ", ".join(f"'{name}'" for name in record.strays[:3])
        more = f" and {len(record.strays) - 3:,} more" if len(record.strays) > 3 else ""
        lie = "lies" if len(record.strays) == 1 else "lie"
        said.append(f"{few}{more} {lie} beside the class folders and {'was' if lie == 'lies' else 'were'} skipped")
    for name in record.empty:
        said.append(f"class '{name}' has no readable picture and is left out")
    return [on_one_line(line) for line in said]


_COLOURS = {"profile": "colour profile", "gamma": "gamma"}


def _s(count: int, verb: bool = False) -> str:
    return "s" if (count == 1) == verb else ""


def _their(count: int) -> str:
    return "its" if count == 1 else "their"
