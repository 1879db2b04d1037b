"""``lookahead``: every few steps, both networks move part of the way back."""

from __future__ import annotations

from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl


class Lookahead(Strategy):
    """After every k-th step, weights := slow + alpha (weights - slow), then slow := weights, for both networks.

    Two networks that chase each other circle around the equilibrium. A line between two points of a circle runs
    inside it, so moving back along it brings them closer. The optimizers' moments do not change.

    Helps: losses that swing and never settle. Hurts: training is slower, roughly by the factor alpha, and memory
    holds a second copy of all weights. ``--ema`` averages the weights after each move.

    Source: Chavdarova et al. 2021, "Taming GANs with Lookahead-Minmax", algorithm 1; Zhang et al. 2019, "Lookahead
    Optimizer: k steps forward, 1 step back".
    """

    name = "lookahead"

    class Options(BaseOptions):
        k: int = Field(5, ge=1, description="steps between two moves back")
        alpha: float = Field(0.5, ge=0, le=1, description="fraction of the way that is kept; 1 changes nothing")

    def initial_state(self, generator_weights: Any, discriminator_weights: Any) -> dict[str, Any]:
        return {"steps": 0, "generator": generator_weights, "discriminator": discriminator_weights}

    @hookimpl
    def after_step(self, generator_weights: Any, discriminator_weights: Any, state: Any) -> Any:
        steps = (state["steps"] + 1) % self.options.k
        looks_back = ops.equal(steps, 0)
        generator, slow_generator = self._look(looks_back, generator_weights, state["generator"])
        discriminator, slow_discriminator = self._look(looks_back, discriminator_weights, state["discriminator"])
        state = {"steps": steps, "generator": slow_generator, "discriminator": slow_discriminator}
        return generator, discriminator, state

    def _look(self, looks_back: Any, weights: Any, slow: Any) -> tuple[list[Any], list[Any]]:
        """Return the weights and the slow ones after this step."""
        moved = [before + self.options.alpha * (now - before) for now, before in zip(weights, slow)]
        return (
            [ops.where(looks_back, new, now) for new, now in zip(moved, weights)],
            [ops.where(looks_back, new, before) for new, before in zip(moved, slow)],
        )
