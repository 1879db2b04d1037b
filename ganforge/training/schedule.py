"""When a run logs, shows pictures, and saves a checkpoint.

``--checkpoint-every`` is written ``6`` (epochs), ``500steps``, ``10min``, or several, ``6,10min``;
``--snapshot-every`` so too, without times.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from typing import Literal

from ganforge.errors import UsageError

_UNITS = {
    "": "epochs",
    "epoch": "epochs",
    "epochs": "epochs",
    "step": "steps",
    "steps": "steps",
    "min": "minutes",
    "minutes": "minutes",
    "h": "hours",
    "hours": "hours",
}


def parse_every(text: str | int) -> dict[str, int]:
    """Return ``{"epochs": 6, "minutes": 10}`` of ``6,10min``. Hours become minutes.

    Raises:
        UsageError: it is not a number of epochs, steps, minutes or hours.
    """
    every: dict[str, int] = {}
    for part in str(text).split(","):
        match = re.fullmatch(r"\s*([0-9]{1,9})\s*([a-z]*)\s*", part)
        unit = _UNITS.get(match[2]) if match else None
        if match is None or unit is None or int(match[1]) < 1:
            raise UsageError(
                f"invalid --checkpoint-every {text}: expected epochs (6), steps (500steps), minutes (10min), "
                "or several of them (6,10min)"
            )
        number = int(match[1])
        if unit == "hours":
            unit, number = "minutes", 60 * number
        if unit in every:
            raise UsageError(f"invalid --checkpoint-every {text}: {unit} are given twice")
        every[unit] = number
    return every


def written_snapshots(every: str | int) -> int | str:
    """Return how often a grid is saved as it is written: 6 of ``6epochs``, else such as ``500steps``.

    Raises:
        UsageError: it is neither a number of epochs nor of steps.
    """
    try:
        parts = parse_every(every)
    except UsageError:
        parts = {"": 1}
    if not parts.keys() <= {"epochs", "steps"}:
        raise UsageError(
            f"invalid --snapshot-every {every}: expected epochs (6), steps (500steps) or both (6,500steps)"
        )
    if "steps" not in parts:
        return parts["epochs"]
    steps = f"{parts['steps']}steps"
    return f"{parts['epochs']},{steps}" if "epochs" in parts else steps


def logs(step: int, steps: int, every: int) -> bool:
    """Say whether a step is logged, counted from 1: each ``every``-th one, the first and the last."""
    return step % every == 0 or step in (1, steps)


def shows(step: int, steps: int, per_epoch: int, every: Mapping[str, int]) -> Literal["epoch", "step"] | None:
    """Say whether a grid of pictures is saved after ``step``, and whether it is an epoch's or a step's.

    At the start, each so many epochs or steps (``every``, as ``parse_every`` gives it), and after the last.
    ``per_epoch``: steps of an epoch.
    """
    last = step == steps
    epoch, into = divmod(step, per_epoch)
    if "epochs" in every and not into and (epoch % every["epochs"] == 0 or last):
        return "epoch"
    return "step" if "steps" in every and (step % every["steps"] == 0 or last) else None


class Schedule:
    """Says after each step whether a checkpoint is due; whichever comes first."""

    def __init__(self, every: str | int, steps_per_epoch: int, clock: Callable[[], float] = time.monotonic) -> None:
        parts = parse_every(every)
        self._steps = [
            parts[unit] * size for unit, size in (("steps", 1), ("epochs", steps_per_epoch)) if unit in parts
        ]
        self._seconds = 60.0 * parts["minutes"] if "minutes" in parts else float("inf")
        self._clock = clock
        self.saved()

    def due(self, step: int) -> bool:
        """Say whether one is due now that ``step`` steps are done."""
        return any(step % steps == 0 for steps in self._steps) or self._clock() - self._since >= self._seconds

    def saved(self) -> None:
        """Begin to count minutes anew."""
        self._since = self._clock()
