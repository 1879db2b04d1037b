"""Going down a distance between pictures from many latents at once: Adam, on what goes in instead of the weights.

Source: Abdal, Qin & Wonka 2019, "Image2StyleGAN"; the schedule is that of Karras et al. 2020, "Analyzing and
Improving the Image Quality of StyleGAN", appendix D.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

RATE, BETA_1, BETA_2, EPSILON = 0.1, 0.9, 0.999, 1e-8
UP, DOWN = 0.05, 0.5  # parts of the way in which the rate grows at its beginning, and falls to 0 at its end

# Of latents (K, D): distances (K,) and their slopes (K, D).
Slopes = Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]


@dataclass(frozen=True)
class Found:
    """The nearest latent that was seen, (D,), its distance, and the way there from its start, (n, D)."""

    latent: np.ndarray
    distance: float
    start: int
    way: np.ndarray


def descend(slopes: Slopes, starts: np.ndarray, steps: int, told: Callable[[int], None] | None = None) -> Found:
    """Return the nearest latent that is seen in ``steps`` steps from ``starts``, float32 (K, D), side by side.

    ``told`` hears how many steps are done. A distance that is not finite counts as none, a slope that is not as 0.
    """
    z: np.ndarray = np.array(starts, np.float32)
    first: np.ndarray = np.zeros_like(z)
    second: np.ndarray = np.zeros_like(z)
    ways = [z]
    best, at, start = math.inf, 0, 0
    for step in range(steps + 1):
        distances, slope = slopes(z)
        distances = np.where(np.isfinite(distances), distances, np.inf)
        nearest = int(distances.argmin())
        if distances[nearest] < best:
            best, at, start = float(distances[nearest]), step, nearest
        if told:
            told(step)
        if step == steps:
            break
        slope = np.nan_to_num(slope, nan=0.0, posinf=0.0, neginf=0.0)
        first = BETA_1 * first + (1 - BETA_1) * slope
        second = BETA_2 * second + (1 - BETA_2) * slope**2
        mean, square = first / (1 - BETA_1 ** (step + 1)), second / (1 - BETA_2 ** (step + 1))
        z = np.asarray(z - RATE * schedule(step / steps) * mean / (np.sqrt(square) + EPSILON), np.float32)
        ways.append(z)
    return Found(ways[at][start], best, start, np.stack([each[start] for each in ways[: at + 1]]))


def schedule(done: float) -> float:
    """Return what the rate is multiplied by where ``done``, from 0 to 1, of the way is gone: up, level, down."""
    down = min(1.0, (1.0 - done) / DOWN)
    return min(1.0, done / UP + 0.1) * (0.5 - 0.5 * math.cos(math.pi * down))


def starting(distances: np.ndarray, classes: np.ndarray | None, count: int) -> np.ndarray:
    """Return the rows of ``count`` starts among candidates: the nearest; of ``classes``, (N,), first each one's.

    So no class is passed over because its nearest candidate was drawn unluckily, as far as ``count`` reaches.
    """
    order = np.argsort(distances, kind="stable")
    if classes is None:
        return order[:count]
    seen = classes[order]
    ahead = np.array([np.count_nonzero(seen[:i] == one) for i, one in enumerate(seen)])
    return order[np.lexsort((np.arange(len(order)), ahead))][:count]
