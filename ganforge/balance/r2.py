"""``r2``: a penalty on the discriminator's gradient at fakes."""

from __future__ import annotations

from typing import Any

from ganforge import hookimpl
from ganforge.balance.gradient_penalty import GradientPenalty, half_square


class R2(GradientPenalty):
    """Adds gamma / 2 E[ |grad D(G(z))|^2 ] over fakes to the discriminator's loss.

    R1 flattens the discriminator at the data, R2 at the fakes. Early in training the two are far apart, and with R1
    alone the slope at fakes can explode; together they can converge where one alone does not.

    Helps: together with ``r1`` at the same gamma and the loss ``relativistic``. Hurts: like ``r1``, at the same cost
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
