"""The loss and penalties of R3GAN: a relativistic loss, and gradient penalties on D at real and at fake images.

Source: Huang et al. 2024, "The GAN is dead; long live the GAN! A Modern GAN Baseline"; the loss is RpGAN's,
Jolicoeur-Martineau 2018, "The relativistic discriminator". With both penalties it converges locally.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Loss, Strategy, hookimpl
from ganforge import Options as BaseOptions

ganforge_api = 2


def discriminator(real_logits: Any, fake_logits: Any) -> Any:
    """E softplus(D(G(z)) - D(x)): a real image's logit should be above that of the fake beside it."""
    return ops.mean(ops.softplus(fake_logits - real_logits))


def generator(real_logits: Any, fake_logits: Any) -> Any:
    """E softplus(D(x) - D(G(z))): the reverse."""
    return ops.mean(ops.softplus(real_logits - fake_logits))


class FlatAtBoth(Strategy):
    """Adds gamma / 2 times the squared gradient norm of D at real images (R1) and at fakes (R2), every few steps.

    Helps: the relativistic loss, which circles or diverges without it. Hurts: if gamma is too large, D cannot tell
    real from fake.

    Source: Huang et al. 2024, "The GAN is dead; long live the GAN!"; ``every`` as in Karras et al. 2020.
    """

    name = "flat-at-both"
    lazy = True

    class Options(BaseOptions):
        gamma: float = Field(1.0, ge=0, description="weight of the penalty; fewer pixels need a smaller one")
        every: int = Field(4, ge=1, description="N: computed in every Nth step, and multiplied by N")

    @hookimpl
    def plan_step(self) -> dict[str, float]:
        return {"gamma": self.options.gamma}

    @hookimpl
    def discriminator_penalty(
        self, discriminator: Any, real: Any, fake: Any, controls: Mapping[str, Any], gradient: Any
    ) -> Any:
        r1 = _squares(gradient(discriminator, real))
        r2 = _squares(gradient(lambda images: discriminator(images, real=False), fake))
        return controls["gamma"] / 2.0 * (r1 + r2), {"r1": r1, "r2": r2}


def _squares(slope: Any) -> Any:
    return ops.mean(ops.sum(ops.square(slope), axis=tuple(range(1, len(slope.shape)))))


@hookimpl
def register_losses(register: Callable[[Loss], None]) -> None:
    register(
        Loss("rpgan", discriminator=discriminator, generator=generator, boundary=None, summary="Relativistic pairs")
    )


@hookimpl
def register_strategies(register: Callable[[type[Strategy]], None]) -> None:
    register(FlatAtBoth)
