"""Precision, recall, density and coverage: how good and how varied generated features are, apart from each other."""

from __future__ import annotations

import numpy as np

K, ROWS = 5, 512


def prdc(real: np.ndarray, fake: np.ndarray, k: int = K) -> dict[str, float]:
    """Return ``precision``, ``recall``, ``density`` and ``coverage`` of features (n, D) and (m, D).

    A ball around each point reaches to its k-th nearest neighbour in its own set. ``precision``: share of fakes in
    some ball of a real. ``recall``: share of reals in some ball of a fake. ``density``: in how many balls of reals a
    fake lies on average, divided by k; it may exceed 1. ``coverage``: share of reals whose ball has a fake in it. All
    but density are from 0 to 1; for two sets of one distribution density is about 1 and coverage about 1 − 2⁻ᵏ.

    Raises:
        ValueError: a set has no k-th neighbour.

    Sources: Kynkäänniemi et al. 2019 (precision, recall); Naeem et al. 2020, section 3.2 and equation 5, with their
    k of 5 (density, coverage).
    """
    if not 0 < k < min(len(real), len(fake)):
        raise ValueError(f"neighbour {k} needs more than {k} rows a side, got {len(real)} and {len(fake)}")
    # Around their common mean, numbers are small and their squares exact enough.
    centre = real.mean(0, dtype=float)
    a, b = real - centre, fake - centre
    radii_a, radii_b = _radii(a, k), _radii(b, k)
    balls, recalled, covered = np.zeros(len(b)), [], []
    for start in range(0, len(a), ROWS):
        distances, radii = _squares(a[start : start + ROWS], b), radii_a[start : start + ROWS]
        inside = distances < radii[:, None]
        balls += inside.sum(0)
        covered.append(inside.any(1))
        recalled.append((distances < radii_b).any(1))
    return {
        "precision": float((balls > 0).mean()),
        "recall": float(np.concatenate(recalled).mean()),
        "density": float(balls.mean() / k),
        "coverage": float(np.concatenate(covered).mean()),
    }


def _radii(x: np.ndarray, k: int) -> np.ndarray:
    """Return each point's squared distance to its k-th nearest other point, (n,)."""
    radii = []
    for start in range(0, len(x), ROWS):
        distances = _squares(x[start : start + ROWS], x)
        distances[np.arange(len(distances)), start + np.arange(len(distances))] = 0.0
        radii.append(np.partition(distances, k, axis=1)[:, k])
    return np.concatenate(radii)


def _squares(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the squared distances of float64 (n, D) and (m, D), float64 (n, m)."""
    distances: np.ndarray = (a**2).sum(1)[:, None] + (b**2).sum(1) - 2.0 * a @ b.T
    return distances.clip(0.0)
