"""``generator-steps``: more updates of one network for each of the other's."""

from __future__ import annotations

from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl


class GeneratorSteps(Strategy):
    """k generator updates for each step, or n discriminator updates.

    The first generator update uses the step's own fakes; further ones draw fresh latents. Extra discriminator updates
    draw fresh latents and fresh real pictures, before the step's own.

    Helps: the discriminator wins (``generator=2``); a Wasserstein critic that must be near its optimum
    (``discriminator=5``). Hurts: each extra update costs its time, and a generator too far ahead collapses onto what
    fools today's discriminator.

    Source: Goodfellow et al. 2014, algorithm 1 (k discriminator steps); Arjovsky et al. 2017, "Wasserstein GAN" (5).
    """

    name = "generator-steps"

    class Options(BaseOptions):
        generator: int = Field(2, ge=1, le=20, description="generator updates a step")
        discriminator: int = Field(1, ge=1, le=20, description="discriminator updates a step")

    @hookimpl
    def plan_step(self) -> dict[str, float]:
        counts = {"generator_steps": self.options.generator, "discriminator_steps": self.options.discriminator}
        # A count left at 1 stays free for another strategy to set.
        return {name: count for name, count in counts.items() if count > 1}
