"""What a network does in training besides returning an output, found out by calling it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from ganforge.engine.team import Team


@dataclass(frozen=True)
class Traits:
    """What calls in training mode showed.

    Attributes:
        depends_on_batch: the output for one picture depends on the other pictures of the batch.
        assigned: the variables that a call gives new values (batch statistics, singular vectors, seeds).
        sums: for each loss that a call adds by ``add_loss`` or an activity regularizer, whether it is a sum over the
            batch (True) or a mean (False).
    """

    depends_on_batch: bool
    assigned: tuple[keras.Variable, ...]
    sums: tuple[bool, ...]


def observe(
    adapter: Any,
    model: keras.Model,
    shapes: Sequence[tuple[int, ...]],
    count: int,
    classes: int,
    companions: bool = True,
) -> Traits:
    """Call a network in training mode on made-up inputs, change nothing, and return what was seen.

    Whether an output depends on the rest of the batch is measured with perturbed weights, since a gate that starts at
    0 would hide it: the first and last picture are judged twice with the same random numbers and different others.

    Args:
        shapes: those of the network's inputs, without the batch; ``()`` stands for class labels.
        count: pictures in a batch.
        companions: whether to measure that dependence; without it, the network counts as independent.
    """
    random, call = np.random.default_rng(0), adapter.try_out(model)
    weights = [perturbed(v, random) for v in model.variables]
    one, other = ([_input(shape, count, classes, random) for shape in shapes] for _ in range(2))
    output, added, assigned = call(weights, one)
    if not np.isfinite(output).all():  # too much of a change for these weights: as they are, then
        weights = [ops.convert_to_numpy(v.value) for v in model.variables]
        output, added, assigned = call(weights, one)
    depends = False
    for kept in (0, -1) if companions and count > 1 else ():
        mixed = [array.copy() for array in other]
        for array, original in zip(mixed, one):
            array[kept] = original[kept]
        again = call(weights, mixed)[0]
        depends |= bool(np.abs(again[kept] - output[kept]).max() > 1e-4 * (1e-6 + np.abs(output).max()))
    sums: tuple[bool, ...] = ()
    if added:
        twice = call(weights, [np.concatenate([array, array]) for array in one])[1]
        sums = tuple(abs(b) > 1.5 * abs(a) for a, b in zip(added, twice, strict=True))
    return Traits(depends, tuple(assigned), sums)


def call_once(model: keras.Model, values: Sequence[Any], inputs: Sequence[Any]) -> tuple[Any, list[Any], list[Any]]:
    """Call a model in training mode with these values for its variables; change nothing.

    Returns:
        its outputs as float32 (B, N), the losses that the call added, and (variable, new value) of what it assigned.
    """
    with keras.StatelessScope(zip(model.variables, values), collect_losses=True) as scope:
        before = dict(scope.state_mapping)
        outputs = keras.tree.flatten(model(inputs[0] if len(inputs) == 1 else list(inputs), training=True))
        added = added_losses(model)
    assigned = [v for v in model.variables if scope.get_current_value(v) is not before[id(v)]]
    rows = [ops.reshape(ops.cast(output, "float32"), (output.shape[0], -1)) for output in outputs]
    return ops.concatenate(rows, axis=1), added, assigned


def added_losses(model: keras.Model) -> list[Any]:
    """Return what the last call of a model added by ``add_loss`` or activity regularizers: scalars."""
    losses: list[Any] = model.losses
    return losses[: len(losses) - sum(v.regularizer is not None for v in model.trainable_weights)]


class OwnLosses:
    """A network's own losses: weight regularizers, and what its layers add when called (Keras's ``model.losses``).

    They count once per update, as if all of the update's pictures had been one batch: over several calls, a loss that
    is a mean over the batch is averaged, and one that is a sum is added up. If several processes share a batch and
    average their results, a sum is counted once for each of them.
    """

    def __init__(self, model: keras.Model, sums: Sequence[bool], team: Team | None = None) -> None:
        self.model, self.sums, self.team = model, sums, team or Team()
        self.regularized = [v for v in model.trainable_weights if v.regularizer is not None]

    def __bool__(self) -> bool:
        return bool(self.sums or self.regularized)

    def of_call(self) -> list[Any]:
        """Return what the last call of the network added."""
        return added_losses(self.model) if self.sums else []

    def total(self, *calls: list[Any]) -> Any:
        """Return the float32 scalar that belongs in the network's loss after these calls."""
        total = ops.zeros(())
        for variable in self.regularized:
            total = total + ops.cast(variable.regularizer(variable.value), "float32")
        for is_sum, parts in zip(self.sums, zip(*calls)):
            whole = sum(ops.cast(part, "float32") for part in parts)
            total = total + (whole * self.team.parts if is_sum else whole / len(calls))
        return total


def perturbed(variable: keras.Variable, random: np.random.Generator) -> np.ndarray:
    """Return a weight's value with some noise on it; any other variable's value as it is."""
    value = np.array(ops.convert_to_numpy(variable.value))
    if variable.trainable and keras.backend.is_float_dtype(variable.dtype):
        noise = (0.2 * value.astype("float64").std() + 0.02) * random.standard_normal(value.shape)
        value = (value + noise).astype(value.dtype)
    return value


def _input(shape: tuple[int, ...], count: int, classes: int, random: np.random.Generator) -> np.ndarray:
    if not shape:
        return random.integers(0, classes, count).astype("int32")
    return random.uniform(-1, 1, (count, *shape)).astype("float32")
