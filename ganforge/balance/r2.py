"""``r2``: a penalty on the discriminator's gradient at fakes."""

from __future__ import annotations

from typing import Any

from ganforge import hookimpl
from ganforge.balance.gradient_penalty import GradientPenalty, half_square


class R2(GradientPenalty):
    """Adds gamma / 2 E[ |grad D(G(z))|^2 ] over fakes to the discriminator's loss.

    R1 flattens the discriminator where the data are, R2 where the generator is. Early in training these are far
    apart, and R1 alone leaves the slope at fakes free to explode; both together converge where one does not.

    Helps: beside ``r1`` with the loss ``relativistic``, with the same gamma. Hurts: as ``r1``, and costs as much
    again.

    Source: Mescheder, Geiger & Nowozin 2018, "Which Training Methods for GANs do actually Converge?", equation 10;
    Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern Baseline GAN", section 2.
    """

    name = "r2"

    @hookimpl
    def discriminator_penalty(self, discriminator: Any, fake: Any, controls: Any, gradient: Any) -> Any:
        def judged_as_fakes(images: Any) -> Any:
            return discriminator(images, real=False)

        return controls["gamma"] * half_square(gradient(judged_as_fakes, fake))
