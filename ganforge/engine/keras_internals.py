"""What GANForge needs of Keras that Keras keeps private; nothing else in the package touches it.

Tested with the Keras in ``constraints.txt``. What a newer one changes is mended here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import keras

# ------------------------------------------------------------------ layers and graphs


def all_layers(model: Any) -> list[Any]:
    """Return every layer of a model, those in models and layers in it included."""
    return list(model._flatten_layers())


def direct_layers(layer: Any) -> list[Any]:
    """Return the layers that a layer holds itself."""
    return list(getattr(layer, "_layers", []))


def graph_of(model: Any) -> Any:
    """Return the graph of layers that calling a model runs; the model itself where it has none."""
    return getattr(model, "_functional", None) or model


def is_graph(graph: Any) -> bool:
    """Say whether ``graph_of`` gave a graph."""
    return hasattr(graph, "_nodes_by_depth")


def nodes(model: Any) -> list[Any]:
    """Return the calls that a graph is made of, in an order in which each follows what it needs; inputs left out.

    None where a network or layer is no graph.
    """
    by_depth = getattr(graph_of(model), "_nodes_by_depth", {})
    return [n for depth in sorted(by_depth, reverse=True) for n in by_depth[depth] if n.operation and not n.is_input]


def output_structure(graph: Any) -> Any:
    """Return how a graph gives its outputs: one symbolic tensor, or a structure of them."""
    return graph._outputs_struct


# What changes nothing of the numbers that go through it.
_CARRIES = ("Reshape", "Flatten", "Identity", "Permute", "Cropping2D", "Squeeze", "Transpose")


def last_operation(model: Any) -> Any:
    """Return the operation that makes what a graph gives, behind reshaping; None where it is no graph of one output.

    Of a dict of outputs it is that of ``logits``.
    """
    graph = graph_of(model)
    if not is_graph(graph):
        return model.layers[-1] if isinstance(model, keras.Sequential) and model.layers else None
    outputs = output_structure(graph)
    tensor = outputs.get("logits") if isinstance(outputs, dict) else outputs
    while True:
        history = getattr(tensor, "_keras_history", None)
        if history is None:
            return None
        operation = history.operation
        inner = graph_of(operation)
        if is_graph(inner):
            return last_operation(operation)
        if type(operation).__name__ not in _CARRIES:
            return operation
        tensor = operation._inbound_nodes[history.node_index].input_tensors[0]


def standardized(graph: Any, inputs: Any) -> list[Any]:
    """Return inputs in the shapes and types that a graph was made with."""
    return list(graph._standardize_inputs(inputs))


def is_masked(tensor: Any) -> bool:
    """Say whether a tensor carries a mask from layer to layer."""
    return getattr(tensor, "_keras_mask", None) is not None


def adds_losses(layer: Any) -> bool:
    """Say whether a layer itself, not one that it holds, added a loss when called or regularizes a weight."""
    return bool(layer._get_own_losses()) or any(v.regularizer is not None for v in layer._trainable_variables)


def replace_moments(layer: Any, moments: Callable[[Any, Sequence[int]], tuple[Any, Any] | None]) -> None:
    """Have a batch normalization take its batch's mean and variance from ``moments(x, axes)``, where it gives some.

    What is masked stays as it is: its rows do not count alike.
    """
    own = type(layer)._moments.__get__(layer)

    def taken(x: Any, mask: Any) -> tuple[Any, Any]:
        found = moments(x, layer._reduction_axes) if mask is None else None
        return own(x, mask) if found is None else found

    layer._moments = taken


def run_through(graph: Any, inputs: Any, how: Callable[[Any], Callable[..., Any]]) -> Any:
    """Return what a graph makes of ``inputs``; ``how`` returns, for an operation in it, what is called instead."""
    return graph._run_through_graph(inputs, operation_fn=how)


@contextmanager
def without_numbers() -> Iterator[None]:
    """Let variables that are made in the block have a shape and a type alone: no memory is taken, now or later."""
    from keras.src.backend.common import global_state

    waiting = "uninitialized_variables"  # what the end of the outermost scope would give numbers to
    before = list(global_state.get_global_attribute(waiting, []))
    with keras.StatelessScope():
        try:
            yield
        finally:
            global_state.set_global_attribute(waiting, before)


def safe_mode() -> AbstractContextManager[Any]:
    """Refuse Python code in what Keras opens, also where the process has called ``enable_unsafe_deserialization``."""
    from keras.src.saving.serialization_lib import SafeModeScope

    scope: AbstractContextManager[Any] = SafeModeScope(True)
    return scope


# ------------------------------------------------------------------ variables and optimizers


def write(variable: Any, value: Any) -> None:
    """Give a variable a value at once, whatever scope is open."""
    variable._direct_assign(value)


def held(variable: Any) -> Any:
    """Return the tensor that a variable holds, whatever scope is open."""
    return variable._value


def adam_moments(optimizer: keras.optimizers.Optimizer, variables: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Return Adam's first and second moments of some of its variables."""
    index = [optimizer._get_variable_index(v) for v in variables]
    return [optimizer._momentums[i] for i in index], [optimizer._velocities[i] for i in index]


def has_schedule(optimizer: Any) -> bool:
    """Say whether an optimizer computes its learning rate: by a schedule, or by another function."""
    return callable(getattr(optimizer, "_learning_rate", None))


# ------------------------------------------------------------------ devices


def torch_device() -> str:
    """Return where Keras on torch keeps its variables, such as ``cpu`` or ``cuda``."""
    from keras.src.backend.torch.core import get_device

    device: str = get_device()
    return device


def change_of(tensor: Any) -> tuple[int, int]:
    """Return what tells whether a tensor of torch's was written to since: where it lies, and how often it was."""
    return tensor.data_ptr(), tensor._version
