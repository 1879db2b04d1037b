"""``lr-decay``: both learning rates warm up, hold, and fall."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, model_validator

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl
from ganforge.balance.schedules import anneal


class LRDecay(Strategy):
    """Multiplies both learning rates by w(t) d(t), where t is the fraction of training completed.

    w rises linearly to 1 over ``warmup``. d is 1 until ``hold``, then falls to ``end``, linearly or along half a
    cosine.

    Helps: if pictures still change at the end, since at full speed the two networks keep circling; a warm-up helps
    with large learning rates and with optimizer moments that are not yet accurate. Hurts: runs to be resumed for
    longer, since the schedule then stretches over the new length.

    Source: Zhu et al. 2017, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks",
    appendix (linear); Loshchilov & Hutter 2017, "SGDR: Stochastic Gradient Descent with Warm Restarts", equation 5
    (cosine, without restarts); Goyal et al. 2017, "Accurate, Large Minibatch SGD" (warm-up).
    """

    name = "lr-decay"

    class Options(BaseOptions):
        schedule: Literal["linear", "cosine"] = Field("linear", description="how the rates fall")
        end: float = Field(0.0, ge=0, le=1, description="fraction of the learning rate that is left at the end")
        warmup: float = Field(
            0.0, ge=0, lt=1, description="fraction of training over which the rates rise; at most hold"
        )
        hold: float = Field(0.5, ge=0, lt=1, description="fraction of training after which the rates fall")

        @model_validator(mode="after")
        def _rises_before_it_falls(self) -> LRDecay.Options:
            if self.warmup > self.hold:
                raise ValueError(
                    f"warmup={self.warmup:g} ends after hold={self.hold:g}; expected hold to be at least warmup"
                )
            return self

    @hookimpl
    def plan_step(self, progress: Any) -> dict[str, float]:
        o = self.options
        rising = min(1.0, (progress.step + 1) / (o.warmup * progress.steps)) if o.warmup else 1.0
        rate = rising * anneal(progress.fraction, 1.0, o.end, o.schedule, o.hold)
        return {"generator_lr": rate, "discriminator_lr": rate}
