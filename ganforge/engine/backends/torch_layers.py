"""Keras's own layers as plain torch: the same arithmetic on the same weights, without the detours.

Keras keeps pictures as (B, H, W, C) and turns every one into contiguous (B, C, H, W) for torch and back; a
(B, H, W, C) picture *is* a (B, C, H, W) tensor in torch's channels-last memory format, which its convolutions like
best. It computes batch statistics in a dozen passes over memory, cuts a transposed convolution out of a larger one,
and adds biases apart. None of that changes a result, and on a CPU it costs a third of a step.

``lower`` replaces only what it knows to the letter; every other layer is called as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import torch
from keras import layers
from torch.nn import functional

from ganforge.engine.keras_internals import graph_of, is_graph, is_masked, nodes, output_structure, standardized

Fast = Callable[..., torch.Tensor]  # of a tensor, and ``then`` or ``in_place`` where `lower` joins two
Shape = tuple[int | None, ...]


@dataclass
class Lowered:
    """``model(x, training=True)`` on torch tensors; ``x`` is a list where the model has several inputs.

    ``writes`` are the variables that it writes in place, past Keras: running averages, which no gradient needs.
    """

    run: Fast
    writes: list[keras.Variable]

    def __call__(self, x: Any) -> Any:
        return self.run(x)


def lower(model: keras.Model) -> Lowered:
    """Return ``model(x, training=True)`` as a function of torch tensors, sharing the model's variables."""
    if not _is_graph(model):
        return Lowered(partial(model, training=True), [])  # a class with a ``call`` of its own: nothing to look into
    graph = graph_of(model)
    calls = nodes(graph)
    uses = Counter(id(x) for node in calls for x in node.input_tensors) + Counter(id(x) for x in graph.outputs)
    program: list[_Call] = []
    writes: list[keras.Variable] = []
    made_by: dict[int, _Call] = {}
    for node in calls:
        operation = node.operation
        form = _form(node)
        if form is None:
            whole = _as_it_is(node)
            writes += getattr(whole, "writes", [])
            program.append(_Call(whole, node, None, None))
            continue
        given, gives = id(node.input_tensors[0]), id(node.outputs[0])
        before = made_by.get(given)
        if type(operation) in _IN_PLACE and before is not None and uses[given] == 1:
            # What the layer before gives to this one alone is overwritten, and before it is turned: a view
            # overwritten costs a copy.
            before.form, before.gives = partial(before.form, then=partial(form, in_place=True)), gives
            continue
        program.append(_Call(form, node, given, gives))
        if type(operation) is layers.BatchNormalization:
            writes += [operation.moving_mean, operation.moving_variance]
        if type(operation) in _FRESH and _activation(operation) is _identity:
            made_by[gives] = program[-1]
    expected = [(len(start.shape), getattr(torch, start.dtype)) for start in graph.inputs]
    structure = output_structure(graph)

    def run(x: Any) -> Any:
        given = x if isinstance(x, (list, tuple)) else [x]
        if [(tensor.ndim, tensor.dtype) for tensor in given] != expected:
            given = standardized(graph, x)  # labels (B,) where the model takes (B, 1), or another precision
        tensors = {id(start): tensor for start, tensor in zip(graph.inputs, given, strict=True)}
        for call in program:
            if call.given is not None and call.gives is not None:
                tensors[call.gives] = call.form(tensors[call.given])
                continue
            arguments, keywords = call.node.arguments.fill_in(tensors)
            for name, value in zip(call.node.outputs, keras.tree.flatten(call.form(*arguments, **keywords))):
                tensors[id(name)] = value
        ends = [tensors[id(end)] for end in graph.outputs]
        return ends[0] if isinstance(structure, keras.KerasTensor) else keras.tree.pack_sequence_as(structure, ends)

    return Lowered(run, writes)


class _Nested(Lowered):
    """A model in a model, which Keras's graph gives a mask and a training mode as well."""

    def __call__(self, x: Any, **_: Any) -> Any:
        return self.run(x)


@dataclass
class _Call:
    """One step of a lowered model: a form with one input and one output by name, or a layer called as it is."""

    form: Callable[..., Any]
    node: Any
    given: int | None
    gives: int | None


def _is_graph(model: keras.Model) -> bool:
    """Say whether calling a model runs its graph and nothing else."""
    keras_own = all(method.__module__.startswith("keras.") for method in (type(model).call, type(model).__call__))
    return keras_own and is_graph(graph_of(model)) and model.activity_regularizer is None


def _form(node: Any) -> Fast | None:
    """Return a node as plain torch, where its layer is known to the letter and is given one tensor alone."""
    maker = _FORMS.get(type(node.operation))
    if maker is None or not _is_lone(node) or _altered(node.operation):
        return None
    return maker(node.operation, node.input_tensors[0].shape, node.outputs[0].shape)


def _is_lone(node: Any) -> bool:
    """Say whether a node goes from one tensor, without a mask, to one tensor."""
    given = node.input_tensors
    return (
        len(given) == len(node.outputs) == len(node.arguments.args) == 1
        and node.arguments.args[0] is given[0]
        and not is_masked(given[0])
    )


def _as_it_is(node: Any) -> Callable[..., Any]:
    """Return a node's operation in training mode.

    Keras notes the default of ``training`` in the node; ``model(x, training=True)`` overrides it, and so does this.
    """
    operation: Callable[..., Any] = node.operation
    if not isinstance(operation, keras.Layer):
        return operation
    if isinstance(operation, keras.Model) and _is_lone(node) and _is_graph(operation) and len(operation.inputs) == 1:
        nested = lower(operation)
        return _Nested(nested.run, nested.writes)
    return lambda *arguments, **keywords: operation(*arguments, **{**keywords, "training": True})


# ------------------------------------------------------------------ one layer each; None means "as it is"


def _dense(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    dtype, activation = _dtype(layer), _activation(layer)
    kernel, bias = layer.kernel, layer.bias

    def call(x: torch.Tensor, then: Fast = activation) -> torch.Tensor:
        return then(functional.linear(x.to(dtype), kernel.value.to(dtype).t(), _cast(bias, dtype)))

    return call


def _convolution(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    padding = _symmetric(layer, given)
    if padding is None or layer.groups != 1:
        return None
    dtype, activation, stride = _dtype(layer), _activation(layer), layer.strides
    kernel, bias = layer.kernel, layer.bias

    def call(x: torch.Tensor, then: Fast = _identity) -> torch.Tensor:
        weight = kernel.value.to(dtype).permute(3, 2, 0, 1)
        y = functional.conv2d(x.to(dtype).permute(0, 3, 1, 2), weight, _cast(bias, dtype), stride, padding)
        return activation(then(y).permute(0, 2, 3, 1))

    return call


def _transposed_convolution(layer: Any, given: Shape, gives: Shape) -> Fast | None:
    (k, k2), (s, s2) = layer.kernel_size, layer.strides
    # Keras's "same" is n_out = s n_in, which is padding (k - s) / 2 wherever that is a whole number.
    plain = layer.padding == "same" and layer.output_padding is None and k >= s and k2 >= s2
    if not plain or (k - s) % 2 or (k2 - s2) % 2:
        return None
    dtype, activation, padding = _dtype(layer), _activation(layer), ((k - s) // 2, (k2 - s2) // 2)
    kernel, bias = layer.kernel, layer.bias
    narrow = (k, k2, s, s2) == (4, 4, 2, 2) and layer.filters <= 4

    def call(x: torch.Tensor, then: Fast = _identity) -> torch.Tensor:
        weight = kernel.value.to(dtype).permute(3, 2, 0, 1)
        x = x.to(dtype).permute(0, 3, 1, 2)
        # torch 2.13's compiler writes beyond its memory in the phases' slices; compiled code has no use for them.
        if narrow and x.device.type == "cpu" and not torch.compiler.is_compiling():
            y = _by_phases(x, weight, _cast(bias, dtype))
        else:
            y = functional.conv_transpose2d(x, weight, _cast(bias, dtype), (s, s2), padding)
        return activation(then(y).permute(0, 2, 3, 1))

    return call


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
    if (
        layer.axis not in (-1, rank - 1)
        or rank not in (2, 4)
        or getattr(layer, "renorm", False)
        or layer.synchronized
    ):
        return None
    if not layer.trainable:
        return None
    dtype, keep = _dtype(layer), 1.0 - layer.momentum

    def call(x: torch.Tensor, then: Fast = _identity) -> torch.Tensor:
        gamma = layer.gamma.value if layer.scale else None
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
    if layer.max_value is not None or layer.negative_slope or layer.threshold:
        return None
    dtype = _dtype(layer)
    return lambda x, in_place=False: functional.relu(x.to(dtype), inplace=in_place and x.dtype == dtype)


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


_FORMS: dict[type, Callable[[Any, Shape, Shape], Fast | None]] = {
    layers.Dense: _dense,
    layers.Conv2D: _convolution,
    layers.Conv2DTranspose: _transposed_convolution,
    layers.BatchNormalization: _batch_norm,
    layers.LeakyReLU: _leaky_relu,
    layers.ReLU: _relu,
    layers.Activation: _activate,
    layers.Dropout: _dropout,
    layers.Reshape: _reshape,
    layers.Flatten: _reshape,
}
_FRESH = (layers.Dense, layers.Conv2D, layers.Conv2DTranspose, layers.BatchNormalization)
_IN_PLACE = (layers.LeakyReLU, layers.ReLU)


# ------------------------------------------------------------------ what they share


def _altered(layer: Any) -> bool:
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


def _activation(layer: Any) -> Fast:
    activation = getattr(layer, "activation", None)
    return _identity if activation in (None, keras.activations.linear) else activation


def _identity(x: torch.Tensor) -> torch.Tensor:
    return x


def _symmetric(layer: Any, given: Shape) -> tuple[int, int] | None:
    """Return a convolution's padding where it is known and alike on both sides, else None."""
    if layer.padding == "valid":
        return 0, 0
    height, width = given[1:3]
    if layer.padding != "same" or height is None or width is None:
        return None
    sides = []
    for n, k, s in zip((height, width), layer.kernel_size, layer.strides):
        total = max(0, (-(-n // s) - 1) * s + k - n)
        if total % 2:
            return None
        sides.append(total // 2)
    return sides[0], sides[1]
