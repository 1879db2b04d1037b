"""The Fréchet distance between two sets of features."""

from __future__ import annotations

import numpy as np


def frechet_distance(a: np.ndarray, b: np.ndarray) -> float:
    """Return the squared Fréchet distance of the normal distributions with the moments of (n, D) and (m, D).

    |μa − μb|² + tr(Σa + Σb − 2 (Σa Σb)^½) with unbiased covariances: what is called FID when the features are those
    of Inception. n and m are at least 2. It falls with the number of rows, above all with fewer than a few times D.

    tr (Σa Σb)^½ is the sum of the singular values of A Bᵀ, where Σa = AᵀA and Σb = BᵀB: no root of a rounding error
    is taken, so that it is exact to rounding with fewer rows than dimensions too.

    Sources: Dowson & Landau 1982, equation 6; Heusel et al. 2017, equation 6.
    """
    (mean_a, root_a), (mean_b, root_b) = _moments(a), _moments(b)
    traces = float((root_a**2).sum() + (root_b**2).sum())
    cross = float(np.linalg.svd(root_a @ root_b.T, compute_uv=False).sum())
    return float(((mean_a - mean_b) ** 2).sum()) + traces - 2.0 * cross


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean, (D,), and a root R of the covariance RᵀR, (min(n, D), D)."""
    if len(x) < 2:
        raise ValueError(f"the Fréchet distance needs at least 2 rows a side, got {len(x)}")
    mean = x.mean(0, dtype=float)
    return mean, np.linalg.qr(x - mean, mode="r") / np.sqrt(len(x) - 1)
