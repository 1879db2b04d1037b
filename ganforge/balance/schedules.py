"""How a scalar goes from its start to its end, as pure functions of the fraction of training done."""

from __future__ import annotations

import math
from typing import Literal

Schedule = Literal["linear", "cosine", "exponential"]


def anneal(fraction: float, start: float, end: float, schedule: Schedule = "linear", hold: float = 0.0) -> float:
    """Return the value at ``fraction`` in [0, 1]: ``start`` until ``hold`` of training is done, then on to ``end``.

    Linear: s + (e - s) t. Cosine: e + (s - e) (1 + cos(pi t)) / 2. Exponential: s (e / s)^t, where an end below a
    hundredth of the start counts as a hundredth until the last step, since no power reaches 0.
    """
    t = 0.0 if fraction <= hold else min(1.0, (fraction - hold) / (1.0 - hold))
    if t >= 1.0:
        return end
    if schedule == "cosine":
        return end + (start - end) * (1.0 + math.cos(math.pi * t)) / 2.0
    if schedule == "exponential" and start > 0:
        return float(start * (max(end, start / 100.0) / start) ** t)
    return start + (end - start) * t
