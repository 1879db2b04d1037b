"""``label-noise``: flipped and smoothed target labels for the discriminator."""

from __future__ import annotations

from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, UsageError, hookimpl


class LabelNoise(Strategy):
    """Flips some of the discriminator's target labels, and lowers those of real pictures below 1.

    Real labels are first lowered to 1 - ``smooth`` (one-sided: smoothing the labels of fakes would reward what the
    generator already does). Then each label y becomes 1 - y with probability ``flip``, independently. A loss without
    soft labels, such as ``wasserstein``, allows flips and refuses ``smooth``; in one that compares pairs, such as
    ``relativistic``, a flipped real label swaps the two logits of the pair.

    Helps: a discriminator that is too confident; its logits stay bounded. Hurts: frequent flips leave nothing to
    learn, and D(real) can no longer reach 1.

    Source: Salimans et al. 2016, "Improved Techniques for Training GANs" (one-sided label smoothing); Chintala et al.
    2016, "How to Train a GAN" (noisy labels).
    """

    name = "label-noise"

    class Options(BaseOptions):
        flip: float = Field(0.05, ge=0, le=0.5, description="probability that a label is flipped")
        smooth: float = Field(0.1, ge=0, le=0.5, description="how far below 1 a real label is; fakes keep 0")
        fade: bool = Field(False, description="fade both out linearly over training")

    @hookimpl
    def configure_run(self, config: Any) -> None:
        if self.options.smooth and (config.compares or not config.soft_labels):
            kept = f"flip={self.options.flip:g},smooth=0"
            raise UsageError(
                f"label-noise cannot smooth labels by {self.options.smooth:g} with the loss '{config.loss}', which "
                f"takes only the labels 0 and 1; expected smooth=0, as in --balance label-noise:{kept}"
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
