"""When a loss or a weight is no longer finite: finding it, and returning to the checkpoint from before."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.errors import GANForgeError
from ganforge.runs import load_checkpoint
from ganforge.training.record import Stage, learning_rate_scale

if TYPE_CHECKING:
    from ganforge.engine.engine import Engine
    from ganforge.engine.team import Team
    from ganforge.training.setup import Setup

MOST_ROLLBACKS = 5


class NotFinite(GANForgeError):
    """A loss or a weight is no longer finite; ``what`` names it, such as ``d_loss became nan``."""

    def __init__(self, what: str) -> None:
        super().__init__(what)
        self.what = what


def require_finite_metrics(metrics: Mapping[str, float]) -> None:
    """Raise ``NotFinite`` when one of a step's metrics is nan or infinite."""
    for name, value in metrics.items():
        if not math.isfinite(value):
            raise NotFinite(f"{name} became {value}")


def require_finite_weights(arrays: Mapping[str, np.ndarray]) -> None:
    """Raise ``NotFinite`` when an array holds nan or infinity: it must never become a checkpoint."""
    for name, array in arrays.items():
        if array.dtype.kind not in "iub" and not np.isfinite(array).all():
            raise NotFinite(f"the weights '{name}' are no longer finite")


def require_equal(team: Team, arrays: Mapping[str, np.ndarray], state: Mapping[str, Any]) -> None:
    """Raise ``GANForgeError`` if the processes of a run no longer hold the same state, which is then not saved."""
    if team.count == 1:
        return
    sums = {name: zlib.crc32(np.ascontiguousarray(array).tobytes()) for name, array in arrays.items()}
    sums["what strategies remember"] = zlib.crc32(json.dumps(state, sort_keys=True, default=str).encode())
    team.require_equal(sums, "come apart")


def return_to_checkpoint(engine: Engine, run: Path) -> int:
    """Restore the newest checkpoint, whose losses and weights were finite, and return its step."""
    checkpoint = load_checkpoint(run)
    engine.set_state(checkpoint.arrays, checkpoint.state)
    return checkpoint.step


def may_roll_back(on_nan: str, stages: Sequence[Stage], step: int) -> bool:
    """Say whether to try again from ``step``: if ``--on-nan`` says so, and it was not tried too often already."""
    return on_nan == "rollback" and sum(stage.get("rolled_back_to") == step for stage in stages) < MOST_ROLLBACKS


def scale_learning_rate(setup: Setup, stages: Sequence[Stage]) -> None:
    """Continue with the factor of the learning rate that the stages record, below every strategy."""
    setup.engine.planner.scale = learning_rate_scale(stages)


def lost(error: NotFinite, at: int, step: int, run: Path, on_nan: str) -> GANForgeError:
    """Return the message if training ends because of ``error`` at step ``at``, back at the checkpoint of ``step``."""
    if on_nan == "rollback":
        way_out = f"going back to it {MOST_ROLLBACKS} times, each time with half the learning rate, did not help"
        again = "start again with a smaller --learning-rate or another --balance"
    else:
        way_out = f"continue from it with half the learning rate: ganforge resume {run.name} --on-nan rollback"
        again = "or start again with a smaller --learning-rate or another --balance"
    return GANForgeError(f"{error.what} at step {at:,}; the checkpoint of step {step:,} is kept: {way_out}; {again}")
