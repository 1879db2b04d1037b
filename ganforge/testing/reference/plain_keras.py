"""Networks in training mode as plain Keras runs them, differentiated by the backend alone: the kit's yardstick.

Nothing of the engine is used here. What a call assigns is kept in the variables, and no gradient flows through the
assignment, as TensorFlow's tape has it and the engine promises (``ganforge.engine.backends``). Each function makes
one call and differentiates it before another is made; that is how torch can follow a layer which writes to its own
weights.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops


@dataclass(frozen=True)
class Differentiated:
    """One call of a network, as numpy: its output, its own losses, and the gradients of ``value``."""

    output: np.ndarray
    losses: list[float]
    value: float
    at_weights: list[np.ndarray]
    at_input: np.ndarray


def differentiate(
    model: Any, inputs: Sequence[np.ndarray], scalar: Callable[[Any, list[Any]], Any]
) -> Differentiated:
    """Call a network once in training mode and differentiate a scalar at its weights and at its first input.

    Args:
        inputs: float32 (B, …), and int32 (B,) class labels where the network takes them.
        scalar: ``(output, the network's own losses) -> scalar``.
    """
    return _found(model, inputs, scalar, None)


def slope(model: Any, inputs: Sequence[np.ndarray], weighting: np.ndarray) -> Differentiated:
    """Differentiate |d sum(weighting * output) / d input|^2 at the weights; none is taken at the input."""
    return _found(model, inputs, None, weighting)


def _found(model: Any, inputs: Sequence[np.ndarray], scalar: Any, weighting: np.ndarray | None) -> Differentiated:
    run = {"torch": _torch, "jax": _jax, "tensorflow": _tensorflow}[keras.backend.backend()]
    weights = 1.0 if weighting is None else ops.convert_to_tensor(weighting)
    tensors = [ops.convert_to_tensor(x) for x in inputs]
    output, losses, value, at_weights, at_input = run(model, tensors, scalar, weights)
    return Differentiated(
        _numpy(whole(output)),
        [float(_numpy(loss)) for loss in losses],
        float(_numpy(value)),
        [_numpy(gradient) for gradient in at_weights],
        _numpy(at_input),
    )


def _numpy(tensor: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(ops.cast(ops.stop_gradient(tensor), "float32")))


def _call(model: Any, inputs: Sequence[Any]) -> tuple[Any, list[Any]]:
    output = model(inputs[0] if len(inputs) == 1 else list(inputs), training=True)
    return output, list(model.losses)


def whole(output: Any) -> Any:
    """Return all that a network gives in one float32 tensor: as it is, or its parts side by side, (B, N)."""
    parts = keras.tree.flatten(output)
    if len(parts) == 1:
        return ops.cast(parts[0], "float32")
    return ops.concatenate([ops.reshape(ops.cast(p, "float32"), (p.shape[0], -1)) for p in parts], axis=1)


def _sum(output: Any, weighting: Any, x: Any) -> Any:
    """Return an output's weighted sum; it has a slope, of 0, even where the input has no part in it."""
    return ops.sum(whole(output) * weighting) + 0.0 * ops.sum(x)


def _torch(model: Any, inputs: list[Any], scalar: Any, weighting: Any) -> tuple[Any, ...]:
    import torch

    x, rest = inputs[0].detach().requires_grad_(), inputs[1:]
    with torch.enable_grad():
        output, losses = _call(model, [x, *rest])
        if scalar is None:
            (slope,) = torch.autograd.grad(_sum(output, weighting, x), x, create_graph=True)
            value = slope.square().sum()
        else:
            value = scalar(output, losses) + 0.0 * x.sum()
    tensors = [v.value for v in model.trainable_variables]
    if not value.requires_grad:  # a slope without weights in it
        return output, losses, value, [torch.zeros_like(t) for t in tensors], torch.zeros_like(x)
    *at_weights, at_input = torch.autograd.grad(value, [*tensors, x], allow_unused=True, materialize_grads=True)
    return output, losses, value, at_weights, torch.zeros_like(x) if scalar is None else at_input


def _tensorflow(model: Any, inputs: list[Any], scalar: Any, weighting: Any) -> tuple[Any, ...]:
    import tensorflow as tf

    x, rest = inputs[0], inputs[1:]
    variables = model.trainable_variables
    with tf.GradientTape() as tape:
        tape.watch(x)
        with tf.GradientTape() as inner:
            inner.watch(x)
            output, losses = _call(model, [x, *rest])
            total = _sum(output, weighting, x)
        value = tf.reduce_sum(tf.square(inner.gradient(total, x))) if scalar is None else scalar(output, losses)
    zero = tf.UnconnectedGradients.ZERO
    *at_weights, at_input = tape.gradient(value, [*(v.value for v in variables), x], unconnected_gradients=zero)
    return output, losses, value, at_weights, tf.zeros_like(x) if scalar is None else at_input


def _jax(model: Any, inputs: list[Any], scalar: Any, weighting: Any) -> tuple[Any, ...]:
    import jax

    x, rest = inputs[0], inputs[1:]
    trainable, variables = model.trainable_variables, model.variables

    class Kept(keras.StatelessScope):
        """Keeps assignments, as values through which no gradient flows; a weight's own goes on to be taken."""

        def add_update(self, update: tuple[Any, Any]) -> None:
            variable, value = update
            value, leaf = jax.lax.stop_gradient(value), self.leaves.get(id(variable))
            super().add_update((variable, value if leaf is None else value + leaf - jax.lax.stop_gradient(leaf)))

    def call(weights: Any, x: Any) -> tuple[Any, ...]:
        mapping = {id(v): (v, v.value) for v in variables}
        leaves = {id(v): weight for v, weight in zip(trainable, weights)}
        mapping.update({id(v): (v, weight) for v, weight in zip(trainable, weights)})
        scope = Kept(list(mapping.values()), collect_losses=True)
        scope.leaves = leaves
        with scope:
            output, losses = _call(model, [x, *rest])
        return output, (losses, [scope.get_current_value(v) for v in variables])

    def valued(weights: Any, x: Any) -> tuple[Any, ...]:
        if scalar is not None:
            output, (losses, values) = call(weights, x)
            return scalar(output, losses), (output, losses, values)

        def total(x: Any) -> tuple[Any, ...]:
            output, more = call(weights, x)
            return _sum(output, weighting, x), (output, *more)

        slope, more = jax.grad(total, has_aux=True)(x)
        return ops.sum(ops.square(slope)), more

    weights = [v.value for v in trainable]
    # Compiled, as Keras does: operation by operation takes several times as long.
    differentiated = jax.jit(jax.value_and_grad(valued, argnums=(0, 1), has_aux=True))
    (value, (output, losses, values)), (at_weights, at_input) = differentiated(weights, x)
    for variable, new in zip(variables, values):
        variable.assign(new)
    return output, losses, value, at_weights, ops.zeros_like(x) if scalar is None else at_input
