"""FCGAN: fully connected layers in both networks, as in the first paper (Goodfellow et al. 2014, "Generative
Adversarial Nets"), in variants of depth and width."""

import math
from typing import Annotated

import keras
from keras import layers
from pydantic import Field

from ganforge import Architecture, Options, hookimpl

Units = Annotated[int, Field(ge=1)]


class FCGANOptions(Options):
    hidden: tuple[Units, ...] = Field(
        (128, 256, 512), min_length=1, description="units of the generator's hidden layers, such as 128-256-512"
    )
    discriminator_hidden: tuple[Units, ...] = Field(
        (512, 256), min_length=1, description="units of the discriminator's hidden layers"
    )
    batch_norm: bool = Field(True, description="batch normalization in the generator")
    dropout: float = Field(0.3, ge=0, lt=1, description="dropout after each of the discriminator's hidden layers")
    slope: float = Field(0.2, ge=0, lt=1, description="slope of the leaky ReLU below zero")


def generator(image_shape, latent_dim, options):
    """(B, latent_dim) -> (B, H, W, C) in [-1, 1]."""
    inputs = x = keras.Input((latent_dim,))
    for units in options.hidden:
        x = layers.LeakyReLU(options.slope)(layers.Dense(units)(x))
        if options.batch_norm:
            x = layers.BatchNormalization(momentum=0.8)(x)
    x = layers.Dense(math.prod(image_shape), activation="tanh", dtype="float32")(x)
    return keras.Model(inputs, layers.Reshape(image_shape, dtype="float32")(x), name="generator")


def discriminator(image_shape, options):
    """(B, H, W, C) in [-1, 1] -> (B, 1) logits. No batch statistics: a logit depends on its own picture alone."""
    inputs = keras.Input(image_shape)
    x = layers.Flatten()(inputs)
    for units in options.discriminator_hidden:
        x = layers.LeakyReLU(options.slope)(layers.Dense(units)(x))
        if options.dropout:
            x = layers.Dropout(options.dropout)(x)
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(x), name="discriminator")


def _variant(units: tuple[int, ...]) -> type[Options]:
    class Variant(FCGANOptions):
        hidden: tuple[Units, ...] = Field(
            units, min_length=1, description=FCGANOptions.model_fields["hidden"].description
        )

    return Variant


DEFAULTS = {"latent_dim": 100, "learning_rate": 2e-4, "beta_1": 0.5, "batch_size": 64}


@hookimpl
def register_architectures(register):
    common = {"generator": generator, "discriminator": discriminator, "defaults": DEFAULTS}
    register(Architecture("fcgan", options=FCGANOptions, summary="Dense layers in both networks", **common))
    for units in ((128, 256), (128, 256, 512), (128, 256, 512, 1024)):
        register(
            Architecture(
                f"fcgan-{len(units)}",
                options=_variant(units),
                summary=f"FCGAN with {'-'.join(map(str, units))} hidden units",
                **common,
            )
        )
