"""Pictures deeper than 8 bits, from when they are decoded until the range of the whole set is known."""

from __future__ import annotations

import math
from collections import Counter
from typing import BinaryIO

import numpy as np
from PIL import Image

from ganforge.data.cache import ArrayWriter
from ganforge.data.decode import Picture, Reading
from ganforge.data.deep import Finish
from ganforge.data.ranges import Values, choose_range, to_bytes
from ganforge.data.settings import Range


class Deep:
    """Pictures deeper than 8 bits wait here until all are read, so that black means the same value in all of them."""

    def __init__(self, file: BinaryIO, reading: Reading) -> None:
        self._file, self._reading = file, reading
        self._waiting: list[tuple[int, bool, Finish | None]] = []
        self.values = Values()
        self.shape = reading.shape
        self.depths: Counter[str] = Counter()
        self.one_colour = 0

    def add(self, index: int, picture: Picture) -> None:
        assert picture.values is not None
        self._file.write(np.ascontiguousarray(picture.pixels, np.float32).data)
        self._waiting.append((index, picture.inverted, picture.finish))
        self.values.merge(picture.values)
        self.depths[picture.depth] += 1

    def finish(self, writer: ArrayWriter, value_range: Range | None) -> Range | None:
        """Put each in its place as uint8; return the range that was used, None where there is nothing deep."""
        if not self._waiting:
            return None
        value_range = value_range or choose_range(self.values)
        self._file.seek(0)
        for index, inverted, finish in self._waiting:
            values = self._read(self.shape if finish is None else (*self.shape[:2], 4))
            pixels, one_colour = to_pixels(values, inverted, finish, value_range, self._reading)
            self.one_colour += one_colour
            writer.replace(index, pixels)
        return value_range

    def _read(self, shape: tuple[int, ...]) -> np.ndarray:
        return np.frombuffer(self._file.read(4 * math.prod(shape)), np.float32).reshape(shape)


def to_pixels(
    values: np.ndarray, inverted: bool, finish: Finish | None, value_range: Range, reading: Reading
) -> tuple[np.ndarray, bool]:
    """Return a deep picture's values as uint8 (H, W, C), and whether its transparency leaves one colour."""
    channels = reading.channels
    if finish is None:
        pixels = to_bytes(values, value_range, inverted, reading.levels)
        if channels == 4:  # what is padded alone is transparent
            pixels[..., 3] = np.where(np.isnan(values[..., 3]), 0, 255)
        return pixels, False
    if channels == 4:
        return finish.transparent(values, value_range, reading.colour), False
    pixels, one_colour = finish.pixels(values, value_range, reading.colour)
    return np.asarray(Image.fromarray(pixels).convert("L"))[..., None] if channels == 1 else pixels, one_colour
