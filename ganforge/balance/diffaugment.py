"""``diffaugment``: everything the discriminator sees is shifted, cut and recoloured."""

from __future__ import annotations

from typing import Any

from keras import ops
from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Random, Strategy, hookimpl
from ganforge.balance.augmenting import chosen, coloured, need_pictures


class DiffAugment(Strategy):
    """Shifts, cuts and recolours every picture the discriminator sees, real and fake.

    A discriminator memorises a small set. Augmenting only the real pictures would teach the generator the
    augmentations; augmenting both, with gradients passing through, does not.

    Helps: up to a few thousand pictures; when D(real) goes to 1. Hurts: with plenty of pictures it only slows
    training down; colours drift if those of the pictures vary little (use ``colour=false``).

    Source: Zhao et al. 2020, "Differentiable Augmentation for Data-Efficient GAN Training".
    """

    name = "diffaugment"

    class Options(BaseOptions):
        colour: bool = Field(True, description="change brightness, saturation and contrast")
        translation: float = Field(
            0.125, ge=0, lt=1, description="largest shift, as a fraction of the side; 0 for none"
        )
        cutout: float = Field(
            0.5, ge=0, lt=1, description="side of the square cut out, as a fraction of the picture's; 0 for none"
        )
        probability: float = Field(1.0, gt=0, le=1, description="fraction of the pictures that are changed")
        warmup: float = Field(
            0.0, ge=0, le=1, description="first part of training, over which the probability rises from 0"
        )

    @hookimpl
    def configure_run(self, config: Any) -> None:
        need_pictures(self.name, config)

    @hookimpl
    def plan_step(self, progress: Any) -> dict[str, float]:
        o = self.options
        risen = min(1.0, progress.fraction / o.warmup) if o.warmup else 1.0
        return {"probability": o.probability * risen}

    @hookimpl
    def discriminator_images(self, images: Any, controls: Any, random: Random) -> Any:
        o, changed = self.options, images
        if o.colour:
            changed = coloured(changed, lambda colours: colour(colours, random))
        if o.translation:
            changed = translation(changed, random, o.translation)
        if o.cutout:
            changed = cutout(changed, random, o.cutout)
        return images + chosen(images, random, controls["probability"]) * (changed - images)


def colour(images: Any, random: Random) -> Any:
    """Change each picture's brightness by up to 0.5, its saturation by 0 to 2 and its contrast by 0.5 to 1.5."""
    each = (images.shape[0], 1, 1, 1)
    images = images + random.uniform(each, -0.5, 0.5)
    grey = ops.mean(images, axis=3, keepdims=True)
    images = grey + (images - grey) * random.uniform(each, 0.0, 2.0)
    mean = ops.mean(images, axis=(1, 2, 3), keepdims=True)
    return mean + (images - mean) * random.uniform(each, 0.5, 1.5)


def translation(images: Any, random: Random, ratio: float) -> Any:
    """Shift each picture by up to ``ratio`` of its side, whole pixels, in both directions; what opens is grey (0)."""
    batch, height, width, _ = images.shape
    down = _shift(random, batch, height, ratio)
    right = _shift(random, batch, width, ratio)
    return ops.einsum("bkl,bilc->bikc", right, ops.einsum("bij,bjlc->bilc", down, images))


def _shift(random: Random, batch: int, size: int, ratio: float) -> Any:
    """Return (B, size, size) matrices, each with ones on one diagonal: multiplying by it moves lines along."""
    most = int(size * ratio + 0.5)
    offset = ops.floor(random.uniform((batch, 1, 1), -float(most), most + 1.0))
    lines = ops.arange(size, dtype="float32")
    return ops.cast(ops.equal(lines[None, None, :] - lines[None, :, None], offset), "float32")


def cutout(images: Any, random: Random, ratio: float) -> Any:
    """Put a grey (0) rectangle, ``ratio`` of each side long, at a random place of each picture, across edges too."""
    batch, height, width, _ = images.shape
    rows, columns = _span(random, batch, height, ratio), _span(random, batch, width, ratio)
    return images * (1.0 - rows[:, :, None, None] * columns[:, None, :, None])


def _span(random: Random, batch: int, size: int, ratio: float) -> Any:
    """Return (B, size), 1 on a stretch of about ``ratio * size`` around a random centre, else 0."""
    centre = random.uniform((batch, 1), 0.0, float(size))
    lines = ops.arange(size, dtype="float32")[None, :] + 0.5
    return ops.cast(ops.abs(lines - centre) < ratio * size / 2.0, "float32")
