"""How the two networks stood to each other, from the logged lines of a run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from ganforge.metrics.columns import column

BALANCED = (0.55, 0.9)


def balance(lines: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Return statistics over the second half of the logged lines; what was not logged is left out.

    ``loss_gap``: mean of |g_loss - d_loss|, the distance between the two curves. ``d_gap``: mean of
    D(real) - D(fake), 1 when D tells all apart and 0 when it guesses. ``d_accuracy``: its mean. ``balanced``: share
    of lines in which D is right between 55 % and 90 % of the time, neither guessing nor sure. ``d_wins``: share
    above. ``swing``: deviation of D(fake) about its own running mean, what oscillation makes large.
    """
    result: dict[str, float] = {}
    values = {
        name: column(lines, name, len(lines) - len(lines) // 2)
        for name in ("d_loss", "g_loss", "d_real", "d_fake", "d_accuracy")
    }

    def put(name: str, numbers: np.ndarray) -> None:
        numbers = numbers[np.isfinite(numbers)]
        if len(numbers):
            result[name] = float(numbers.mean())

    put("loss_gap", np.abs(values["g_loss"] - values["d_loss"]))
    put("d_gap", values["d_real"] - values["d_fake"])
    accuracy = values["d_accuracy"]
    put("d_accuracy", accuracy)
    known = accuracy[np.isfinite(accuracy)]
    put("balanced", ((known >= BALANCED[0]) & (known <= BALANCED[1])).astype(float))
    put("d_wins", (known > BALANCED[1]).astype(float))
    fake = values["d_fake"][np.isfinite(values["d_fake"])]
    if len(fake) >= 8:
        result["swing"] = swing(fake)
    return result


def swing(values: np.ndarray) -> float:
    """Return the deviation of float (N,) about their running mean over 17, the ends repeated; N at least 1."""
    trend = np.convolve(np.pad(values, 8, mode="edge"), np.ones(17) / 17, mode="valid")
    return float((values - trend).std())
