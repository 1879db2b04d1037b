"""Pictures with transparency, brought to what can be compared: what nobody sees must not count."""

from __future__ import annotations

import numpy as np


def visible(images: np.ndarray) -> np.ndarray:
    """Return uint8 (N, H, W, C) of four channels as float32, the colours times their opacity; others as they are.

    Two pictures that differ only where both are transparent are then the same.
    """
    if images.ndim != 4 or images.shape[-1] != 4:
        return images
    seen = images.astype(np.float32)
    seen[..., :3] *= seen[..., 3:] / 255
    return seen


def over(images: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    """Return uint8 (N, H, W, C) as they look on a colour, 0…255: four channels as three, others as they are."""
    if images.shape[-1] != 4:
        return images
    behind = np.asarray(colour, np.float32)
    result = np.empty((*images.shape[:-1], 3), np.uint8)
    for i, picture in enumerate(images):  # floats of a large set at once would not fit in memory
        opacity = picture[..., 3:] / np.float32(255)
        result[i] = np.rint(picture[..., :3] * opacity + behind * (1 - opacity))
    return result
