"""A small classifier of grey pictures, in NumPy: one on every backend, and apart from a run's random numbers.

Ridge regression of the classes on random Fourier features, which is close to a kernel machine with a Gaussian kernel
and is solved in one go. Source: Rahimi & Recht 2007, "Random Features for Large-Scale Kernel Machines".
"""

from __future__ import annotations

import numpy as np
from PIL import Image

# Whatever changes its answers changes this.
VERSION = "stacked-reader-1"
FEATURES, WIDTH, RIDGE = 2048, 0.7, 1e-4  # the kernel's width: a part of the median distance between two pictures
_BLOCK, _PAIRS = 4096, 512


def size(pixels: int, classes: int) -> int:
    """Return how many numbers a classifier is."""
    return FEATURES * (pixels + 1 + classes)


def train_reader(pictures: np.ndarray, labels: np.ndarray, classes: int) -> np.ndarray:
    """Return a classifier of pictures uint8 (N, H, W) with labels (N,), float32 (``size``,).

    A function of its arguments, up to the rounding of the machine's matrix products.
    """
    count, pixels = len(pictures), pictures[0].size
    random = np.random.default_rng(0x57AC)
    pairs = _flat(pictures[random.integers(0, count, 2 * _PAIRS)]).reshape(2, _PAIRS, pixels)
    apart = np.linalg.norm(pairs[0] - pairs[1], axis=1)
    width = WIDTH * float(np.median(apart[apart > 0])) if apart.any() else 1.0
    directions = (random.standard_normal((pixels, FEATURES)) / width).astype(np.float32)
    phases = random.uniform(0, 2 * np.pi, FEATURES).astype(np.float32)
    square, product = np.zeros((FEATURES, FEATURES)), np.zeros((FEATURES, classes))
    for start in range(0, count, _BLOCK):
        seen = _features(pictures[start : start + _BLOCK], directions, phases)
        square += seen.T @ seen
        product += seen.T @ np.eye(classes, dtype=np.float32)[labels[start : start + _BLOCK]]
    square[np.diag_indices(FEATURES)] += RIDGE * count
    solved = np.linalg.solve(square, product).astype(np.float32)
    return np.concatenate([directions.ravel(), phases, solved.ravel()])


def read_classes(weights: np.ndarray, pictures: np.ndarray, classes: int) -> np.ndarray:
    """Return the class of each picture uint8 (N, H, W) as a classifier sees it, int64 (N,)."""
    pixels = pictures[0].size
    directions, phases, solved = np.split(weights, [pixels * FEATURES, (pixels + 1) * FEATURES])
    parts = [
        (
            _features(pictures[start : start + _BLOCK], directions.reshape(pixels, FEATURES), phases)
            @ solved.reshape(FEATURES, classes)
        ).argmax(1)
        for start in range(0, len(pictures), _BLOCK)
    ]
    return np.concatenate(parts)


def reduced(pictures: np.ndarray, height: int, width: int) -> np.ndarray:
    """Return pictures uint8 (N, H, W) at a smaller size, each pixel the mean of those it covers."""
    if pictures.shape[1:] == (height, width):
        return pictures
    return np.stack(
        [np.asarray(Image.fromarray(one).resize((width, height), Image.Resampling.BOX)) for one in pictures]
    )


def _flat(pictures: np.ndarray) -> np.ndarray:
    return pictures.reshape(len(pictures), -1).astype(np.float32) / np.float32(255)


def _features(pictures: np.ndarray, directions: np.ndarray, phases: np.ndarray) -> np.ndarray:
    """Return cos(x W + b), float32 (N, FEATURES)."""
    return np.asarray(np.cos(_flat(pictures) @ directions + phases))
