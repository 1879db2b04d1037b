"""``generator-steps``: several updates of one network for each update of the other."""

from __future__ import annotations

from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl


class GeneratorSteps(Strategy):
    """Several generator updates, or several discriminator updates, in each step.

    The first generator update uses the same fakes as the discriminator; later ones use fresh latents. Extra
    discriminator updates come first, on fresh latents and fresh real pictures.

    Helps: if the discriminator wins (``generator=2``); with a Wasserstein critic, which should be near its optimum
    (``generator=1,discriminator=5``). Hurts: every extra update takes time; a generator too far ahead collapses onto
    whatever fools the current discriminator.

    Source: Goodfellow et al. 2014, algorithm 1 (k discriminator steps); Arjovsky et al. 2017, "Wasserstein GAN" (5).
    """

    name = "generator-steps"

    class Options(BaseOptions):
        generator: int = Field(2, ge=1, le=20, description="generator updates per step")
        discriminator: int = Field(1, ge=1, le=20, description="discriminator updates per step")

    @hookimpl
    def plan_step(self) -> dict[str, float]:
        counts = {"generator_steps": self.options.generator, "discriminator_steps": self.options.discriminator}
        # A count left at 1 stays free for another strategy to set.
        return {name: count for name, count in counts.items() if count > 1}
