"""``unequal-lr``: one network learns faster than the other."""

from __future__ import annotations

from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl


class UnequalLR(Strategy):
    """Multiplies each network's learning rate (multipliers of several strategies multiply).

    Helps: the discriminator wins (a larger ``generator``, or a smaller ``discriminator``); the generator chases a
    discriminator that lags (a larger ``discriminator``, as the two time-scale rule has it). Hurts: too large a ratio
    makes the slower one irrelevant, and the faster one unstable.

    Source: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium".
    """

    name = "unequal-lr"

    class Options(BaseOptions):
        generator: float = Field(1.0, gt=0, le=100, description="multiplies the generator's learning rate")
        discriminator: float = Field(1.0, gt=0, le=100, description="multiplies the discriminator's learning rate")

    @hookimpl
    def plan_step(self) -> dict[str, float]:
        return {"generator_lr": self.options.generator, "discriminator_lr": self.options.discriminator}
