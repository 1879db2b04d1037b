"""``r1``: a penalty on the discriminator's gradient at real pictures."""

from __future__ import annotations

from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl


class R1(Strategy):
    """Adds gamma / 2 E[ |grad D(x)|^2 ] over real pictures x to the discriminator's loss.

    Near the data a discriminator should be flat: then there is nothing left to chase once the generator is there,
    and training converges instead of circling.

    Helps: oscillation, exploding logits, long runs. Hurts: too large a weight makes the discriminator blind; a
    second backward pass costs about half a step more. Useful weights shrink with fewer pixels.

    Source: Mescheder, Geiger & Nowozin 2018, "Which Training Methods for GANs do actually Converge?".
    """

    name = "r1"

    class Options(BaseOptions):
        weight: float = Field(1.0, ge=0, description="gamma; the paper uses 10 for large pictures")

    @hookimpl
    def plan_step(self) -> dict[str, float]:
        return {"weight": self.options.weight}

    @hookimpl
    def discriminator_penalty(self, discriminator: Any, real: Any, controls: Any, gradient: Any) -> Any:
        squares = ops.sum(ops.square(gradient(discriminator, real)), axis=(1, 2, 3))
        return controls["weight"] / 2.0 * ops.mean(squares)
