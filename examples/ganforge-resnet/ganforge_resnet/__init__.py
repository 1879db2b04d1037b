"""ResNet GAN: residual blocks both ways. The generator enlarges by repeating pixels and convolving (Odena et al.
2016, "Deconvolution and Checkerboard Artifacts"), which draws no checkerboard; the discriminator is spectrally
normalised (Miyato et al. 2018, "Spectral Normalization for Generative Adversarial Networks"), which bounds its
slope."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
from keras import layers, ops
from pydantic import Field

from ganforge import Architecture, Options, UsageError, hookimpl

ganforge_api = 1

ImageShape = tuple[int, int, int]


class ResNetOptions(Options):
    width: int = Field(
        32, ge=1, description="channels at the image's own size; doubled where the size halves, up to 8x"
    )
    batch_norm: bool = Field(True, description="batch normalisation in the generator")
    discriminator_width: int = Field(32, ge=1, description="channels of the discriminator's first block")
    spectral_norm: bool = Field(True, description="spectral normalisation in the discriminator")


# ------------------------------------------------------------------ spectral normalisation


def normalised(kernel: Any, u: Any) -> tuple[Any, Any]:
    """Return the kernel divided by its largest singular value, and the next estimate of its left singular vector.

    One power iteration a call (Miyato et al. 2018, algorithm 1): ``kernel`` is (..., outputs), ``u`` (1, outputs).
    """
    matrix = ops.reshape(ops.cast(kernel, "float32"), (-1, kernel.shape[-1]))
    fixed = ops.stop_gradient(matrix)  # the vectors count as constants when the gradient is taken
    v = _unit(ops.matmul(ops.cast(u, "float32"), ops.transpose(fixed)))
    u = _unit(ops.matmul(v, fixed))
    sigma = ops.sum(ops.matmul(v, matrix) * u)
    return kernel / ops.cast(ops.maximum(sigma, 1e-6), kernel.dtype), u


def _unit(vector: Any) -> Any:
    return vector / ops.maximum(ops.norm(vector), 1e-6)


@keras.saving.register_keras_serializable("ganforge_resnet")
class SpectralConv2D(layers.Conv2D):
    """A convolution whose kernel, seen as a matrix, has the largest singular value 1."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.u = self.add_weight((1, self.filters), initializer="random_normal", trainable=False, name="u")

    def call(self, inputs: Any, training: bool = False) -> Any:
        kernel, u = normalised(self.kernel, self.u)
        if training:
            self.u.assign(ops.cast(u, self.u.dtype))
        outputs = self.convolution_op(inputs, kernel)
        return outputs + self.bias if self.use_bias else outputs


@keras.saving.register_keras_serializable("ganforge_resnet")
class SpectralDense(layers.Dense):
    """A dense layer whose kernel has the largest singular value 1."""

    def build(self, input_shape: Any) -> None:
        super().build(input_shape)
        self.u = self.add_weight((1, self.units), initializer="random_normal", trainable=False, name="u")

    def call(self, inputs: Any, training: bool = False) -> Any:
        kernel, u = normalised(self.kernel, self.u)
        if training:
            self.u.assign(ops.cast(u, self.u.dtype))
        outputs = ops.matmul(inputs, kernel)
        return outputs + self.bias if self.use_bias else outputs


# ------------------------------------------------------------------ the two networks


def generator(image_shape: ImageShape, latent_dim: int, options: ResNetOptions) -> keras.Model:
    """(B, latent_dim) -> (B, H, W, C) in [-1, 1]."""
    size, _, channels = image_shape
    blocks, start = _halvings(size)
    widths = [options.width * min(8, 2**n) for n in reversed(range(blocks + 1))]
    inputs = keras.Input((latent_dim,))
    x = layers.Reshape((start, start, widths[0]))(layers.Dense(start**2 * widths[0])(inputs))
    for width in widths[1:]:
        x = _upward(x, width, options.batch_norm)
    x = layers.ReLU()(_normalise(x, options.batch_norm))
    x = layers.Conv2D(channels, 3, padding="same", activation="tanh", dtype="float32")(x)
    return keras.Model(inputs, x, name="generator")


def discriminator(image_shape: ImageShape, options: ResNetOptions) -> keras.Model:
    """(B, H, W, C) in [-1, 1] -> (B, 1) logits."""
    blocks, _ = _halvings(image_shape[0])
    conv: Callable[..., Any] = SpectralConv2D if options.spectral_norm else layers.Conv2D
    dense: Callable[..., Any] = SpectralDense if options.spectral_norm else layers.Dense
    inputs = x = keras.Input(image_shape)
    for n in range(blocks):
        x = _downward(x, options.discriminator_width * min(8, 2**n), conv, first=n == 0)
    x = layers.GlobalAveragePooling2D()(layers.LeakyReLU(0.1)(x))
    return keras.Model(inputs, dense(1, dtype="float32")(x), name="discriminator")


def _upward(x: Any, width: int, batch_norm: bool) -> Any:
    """Twice the side: normalise, enlarge, convolve twice; the skip is enlarged and convolved 1x1."""
    skip = layers.Conv2D(width, 1)(layers.UpSampling2D()(x))
    x = layers.UpSampling2D()(layers.ReLU()(_normalise(x, batch_norm)))
    x = layers.Conv2D(width, 3, padding="same", use_bias=not batch_norm)(x)
    x = layers.ReLU()(_normalise(x, batch_norm))
    return layers.Add()([skip, layers.Conv2D(width, 3, padding="same")(x)])


def _downward(x: Any, width: int, conv: Callable[..., Any], first: bool) -> Any:
    """Half the side: convolve twice and average; the skip is averaged and convolved 1x1."""
    skip = conv(width, 1)(layers.AveragePooling2D(2)(x))
    if not first:  # the image itself is not cut at 0
        x = layers.LeakyReLU(0.1)(x)
    x = layers.LeakyReLU(0.1)(conv(width, 3, padding="same")(x))
    return layers.Add()([skip, layers.AveragePooling2D(2)(conv(width, 3, padding="same")(x))])


def _normalise(x: Any, batch_norm: bool) -> Any:
    return layers.BatchNormalization(momentum=0.9)(x) if batch_norm else x


def _halvings(size: int) -> tuple[int, int]:
    """Return how often ``size`` halves down to a side of 4 or more, and that side."""
    blocks, start = 0, size
    while start % 2 == 0 and start >= 8:
        blocks, start = blocks + 1, start // 2
    if not blocks:
        nearest = max(8, 2 * round(size / 2))
        raise UsageError(f"resnet cannot end at {size} pixels; expected an even number from 8, such as {nearest}")
    return blocks, start


@hookimpl
def register_architectures(register: Callable[[Architecture], None]) -> None:
    register(
        Architecture(
            "resnet",
            generator=generator,
            discriminator=discriminator,
            options=ResNetOptions,
            summary="Residual blocks, resize-convolutions, spectrally normalised discriminator",
            defaults={"latent_dim": 128, "learning_rate": 2e-4, "beta_1": 0.0, "batch_size": 64},
        )
    )
