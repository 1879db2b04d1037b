"""FastGAN: for a few hundred pictures (Liu, Zhu, Song & Elgammal 2021, "Towards Faster and Stabilized GAN Training
for High-fidelity Few-shot Image Synthesis").

The generator has few channels at large sizes, and small maps gate large ones (skip-layer excitation). The
discriminator also reconstructs its input from its smallest map and returns both as features; the strategy ``redraw``
trains this on the real pictures. Unlike the paper, there is no noise in the generator, no batch normalization in the
discriminator, and no reconstruction of a part of the picture.
"""

import math
from collections.abc import Mapping

import keras
from keras import layers, ops
from pydantic import Field

from ganforge import Architecture, Strategy, UsageError, halvings, hookimpl, refused_size
from ganforge import Options as BaseOptions

ganforge_api = 2

MOST = 8  # times the width that maps have at the most
REDRAWN = 128  # pixels that a redrawn picture has at the most
LARGEST_FIRST = 31  # side of the smallest maps at the most, or as many pixels


class FastGANOptions(BaseOptions):
    width: int = Field(
        16, ge=1, description="channels at full image size, doubled whenever the size halves, up to 8x"
    )
    skip: int = Field(
        0,
        ge=0,
        le=8,
        description="doublings between a map and the one it gates; 0: 4 as in the paper, or fewer if there are fewer",
    )
    discriminator_width: int = Field(
        32, ge=1, description="channels after the discriminator's first halving, doubled at each later one"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout before the discriminator's last layers")


def generator(image_shape, latent_dim, options):
    """(B, latent_dim) -> (B, H, W, C) in [-1, 1]."""
    doublings, start = _plan(image_shape, 4)
    widths = [options.width * min(MOST, 2**n) for n in reversed(range(doublings + 1))]
    skip = min(options.skip or 4, doublings)
    inputs = keras.Input((latent_dim,))
    x = layers.Reshape((*start, widths[0]))(layers.Dense(start[0] * start[1] * widths[0], use_bias=False)(inputs))
    maps = [_gated_conv(_normalize(x), widths[0])]
    for n, width in enumerate(widths[1:], start=1):
        x = _gated_conv(layers.UpSampling2D()(maps[-1]), width)
        maps.append(_excite(maps[n - skip], x) if n >= skip else x)
    # The picture itself in float32 whatever the layers compute in: it has 256 levels, bfloat16 only 8 bits.
    x = layers.Conv2D(image_shape[-1], 3, padding="same", activation="tanh", dtype="float32")(maps[-1])
    return keras.Model(inputs, x, name="generator")


def _normalize(x):
    # Momentum 0.9: snapshots use the running averages, which must keep up with a run of a few minutes.
    return layers.BatchNormalization(momentum=0.9, epsilon=1e-5)(x)


def _gated_conv(x, width):
    """Convolve 3x3 into values and gates, and return values times sigmoid(gates): a gated linear unit."""
    values, gates = (_normalize(layers.Conv2D(width, 3, padding="same", use_bias=False)(x)) for _ in range(2))
    return layers.Multiply()([values, layers.Activation("sigmoid")(gates)])


def _excite(small, large):
    """Scale each channel of ``large`` by a number in (0, 1) that ``small`` decides (the paper's equation 2)."""
    pool = [max(1, side // 4) for side in small.shape[1:3]]
    x = layers.AveragePooling2D(pool)(small) if max(pool) > 1 else small
    x = layers.LeakyReLU(0.1)(layers.Conv2D(large.shape[-1], x.shape[1:3])(x))  # as large as its input: 1 x 1 remains
    return layers.Multiply()([large, layers.Conv2D(large.shape[-1], 1, activation="sigmoid")(x)])


def discriminator(image_shape, options):
    """(B, H, W, C) in [-1, 1] -> logits (B, h, w, 1), one per patch, and features: the input and its reconstruction.

    No batch statistics, so the logits of a picture do not depend on the other pictures.
    """
    times, _ = _plan(image_shape, _last_seen(image_shape))
    inputs = x = keras.Input(image_shape)
    for n in range(times):
        x = _downward(x, options.discriminator_width * min(MOST, 2**n))
    features = x
    if options.dropout:
        x = layers.Dropout(options.dropout)(x)
    x = layers.LeakyReLU(0.2)(_conv(x, x.shape[-1], 1))
    logits = layers.Conv2D(1, 4, dtype="float32")(x)
    redrawn, seen = _redraw(features, inputs)
    outputs = {"logits": logits, "features": {"redrawn": redrawn, "seen": seen}}
    return keras.Model(inputs, outputs, name="discriminator")


def _conv(x, width, kernel, strides=1):
    # He's initialization keeps the size of what rectifiers pass on (He et al. 2015): there is no normalization here.
    return layers.Conv2D(width, kernel, strides=strides, padding="same", kernel_initializer="he_normal")(x)


def _downward(x, width):
    """Half the side, in two ways that are averaged: strided and convolved, and averaged first."""
    plain = layers.LeakyReLU(0.2)(_conv(layers.AveragePooling2D(2)(x), width, 1))
    x = layers.LeakyReLU(0.2)(_conv(x, width, 4, strides=2))
    return layers.Average()([layers.LeakyReLU(0.2)(_conv(x, width, 3)), plain])


def _redraw(features, inputs):
    """Return (B, h, w, C) pictures in [-1, 1] made from features, and the inputs made as small, by half or more."""
    shrink = 2
    while max(inputs.shape[1:3]) // shrink > REDRAWN and inputs.shape[1] // shrink > features.shape[1]:
        shrink *= 2
    x = features
    while x.shape[1] * shrink < inputs.shape[1]:
        x = layers.LeakyReLU(0.2)(_conv(layers.UpSampling2D()(x), max(1, x.shape[-1] // 2), 3))
    redrawn = layers.Conv2D(inputs.shape[-1], 3, padding="same", activation="tanh", dtype="float32")(x)
    return redrawn, layers.AveragePooling2D(shrink, dtype="float32")(inputs)


def _plan(image_shape, smallest):
    """Return how often both sides halve and stay at ``smallest`` or above, and what they are then."""

    def fits(size):  # both networks, so that neither refuses what the other one advises
        both = (halvings(size, 4), halvings(size, _last_seen(size)))
        return all(len(maps) > 1 and math.prod(maps[-1]) <= LARGEST_FIRST**2 for maps in both)

    size = tuple(image_shape[:2])
    if not fits(size):
        raise refused_size("fastgan", size, fits)
    maps = halvings(size, smallest)
    return len(maps) - 1, maps[-1]


def _last_seen(image_shape):
    """Return the shorter side of the discriminator's last map at the least."""
    return 8 if min(image_shape[:2]) >= 32 else 4


class Redraw(Strategy):
    """Trains the discriminator to reconstruct the real pictures it sees, so that it looks at all of each.

    Adds weight E |redrawn - seen| over real pictures, for a discriminator that returns both as features.

    Helps: with a few hundred pictures, where D memorises a few details and G collapses onto them. Hurts: with enough
    pictures, D's capacity is wasted on the reconstruction.

    Source: Liu et al. 2021, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis",
    section 3.2, equation 5, with the mean absolute difference instead of its perceptual distance.
    """

    name = "redraw"

    class Options(BaseOptions):
        weight: float = Field(1.0, ge=0, description="factor of the mean absolute difference")

    @hookimpl
    def plan_step(self):
        return {"weight": self.options.weight}

    @hookimpl
    def discriminator_penalty(self, real_features, controls):
        several = real_features if isinstance(real_features, Mapping) else {}
        try:
            redrawn, seen = several["redrawn"], several["seen"]
        except KeyError:
            raise UsageError(
                "strategy 'redraw' asks for the features 'redrawn' and 'seen', which this discriminator does not "
                "return; expected one that does, such as --arch fastgan"
            ) from None
        return controls["weight"] * ops.mean(ops.abs(redrawn - seen))


@hookimpl
def register_strategies(register):
    register(Redraw)


@hookimpl
def register_architectures(register):
    register(
        Architecture(
            "fastgan",
            generator=generator,
            discriminator=discriminator,
            options=FastGANOptions,
            summary="For few pictures: skip-layer excitation, and a discriminator that reconstructs its input",
            defaults={
                "latent_dim": 256,
                "learning_rate": 2e-4,
                "beta_1": 0.5,
                "batch_size": 32,
                "loss": "hinge",
                "balance": ["mirror", "diffaugment", "redraw"],
                "ema": 0.999,
            },
        )
    )
