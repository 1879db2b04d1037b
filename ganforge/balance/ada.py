"""``ada``: augmentation as strong as the discriminator's overfitting requires."""

from __future__ import annotations

import math
from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Random, Strategy, hookimpl
from ganforge.balance.augmenting import chosen, coloured, need_pictures, per_picture, sampled

# Readings of E[sign D(real)] that are averaged before p moves, as in the authors' code.
INTERVAL = 4


class ADA(Strategy):
    """Augments what the discriminator sees, each change with probability p, and adapts p.

    Every four steps r = E[sign D(real)] is measured. Above ``target`` the discriminator is overfitting and p rises;
    below it p falls. Going from 0 to 1 takes ``kimg`` thousand pictures. With a loss that compares pairs, the sign is
    that of D(real) - D(fake).

    The changes: mirroring, quarter turns, shifts, scaling, rotation and stretching, as one bilinear resampling with
    mirrored edges; brightness, contrast, inverted lightness, hue and saturation. As long as p stays below about 0.8,
    they do not appear in the generator's pictures. Unlike the paper's, the resampling has no anti-aliasing filters.

    Helps: a few hundred to a few thousand pictures, if you do not know whether they are too few. Hurts: with plenty
    of pictures p stays near 0 and the changes only cost time; pictures that differ mainly in what it changes.

    Source: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", section 3 and
    appendix B. ``kimg`` is 500 there, for runs of 25 million pictures.
    """

    name = "ada"
    conflicts = ("diffaugment",)

    class Options(BaseOptions):
        target: float = Field(0.6, gt=-1, lt=1, description="target of E[sign D(real)]")
        kimg: float = Field(100.0, gt=0, description="thousands of pictures in which p can go from 0 to 1")
        most: float = Field(
            0.8, ge=0, le=1, description="maximum of p; above 0.8 the changes may appear in generated pictures"
        )
        start: float = Field(0.0, ge=0, le=1, description="p at the first step")
        geometry: bool = Field(True, description="rotate, shift, scale and stretch")
        colour: bool = Field(True, description="brightness, contrast, hue and saturation")

    def initial_state(self, batch_size: int) -> dict[str, float]:
        return {"p": self.options.start, "signs": 0.0, "read": 0.0, "batch": float(batch_size)}

    @hookimpl
    def configure_run(self, config: Any) -> None:
        need_pictures(self.name, config)

    @hookimpl
    def plan_step(self) -> dict[str, float]:
        o = self.options
        return {"target": o.target, "most": o.most, "pace": INTERVAL / (1000.0 * o.kimg)}

    @hookimpl
    def discriminator_images(self, images: Any, random: Random, state: Any) -> Any:
        if self.options.geometry:
            images = geometry(images, random, state["p"])
        if not self.options.colour:
            return images
        return coloured(images, lambda colours: colour(colours, random, state["p"]))

    @hookimpl
    def update_state(self, state: Any, controls: Any, metrics: Any) -> Any:
        if "d_real_sign" not in metrics:  # the discriminator made no update in this step
            return state
        signs, read = state["signs"] + metrics["d_real_sign"], state["read"] + 1.0
        due = ops.cast(read >= INTERVAL, "float32")
        moved = state["p"] + due * controls["pace"] * state["batch"] * ops.sign(signs / read - controls["target"])
        p = ops.minimum(ops.maximum(moved, 0.0), controls["most"])
        state = {**state, "p": p, "signs": signs * (1.0 - due), "read": read * (1.0 - due)}
        return state, {"p": p}


def geometry(images: Any, random: Random, p: Any) -> Any:
    """Mirror, turn, shift, scale and stretch pictures, each change with probability p."""
    batch, height, width, _ = images.shape

    def maybe(numbers: Any, neutral: float) -> Any:
        """Return (B, 1, 1): the numbers (B,) of the pictures that are changed, and ``neutral`` for the others."""
        changes = random.bernoulli((batch,), p)
        return ops.reshape(neutral + changes * (numbers - neutral), (batch, 1, 1))

    def lognormal(deviation: float) -> Any:
        return ops.exp(deviation * math.log(2.0) * random.normal((batch,)))

    mirror = maybe(1.0 - 2.0 * random.bernoulli((batch,), 0.5), 1.0)
    quarters = maybe(ops.floor(random.uniform((batch,), 0.0, 4.0)), 0.0) * (math.pi / 2)
    down, right = (maybe(random.uniform((batch,), -0.125, 0.125), 0.0) for _ in range(2))
    scale = maybe(lognormal(0.2), 1.0)
    turn = maybe(random.uniform((batch,), -math.pi, math.pi), 0.0)
    stretch = maybe(lognormal(0.2), 1.0)
    # A picture that is not square is turned as if it were: a quarter turn must fill it again.
    y, x = (ops.linspace(-1.0, 1.0, n) if n > 1 else ops.zeros((1,)) for n in (height, width))
    y, x = y[None, :, None] - 2.0 * down, x[None, None, :] - 2.0 * right
    angle = turn + quarters
    cos, sin = ops.cos(angle), ops.sin(angle)
    y, x = cos * y - sin * x, sin * y + cos * x
    y, x = y / (scale / stretch), x / (scale * stretch) * mirror
    return sampled(images, (y + 1.0) * (height - 1) / 2.0, (x + 1.0) * (width - 1) / 2.0)


def colour(images: Any, random: Random, p: Any) -> Any:
    """Change brightness, contrast, lightness, hue and saturation, each with probability p.

    A colour is its lightness, the mean of its channels, and what is left, which hue turns about the grey axis.
    """
    batch, _, _, channels = images.shape

    def maybe(numbers: Any, neutral: float) -> Any:
        return neutral + chosen(images, random, p) * (per_picture(images, numbers) - neutral)

    brightness = maybe(0.2 * random.normal((batch,)), 0.0)
    contrast = maybe(ops.exp(0.5 * math.log(2.0) * random.normal((batch,))), 1.0)
    turned = maybe(1.0 - 2.0 * random.bernoulli((batch,), 0.5), 1.0)
    lightness = ops.mean(images, axis=3, keepdims=True)
    if channels < 3:
        return turned * contrast * (images + brightness)
    hue = maybe(random.uniform((batch,), -math.pi, math.pi), 0.0)
    saturation = maybe(ops.exp(math.log(2.0) * random.normal((batch,))), 1.0)
    rest = images - lightness
    # The cross product of the grey axis (1, 1, 1) / sqrt(3) with (r, g, b) is (b - g, r - b, g - r) / sqrt(3).
    across = (ops.roll(rest, 1, axis=3) - ops.roll(rest, -1, axis=3)) / math.sqrt(3.0)
    rest = ops.cos(hue) * rest + ops.sin(hue) * across
    return contrast * (turned * (lightness + brightness) + saturation * rest)
