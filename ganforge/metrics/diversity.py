"""How different the pictures of one batch are from each other."""

from __future__ import annotations

import numpy as np

from ganforge.metrics.transparency import visible


def diversity(images: np.ndarray) -> dict[str, float]:
    """Return how far apart uint8 (N, H, W, C) are, root mean square over pixels in levels of 255; N at least 2.

    Of pictures with transparency colours count by their opacity. ``mean``: over all pairs; ``nearest``: the median
    distance to the nearest other one, which falls to 0 when a few pictures repeat although these differ. Both cost N²
    distances: give a hundred or two.
    """
    flat = visible(images).reshape(len(images), -1).astype(np.float64)
    squares = (flat**2).sum(1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares - 2 * flat @ flat.T, 0) / flat.shape[1])
    pairs = distances[np.triu_indices(len(flat), 1)]
    np.fill_diagonal(distances, np.inf)
    return {"mean": float(pairs.mean()), "nearest": float(np.median(distances.min(1)))}
