"""Which pictures are compared with which, so that a score and its floor mean the same."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Sides:
    """Three sets of equally many pictures, uint8 (n, H, W, C): real ones, training pictures, generated ones.

    The score is of ``real`` and ``fake``, the floor of ``real`` and ``other``: a perfect generator's score has the
    floor's distribution. ``real`` are held-out pictures, or where there are none training pictures that are not in
    ``other``; with fewer than 4 of these ``other`` is None, and there is no floor.
    """

    real: np.ndarray
    other: np.ndarray | None
    fake: np.ndarray

    def map(self, function: Callable[[np.ndarray], np.ndarray]) -> Sides:
        """Return the sides with ``function`` of each."""
        other = None if self.other is None else function(self.other)
        return Sides(function(self.real), other, function(self.fake))

    @property
    def all_real(self) -> np.ndarray:
        """Both sides of real pictures, for what has no floor and is better for every picture."""
        return self.real if self.other is None else np.concatenate([self.real, self.other])


def choose_sides(training: np.ndarray, fake: np.ndarray, seed: int, held_out: np.ndarray | None = None) -> Sides:
    """Draw the sides from uint8 (N, H, W, C): as many as were generated, at most half of the training pictures.

    With ``held_out`` pictures, at most as many as there are of these, and of training pictures. No picture is on two
    sides. A distance falls with the number of pictures, so that the floor must be measured on as many as the score.
    """
    order = np.random.default_rng([seed, 2]).permutation(len(training))
    if held_out is not None:
        size = min(len(training), len(held_out), len(fake))
        chosen = np.random.default_rng([seed, 3]).permutation(len(held_out))[:size]
        return Sides(held_out[chosen], training[order[:size]], fake[:size])
    if len(training) < 4:
        size = min(len(training), len(fake))
        return Sides(training[order[:size]], None, fake[:size])
    size = min(len(training) // 2, len(fake))
    return Sides(training[order[:size]], training[order[size : 2 * size]], fake[:size])
