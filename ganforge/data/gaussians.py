"""Mixtures of Gaussians in the plane, to count the modes that a generator misses: ``--data gaussians``.

``ring``: eight modes on a circle of radius 1, standard deviation 0.01. ``grid``: 5×5 modes, 2 apart, standard
deviation 0.05. All modes are equally likely, except for a ``rare`` first one. Source: Srivastava et al. 2017,
"VEEGAN"; the numbers are those of Lin et al. 2018, "PacGAN", section 4.1 (variances of 10⁻⁴ and 0.0025).
"""

from __future__ import annotations

import hashlib
import math
from typing import TYPE_CHECKING, Literal

from pydantic import Field, model_validator

from ganforge.plugin.dataset import Images
from ganforge.plugin.options import Options

if TYPE_CHECKING:
    import numpy as np

COUNTS, SIGMAS = {"ring": 8, "grid": 25}, {"ring": 0.01, "grid": 0.05}


class GaussianOptions(Options):
    """Options of ``--data gaussians``; the defaults are those of the literature."""

    kind: Literal["ring", "grid"] = Field("grid", description="the arrangement of the modes")
    n: int | None = Field(None, ge=1, le=10_000, description="number of modes; default: ring 8, grid 25")
    sigma: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="standard deviation of a mode; default: ring 0.01, grid 0.05",
    )
    radius: float | None = Field(None, gt=0, allow_inf_nan=False, description="radius of the ring; default: 1")
    spacing: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="distance between neighbouring modes of the grid; default: 2"
    )
    rare: float = Field(1.0, gt=0, le=1, description="probability of the first mode, relative to each other mode")
    count: int = Field(25_600, ge=2, description="how many points to draw")

    @model_validator(mode="after")
    def _fits_its_kind(self) -> GaussianOptions:
        foreign, own = ("spacing", "radius") if self.kind == "ring" else ("radius", "spacing")
        if getattr(self, foreign) is not None:
            raise ValueError(f"kind={self.kind} has no {foreign}; expected {own}")
        if self.kind == "grid" and self.n is not None and (side := math.isqrt(self.n)) ** 2 != self.n:
            raise ValueError(f"n={self.n} is not a square; a grid has n={side**2} or n={(side + 1) ** 2} modes")
        return self


def mixture(options: GaussianOptions) -> tuple[np.ndarray, float]:
    """Return the modes' means, float64 (n, 2), and the standard deviation of each in both directions."""
    import numpy as np  # when it is drawn: listing plugins needs none

    n, sigma = options.n or COUNTS[options.kind], float(options.sigma or SIGMAS[options.kind])
    if options.kind == "ring":
        angles = 2 * math.pi * np.arange(n) / n
        return (options.radius or 1.0) * np.stack([np.cos(angles), np.sin(angles)], 1), sigma
    side = math.isqrt(n)
    line = (options.spacing or 2.0) * (np.arange(side) - (side - 1) / 2)
    return np.stack(np.meshgrid(line, line, indexing="ij"), -1).reshape(n, 2), sigma


def shares(options: GaussianOptions) -> np.ndarray:
    """Return how probable each mode is, float64 (n,): all alike, but for a rare first one."""
    import numpy as np

    weights = np.ones(options.n or COUNTS[options.kind])
    weights[0] = options.rare
    weights /= weights.sum()
    return weights


def load_gaussians(options: GaussianOptions, limit: int | None = None, seed: int = 0) -> Images:
    """Return ``options.count`` points (fewer with ``limit``), float32 (N, 2), labelled with their modes.

    A function of the options and ``seed``; not scaled.
    """
    import numpy as np

    means, sigma = mixture(options)
    count = options.count if limit is None else min(options.count, limit)
    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([seed, 0x6A055])))
    if options.rare < 1:
        labels = random.choice(len(means), count, p=shares(options)).astype(np.int32)
    else:
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
