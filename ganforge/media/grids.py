"""Grids of pictures."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

BACKGROUND = 255


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Return float images in [-1, 1] as uint8 in [0, 255], rounded; what is outside is clipped."""
    levels: np.ndarray = np.clip(np.rint((np.nan_to_num(images) + 1.0) * 127.5), 0, 255)
    return levels.astype(np.uint8)


def make_grid(images: np.ndarray, columns: int, rows: int | None = None, pad: int = 2) -> np.ndarray:
    """Return uint8 (N, H, W, C) as one picture, row by row, ``pad`` white pixels between and around.

    Without ``rows``, as many as the images need; cells without an image stay white.
    """
    count, height, width, channels = images.shape
    rows = rows or -(-count // columns)
    grid = np.full((rows * (height + pad) + pad, columns * (width + pad) + pad, channels), BACKGROUND, np.uint8)
    for i, image in enumerate(images[: rows * columns]):
        y, x = (i // columns) * (height + pad) + pad, (i % columns) * (width + pad) + pad
        grid[y : y + height, x : x + width] = image
    return grid


def save_png(picture: np.ndarray, path: Path) -> None:
    """Save uint8 (H, W, 1 or 3) without loss, whole or not at all."""
    from PIL import Image

    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(temporary, "png")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
