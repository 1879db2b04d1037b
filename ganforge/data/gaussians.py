"""Mixtures of Gaussians in the plane, where every mode a generator lost can be counted: ``--data gaussians``.

``ring``: eight modes on a circle of radius 1, standard deviation 0.01. ``grid``: 5×5 modes, 2 apart, standard
deviation 0.05. All modes are equally likely. Source: Srivastava et al. 2017, "VEEGAN"; the numbers are those of
Lin et al. 2018, "PacGAN", section 4.1 (variances of 10⁻⁴ and 0.0025).
"""

from __future__ import annotations

import hashlib
import math
from typing import Any

import numpy as np

from ganforge.errors import UsageError
from ganforge.plugin.dataset import Images

COUNTS, SIGMAS = {"ring": 8, "grid": 25}, {"ring": 0.01, "grid": 0.05}


def mixture(options: Any) -> tuple[np.ndarray, float]:
    """Return the modes' means, float64 (n, 2), and the standard deviation of each in both directions.

    Raises:
        UsageError: a grid whose ``n`` is no square, or an option that the other kind has.
    """
    kind, foreign = options.kind, "spacing" if options.kind == "ring" else "radius"
    if getattr(options, foreign) is not None:
        raise UsageError(f"gaussians: kind={kind} has no {foreign}; expected {_own(kind)}")
    n = options.n or COUNTS[kind]
    sigma = float(options.sigma or SIGMAS[kind])
    if kind == "ring":
        angles = 2 * math.pi * np.arange(n) / n
        return (options.radius or 1.0) * np.stack([np.cos(angles), np.sin(angles)], 1), sigma
    side = math.isqrt(n)
    if side**2 != n:
        raise UsageError(f"gaussians: n={n} is no square; a grid has n={side**2} or n={(side + 1) ** 2} modes")
    line = (options.spacing or 2.0) * (np.arange(side) - (side - 1) / 2)
    return np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(n, 2), sigma


def _own(kind: str) -> str:
    return "radius" if kind == "ring" else "spacing"


def load_gaussians(options: Any, limit: int | None = None, seed: int = 0) -> Images:
    """Return ``options.count`` points (fewer with ``limit``), float32 (N, 2), labelled with their modes.

    A function of the options and ``seed``; not scaled.
    """
    means, sigma = mixture(options)
    count = options.count if limit is None else min(options.count, limit)
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x6A055])))
    labels = random.integers(0, len(means), count).astype(np.int32)
    points = (means[labels] + sigma * random.standard_normal((count, 2))).astype(np.float32)
    shape = "on a ring" if options.kind == "ring" else "on a grid"
    return Images(
        array=points,
        fingerprint=hashlib.sha256(points.tobytes()).hexdigest(),
        description=f"{count:,} points of {len(means)} Gaussians {shape} (sigma {sigma:g})",
        found=count,
        labels=labels,
        classes=tuple(f"mode {k}" for k in range(len(means))),
    )
