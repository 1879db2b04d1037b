"""Logged lines by columns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def column(lines: Sequence[dict[str, Any]], name: str) -> np.ndarray:
    """Return a column of the lines, float (N,), with NaN where there is none."""
    return np.array([np.nan if line.get(name) is None else line[name] for line in lines], dtype=float)
