"""``auto``: the discriminator's accuracy controls noise, flipped labels and learning rates; R1 keeps it smooth."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, hookimpl
from ganforge.balance.r1 import R1
from ganforge.balance.schedules import anneal

# Full error: the accuracy is this far from its target. Within DEAD of the target nothing moves.
FULL, DEAD = 0.1, 0.02
# Weight of a new reading in the running mean of the accuracy.
NEW = 0.25
# Of R1's weight, what is left at the end.
LEFT = 0.01


class Auto(Strategy):
    """An integral controller that keeps the discriminator's accuracy near a target.

    Let a be the running mean of the accuracy and e = (a - target) / 0.1, clipped to [-1, 1] and set to 0 within 0.02
    of the target. A help value h in [-1, 1] changes by e / lag per step. Above 0 the discriminator is hindered: it
    sees every picture with noise of standard deviation noise · h, labels are flipped with probability flip · h, and
    from h = 0.5 on its learning rate is divided by up to ``rate``. Below 0 its learning rate is multiplied by
    1 + (rate - 1) |h|.

    The accuracy is measured some steps late and smoothed, so ``lag`` must be much longer than both: with 200 steps
    from h = 0 to 1, a delay of 10 and a mean over about 40, h settles without oscillating. Over the last fifth of the
    run the noise and the flips fade out, so that the generator learns sharp pictures at the end. Over the last
    quarter both learning rates fall to 0, in the same proportion, so that the networks settle instead of circling
    each other.

    From the start a penalty, R1, keeps the slope of the discriminator small at real pictures, so that it does not
    drive the generator away from what it has found. The weight of R1, gamma, falls linearly to a hundredth, so that
    at the end the discriminator may tell real from fake by details.

    Helps: when you do not know which network will win, or if one wins only for a while. Hurts: short runs, in which
    the loop has no time to act; if the networks cannot reach the target, h stays at its limit.

    Source: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", section 3 (augmentation
    steered by the discriminator's overfitting, target 0.6 in r = E[sign D(x)], an accuracy of 0.8); Wang et al. 2023,
    "Diffusion-GAN" (the same with noise); Mescheder et al. 2018, "Which Training Methods for GANs do actually
    Converge?", equation 9 (R1).
    """

    name = "auto"
    lazy = True
    discriminator_penalty = R1.discriminator_penalty
    older = MappingProxyType({"gamma": 0.0})
    conflicts = ("input-noise", "noise-anneal", "label-noise", "unequal-lr")

    class Options(BaseOptions):
        target: float = Field(0.8, gt=0.5, lt=1, description="target accuracy of the discriminator")
        noise: float = Field(0.4, ge=0, le=2, description="maximum standard deviation of the noise")
        flip: float = Field(0.05, ge=0, le=0.4, description="maximum probability of a flipped label")
        rate: float = Field(
            3.0,
            ge=1,
            le=10,
            description="maximum factor by which the discriminator's learning rate is divided or multiplied",
        )
        start: float = Field(0.25, ge=-1, le=1, description="h at the first step")
        lag: float = Field(
            200.0,
            ge=20,
            description="steps in which h goes from 0 to 1 at full error; at least twenty times --log-every",
        )
        fade: float = Field(0.2, ge=0, le=1, description="last part of training, over which the noise fades out")
        cool: float = Field(
            0.25,
            ge=0,
            le=1,
            description="last part of training, over which both learning rates fall to 0; 0: they do not",
        )
        gamma: float = Field(
            0.1, ge=0, description="weight of R1 at the start, a hundredth of it at the end; 0: no penalty"
        )
        every: int = Field(8, ge=1, description="N: R1 is computed in every Nth step, and multiplied by N")

    def __init__(self, options: BaseOptions | None = None) -> None:
        super().__init__(options)
        self.help = float(self.options.start)
        self.accuracy: float | None = None
        self.read: list[float] = []
        self.read_at = 0
        if not self.options.gamma:
            setattr(self, "discriminator_penalty", None)  # noqa: B010, what is not there costs nothing

    @hookimpl
    def plan_step(self, progress: Any, signals: Any) -> dict[str, float]:
        self._listen(progress.step, signals)
        o, hinder, spur = self.options, max(0.0, self.help), max(0.0, -self.help)
        noisy, warm = (anneal(progress.fraction, 1.0, 0.0, hold=1.0 - part) for part in (o.fade, o.cool))
        ratio = (1 + (o.rate - 1) * spur) / (1 + (o.rate - 1) * max(0.0, 2 * hinder - 1))
        return {
            "sigma": o.noise * hinder * noisy,
            "flip": o.flip * hinder * noisy,
            "help": self.help,
            "generator_lr": warm,
            "discriminator_lr": ratio * warm,
            "gamma": anneal(progress.fraction, o.gamma, LEFT * o.gamma),
        }

    def _listen(self, step: int, signals: Any) -> None:
        """Take in a reading that was not seen before, and let the help follow it.

        A reading is known by the step it was measured at: two may be alike, as those of a discriminator that is
        always right. Where a loop does not say the step, another value is another reading, measured just now.
        """
        if "d_accuracy" not in signals:
            return
        # A loss that compares has pairs that are right, and no D(real) or D(fake).
        reading = [float(signals[name]) for name in ("d_accuracy", "d_real", "d_fake") if name in signals]
        measured = int(signals.get("step", step))
        if (self.read and measured == self.read_at) if "step" in signals else (reading == self.read):
            return
        passed, self.read, self.read_at = measured - self.read_at, reading, measured
        # What diverged is no reading.
        if not 0.0 <= reading[0] <= 1.0:
            return
        before = reading[0] if self.accuracy is None else self.accuracy
        self.accuracy = before + NEW * (reading[0] - before)
        error = self.accuracy - self.options.target
        if abs(error) > DEAD:
            move = max(-1.0, min(1.0, error / FULL)) * passed / self.options.lag
            # However seldom it is logged, one reading moves a tenth of the way at most.
            self.help = max(-1.0, min(1.0, self.help + max(-0.1, min(0.1, move))))

    @hookimpl
    def discriminator_images(self, images: Any, controls: Any, random: Any) -> Any:
        return images + controls["sigma"] * random.normal(ops.shape(images))

    @hookimpl
    def discriminator_labels(self, labels: Any, controls: Any, random: Any) -> Any:
        flipped = random.bernoulli(ops.shape(labels), controls["flip"])
        return labels + flipped * (1.0 - 2.0 * labels)

    def get_state(self) -> dict[str, Any]:
        return {"help": self.help, "accuracy": self.accuracy, "read": self.read, "read_at": self.read_at}

    def set_state(self, state: dict[str, Any]) -> None:
        self.help = float(state.get("help", self.options.start))
        self.accuracy = state.get("accuracy")
        self.read, self.read_at = list(state.get("read", [])), int(state.get("read_at", 0))
