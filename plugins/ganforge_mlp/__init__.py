"""MLP: dense layers both ways for data that are not pictures, (D,) numbers on any scale; pictures are flattened.

The generator ends without tanh, so that its numbers have no bounds: toy mixtures such as ``--data gaussians`` lie
where they lie (Srivastava et al. 2017, "VEEGAN", and Lin et al. 2018, "PacGAN", use such networks there).
"""

import math
from typing import Literal

import keras
from keras import layers
from pydantic import Field

from ganforge import Architecture, Options, hookimpl


class MLPOptions(Options):
    width: int = Field(64, ge=1, description="units of each hidden layer, in both networks")
    layers: int = Field(3, ge=1, le=16, description="hidden layers of each network")
    activation: Literal["leaky_relu", "relu", "elu", "gelu", "silu", "tanh"] = Field(
        "leaky_relu", description="after each hidden layer"
    )


def _hidden(x, options):
    # He's initialisation keeps the size of what rectifiers pass on (He et al. 2015, "Delving Deep into Rectifiers").
    for _ in range(options.layers):
        x = layers.Dense(options.width, kernel_initializer="he_normal")(x)
        leaky = options.activation == "leaky_relu"
        x = (layers.LeakyReLU(0.2) if leaky else layers.Activation(options.activation))(x)
    return x


def generator(image_shape, latent_dim, options):
    """(B, latent_dim) -> (B, *image_shape), without bounds."""
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(math.prod(image_shape), dtype="float32")(_hidden(inputs, options))
    if len(image_shape) > 1:
        x = layers.Reshape(image_shape, dtype="float32")(x)
    return keras.Model(inputs, x, name="generator")


def discriminator(image_shape, options):
    """(B, *image_shape) -> (B, 1) logits. Without batch statistics, so that a verdict is one sample's own."""
    inputs = keras.Input(image_shape)
    x = layers.Flatten()(inputs) if len(image_shape) > 1 else inputs
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(_hidden(x, options)), name="discriminator")


@hookimpl
def register_architectures(register):
    register(
        Architecture(
            "mlp",
            generator=generator,
            discriminator=discriminator,
            options=MLPOptions,
            summary="Dense layers for data that are not pictures; the generator has no bounds",
            defaults={"latent_dim": 16, "learning_rate": 1e-3, "beta_1": 0.0, "batch_size": 256},
            bounded=False,
        )
    )
