"""Whether a network's calls depend on nothing but inputs, weights and seeds; each question is answered by a layer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ganforge.testing.reference.comparison import Twins, restored, same_numbers
from ganforge.testing.reference.layer_calls import Call, Watch, watched

TIMES = 6


def called(twins: Twins, inputs: Sequence[np.ndarray] | None = None) -> Watch:
    """Call a network as plain Keras does, always with the same random numbers; change nothing but Python's state."""
    with restored(twins.model), same_numbers(twins.adapter), watched(twins.model) as watch:
        watch.calls.append(Call(twins.model.name, twins.model, True, _run(twins, inputs, True)))
    return watch


def unsteady_layer(twins: Twins) -> str:
    """Return the first layer whose outputs differ between calls from the same inputs, weights and seeds."""
    first = called(twins).arrays()
    others = [-twins.inputs[0], *twins.inputs[1:]]
    for _ in range(TIMES):
        with restored(twins.model), same_numbers(twins.adapter):
            _run(twins, others, True)
    return first_apart(first, called(twins).arrays(), ...)


def restless_layer(twins: Twins) -> str:
    """Return the first layer that gives other outputs each time in inference, its seeds and state as it left them."""
    with restored(twins.model), same_numbers(twins.adapter):
        watches = []
        for _ in range(2):
            with watched(twins.model) as watch:
                watch.calls.append(Call(twins.model.name, twins.model, False, _run(twins, None, False)))
            watches.append(watch.arrays())
    return first_apart(watches[0], watches[1], ...)


def hidden_variables(twins: Twins) -> Iterator[tuple[str, Any, bool]]:
    """Yield (place, variable, written) of what calls assign to, or could train, but is not the network's."""
    known = {id(v) for v in twins.model.variables}
    found: dict[int, tuple[str, Any, bool]] = {}

    class Noting(keras.StatelessScope):
        def get_current_value(self, variable: Any) -> Any:
            if id(variable) not in known and variable.trainable and keras.backend.is_float_dtype(variable.dtype):
                found.setdefault(id(variable), (watch.place, variable, False))
            return self.state_mapping.get(id(variable))

        def add_update(self, update: tuple[Any, Any]) -> None:
            if id(update[0]) not in known:
                found.setdefault(id(update[0]), (watch.place, update[0], True))
            super().add_update(update)

    with same_numbers(twins.adapter), watched(twins.model) as watch:
        mapping = [(v, v.value) for v in twins.model.variables]
        with Noting(mapping, collect_losses=True):
            _run(twins, None, True)
    return iter(found.values())


def companions(twins: Twins) -> tuple[float, float, str]:
    """Replace all pictures but one, and measure what that does to its verdict.

    Returns:
        how far its logit moves, how far apart the logits of a batch lie, the first layer whose output for it moves.
    """
    random = np.random.default_rng(7)
    changed, place = 0.0, ""
    for row in (0, len(twins.inputs[0]) - 1):
        inputs = [x.copy() for x in twins.inputs]
        inputs[0] = random.uniform(-1, 1, inputs[0].shape).astype("float32")
        inputs[0][row] = twins.inputs[0][row]
        one, other = called(twins).arrays(), called(twins, inputs).arrays()
        (_, before), (_, after) = one[-1], other[-1]
        spread = float(np.ptp(before)) + 1e-6
        if (moved := float(np.abs(after[row] - before[row]).max())) > changed:
            # A layer may work on weights: only what has a row for each picture can be compared by rows.
            rows = [[a for a in calls if a[1].ndim and len(a[1]) == len(inputs[0])] for calls in (one, other)]
            changed, place = moved, first_apart(rows[0], rows[1], row)
    return changed, spread, place


def asleep(twins: Twins) -> str:
    """Return the first layer that is called in inference mode while the network trains."""
    return next((call.path for call in called(twins).calls if call.training is not None and not call.training), "")


def unwished_float64(twins: Twins) -> str:
    """Return the first layer that gives float64 though its own precision is another."""
    for call in called(twins).calls:
        types = {str(getattr(t, "dtype", "")) for t in keras.tree.flatten(call.output)}
        if any("float64" in name for name in types) and call.layer.compute_dtype != "float64":
            return call.path
    return ""


def raising_layer(twins: Twins) -> tuple[str, Exception] | None:
    """Return the layer in which a call in training mode raises, and what; None where none does."""
    with restored(twins.model), same_numbers(twins.adapter), watched(twins.model) as watch:
        try:
            _run(twins, None, True)
        except Exception as error:
            return watch.place, error
    return None


def first_apart(one: Sequence[tuple[str, np.ndarray]], other: Sequence[tuple[str, np.ndarray]], rows: Any) -> str:
    """Return the place of the first call whose ``rows`` differ by more than rounding, or nothing."""
    for (path, a), (_, b) in zip(one, other):
        if a.shape != b.shape:
            return path
        a, b = (a[rows], b[rows]) if a.ndim else (a, b)
        if a.size and not np.abs(a - b).max() <= 1e-5 * (1e-6 + np.abs(a).max()):
            return path
    return ""


def _run(twins: Twins, inputs: Sequence[np.ndarray] | None, training: bool) -> Any:
    tensors = [ops.convert_to_tensor(x) for x in inputs or twins.inputs]
    return twins.model(tensors[0] if len(tensors) == 1 else tensors, training=training)
