"""Projected GAN: the discriminator looks through a network trained on photographs (Sauer, Chitta, Müller & Geiger
2021, "Projected GANs Converge Faster").

Pictures pass through a frozen EfficientNet-Lite0, its maps of several sizes are mixed by random convolutions, which
do not learn either, and a small discriminator judges each mixed map. The generator is a smaller relative of FastGAN's
(Liu et al. 2021), as in the paper. Unlike the paper, the discriminators have no batch normalization, so that no
picture's logits depend on the others of its batch, and mixed maps have few channels, for two CPU cores.
"""

import math
from typing import Annotated

import keras
from ganforge_sngan import SpectralConv2D
from keras import layers
from pydantic import AfterValidator, Field

from ganforge import Architecture, Options, halvings, hookimpl, refused_size
from ganforge_projected import features

ganforge_api = 2

MOST = 8  # times the width that maps have at the most
LARGEST_FIRST = 31  # side of the smallest maps at the most, or as many pixels
JUDGED = 4  # side of the maps that logits are made from


def _known(level: int) -> int:
    if level not in features.ENDS:
        raise ValueError("expected 2, 4, 8, 16 or 32, such as levels=4-8-16-32")
    return level


class ProjectedOptions(Options):
    width: int = Field(
        16, ge=1, description="channels at full image size, doubled whenever the size halves, up to 8x"
    )
    discriminator_width: int = Field(
        32, ge=1, description="channels of the mixed maps; the discriminators double them at each halving, up to 8x"
    )
    levels: tuple[Annotated[int, AfterValidator(_known)], ...] = Field(
        (4, 8, 16, 32),
        min_length=1,
        description="maps that are judged: how many times smaller each is than the enlarged picture",
    )
    enlarge: int = Field(
        1, ge=1, le=4, description="how many times larger the frozen network sees pictures; work grows by its square"
    )
    pixels: int = Field(
        12, ge=0, description="channels of a further discriminator, of the pixels themselves; 0 for none"
    )
    gates: bool = Field(True, description="gated linear units in the generator, as in FastGAN, instead of ReLU")
    spectral_norm: bool = Field(True, description="spectral normalization in the discriminators")


def generator(image_shape, latent_dim, options):
    """(B, latent_dim) -> (B, H, W, C) in [-1, 1]."""
    start, doublings = _plan(image_shape)
    widths = [options.width * min(MOST, 2**n) for n in reversed(range(doublings + 1))]
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(math.prod(start) * widths[0], use_bias=False)(inputs)
    x = _normalize(layers.Reshape((*start, widths[0]))(x))
    for n, width in enumerate(widths):
        x = _convolve(x, width, options.gates, up=n > 0)
    # The picture itself in float32 whatever the layers compute in: it has 256 levels, bfloat16 only 8 bits.
    x = layers.Conv2D(image_shape[-1], 3, padding="same", activation="tanh", dtype="float32")(x)
    return keras.Model(inputs, x, name="generator")


def _convolve(x, width, gates, up):
    """Convolve 3x3 what is twice as large where ``up``, with ReLU, or as values times sigmoid(gates)."""

    def convolved():
        # One for each convolution: on torch, the two become one that takes half the time.
        larger = layers.UpSampling2D()(x) if up else x
        return _normalize(layers.Conv2D(width, 3, padding="same", use_bias=False)(larger))

    if gates:
        return layers.Multiply()([convolved(), layers.Activation("sigmoid")(convolved())])
    return layers.ReLU()(convolved())


def _normalize(x):
    # Momentum 0.9: snapshots use the running averages, which must keep up with a run of a few minutes.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def discriminator(image_shape, options):
    """(B, H, W, C) in [-1, 1] -> logits (B, K) of several patches at several sizes.

    Transparent pictures are judged twice, over white and over black, which shows all there is to see of them.

    Raises:
        GANForgeError: the extra ``imagenet`` is not installed.
    """
    _plan(image_shape)
    inputs = keras.Input(image_shape)
    if image_shape[-1] == 4:
        opaque = keras.Input((*image_shape[:2], 3))
        # `ganforge evaluate` sees by the name that pictures are judged through the network that it may judge by, too.
        judge = keras.Model(opaque, _logits(opaque, options), name=f"{features.NAME}_judge")
        logits = layers.Concatenate(dtype="float32")([judge(_over(inputs, shade)) for shade in (1.0, -1.0)])
    else:
        logits = _logits(inputs, options)
    return keras.Model(inputs, logits, name="discriminator")


def _over(pictures, shade):
    """Return (B, H, W, 3) of (B, H, W, 4), the last from -1, transparent, to 1, over a background of one shade."""
    opaque = (pictures[..., 3:] + 1.0) / 2.0
    return opaque * pictures[..., :3] + (1.0 - opaque) * shade


def _logits(pictures, options):
    x = pictures
    if options.enlarge > 1:
        x = layers.UpSampling2D(options.enlarge, interpolation="bilinear")(x)
    mixed = _mix(features.network(x.shape[1:], sorted(set(options.levels)))(x), options.discriminator_width)
    logits = [_judge(x, x.shape[-1], options.spectral_norm) for x in mixed]
    if options.pixels:
        logits.append(_judge(pictures, options.pixels, options.spectral_norm))
    logits = [layers.Flatten(dtype="float32")(x) for x in logits]
    return layers.Concatenate(dtype="float32")(logits) if len(logits) > 1 else logits[0]


def _mix(maps, width):
    """Return maps of ``width`` channels, each mixed with the smaller ones: the paper's section 3.2, at random."""
    mixed = []
    for x in reversed(maps):
        x = _random_convolution(x, width, 1)
        if mixed:
            smaller = mixed[-1]
            if smaller.shape[1:3] != x.shape[1:3]:
                smaller = layers.Resizing(*x.shape[1:3], interpolation="bilinear")(smaller)
            x = _random_convolution(layers.Add()([x, smaller]), width, 3)
        mixed.append(x)
    return mixed[::-1]


def _random_convolution(x, width, kernel):
    layer = layers.Conv2D(width, kernel, padding="same", use_bias=False, kernel_initializer="he_normal")
    x = layer(x)
    layer.trainable = False
    return x


def _judge(x, width, spectral):
    """Halve a map until its sides are ``JUDGED`` or less, and return a logit for each place there.

    Maps have twice ``width`` channels after the first halving.
    """
    convolution = SpectralConv2D if spectral else layers.Conv2D
    strides = [2] * max(0, math.ceil(math.log2(max(x.shape[1:3]) / JUDGED))) or [1]
    for n, stride in enumerate(strides, start=1):
        kernel, channels = (4, width * min(MOST, 2**n)) if stride == 2 else (3, width)
        x = convolution(channels, kernel, stride, "same", kernel_initializer="he_normal")(x)
        x = layers.LeakyReLU(0.2)(x)
    return convolution(1, 1)(x)


def _plan(image_shape):
    """Return the size of the generator's first maps, with sides of 4 or more, and how often they double."""

    def fits(size):
        return math.prod(halvings(size, 4)[-1]) <= LARGEST_FIRST**2

    size = tuple(image_shape[:2])
    if not fits(size):
        raise refused_size("projected", size, fits)
    maps = halvings(size, 4)
    return maps[-1], len(maps) - 1


@hookimpl
def register_architectures(register):
    register(
        Architecture(
            "projected",
            generator=generator,
            discriminator=discriminator,
            options=ProjectedOptions,
            summary="For photographs: D looks through a network that learnt ImageNet (needs the extra imagenet)",
            defaults={
                "latent_dim": 128,
                "learning_rate": 5e-4,
                "beta_1": 0.0,
                "batch_size": 32,
                "loss": "hinge",
                "optimizer": "adam:beta_2=0.99",
                "balance": ["mirror"],
                "ema": 0.998,
            },
        )
    )
