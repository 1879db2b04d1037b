"""One layer of Keras's each as plain torch, known to the letter. See ``torch_layers``, which puts them together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import keras
import torch
from keras import layers
from torch.nn import functional

Fast = Callable[..., torch.Tensor]  # of a tensor, and ``then`` or ``in_place`` where `lower` joins two
Shape = tuple[int | None, ...]

# ------------------------------------------------------------------ one layer each; None means "as it is"


def _dense(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    dtype, activation = _dtype(layer), activation_of(layer)
    kernel, bias = layer.kernel, layer.bias

    def call(x: torch.Tensor, then: Fast = activation) -> torch.Tensor:
        return then(functional.linear(x.to(dtype), kernel.value.to(dtype).t(), _cast(bias, dtype)))

    return call


def _convolution(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    return _convolved(layer, given, lambda kernel: kernel.permute(3, 2, 0, 1), layer.groups)


def _depthwise_convolution(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    channels = given[-1]
    if channels is None:
        return None
    # Keras has (height, width, channel, multiple), torch (channel x multiple, 1, height, width).
    return _convolved(layer, given, lambda kernel: kernel.permute(2, 3, 0, 1).flatten(0, 1).unsqueeze(1), channels)


def _convolved(layer: Any, given: Shape, turned: Fast, groups: int) -> Fast | None:
    padded = _padding(layer, given)
    if padded is None:
        return None
    padding, zeros = padded
    dtype, activation, stride = _dtype(layer), activation_of(layer), layer.strides
    kernel, bias = layer.kernel, layer.bias

    def call(x: torch.Tensor, then: Fast = identity) -> torch.Tensor:
        weight = turned(kernel.value.to(dtype))
        if any(zeros):
            weight = functional.pad(weight, zeros)
        if weight.shape[0] == 1 and (x.shape[0] == 1 or dtype == torch.bfloat16):
            weight = weight.contiguous()  # where it has no quicker way, torch 2.13 refuses one that is turned
        x = x.to(dtype).permute(0, 3, 1, 2)
        y = functional.conv2d(x, weight, _cast(bias, dtype), stride, padding, groups=groups)
        return activation(then(y).permute(0, 2, 3, 1))

    return call


def _transposed_convolution(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    (k, k2), (s, s2) = layer.kernel_size, layer.strides
    # Keras's "same" is n_out = s n_in, which is padding (k - s) / 2 wherever that is a whole number.
    plain = layer.padding == "same" and layer.output_padding is None and k >= s and k2 >= s2
    if not plain or (k - s) % 2 or (k2 - s2) % 2:
        return None
    dtype, activation, padding = _dtype(layer), activation_of(layer), ((k - s) // 2, (k2 - s2) // 2)
    kernel, bias = layer.kernel, layer.bias

    def call(x: torch.Tensor, then: Fast = identity) -> torch.Tensor:
        weight = kernel.value.to(dtype).permute(3, 2, 0, 1)
        y = _transposed(x.to(dtype).permute(0, 3, 1, 2), weight, _cast(bias, dtype), (s, s2), padding)
        return activation(then(y).permute(0, 2, 3, 1))

    return call


def doubled_convolution(up: Any, layer: Any) -> Fast | None:
    """Return a 3x3 convolution of pixels repeated to 2x2 as one transposed convolution, or None where it is none.

    Row 2p of the result reads input rows p - 1 and p with w_0 and w_1 + w_2, row 2p + 1 rows p and p + 1 with
    w_0 + w_1 and w_2, and columns likewise: a transposed convolution of kernel 4 and stride 2 with (w_2, w_1 + w_2,
    w_0 + w_1, w_0), which takes 4 products where the other takes 9.
    """
    nearest = (up.interpolation, tuple(up.size)) == ("nearest", (2, 2)) and up.compute_dtype == layer.compute_dtype
    plain = layer.padding == "same" and layer.groups == 1 and tuple(layer.strides) == (1, 1)
    if not nearest or not plain or tuple(layer.kernel_size) != (3, 3) or altered(up) or altered(layer):
        return None
    dtype, activation, kernel, bias = _dtype(layer), activation_of(layer), layer.kernel, layer.bias

    def call(x: torch.Tensor, then: Fast = identity) -> torch.Tensor:
        weight = kernel.value.permute(2, 3, 0, 1).flip((2, 3))
        weight = functional.pad(weight, (0, 0, 1, 0)) + functional.pad(weight, (0, 0, 0, 1))
        weight = functional.pad(weight, (1, 0, 0, 0)) + functional.pad(weight, (0, 1, 0, 0))
        y = _transposed(x.to(dtype).permute(0, 3, 1, 2), weight.to(dtype), _cast(bias, dtype), (2, 2), (1, 1))
        return activation(then(y).permute(0, 2, 3, 1))

    return call


def _transposed(
    x: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None,
    strides: tuple[int, int],
    padding: tuple[int, int],
) -> torch.Tensor:
    narrow = weight.shape[2:] == (4, 4) and strides == (2, 2) and weight.shape[1] <= 4
    # torch 2.13's compiler writes beyond its memory in the phases' slices; compiled code has no use for them.
    if narrow and x.device.type == "cpu" and not torch.compiler.is_compiling():
        return _by_phases(x, weight, bias)
    return functional.conv_transpose2d(x, weight, bias, strides, padding)


def _by_phases(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None) -> torch.Tensor:
    """Return the transposed convolution with kernel 4, stride 2, padding 1 by its four phases.

    Output row 2p + a reads input rows p + a - 1 and p + a with kernel rows (3, 1) for a = 0 and (2, 0) for a = 1, and
    columns likewise: one 2x2 convolution with four times the channels (Shi et al. 2016, "Is the deconvolution layer
    the same as a convolutional layer?"). A processor's convolution works on 8 or 16 channels at once, so that three
    channels, a picture's, cost as much as twelve: here all twelve are needed.
    """
    channels = weight.shape[1]
    rows = torch.tensor(((3, 1), (2, 0)), device=weight.device)
    phases = weight[:, :, rows][..., rows]  # in, out, row phase, row tap, column phase, column tap
    phases = phases.permute(2, 4, 1, 0, 3, 5).reshape(4 * channels, -1, 2, 2)
    y = functional.conv2d(x, phases, None if bias is None else bias.repeat(4), 1, 1)
    y = y.permute(0, 2, 3, 1)
    batch, height, width = y.shape[0], y.shape[1] - 1, y.shape[2] - 1
    lines = []
    for a in (0, 1):
        pair = [
            y[:, a : a + height, c : c + width, (2 * a + c) * channels : (2 * a + c + 1) * channels] for c in (0, 1)
        ]
        lines.append(torch.stack(pair, 3).reshape(batch, height, 2 * width, channels))
    return torch.stack(lines, 2).reshape(batch, 2 * height, 2 * width, channels).permute(0, 3, 1, 2)


def _batch_norm(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    rank = len(given)
    odd = getattr(layer, "renorm", False) or layer.synchronized  # older Keras has no renorm
    if layer.axis not in (-1, rank - 1) or rank not in (2, 4) or odd:
        return None
    if not layer.trainable:
        return None
    dtype, keep = _dtype(layer), 1.0 - layer.momentum

    def call(x: torch.Tensor, then: Fast = identity) -> torch.Tensor:
        # Without a float32 weight, torch would keep a bfloat16 batch's statistics in bfloat16.
        gamma = layer.gamma.value if layer.scale else torch.ones(x.shape[-1], device=x.device)
        beta = layer.beta.value if layer.center else None
        turned = x.permute(0, 3, 1, 2) if rank == 4 else x
        y, mean, inverse = torch.native_batch_norm(turned, gamma, beta, None, None, True, 0.0, layer.epsilon)
        with torch.no_grad():
            # The batch's own variance as Keras keeps it, without torch's correction n / (n - 1).
            variance = inverse.pow(-2) - layer.epsilon
            layer.moving_mean.value.lerp_(mean, keep)
            layer.moving_variance.value.lerp_(variance, keep)
        y = then(y.to(dtype))
        return y.permute(0, 2, 3, 1) if rank == 4 else y

    return call


def _leaky_relu(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    slope, dtype = float(layer.negative_slope), _dtype(layer)
    if slope <= 0:
        return None

    return lambda x, in_place=False: functional.leaky_relu(x.to(dtype), slope, inplace=in_place and x.dtype == dtype)


def _relu(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    # Other limits Keras clips at, whose slope at the limit itself is another.
    if layer.max_value not in (None, 6) or layer.negative_slope or layer.threshold:
        return None
    dtype, unit = _dtype(layer), functional.relu if layer.max_value is None else functional.relu6
    return lambda x, in_place=False: unit(x.to(dtype), inplace=in_place and x.dtype == dtype)


def _dropout(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    if layer.noise_shape is not None or layer.seed is not None:
        return None
    # The global generator, which the adapter seeds by the step: Keras draws from it too, where no seed is given.
    return lambda x: functional.dropout(x.to(_dtype(layer)), layer.rate, training=True)


def _activate(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    dtype = _dtype(layer)
    return lambda x: layer.activation(_into(x, dtype))


def _reshape(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    dtype, shape = _dtype(layer), [n for n in gives[1:] if n is not None]
    if len(shape) < len(gives) - 1:
        return None
    return lambda x: _into(x, dtype).reshape(-1, *shape)


def _up_sampling(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    if layer.interpolation not in ("nearest", "bilinear"):
        return None
    dtype, scale, mode = _dtype(layer), tuple(float(n) for n in layer.size), layer.interpolation
    # A pixel of a map that is a fraction smaller is as wide as ``scale``: Keras puts its middle where torch does.
    edges = {} if mode == "nearest" else {"align_corners": False}

    def call(x: torch.Tensor) -> torch.Tensor:
        turned = x.to(dtype).permute(0, 3, 1, 2)
        return functional.interpolate(turned, scale_factor=scale, mode=mode, **edges).permute(0, 2, 3, 1)

    return call


def _average_pooling(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    sides = [n for n in given[1:3] if n is not None]
    divide = len(sides) == 2 and all(n % p == 0 for n, p in zip(sides, layer.pool_size))
    if tuple(layer.strides) != tuple(layer.pool_size) or not divide:
        return None  # at an edge Keras averages what is there
    dtype, pool = _dtype(layer), tuple(layer.pool_size)
    return lambda x: functional.avg_pool2d(x.to(dtype).permute(0, 3, 1, 2), pool).permute(0, 2, 3, 1)


def _global_average_pooling(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    dtype = _dtype(layer)
    return lambda x: x.to(dtype).mean((1, 2), keepdim=bool(layer.keepdims))


FORMS: dict[type, Callable[[Any, Shape, Shape], Fast | None]] = {
    layers.Dense: _dense,
    layers.Conv2D: _convolution,
    layers.DepthwiseConv2D: _depthwise_convolution,
    layers.Conv2DTranspose: _transposed_convolution,
    layers.BatchNormalization: _batch_norm,
    layers.LeakyReLU: _leaky_relu,
    layers.ReLU: _relu,
    layers.Activation: _activate,
    layers.Dropout: _dropout,
    layers.Reshape: _reshape,
    layers.Flatten: _reshape,
    layers.UpSampling2D: _up_sampling,
    layers.AveragePooling2D: _average_pooling,
    layers.GlobalAveragePooling2D: _global_average_pooling,
}
FRESH = (layers.Dense, layers.Conv2D, layers.DepthwiseConv2D, layers.Conv2DTranspose, layers.BatchNormalization)
IN_PLACE = (layers.LeakyReLU, layers.ReLU)


# ------------------------------------------------------------------ what they share


def altered(layer: Any) -> bool:
    """Say whether a layer does more than its kind, or keeps its pictures otherwise than this module reckons with."""
    return bool(
        getattr(layer, "quantization_mode", None)
        or getattr(layer, "lora_enabled", False)
        or (getattr(layer, "data_format", None) or "channels_last") != "channels_last"
        or set(getattr(layer, "dilation_rate", (1,))) != {1}
        or layer.activity_regularizer is not None
        or not layer.autocast
    )


def _dtype(layer: Any) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, layer.compute_dtype)
    return dtype


def _into(x: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    # Keras casts what is a fraction; whole numbers stay.
    return x.to(dtype) if x.is_floating_point() else x


def _cast(variable: Any, dtype: torch.dtype) -> torch.Tensor | None:
    return None if variable is None else variable.value.to(dtype)


def activation_of(layer: Any) -> Fast:
    activation = getattr(layer, "activation", None)
    return identity if activation in (None, keras.activations.linear) else activation


def identity(x: torch.Tensor) -> torch.Tensor:
    return x


def _padding(layer: Any, given: Shape) -> tuple[tuple[int, int], tuple[int, int, int, int]] | None:
    """Return a convolution's padding, alike on both sides, and the zeros to put around its kernel for that.

    Where "same" pads one pixel more at the end, as at most strides of 2, the kernel gets a first row or column of
    zeros instead and the padding is a pixel more at both sides: to pad the picture would copy it.
    """
    if layer.padding == "valid":
        return (0, 0), (0, 0, 0, 0)
    height, width = given[1:3]
    if layer.padding != "same" or height is None or width is None:
        return None
    sides, uneven = [], []
    for n, k, s in zip((height, width), layer.kernel_size, layer.strides):
        total = max(0, (-(-n // s) - 1) * s + k - n)
        uneven.append(total % 2)
        sides.append(total // 2 + total % 2)
    return (sides[0], sides[1]), (uneven[1], 0, uneven[0], 0)
