"""Lightweight GAN: few channels at large sizes, and skip-layer excitation that lets small maps gate large ones.

Source: Liu et al. 2021, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis". Its
discriminator also learns to redraw pictures, which needs a loss of its own and is left out here.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers
from pydantic import Field

from ganforge import Architecture, Options, UsageError, hookimpl

ganforge_api = 1

ImageShape = tuple[int, int, int]


class LightweightOptions(Options):
    width: int = Field(
        16, ge=1, description="channels at the image's own size; doubled where the size halves, up to 8x"
    )
    skip: int = Field(2, ge=1, le=6, description="doublings between a map and the one it gates; the paper skips 4")
    discriminator_width: int = Field(32, ge=1, description="channels after the discriminator's first halving")
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the discriminator's last layer")


def generator(image_shape: ImageShape, latent_dim: int, options: LightweightOptions) -> keras.Model:
    """(B, latent_dim) -> (B, H, W, C) in [-1, 1]."""
    size, _, channels = image_shape
    doublings, start = _halvings(size)
    widths = [options.width * min(8, 2**n) for n in reversed(range(doublings + 1))]
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(start**2 * widths[0], use_bias=False)(inputs)
    x = layers.Reshape((start, start, widths[0]))(x)
    maps = [layers.LeakyReLU(0.1)(layers.BatchNormalization(momentum=0.9)(x))]
    for n, width in enumerate(widths[1:], start=1):
        x = gated_conv(layers.UpSampling2D()(maps[-1]), width)
        if n >= options.skip:
            x = excite(maps[n - options.skip], x)
        maps.append(x)
    x = layers.Conv2D(channels, 3, padding="same", activation="tanh", dtype="float32")(maps[-1])
    return keras.Model(inputs, x, name="generator")


def gated_conv(x: Any, width: int) -> Any:
    """Convolve 3x3 into values and gates, and return values times sigmoid(gates): a gated linear unit."""
    values, gates = (
        layers.BatchNormalization(momentum=0.9)(layers.Conv2D(width, 3, padding="same", use_bias=False)(x))
        for _ in range(2)
    )
    return layers.Multiply()([values, layers.Activation("sigmoid")(gates)])


def excite(small: Any, large: Any) -> Any:
    """Scale each channel of ``large`` by a number in (0, 1) that ``small`` decides (the paper's equation 2)."""
    pool = max(1, small.shape[1] // 4)
    x = layers.AveragePooling2D(pool)(small) if pool > 1 else small
    x = layers.LeakyReLU(0.1)(layers.Conv2D(large.shape[-1], x.shape[1])(x))  # as large as its input: 1 x 1 remains
    return layers.Multiply()([large, layers.Conv2D(large.shape[-1], 1, activation="sigmoid")(x)])


def discriminator(image_shape: ImageShape, options: LightweightOptions) -> keras.Model:
    """(B, H, W, C) in [-1, 1] -> (B, 1) logits; without batch statistics, so that a verdict is one picture's own."""
    halvings, _ = _halvings(image_shape[0])
    inputs = x = keras.Input(image_shape)
    for n in range(halvings):
        width = options.discriminator_width * min(8, 2**n)
        averaged = layers.LeakyReLU(0.2)(layers.Conv2D(width, 1)(layers.AveragePooling2D(2)(x)))
        x = layers.LeakyReLU(0.2)(layers.Conv2D(width, 4, strides=2, padding="same")(x))
        x = layers.LeakyReLU(0.2)(layers.Conv2D(width, 3, padding="same")(x))
        x = layers.Average()([x, averaged])
    x = layers.Flatten()(x)
    if options.dropout:
        x = layers.Dropout(options.dropout)(x)
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(x), name="discriminator")


def _halvings(size: int) -> tuple[int, int]:
    """Return how often ``size`` halves down to a side of 4 or more, and that side."""
    times, start = 0, size
    while start % 2 == 0 and start >= 8:
        times, start = times + 1, start // 2
    if not times or start > 31:
        nearest = max(8, 8 * round(size / 8))
        raise UsageError(f"lightweight cannot end at {size} pixels; expected a multiple of 8, such as {nearest}")
    return times, start


@hookimpl
def register_architectures(register: Callable[[Architecture], None]) -> None:
    register(
        Architecture(
            "lightweight",
            generator=generator,
            discriminator=discriminator,
            options=LightweightOptions,
            summary="Few channels, gated convolutions, skip-layer excitation",
            defaults={"latent_dim": 128, "learning_rate": 2e-4, "beta_1": 0.5, "batch_size": 32},
        )
    )
