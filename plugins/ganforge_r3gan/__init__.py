"""R3GAN: residual blocks without normalization, small enough to train on two CPU cores.

Source: Huang, Gokaslan, Kuleshov & Tompkin 2024, "The GAN is dead; long live the GAN! A Modern Baseline GAN":
residual bottlenecks with leaky ReLU 0.2 inside and no activation on the sum, bilinear resampling, a learned 4x4 basis
at both ends, and Fixup's initialization (Zhang, Dauphin & Ma 2019), with which blocks without normalization start as
the identity. The recommended settings include its loss and penalties: relativistic pairs, and gradient penalties at
real pictures and at fakes. It is smaller than the paper's: by default, each block has two 3x3 convolutions instead of
a bottleneck, and no groups, which are slow on CPUs.
"""

import math
from typing import Any, Literal

import keras
from keras import initializers, layers
from pydantic import Field

from ganforge import Architecture, Options, halvings, hookimpl, refused_size

SLOPE = 0.2
LARGEST_FIRST = 31  # side of the smallest maps at the most, or as many pixels
Maps = tuple[tuple[int, int], ...]


class R3GANOptions(Options):
    width: int = Field(16, ge=1, description="channels of the generator's largest maps, doubled whenever they halve")
    discriminator_width: int = Field(16, ge=1, description="the same for the discriminator")
    stem: Literal[1, 2, 4] = Field(
        2, description="how many times smaller than the picture the largest maps are, if its sides divide"
    )
    widest: int = Field(128, ge=1, description="maximum number of channels, at the smallest sizes")
    depth: int = Field(1, ge=1, le=8, description="residual blocks at each size")
    bottleneck: int = Field(
        0, ge=0, le=8, description="channel factor inside a block of 1x1, 3x3, 1x1, as in the paper; 0: two 3x3"
    )
    cardinality: int = Field(
        1, ge=1, description="groups of a block's 3x3 convolutions; the paper uses many, slow on CPUs"
    )


def _sizes(size: tuple[int, int], options: R3GANOptions) -> tuple[int, Maps]:
    """Return how much smaller the largest maps are than the picture, and the maps' sizes down to 4 or more."""
    stem, maps = _planned(size, options)

    def fits(other: tuple[int, int]) -> bool:
        return math.prod(_planned(other, options)[1][-1]) <= LARGEST_FIRST**2

    if not fits(size):
        raise refused_size("r3gan", size, fits)
    return stem, maps


def _planned(size: tuple[int, int], options: R3GANOptions) -> tuple[int, Maps]:
    height, width = size
    stem = math.gcd(height, width, options.stem) if min(size) // options.stem >= 8 else 1
    return stem, halvings((height // stem, width // stem))


def _widths(sizes: Maps, width: int, options: R3GANOptions) -> list[int]:
    return [max(min(width * 2**n, options.widest), width) for n in range(len(sizes))]


def _scaled(gain: float) -> initializers.Initializer:
    return initializers.VarianceScaling(gain**2, "fan_in", "untruncated_normal")


def _linear(x: Any, width: int) -> Any:
    """A 1x1 convolution where the number of channels changes."""
    if x.shape[-1] == width:
        return x
    return layers.Conv2D(width, 1, use_bias=False, kernel_initializer=_scaled(1.0))(x)


def _block(x: Any, blocks: int, options: R3GANOptions) -> Any:
    """x plus convolutions of x, the last of which starts at 0; ``blocks`` is how many follow each other in all."""
    width = x.shape[-1]
    inside = width * (options.bottleneck or 1)
    groups = math.gcd(inside, options.cardinality)
    plan = [(inside, 1), (inside, 3), (width, 1)] if options.bottleneck else [(inside, 3), (width, 3)]
    # Fixup: with m convolutions to a block, all but the last are scaled by blocks^(-1 / (2m - 2)).
    gain = math.sqrt(2.0 / (1 + SLOPE**2)) * blocks ** (-1 / (2 * len(plan) - 2))
    y = x
    for n, (filters, kernel) in enumerate(plan, start=1):
        last = n == len(plan)
        y = layers.Conv2D(
            filters,
            kernel,
            padding="same",
            use_bias=not last,
            groups=groups if kernel == 3 else 1,
            kernel_initializer="zeros" if last else _scaled(gain),
        )(y)
        if not last:
            y = layers.LeakyReLU(SLOPE)(y)
    return layers.Add()([x, y])


def generator(image_shape, latent_dim, options):
    """(B, latent_dim) -> (B, H, W, C), about [-1, 1] but unbounded."""
    inputs = keras.Input((latent_dim,))
    return keras.Model(inputs, _grow(inputs, image_shape, options), name="generator")


def _grow(inputs: Any, image_shape: tuple[int, int, int], options: R3GANOptions) -> Any:
    stem, sizes = _sizes(image_shape[:2], options)
    widths = _widths(sizes, options.width, options)
    start, width = sizes[-1], widths[-1]
    x = layers.Dense(width, use_bias=False, kernel_initializer=_scaled(1.0))(inputs)
    # A learned picture of its own for each channel, weighted by what the latent says of that channel.
    x = layers.EinsumDense("bc,hwc->bhwc", (*start, width), kernel_initializer=initializers.RandomNormal(0.0, 1.0))(x)
    for n, width in reversed(list(enumerate(widths))):
        if n < len(sizes) - 1:
            x = layers.UpSampling2D(interpolation="bilinear")(_linear(x, width))
        for _ in range(options.depth):
            x = _block(x, len(sizes) * options.depth, options)
    if stem > 1:
        x = layers.UpSampling2D(stem, interpolation="bilinear")(x)
    kernel = 1 if stem == 1 else 3
    x = layers.Conv2D(image_shape[-1], kernel, padding="same", kernel_initializer=_scaled(1.0))(x)
    # The picture itself in float32 whatever the layers compute in: it has 256 levels, bfloat16 only 8 bits.
    return layers.Activation("linear", dtype="float32")(x)


def discriminator(image_shape, options):
    """(B, H, W, C) -> (B, 1) logits."""
    inputs = keras.Input(image_shape)
    x = layers.Dense(1, use_bias=False, kernel_initializer=_scaled(1.0), dtype="float32")(
        _features(inputs, image_shape, options)
    )
    return keras.Model(inputs, x, name="discriminator")


def _features(inputs: Any, image_shape: tuple[int, int, int], options: R3GANOptions) -> Any:
    """(B, H, W, C) -> (B, D), D the widest number of channels."""
    stem, sizes = _sizes(image_shape[:2], options)
    widths = _widths(sizes, options.discriminator_width, options)
    kernel = 1 if stem == 1 else stem + 2
    x = layers.Conv2D(widths[0], kernel, strides=stem, padding="same", kernel_initializer=_scaled(1.0))(inputs)
    for n, width in enumerate(widths):
        if n:
            x = _linear(layers.AveragePooling2D(2)(x), width)
        for _ in range(options.depth):
            x = _block(x, len(sizes) * options.depth, options)
    scale = initializers.RandomNormal(0.0, 1 / math.sqrt(math.prod(sizes[-1])))
    return layers.EinsumDense("bhwc,hwc->bc", (widths[-1],), kernel_initializer=scale)(x)


def conditional_generator(image_shape, latent_dim, options, classes):
    """[(B, latent_dim), (B,) labels] -> (B, H, W, C): the class is embedded and concatenated with the latent."""
    latents, labels = keras.Input((latent_dim,)), keras.Input((), dtype="int32")
    known = layers.Embedding(classes, latent_dim, embeddings_initializer=initializers.RandomNormal(0.0, 1.0))(labels)
    x = _grow(layers.Concatenate()([latents, known]), image_shape, options)
    return keras.Model([latents, labels], x, name="generator")


def conditional_discriminator(image_shape, options, classes):
    """[(B, H, W, C), (B,) labels] -> (B, 1) logits: v_class · h for the features h.

    Source: Miyato & Koyama 2018, "cGANs with Projection Discriminator", without its unconditional part, as in the
    paper of R3GAN.
    """
    images, labels = keras.Input(image_shape), keras.Input((), dtype="int32")
    features = _features(images, image_shape, options)
    scale = initializers.RandomNormal(0.0, 1 / math.sqrt(features.shape[-1]))
    directions = layers.Embedding(classes, features.shape[-1], embeddings_initializer=scale)(labels)
    return keras.Model([images, labels], layers.Dot(1, dtype="float32")([features, directions]), name="discriminator")


DEFAULTS = {
    "latent_dim": 64,
    "learning_rate": 5e-4,
    "beta_1": 0.0,
    "batch_size": 32,
    "loss": "relativistic",
    "optimizer": "adam:beta_2=0.99",
    "balance": ["mirror", "r1:gamma=1,every=4", "r2:gamma=1,every=4"],
    "ema": 0.998,
}


@hookimpl
def register_architectures(register):
    common = {"options": R3GANOptions, "defaults": DEFAULTS, "bounded": False}
    register(
        Architecture(
            "r3gan",
            generator=generator,
            discriminator=discriminator,
            summary="Residual blocks without normalization, relativistic loss: a modern baseline",
            **common,
        )
    )
    register(
        Architecture(
            "r3gan-conditional",
            generator=conditional_generator,
            discriminator=conditional_discriminator,
            summary="R3GAN conditioned on the class: subfolders, or cat and dog of the critters",
            conditional=True,
            **common,
        )
    )
