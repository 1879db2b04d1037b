"""``input-noise``: constant noise on everything the discriminator sees."""

from __future__ import annotations

from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl


class InputNoise(Strategy):
    """Gaussian noise of constant strength on every picture the discriminator sees, real and fake.

    x' = x + sigma n, with n standard normal and x in [-1, 1].

    Helps: comparing strengths (try 0.1, 0.2 and 0.4); a discriminator that is too confident. Hurts: the generator is
    never trained on detail finer than sigma; strong noise harms convolutions sooner than dense layers.

    Source: Sønderby et al. 2017, "Amortised MAP Inference for Image Super-resolution" (instance noise).
    """

    name = "input-noise"
    conflicts = ("noise-anneal",)

    class Options(BaseOptions):
        sigma: float = Field(0.1, ge=0, description="standard deviation, for pictures in [-1, 1]")

    @hookimpl
    def plan_step(self) -> dict[str, float]:
        return {"sigma": self.options.sigma}

    @hookimpl
    def discriminator_images(self, images: Any, controls: Any, random: Any) -> Any:
        return images + controls["sigma"] * random.normal(ops.shape(images))
