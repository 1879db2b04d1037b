"""What ``r1`` and ``r2`` share: half of gamma times the mean square of the discriminator's slope."""

from __future__ import annotations

from typing import Any

from keras import ops
from pydantic import Field, model_validator

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl
from ganforge.balance.schedules import anneal

GAMMA = 1.0


class GradientPenalty(Strategy):
    """A penalty, computed in every Nth step, whose gamma goes linearly to its end value."""

    lazy = True

    class Options(BaseOptions):
        gamma: float = Field(
            GAMMA, ge=0, description="weight of the penalty: 10 in the paper; fewer pixels need less"
        )
        end: float | None = Field(None, ge=0, description="gamma at the end of training; if not given, gamma stays")
        every: int = Field(1, ge=1, description="N: computed in every Nth step, and multiplied by N")

        @model_validator(mode="before")
        @classmethod
        def _gamma_stays(cls, values: Any) -> Any:
            if isinstance(values, dict) and values.get("end") is None:
                return {**values, "end": values.get("gamma", GAMMA)}
            return values

    @hookimpl
    def plan_step(self, progress: Any) -> dict[str, float]:
        return {"gamma": anneal(progress.fraction, self.options.gamma, self.options.end)}


def half_square(slopes: Any) -> Any:
    """Return E |s|^2 / 2 over the rows of slopes (B, …), a scalar."""
    squares = ops.sum(ops.square(slopes), axis=tuple(range(1, len(slopes.shape))))
    return ops.mean(squares) / 2.0
