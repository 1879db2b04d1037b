"""``r1``: a penalty on the discriminator's gradient at real pictures."""

from __future__ import annotations

from typing import Any

from pydantic import Field, model_validator

from ganforge import hookimpl
from ganforge.balance.gradient_penalty import GAMMA, GradientPenalty, half_square


class R1(GradientPenalty):
    """Adds gamma / 2 E[ |grad D(x)|^2 ] over real pictures x to the discriminator's loss.

    It flattens the discriminator near the data, so that training converges there instead of circling.

    Helps: oscillating losses, logits that keep growing, long runs. Hurts: if gamma is too large, the discriminator
    cannot tell real from fake; the second backward pass costs about half a step more, divided by ``every``. Fewer
    pixels need a smaller gamma.

    Source: Mescheder, Geiger & Nowozin 2018, "Which Training Methods for GANs do actually Converge?", equation 9;
    ``every``: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix B; ``end``:
    Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern Baseline GAN", section 4.
    """

    name = "r1"

    class Options(GradientPenalty.Options):
        weight: float | None = Field(None, ge=0, exclude=True, description="the name of gamma in version 0.1")

        @model_validator(mode="before")
        @classmethod
        def _older_name(cls, values: Any) -> Any:
            if not isinstance(values, dict) or values.get("weight") is None:
                return values
            rest = {name: value for name, value in values.items() if name != "weight"}
            if rest.get("gamma", GAMMA) not in (GAMMA, values["weight"]):
                raise ValueError("expected gamma or weight (its older name), not both")
            return {**rest, "gamma": values["weight"]}

    @hookimpl
    def discriminator_penalty(self, discriminator: Any, real: Any, controls: Any, gradient: Any) -> Any:
        return controls["gamma"] * half_square(gradient(discriminator, real))
