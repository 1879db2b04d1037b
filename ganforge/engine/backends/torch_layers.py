"""Keras's own layers as plain torch: the same arithmetic on the same weights, without the detours.

Keras keeps pictures as (B, H, W, C) and turns every one into contiguous (B, C, H, W) for torch and back; a
(B, H, W, C) picture *is* a (B, C, H, W) tensor in torch's channels-last memory format, which its convolutions like
best. It computes batch statistics in a dozen passes over memory, cuts a transposed convolution out of a larger one,
and adds biases apart. None of that changes a result, and on a CPU it costs a third of a step.

``lower`` replaces only what it knows to the letter; every other layer is called as it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import keras
import torch
from keras import layers

from ganforge.engine.backends.torch_forms import (
    FORMS,
    FRESH,
    IN_PLACE,
    Fast,
    Shape,
    activation_of,
    altered,
    doubled_convolution,
    identity,
)
from ganforge.engine.keras_internals import graph_of, is_graph, is_masked, nodes, output_structure, standardized

Forms = Mapping[type, Callable[[Any, Shape, Shape], Fast | None]]


@dataclass
class Lowered:
    """``model(x, training=True)`` on torch tensors; ``x`` is a list where the model has several inputs.

    ``writes`` are the variables that it writes in place, past Keras: running averages, which no gradient needs.
    ``known`` are the layers that are not called as they are.
    """

    run: Fast
    writes: list[keras.Variable]
    known: list[Any] = field(default_factory=list)

    def __call__(self, x: Any) -> Any:
        return self.run(x)


def lower(model: keras.Model, forms: Forms = FORMS) -> Lowered:
    """Return ``model(x, training=True)`` as a function of torch tensors, sharing the model's variables."""
    if not _is_graph(model):
        return Lowered(partial(model, training=True), [])  # a class with a ``call`` of its own: nothing to look into
    graph = graph_of(model)
    calls = nodes(graph)
    uses = Counter(id(x) for node in calls for x in node.input_tensors) + Counter(id(x) for x in graph.outputs)
    program: list[_Call] = []
    writes: list[keras.Variable] = []
    known: list[Any] = []
    made_by: dict[int, _Call] = {}
    for node in calls:
        operation = node.operation
        form = _form(node, forms)
        if form is None:
            whole = _as_it_is(node, forms)
            writes += getattr(whole, "writes", [])
            known += getattr(whole, "known", [])
            program.append(_Call(whole, node, None, None))
            continue
        known.append(operation)
        given, gives = id(node.input_tensors[0]), id(node.outputs[0])
        before = made_by.get(given)
        if before is not None and uses[given] == 1 and (joined := _joined(before.node, node)) is not None:
            before.form, before.node, before.gives = joined, node, gives
            made_by[gives] = before
            continue
        if type(operation) in IN_PLACE and before is not None and uses[given] == 1 and _is_fresh(before.node):
            # What the layer before gives to this one alone is overwritten, and before it is turned: a view
            # overwritten costs a copy.
            before.form, before.gives = partial(before.form, then=partial(form, in_place=True)), gives
            continue
        program.append(_Call(form, node, given, gives))
        if type(operation) is layers.BatchNormalization:
            writes += [operation.moving_mean, operation.moving_variance]
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

    return Lowered(run, writes, known)


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


def _form(node: Any, forms: Forms) -> Fast | None:
    """Return a node as plain torch, where its layer is known to the letter and is given one tensor alone."""
    maker = forms.get(type(node.operation))
    if maker is None or not _is_lone(node) or altered(node.operation):
        return None
    return maker(node.operation, node.input_tensors[0].shape, node.outputs[0].shape)


def _is_lone(node: Any) -> bool:
    """Say whether a node goes from one tensor, without a mask, to one tensor."""
    return len(node.outputs) == 1 and _takes_one(node)


def _takes_one(node: Any) -> bool:
    """Say whether a node is given one tensor and nothing else, without a mask."""
    given = node.input_tensors
    return (
        len(given) == len(node.arguments.args) == 1 and node.arguments.args[0] is given[0] and not is_masked(given[0])
    )


def _is_fresh(node: Any) -> bool:
    """Say whether a node gives a tensor of its own, which no gradient needs as it is."""
    return type(node.operation) in FRESH and activation_of(node.operation) is identity


def _joined(before: Any, node: Any) -> Fast | None:
    """Return two nodes that follow each other as one, where that is known to be quicker."""
    if type(before.operation) is layers.UpSampling2D and type(node.operation) is layers.Conv2D:
        return doubled_convolution(before.operation, node.operation)
    return None


def _as_it_is(node: Any, forms: Forms) -> Callable[..., Any]:
    """Return a node's operation in training mode.

    Keras notes the default of ``training`` in the node; ``model(x, training=True)`` overrides it, and so does this.
    """
    operation: Callable[..., Any] = node.operation
    if not isinstance(operation, keras.Layer):
        return operation
    if (
        isinstance(operation, keras.Model)
        and _takes_one(node)
        and _is_graph(operation)
        and len(operation.inputs) == 1
    ):
        nested = lower(operation, forms)
        return _Nested(nested.run, nested.writes, nested.known)
    return lambda *arguments, **keywords: operation(*arguments, **{**keywords, "training": True})
