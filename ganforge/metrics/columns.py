"""Logged lines by columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

# What the discriminator says of real and fake pictures, on average: probabilities, and logits.
PROBABILITIES, LOGITS = ("d_real", "d_fake"), ("d_real_logit", "d_fake_logit")


def judged_in_pairs(lines: Sequence[Mapping[str, Any]]) -> bool:
    """Say whether logits have no zero of their own: then no probability is logged, and D is right in pairs."""
    return any(LOGITS[0] in line for line in lines) and not any(PROBABILITIES[0] in line for line in lines)


def column(lines: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """Return a column of the lines, float (N,), with NaN where there is none."""
    return np.array([np.nan if line.get(name) is None else line[name] for line in lines], dtype=float)
