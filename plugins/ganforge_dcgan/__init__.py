"""DCGAN: convolutions in both networks (Radford, Metz & Chintala 2016, "Unsupervised Representation Learning with
Deep Convolutional Generative Adversarial Networks"), in variants of depth and width.

Transposed convolutions produce checkerboards (Odena et al. 2016, "Deconvolution and Checkerboard Artifacts"): even
and odd pixels learn different weights, whatever the kernel. Unless ``layers`` is given, the generator repeats each
pixel and convolves: a transposed convolution whose kernel is a smaller one spread over 2 x 2 pixels.
"""

import math
from typing import Literal

import keras
from keras import initializers, layers
from pydantic import Field

from ganforge import Architecture, Options, halvings, hookimpl, plan_upsampling

START = 8  # pixels of the first map at least, where the depth is chosen
MOST = 8  # times the width that maps then have at the most


class DCGANOptions(Options):
    width: int = Field(48, ge=1, description="channels before the image, doubled at each layer towards the latent")
    # None is what GANForge 0.1 chose: 3, or fewer where the size asks for it. Its runs have it in their run.json.
    layers: int | None = Field(
        0,
        ge=0,
        le=8,
        description="doublings in the generator, of a side that is a multiple of 2^layers; "
        "0: 3, more from 128 pixels on, fewer below 16",
    )
    kernel: int = Field(
        4, ge=2, description="kernel size of both networks, an even number; one less where the generator resizes"
    )
    upsample: Literal["resize", "transposed"] | None = Field(
        None,
        description="how the generator doubles a side; default: transposed if layers is given, else resize",
    )
    batch_norm: bool = Field(True, description="batch normalization in the generator")
    discriminator_layers: int | None = Field(
        0,
        ge=0,
        le=8,
        description="strided convolutions in the discriminator; 0: 3, more from 128 pixels on, fewer below 16",
    )
    discriminator_width: int = Field(
        32, ge=1, description="channels of the discriminator's first convolution, doubled at each later one"
    )
    dropout: float = Field(0.0, ge=0, lt=1, description="dropout after each of the discriminator's convolutions")
    slope: float = Field(0.2, ge=0, lt=1, description="slope of the discriminator's leaky ReLU below zero")


def _normal() -> initializers.Initializer:
    return initializers.RandomNormal(0.0, 0.02)


def _normalize(x, options):
    if not options.batch_norm:
        return x
    # Momentum 0.9: snapshots use the running averages, which must keep up with a run of a few minutes.
    return layers.BatchNormalization(
        momentum=0.9, epsilon=1e-5, gamma_initializer=initializers.RandomNormal(1.0, 0.02)
    )(x)


def _widths(width: int, size: int, wanted: int | None, possible: int) -> list[int]:
    """Return the channels of each layer from the image on; ``size``: its shorter side; ``possible``: at most."""
    if wanted:
        return [width * 2**n for n in range(wanted)]
    deepest = 3 if wanted is None else max(3, (size // START).bit_length() - 1)
    return [width * min(MOST, 2**n) for n in range(max(1, min(deepest, possible)))]


def generator(image_shape, latent_dim, options):
    """(B, latent_dim) -> (B, H, W, C) in [-1, 1]: project, then double the side with every convolution."""
    inputs = keras.Input((latent_dim,))
    return keras.Model(inputs, _grow(inputs, image_shape, options), name="generator")


def _grow(inputs, image_shape, options):
    height, width, channels = image_shape
    possible = len(halvings((height, width), smallest=2)) - 1
    widths = _widths(options.width, min(height, width), options.layers, possible)[::-1]
    plan = plan_upsampling((height, width), len(widths), options.kernel)
    resize = options.upsample == "resize" or (options.upsample is None and options.layers == 0)
    first = (*plan.start, widths[0])
    x = layers.Dense(math.prod(first), use_bias=not options.batch_norm, kernel_initializer=_normal())(inputs)
    x = layers.Reshape(first)(x)
    for width in [*widths[1:], channels]:
        x = layers.ReLU()(_normalize(x, options))
        last = x.shape[1] * 2 == height
        how = {"padding": "same", "use_bias": last or not options.batch_norm, "kernel_initializer": _normal()}
        if resize:
            x = layers.Conv2D(width, plan.kernel - 1, **how)(layers.UpSampling2D()(x))
        else:
            x = layers.Conv2DTranspose(width, plan.kernel, strides=2, **how)(x)
    # The picture itself in float32 whatever the layers compute in: it has 256 levels, bfloat16 only 8 bits.
    return layers.Activation("tanh", dtype="float32")(x)


def discriminator(image_shape, options):
    """(B, H, W, C) in [-1, 1] -> (B, 1) logits; it does not depend on the generator's depth.

    No batch normalization: with it, a picture's logit would depend on the other pictures, and real and fake could not
    pass through in one batch.
    """
    size = min(image_shape[:2])
    inputs = x = keras.Input(image_shape)
    for width in _widths(options.discriminator_width, size, options.discriminator_layers, size.bit_length() - 2):
        x = layers.Conv2D(
            width,
            options.kernel,
            strides=2,
            padding="same",
            kernel_initializer=_normal(),
        )(x)
        x = layers.LeakyReLU(options.slope)(x)
        if options.dropout:
            x = layers.Dropout(options.dropout)(x)
    x = layers.Dense(1, kernel_initializer=_normal(), dtype="float32")(layers.Flatten()(x))
    return keras.Model(inputs, x, name="discriminator")


def conditional_generator(image_shape, latent_dim, options, classes):
    """[(B, latent_dim), (B,) labels] -> (B, H, W, C): the class is embedded and concatenated with the latent."""
    latents, labels = keras.Input((latent_dim,)), keras.Input((), dtype="int32")
    known = layers.Embedding(classes, 32, embeddings_initializer=initializers.RandomNormal(0.0, 1.0))(labels)
    x = _grow(layers.Concatenate()([latents, known]), image_shape, options)
    return keras.Model([latents, labels], x, name="generator")


def conditional_discriminator(image_shape, options, classes):
    """[(B, H, W, C), (B,) labels] -> (B, 1) logits: w · h + v_class · h for the features h.

    Source: Miyato & Koyama 2018, "cGANs with Projection Discriminator".
    """
    plain = discriminator(image_shape, options)
    features, labels = plain.layers[-2].output, keras.Input((), dtype="int32")
    directions = layers.Embedding(classes, features.shape[-1], embeddings_initializer=_normal())(labels)
    fitting = layers.Dot(1, dtype="float32")([features, directions])
    return keras.Model(
        [plain.input, labels], layers.Add(dtype="float32")([plain.output, fitting]), name="discriminator"
    )


def _variant(depth: int) -> type[Options]:
    class Variant(DCGANOptions):
        layers: int | None = Field(depth, ge=0, le=8, description=DCGANOptions.model_fields["layers"].description)

    return Variant


DEFAULTS = {"latent_dim": 100, "learning_rate": 5e-4, "beta_1": 0.5, "batch_size": 64}


@hookimpl
def register_architectures(register):
    common = {"generator": generator, "discriminator": discriminator, "defaults": DEFAULTS}
    register(Architecture("dcgan", options=DCGANOptions, summary="Convolutions in both networks", **common))
    register(
        Architecture(
            "dcgan-conditional",
            generator=conditional_generator,
            discriminator=conditional_discriminator,
            options=DCGANOptions,
            summary="DCGAN conditioned on the class: subfolders, or cat and dog of the critters",
            defaults=DEFAULTS,
            conditional=True,
        )
    )
    for depth in (1, 2, 3, 4):
        layers_text = f"{depth} transposed convolution{'s' if depth > 1 else ''}"
        register(
            Architecture(f"dcgan-{depth}", options=_variant(depth), summary=f"DCGAN with {layers_text}", **common)
        )
