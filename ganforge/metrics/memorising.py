"""Whether a generator repeats its training pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganforge.metrics.transparency import visible

SIDE, NEIGHBOURS, COPY = 16, 20, 0.5
BLOCK = 1024  # pictures that are read and averaged at a time: a large set does not fit in memory


def nearest(
    images: np.ndarray, training: np.ndarray, itself: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Return each picture's nearest training picture, int (N,), and how much nearer it is than its neighbourhood.

    The second is r = d₁ / mean(d₂ … d₂₁) of the Euclidean distances to the nearest training pictures, pictures being
    averaged down to a shorter side of 16 to 31 pixels where they are larger, colours counting by their opacity: about
    0.9 for a picture of its own, near 0 for a copy. A distance is the smaller one of both orientations, the picture
    and its mirror image, since many a generator was trained on both. A distance alone would not do: blurred pictures
    are near to everything. ``itself``, int (N,), says which training picture each of ``images`` is; that one is left
    out.

    Source: Carlini et al. 2023, "Extracting Training Data from Diffusion Models", section 4.1 (a copy is unusually
    close compared with its neighbours).
    """
    large = _small(training)
    # Around their mean, numbers are small and their squares exact enough.
    centre = large.mean(0)
    large -= centre
    squares, index, ratio = (large**2).sum(1), [], []
    keep = min(NEIGHBOURS + 1, len(large) - (itself is not None))
    for start in range(0, len(images), 512):
        part = images[start : start + 512]
        turned = [_small(way) - centre for way in (part, part[:, :, ::-1])]
        both = [squares - 2 * x @ large.T + (x**2).sum(1, keepdims=True) for x in turned]
        distances = np.maximum(np.minimum(*both), 0)
        if itself is not None:
            distances[np.arange(len(part)), itself[start : start + 512]] = np.inf
        index.append(distances.argmin(1))
        close = np.sqrt(np.sort(np.partition(distances, keep - 1, axis=1)[:, :keep], axis=1))
        # Identical distances, all 0, are no copy of one picture but of all.
        ratio.append(close[:, 0] / np.maximum(close[:, 1:].mean(1), 1e-6) if keep > 1 else np.ones(len(part)))
    return np.concatenate(index), np.concatenate(ratio)


def memorising(images: np.ndarray, training: np.ndarray) -> dict[str, Any]:
    """Return the share of uint8 (N, H, W, C) that copies a training picture, and that of the training pictures.

    ``share``: pictures whose ratio r (see ``nearest``) is below 0.5. ``real_share``: the same among as many training
    pictures themselves, from all over the set: the near-duplicates that were there already. ``ratio``: the median r,
    and ``real_ratio``. Mirrored copies count as copies.
    """
    ratio = nearest(images, training)[1]
    # Evenly spaced: folders of classes follow one another.
    own = np.arange(min(len(images), len(training))) * len(training) // min(len(images), len(training))
    real = nearest(training[own], training, own)[1] if len(training) > 2 else np.ones(1)
    return {
        "share": float((ratio < COPY).mean()),
        "real_share": float((real < COPY).mean()),
        "ratio": float(np.median(ratio)),
        "real_ratio": float(np.median(real)),
    }


def _small(images: np.ndarray) -> np.ndarray:
    """Return float32 (N, D): means over squares, as large as leave 16 pixels a side or more."""
    count, height, width, channels = images.shape
    step = max(1, min(height, width) // SIDE)
    rows, columns = height // step, width // step
    small = np.empty((count, rows * columns * channels), np.float32)
    for start in range(0, count, BLOCK):
        part = images[start : start + BLOCK]
        cut = visible(part[:, : rows * step, : columns * step]).astype(np.float32)
        pooled = cut.reshape(len(part), rows, step, columns, step, channels).mean((2, 4))
        small[start : start + BLOCK] = pooled.reshape(len(part), -1)
    return small
