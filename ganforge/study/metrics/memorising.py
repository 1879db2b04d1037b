"""Whether a generator repeats its training pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

SIDE, NEIGHBOURS, COPY = 16, 20, 0.5


def nearest(images: np.ndarray, training: np.ndarray, itself: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Return each picture's nearest training picture, int (N,), and how much nearer it is than its neighbourhood.

    The second is r = d₁ / mean(d₂ … d₂₁) of the Euclidean distances to the nearest training pictures, pictures being
    averaged down to at most 16 pixels: about 0.9 for a picture of its own, near 0 for a copy. A distance alone would
    not do, since blurred pictures are near to everything. With ``itself`` the pictures are the training pictures
    and each one's distance to itself is left out.

    Source: Carlini et al. 2023, "Extracting Training Data from Diffusion Models", section 4.1 (a copy is unusually
    close compared with its neighbours).
    """
    small, large = _small(images), _small(training)
    squares, index, ratio = (large**2).sum(1), [], []
    keep = min(NEIGHBOURS + 1, len(large) - itself)
    for start in range(0, len(small), 512):
        part = small[start : start + 512]
        distances = np.maximum(squares - 2 * part @ large.T + (part**2).sum(1, keepdims=True), 0)
        if itself:
            distances[np.arange(len(part)), start + np.arange(len(part))] = np.inf
        index.append(distances.argmin(1))
        close = np.sqrt(np.sort(np.partition(distances, keep - 1, axis=1)[:, :keep], axis=1))
        # Identical distances, all 0, are no copy of one picture but of all.
        ratio.append(close[:, 0] / np.maximum(close[:, 1:].mean(1), 1e-6) if keep > 1 else np.ones(len(part)))
    return np.concatenate(index), np.concatenate(ratio)


def memorising(images: np.ndarray, training: np.ndarray) -> dict[str, Any]:
    """Return the share of uint8 (N, H, W, C) that copies a training picture, and that of the training pictures.

    ``share``: pictures whose ratio r (see ``nearest``) is below 0.5. ``real_share``: the same among the training
    pictures themselves, the near-duplicates that were there already. ``ratio``: the median r, and ``real_ratio``.
    """
    ratio = nearest(images, training)[1]
    real = nearest(training[: len(images)], training, itself=True)[1] if len(training) > 2 else np.ones(1)
    return {
        "share": float((ratio < COPY).mean()),
        "real_share": float((real < COPY).mean()),
        "ratio": float(np.median(ratio)),
        "real_ratio": float(np.median(real)),
    }


def _small(images: np.ndarray) -> np.ndarray:
    """Return float32 (N, D): means over squares, at most 16 pixels a side."""
    count, height, width, channels = images.shape
    step = max(1, height // SIDE)
    cut = images[:, : height // step * step, : width // step * step].astype(np.float32)
    pooled = cut.reshape(count, height // step, step, width // step, step, channels).mean((2, 4))
    return pooled.reshape(count, -1)
