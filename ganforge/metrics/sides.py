"""Which pictures are compared with which, so that a score and its floor mean the same."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sides:
    """Three sets of equally many pictures, uint8 (n, H, W, C): training pictures, others of them, generated ones.

    The score is of ``real`` and ``fake``, the floor of ``real`` and ``other``: a perfect generator's score has the
    floor's distribution. ``other`` is None where there are fewer than 4 training pictures: there is no floor.
    """

    real: np.ndarray
    other: np.ndarray | None
    fake: np.ndarray

    @property
    def all_real(self) -> np.ndarray:
        """Both sides of training pictures, for what has no floor and is better for every picture."""
        return self.real if self.other is None else np.concatenate([self.real, self.other])


def choose_sides(training: np.ndarray, fake: np.ndarray, seed: int) -> Sides:
    """Draw the sides from uint8 (N, H, W, C): as many as were generated, at most half of the training pictures.

    No training picture is on two sides. A distance falls with the number of pictures, so that the floor must be
    measured on as many as the score.
    """
    order = np.random.default_rng([seed, 2]).permutation(len(training))
    if len(training) < 4:
        size = min(len(training), len(fake))
        return Sides(training[order[:size]], None, fake[:size])
    size = min(len(training) // 2, len(fake))
    return Sides(training[order[:size]], training[order[size : 2 * size]], fake[:size])
