"""Whether there is anything to be seen in a set of pictures."""

from __future__ import annotations

import numpy as np

# Pictures that are looked at, spread over the set; levels of 256 that are no difference; and the part of the set
# that may be blank without a word.
_LOOKED_AT, _LEVELS, _PART = 512, 16, 0.5


def blank(array: np.ndarray) -> list[str]:
    """Return a line where uint8 pictures (N, H, W, C) are blank, or nearly, all or most of them; else none.

    A picture is nearly blank where all but 1 in 100 of its values, channel by channel, lie within 16 of 256 levels.
    """
    if array.ndim != 4 or not len(array):
        return []
    chosen = np.unique(np.linspace(0, len(array) - 1, min(len(array), _LOOKED_AT)).astype(np.int64))
    few, levels = 0, []
    for i in chosen:
        values = np.asarray(array[i]).reshape(-1, array.shape[-1])
        low, high = np.percentile(values, (0.5, 99.5), axis=0)
        few += bool((high - low < _LEVELS).all())
        levels.append(values.mean())
    part = few / len(chosen)
    if part <= _PART:
        return []
    what = "all pictures are" if part == 1 else f"about {100 * part:.0f} % of the pictures are"
    tone = float(np.mean(levels))
    shade = "black" if tone < 24 else "white" if tone > 231 else "of one colour"
    return [f"{what} (nearly) {shade}, so there is little to learn: see the files, --range, --background and --fit"]
