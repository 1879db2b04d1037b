"""Which of the critters' modes a generator covers, read back from its pictures by direct measurement."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import Image

from ganforge.data.critters import FACTORS, JITTER, draw_critters, render_critters
from ganforge.metrics.transparency import visible

SIDE, LEAST, RATIO, CHECKS = 32, 8, 0.8, 500


def discrete(channels: int) -> tuple[str, ...]:
    """Return the discrete factors that pictures of so many channels show: with transparency, no background."""
    return tuple(name for name in FACTORS if channels != 4 or name != "background")


@dataclass(frozen=True)
class Reading:
    """What was read from N pictures: each factor's index, int (N, 5), and which pictures show one mode clearly.

    Of pictures with transparency there are 4 factors: they have no background.
    """

    factors: np.ndarray
    clear: np.ndarray


@lru_cache(maxsize=4)
def _templates(size: tuple[int, int], channels: int) -> tuple[np.ndarray, np.ndarray]:
    """Return every mode at 27 places and scales, float32 (270 · 27, D), and each one's factors (270 · 27, 5)."""
    shown = discrete(channels)
    allowed = [
        values
        for values in itertools.product(*(range(len(FACTORS[name])) for name in shown))
        if (values[shown.index("ears")] == 0) == (values[shown.index("species")] == 0)
    ]
    # A sixth from either end and the middle: no critter is further than a third of the range's half from one.
    places = [[low + (high - low) * t for t in (1 / 6, 1 / 2, 5 / 6)] for low, high in JITTER.values()]
    rows = [(*mode, *place) for mode in allowed for place in itertools.product(*places)]
    columns = list(zip(*rows))
    factors = {name: np.array(column) for name, column in zip((*shown, *JITTER), columns)}
    pictures = visible(render_critters(factors, size, channels))
    return pictures.reshape(len(pictures), -1).astype(np.float32), np.stack([factors[n] for n in shown], 1)


def read_critters(images: np.ndarray) -> Reading:
    """Read the factors back from uint8 (N, H, W, C): those of the nearest of all pictures there could be.

    Every one of the 270 modes (54 without a background) is drawn at 27 places and scales; a picture (of at most 32 x
    32 pixels, or as many; larger ones are reduced) has the factors of the nearest template. It is *clear* when the
    nearest template of another mode is at least a quarter further away (a ratio of 0.8; Lowe 2004, section 7.1):
    mixtures, smears and noise are not. Nothing is trained; ``reader_accuracy`` measures how well it reads.
    """
    images = visible(_reduced(images))
    templates, factors = _templates(images.shape[1:3], images.shape[-1])
    places = len(templates) // (len(templates) // 27)
    squares = (templates**2).sum(1)
    read, clear = [], []
    for start in range(0, len(images), 256):
        flat = images[start : start + 256].reshape(-1, templates.shape[1]).astype(np.float32)
        distances = np.maximum(squares - 2 * flat @ templates.T + (flat**2).sum(1, keepdims=True), 0)
        modes = np.sqrt(distances.reshape(len(flat), -1, places).min(2))
        order = np.partition(modes, 1, axis=1)
        read.append(factors[::places][modes.argmin(1)])
        clear.append(order[:, 0] < RATIO * order[:, 1])
    return Reading(np.concatenate(read), np.concatenate(clear))


def reader_accuracy(size: int | tuple[int, int], channels: int = 3, seed: int = 987) -> dict[str, float]:
    """Return how well fresh critters are read: the share right of each factor, of all at once, and of clear ones."""
    pictures, truth = draw_critters(CHECKS, size, channels, seed)
    reading, shown = read_critters(pictures), discrete(channels)
    right = reading.factors == np.stack([truth[name] for name in shown], 1)
    shares = {name: float(right[:, i].mean()) for i, name in enumerate(shown)}
    return {**shares, "mode": float(right.all(1).mean()), "clear": float(reading.clear.mean())}


def critter_coverage(images: np.ndarray) -> dict[str, Any]:
    """Return how many of the 270 modes uint8 (N, H, W, C) show, how many pictures show one, and each factor's shares.

    With transparency there is no background, and there are 54. ``precision``: share of pictures that show one mode
    clearly. ``modes``: modes seen clearly at least once, of ``of``; a perfect generator would show ``expected`` of
    them with so many pictures. ``shares``: of the clear pictures, by factor and value. ``reader``: the accuracy of
    the measurement itself on real critters.
    """
    reading = read_critters(images)
    clear = reading.factors[reading.clear]
    shown = discrete(images.shape[-1])
    chance = _chances(shown)
    return {
        "modes": len({tuple(row) for row in clear}),
        "of": len(chance),
        "expected": float((1 - (1 - chance) ** len(images)).sum()),
        "precision": float(reading.clear.mean()),
        "shares": {
            name: {value: float((clear[:, i] == k).mean()) if len(clear) else 0.0 for k, value in enumerate(values)}
            for i, (name, values) in enumerate((name, FACTORS[name]) for name in shown)
        },
        "reader": reader_accuracy(images.shape[1:3], images.shape[-1]),
    }


def _chances(shown: Sequence[str]) -> np.ndarray:
    """Return the probability of each mode among drawn critters: cats have one kind of ears, dogs two."""
    others = math.prod(len(FACTORS[name]) for name in shown if name not in ("species", "ears"))
    return np.concatenate([np.full(others, 0.5 / others), np.full(2 * others, 0.25 / others)])


def _reduced(images: np.ndarray) -> np.ndarray:
    """Return pictures of about 32 x 32 pixels at the most, or as many; their shape is kept."""
    height, width = images.shape[1:3]
    factor = SIDE / math.sqrt(height * width)
    if factor >= 1:
        return images
    height, width = (max(LEAST, round(side * factor)) for side in (height, width))
    grey = images.shape[-1] == 1
    pictures = [
        Image.fromarray(x[..., 0] if grey else x).resize((width, height), Image.Resampling.BOX) for x in images
    ]
    return np.stack([np.asarray(p).reshape(height, width, -1) for p in pictures])
