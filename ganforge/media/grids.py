"""Grids of pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganforge.errors import GANForgeError, reason
from ganforge.files import MIB, opened, replacing
from ganforge.memory import memory_left

BACKGROUND = 255
CHECKS = 238, 204  # the greys that stand for transparency
MOST_PIXELS = 2**27  # 10 × 10 pictures of 1,024 × 1,024, with room


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Return float images in [-1, 1] as uint8 in [0, 255], rounded; what is outside is clipped."""
    levels: np.ndarray = np.clip(np.rint((np.nan_to_num(images) + 1.0) * 127.5), 0, 255)
    return levels.astype(np.uint8)


def drawn(output: np.ndarray) -> np.ndarray:
    """Return what a generator made as people see it: pictures as uint8, vectors (N, D) as they are."""
    return output if output.ndim == 2 else to_uint8(output)


def make_grid(images: np.ndarray, columns: int, rows: int | None = None, pad: int = 2) -> np.ndarray:
    """Return uint8 (N, H, W, C) as one picture, row by row, ``pad`` white pixels between and around.

    Without ``rows``, as many as the images need; cells without an image stay white.
    """
    sheet = Sheet(columns, rows or -(-len(images) // columns), pad)
    sheet.add(images)
    return sheet.picture


class Sheet:
    """A grid that is filled as its pictures come: as ``make_grid`` makes one of all of them."""

    def __init__(self, columns: int, rows: int, pad: int = 2) -> None:
        self.columns, self.rows, self.pad, self.count = columns, rows, pad, 0
        self._grid: np.ndarray | None = None

    def add(self, images: np.ndarray) -> None:
        """Put uint8 (N, H, W, C) into the next cells; those that no cell is left for are left out.

        Raises:
            MemoryError: such a grid does not fit in memory.
        """
        height, width, channels = (side + self.pad for side in images.shape[1:])
        if self._grid is None:
            shape = (self.rows * height + self.pad, self.columns * width + self.pad, channels - self.pad)
            if 2 * math.prod(shape) > memory_left():
                raise MemoryError
            self._grid = np.full(shape, BACKGROUND, np.uint8)
        for image in images[: self.rows * self.columns - self.count]:
            y, x = self.count // self.columns * height + self.pad, self.count % self.columns * width + self.pad
            self._grid[y : y + height - self.pad, x : x + width - self.pad] = image
            self.count += 1

    @property
    def picture(self) -> np.ndarray:
        """The grid, uint8 (H, W, C). Raises ``ValueError`` before there is a picture in it."""
        if self._grid is None:
            raise ValueError("no picture was added")
        return self._grid


def on_checkerboard(picture: np.ndarray) -> np.ndarray:
    """Return uint8 (H, W, C) as people see it: what is transparent lies on a checkerboard, (H, W, 3) then.

    Colours c of opacity a become a c + (1 - a) b. Squares are a part of the sheet, larger on larger ones.
    """
    if picture.shape[-1] != 4:
        return picture
    height, width = picture.shape[:2]
    square = max(4, min(height, width) // 80)
    rows, columns = np.arange(height) // square, np.arange(width) // square
    board = np.where((rows[:, None] + columns) % 2, CHECKS[0], CHECKS[1])[..., None]
    opacity = picture[..., 3:] / np.float32(255)
    seen: np.ndarray = np.rint(picture[..., :3] * opacity + board * (1 - opacity))
    return seen.astype(np.uint8)


def save_png(picture: np.ndarray, path: Path) -> None:
    """Save uint8 (H, W, 1, 3 or 4) without loss, whole or not at all."""
    from PIL import Image

    with replacing(path) as file:
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(file, "png")


def read_png(path: Path) -> np.ndarray:
    """Return a PNG of a run, uint8 (H, W, 1, 3 or 4). A run may come from anywhere: nothing but a PNG is opened.

    Raises:
        GANForgeError: it is a link, no file, no whole PNG, or of more than ``MOST_PIXELS``.
    """
    from PIL import Image

    try:
        with opened(path, 512 * MIB, links=False) as file, Image.open(file, formats=("PNG",)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise ValueError(f"it has {picture.width:,} × {picture.height:,} pixels")
            array = np.asarray(picture if picture.mode in ("L", "RGBA") else picture.convert("RGB"))
    except Exception as error:  # Pillow has many ways to say that a file is damaged
        raise GANForgeError(f"{path} cannot be read: {reason(error, kind=False)}") from None
    return array[..., None] if array.ndim == 2 else array


def cells(path: Path, image_shape: Sequence[int], pad: int = 2) -> np.ndarray:
    """Return the pictures of a saved grid, uint8 (N, H, W, C); ``image_shape`` begins with their height and width.

    Raises ``GANForgeError`` where it is none.
    """
    grid = read_png(path)
    height, width = image_shape[:2]
    if grid.shape[0] < height + 2 * pad or grid.shape[1] < width + 2 * pad:
        has = f"{grid.shape[1]} × {grid.shape[0]}"
        raise GANForgeError(f"{path} is not a grid of pictures of {width} × {height} pixels: it has {has}")
    rows, columns = (grid.shape[0] - pad) // (height + pad), (grid.shape[1] - pad) // (width + pad)
    body = grid[pad : pad + rows * (height + pad), pad : pad + columns * (width + pad)]
    body = body.reshape(rows, height + pad, columns, width + pad, -1)[:, :height, :, :width]
    return body.swapaxes(1, 2).reshape(rows * columns, height, width, -1)
