"""``label-noise``: flipped and smoothed labels for the discriminator."""

from __future__ import annotations

from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, UsageError, hookimpl


class LabelNoise(Strategy):
    """Some labels flipped, and "real" a little less than 1, for the discriminator alone.

    A label y becomes 1 - y with probability ``flip``, each picture's on its own; real labels are 1 - ``smooth``
    before that (one-sided: smoothing the fake side would reward what the generator already does). A loss without
    soft labels, such as ``wasserstein``, takes flips, which exchange a picture's side, and refuses ``smooth``; one
    that compares pairs, such as ``relativistic``, exchanges a pair's two logits where the real label is flipped.

    Helps: a discriminator that is too sure of itself; its logits stay bounded. Hurts: many flips teach it nothing,
    and D(real) can no longer reach 1.

    Source: Salimans et al. 2016, "Improved Techniques for Training GANs" (one-sided label smoothing); Chintala et al.
    2016, "How to Train a GAN" (noisy labels).
    """

    name = "label-noise"

    class Options(BaseOptions):
        flip: float = Field(0.05, ge=0, le=0.5, description="probability that a label is flipped")
        smooth: float = Field(0.1, ge=0, le=0.5, description="how much less than 1 a real label is")
        fade: bool = Field(False, description="fade both out linearly over training")

    @hookimpl
    def configure_run(self, config: Any) -> None:
        if self.options.smooth and (config.compares or not config.soft_labels):
            kept = f"flip={self.options.flip:g},smooth=0"
            raise UsageError(
                f"label-noise cannot smooth labels by {self.options.smooth:g} with the loss '{config.loss}', which "
                f"knows real and fake alone; expected smooth=0, as in --balance label-noise:{kept}"
            )

    @hookimpl
    def plan_step(self, progress: Any) -> dict[str, float]:
        left = 1.0 - progress.fraction if self.options.fade else 1.0
        return {"flip": self.options.flip * left, "smooth": self.options.smooth * left}

    @hookimpl
    def discriminator_labels(self, labels: Any, real: bool, controls: Any, random: Any) -> Any:
        if real:
            labels = labels * (1.0 - controls["smooth"])
        flipped = random.bernoulli(ops.shape(labels), controls["flip"])
        return labels + flipped * (1.0 - 2.0 * labels)
