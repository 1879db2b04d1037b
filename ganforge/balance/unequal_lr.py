"""``unequal-lr``: one network learns faster than the other."""

from __future__ import annotations

from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl


class UnequalLR(Strategy):
    """Multiplies the learning rate of each network. The multipliers of several strategies are multiplied.

    Helps: if the discriminator wins (a larger ``generator`` or a smaller ``discriminator``); if it lags behind the
    generator (a larger ``discriminator``, as in the two time-scale rule). Hurts: a large ratio makes the slower
    network irrelevant and the faster one unstable.

    Source: Heusel et al. 2017, "GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium".
    """

    name = "unequal-lr"

    class Options(BaseOptions):
        generator: float = Field(1.0, gt=0, le=100, description="multiplies the generator's learning rate")
        discriminator: float = Field(1.0, gt=0, le=100, description="multiplies the discriminator's learning rate")

    @hookimpl
    def plan_step(self) -> dict[str, float]:
        return {"generator_lr": self.options.generator, "discriminator_lr": self.options.discriminator}
