"""Detecting blank pictures in a set."""

from __future__ import annotations

import numpy as np

# Pictures that are looked at, spread over the set; levels of 256 that are no difference; and the part of the set
# that may be blank without a word.
_LOOKED_AT, _LEVELS, _PART = 512, 16, 0.5


def blank(array: np.ndarray) -> list[str]:
    """Return a warning if all or most of uint8 pictures (N, H, W, C) are blank or nearly blank; else none.

    A picture is nearly blank if all but 1 in 100 of its values, channel by channel, lie within 16 of 256 levels.
    """
    if array.ndim != 4 or not len(array):
        return []
    chosen = np.unique(np.linspace(0, len(array) - 1, min(len(array), _LOOKED_AT)).astype(np.int64))
    few, levels, opacities = 0, [], []
    for seen, i in enumerate(chosen):
        if seen - few >= (1 - _PART) * len(chosen):
            return []  # whatever the others show
        counts = [
            np.bincount(channel, minlength=256) for channel in np.asarray(array[i]).reshape(-1, array.shape[-1]).T
        ]
        few += all(_percentile(count, 99.5) - _percentile(count, 0.5) < _LEVELS for count in counts)
        levels.append(np.average(np.arange(256), weights=np.sum(counts, axis=0)))
        opacities.append(np.average(np.arange(256), weights=counts[3]) if len(counts) == 4 else 255.0)
    part = few / len(chosen)
    if part <= _PART:
        return []
    what = "all pictures are" if part == 1 else f"about {100 * part:.0f} % of the pictures are"
    tone = float(np.mean(levels))
    shade = "black" if tone < 24 else "white" if tone > 231 else "of one colour"
    shade = shade if np.mean(opacities) >= 24 else "transparent"
    return [f"{what} (nearly) {shade}, so there is little to learn: check the files, --range, --background and --fit"]


def _percentile(counts: np.ndarray, percent: float) -> float:
    """Return ``np.percentile`` of levels that occur ``counts`` times, (256,), without sorting them."""
    place, ordered = percent / 100 * (int(counts.sum()) - 1), counts.cumsum()
    low, high = np.searchsorted(ordered, (int(place), int(np.ceil(place))), side="right")
    return float(low + (high - low) * (place % 1))
