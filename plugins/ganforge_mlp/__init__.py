"""MLP: dense layers in both networks, for data that are not pictures: vectors of D numbers, on any scale. Pictures
are flattened.

The generator ends without tanh, so its output is unbounded, as toy mixtures such as ``--data gaussians`` require
(Srivastava et al. 2017, "VEEGAN", and Lin et al. 2018, "PacGAN", use such networks for them).
"""

import math
from typing import Literal

import keras
from keras import initializers, layers
from pydantic import Field

from ganforge import Architecture, Options, hookimpl


class MLPOptions(Options):
    width: int = Field(64, ge=1, description="units of each hidden layer")
    discriminator_width: int | None = Field(None, ge=1, description="the same for the discriminator, if different")
    layers: int = Field(3, ge=1, le=16, description="hidden layers of each network")
    activation: Literal["leaky_relu", "relu", "elu", "gelu", "silu", "tanh"] = Field(
        "leaky_relu", description="after each hidden layer"
    )
    bias: float = Field(
        2.0,
        ge=0,
        description="initial standard deviation of the biases of D's first layer; a quarter of it elsewhere",
    )


def _hidden(x, options, width, first):
    # He's initialization keeps the size of what rectifiers pass on (He et al. 2015, "Delving Deep into Rectifiers").
    # With biases of 0 every first unit would bend at the origin alone, and D would tell modes far from it apart late.
    for n in range(options.layers):
        bias = initializers.RandomNormal(0.0, options.bias * (1 if first and n == 0 else 0.25))
        x = layers.Dense(width, kernel_initializer="he_normal", bias_initializer=bias)(x)
        leaky = options.activation == "leaky_relu"
        x = (layers.LeakyReLU(0.2) if leaky else layers.Activation(options.activation))(x)
    return x


def generator(image_shape, latent_dim, options):
    """(B, latent_dim) -> (B, *image_shape), unbounded."""
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(math.prod(image_shape), dtype="float32")(_hidden(inputs, options, options.width, first=False))
    if len(image_shape) > 1:
        x = layers.Reshape(image_shape, dtype="float32")(x)
    return keras.Model(inputs, x, name="generator")


def discriminator(image_shape, options):
    """(B, *image_shape) -> (B, 1) logits. No batch statistics: a logit depends on its own sample alone."""
    inputs = keras.Input(image_shape)
    x = layers.Flatten()(inputs) if len(image_shape) > 1 else inputs
    x = _hidden(x, options, options.discriminator_width or options.width, first=True)
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(x), name="discriminator")


@hookimpl
def register_architectures(register):
    register(
        Architecture(
            "mlp",
            generator=generator,
            discriminator=discriminator,
            options=MLPOptions,
            summary="Dense layers for data that are not pictures; the generator's output is unbounded",
            defaults={"latent_dim": 2, "learning_rate": 2e-3, "beta_1": 0.5, "batch_size": 256},
            bounded=False,
        )
    )
