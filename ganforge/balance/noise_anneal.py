"""``noise-anneal``: noise on everything the discriminator sees, fading out."""

from __future__ import annotations

from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl
from ganforge.balance.schedules import Schedule, anneal


class NoiseAnneal(Strategy):
    """Gaussian noise on every picture the discriminator sees, real and fake, annealed over training.

    x' = x + sigma(t) n, with n standard normal and x in [-1, 1]. Early on, real and generated pictures hardly
    overlap: a perfect discriminator exists, and the generator gets no useful gradient. Noise makes them overlap.

    Helps: early collapse; a discriminator that wins at once. Hurts: too much noise, or noise for too long, blurs
    pictures; the generator learns texture finer than the noise only once the noise is gone.

    Source: Arjovsky & Bottou 2017, "Towards Principled Methods for Training GANs"; Sønderby et al. 2017, "Amortised
    MAP Inference for Image Super-resolution" (instance noise).
    """

    name = "noise-anneal"
    conflicts = ("input-noise",)

    class Options(BaseOptions):
        start: float = Field(0.2, ge=0, description="standard deviation at the start, for pictures in [-1, 1]")
        end: float = Field(0.0, ge=0, description="standard deviation at the end")
        schedule: Schedule = Field("linear", description="how it goes from start to end")
        hold: float = Field(0.0, ge=0, lt=1, description="fraction of training during which it stays at start")

    @hookimpl
    def plan_step(self, progress: Any) -> dict[str, float]:
        o = self.options
        return {"sigma": anneal(progress.fraction, o.start, o.end, o.schedule, o.hold)}

    @hookimpl
    def discriminator_images(self, images: Any, controls: Any, random: Any) -> Any:
        return images + controls["sigma"] * random.normal(ops.shape(images))
