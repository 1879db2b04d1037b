"""One network, once as the engine trains it and once as plain Keras runs it: same weights, seeds and inputs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from keras import ops

from ganforge.engine.adapter import Adapter
from ganforge.engine.backends import make_adapter
from ganforge.engine.keras_internals import all_layers, graph_of, nodes
from ganforge.engine.traits import OwnLosses, observe
from ganforge.testing.reference import plain_keras
from ganforge.testing.small import CLASSES

KEY = np.array([1, 2], np.uint32)
# Of one and the same function in another order of operations; the second for layers in 16 bits.
EXACT, HALF = 2e-3, 0.1


@dataclass(frozen=True)
class Seen:
    """What two calls of a network in training mode gave, as numpy.

    Attributes:
        output: of the first call.
        state: every variable's value after both, by its position.
        losses: the network's own losses in the first call, as one number.
        at_weights, at_input: gradients of a weighted sum of the outputs plus the network's own losses.
        second: the gradient at the weights of |d (the weighted sum of the outputs) / d input|^2, in the second call.
    """

    output: np.ndarray
    state: list[np.ndarray]
    losses: float
    at_weights: list[np.ndarray]
    at_input: np.ndarray
    second: list[np.ndarray]


@dataclass(frozen=True)
class Difference:
    """What differs first: ``output``, ``state``, ``losses``, ``gradient`` or ``second``, the variable, how far."""

    what: str
    variable: Any = None
    by: float = 0.0


class Twins:
    """A network beside itself: ``trained()`` as the engine has it, ``plain()`` as Keras alone has it.

    Every call begins from the weights that the network has now, and leaves them behind.

    Args:
        inputs: float32 (B, …), and int32 (B,) class labels where the network takes them.
        twice: whether to take second derivatives too, by a second call.
    """

    def __init__(self, model: Any, inputs: Sequence[np.ndarray], twice: bool = True) -> None:
        self.model, self.inputs, self.twice = model, list(inputs), twice
        spec = [keras.KerasTensor(x.shape, str(x.dtype)) for x in inputs]
        output = model.compute_output_spec(spec[0] if len(spec) == 1 else spec)
        parts = [tuple(part.shape) for part in keras.tree.flatten(output)]
        shape = parts[0] if len(parts) == 1 else (len(inputs[0]), sum(int(np.prod(p[1:])) for p in parts))
        weighting = np.random.default_rng(5).standard_normal(shape) / np.sqrt(np.prod(shape))
        self.weighting = weighting.astype("float32")
        self.adapter = make_adapter(list(model.variables))

    def trained(self) -> Seen:
        """Run the network in the engine's form, differentiated and compiled by its adapter."""
        model, adapter = self.model, self.adapter
        shapes = [x.shape[1:] for x in self.inputs]
        with restored(model):
            adapter.sync_from_keras()
            traits = observe(adapter, model, shapes, len(self.inputs[0]), CLASSES, companions=False)
            run, again = adapter.forward(model, traits)
            own = OwnLosses(model, traits.sums)

        def update(x: Any, *more: Any) -> tuple[Any, ...]:
            *rest, weighting, share, _ = more

            def given(x: Any) -> Any:
                return [x, *rest] if rest else x

            def objective(x: Any) -> tuple[Any, tuple[Any, Any]]:
                output = plain_keras.whole(run(given(x)))
                losses = own.total(own.of_call())
                first = ops.sum(output * weighting) + losses
                both = share * first + 0.0 * ops.sum(x)
                if self.twice:
                    fixed = ops.stop_gradient(x)

                    def weighted(x: Any) -> Any:
                        return plain_keras.whole(again(given(x))) * weighting + 0.0 * ops.sum(x)

                    slope = adapter.gradient(weighted, fixed)
                    both = both + (1.0 - share) * ops.sum(ops.square(slope))
                return both, (ops.stop_gradient(output), ops.stop_gradient(losses))

            (_, aux), at_weights, (at_input,) = adapter.value_and_gradients(objective, model.trainable_variables, x)
            return aux, at_weights, at_input

        step = adapter.compile(update, "check")
        found = []
        for share in (1.0, 0.0) if self.twice else (1.0,):
            with restored(model):
                adapter.sync_from_keras()
                aux, at_weights, at_input = step(*self.inputs, self.weighting, np.array(share, np.float32), KEY)
                found.append(([_numpy(t) for t in aux], [_numpy(g) for g in at_weights], _numpy(at_input)))
                adapter.sync_to_keras()
                state = [_numpy(v.value) for v in model.variables]
        (output, losses), at_weights, at_input = found[0]
        return Seen(output, state, float(losses), at_weights, at_input, found[1][1] if self.twice else [])

    def plain(self) -> Seen:
        """Run the network as plain Keras does in training mode."""

        def weighted(output: Any, losses: Sequence[Any]) -> Any:
            weighting = ops.convert_to_tensor(self.weighting)
            return ops.sum(plain_keras.whole(output) * weighting) + total(losses)

        with restored(self.model), same_numbers(self.adapter):
            first = plain_keras.differentiate(self.model, self.inputs, weighted)
            second = plain_keras.slope(self.model, self.inputs, self.weighting).at_weights if self.twice else []
            state = [_numpy(v.value) for v in self.model.variables]
        return Seen(first.output, state, sum(first.losses), first.at_weights, first.at_input, second)

    def difference(self, one: Seen, other: Seen) -> Difference | None:
        """Return what differs first between two ways of running the network, if anything does."""
        close = close_to(self.model)
        if close.differs(one.output, other.output):
            return Difference("output", by=close.apart(one.output, other.output))
        for variable, a, b in zip(self.model.variables, one.state, other.state):
            if close.differs(a, b):
                return Difference("state", variable, close.apart(a, b))
        if close.differs(np.array(one.losses), np.array(other.losses)):
            return Difference("losses", by=abs(one.losses - other.losses))
        for what, ours, theirs in (
            ("gradient", [*one.at_weights, one.at_input], [*other.at_weights, other.at_input]),
            ("second", one.second, other.second),
        ):
            # What is 0 but for rounding (a bias before batch normalization) is held against the largest.
            floor = 1e-5 + 1e-3 * max((float(np.linalg.norm(g)) for g in theirs), default=0.0)
            for variable, a, b in zip([*self.model.trainable_variables, None], ours, theirs):
                if close.differs(a, b, floor):
                    return Difference(what, variable, close.apart(a, b, floor))
        return None

    def runs_in_inference(self) -> bool:
        """Say whether the engine's form gives what the network gives in inference, not in training."""
        with restored(self.model), same_numbers(self.adapter):
            tensors = [ops.convert_to_tensor(x) for x in self.inputs]
            at_rest = _numpy(self.model(tensors[0] if len(tensors) == 1 else tensors, training=False))
        return not close_to(self.model).differs(self.trained().output, at_rest)

    def fingerprint(self, seen: Seen) -> list[float] | None:
        """Return what other backends must reproduce of ``plain()``: each gradient's norm, of the largest; or nothing.

        Where a network draws random numbers, backends differ.
        """
        if any(not keras.backend.is_float_dtype(v.dtype) for v in self.model.variables):
            return None
        norms = [float(np.linalg.norm(gradient)) for gradient in (*seen.at_weights, seen.at_input)]
        return [norm / max(1e-30, *norms) for norm in norms]


@dataclass(frozen=True)
class Close:
    """How near results of one and the same function must come, in whatever order it is computed."""

    tolerance: float

    def differs(self, a: np.ndarray, b: np.ndarray, floor: float = 1e-6) -> bool:
        """Say whether two results are more than rounding apart."""
        return not self.apart(a, b, floor) <= self.tolerance

    def apart(self, a: np.ndarray, b: np.ndarray, floor: float = 1e-6) -> float:
        """Return |a - b| / (|b| + floor); 0 for the same infinities and nans, infinite for other shapes."""
        if a.shape != b.shape:
            return float("inf")
        a, b = np.asarray(a, "float64"), np.asarray(b, "float64")
        if np.array_equal(a, b, equal_nan=True):
            return 0.0
        return float(np.linalg.norm(a - b) / (np.linalg.norm(b) + floor))


def close_to(model: Any) -> Close:
    """Return how near two ways of running a network must come: by its own precision."""
    return Close(HALF if any(layer.compute_dtype != "float32" for layer in all_layers(model)) else EXACT)


def total(losses: Sequence[Any]) -> Any:
    """Return the sum of a network's own losses as a float32 scalar."""
    return sum((ops.cast(loss, "float32") for loss in losses), ops.zeros(()))


@contextmanager
def restored(model: Any) -> Iterator[None]:
    """Give a network's variables back as they were."""
    before = [np.array(ops.convert_to_numpy(v.value)) for v in model.variables]
    try:
        yield
    finally:
        for variable, value in zip(model.variables, before):
            variable.assign(value)


def same_numbers(adapter: Adapter) -> AbstractContextManager[None]:
    """Have layers draw the random numbers that the engine's steps give them for ``KEY``."""
    return adapter.seeded([int(word) for word in KEY])


def first_difference(
    model: Any, inputs: Sequence[np.ndarray], twice: bool, prefix: str = ""
) -> tuple[str, Twins | None, Any]:
    """Find the first layer, in the order of the graph, up to which the two ways of running a network differ.

    Returns:
        its place, the part of the network that ends with it, and the difference or the exception; ("", None, None)
        where the network is no graph or no part of it shows a difference.
    """
    for part, node in parts(model):
        place, twins = prefix + node.operation.name, Twins(part, inputs, twice)
        found: Any
        try:
            found = twins.difference(twins.trained(), twins.plain())
        except Exception as error:
            found = error
        if found is None:
            continue
        if nodes(node.operation):
            before = keras.Model(part.inputs, list(node.input_tensors))
            with restored(before), same_numbers(twins.adapter):
                given = before([ops.convert_to_tensor(x) for x in inputs], training=True)
            arrays = [_numpy(x) for x in keras.tree.flatten(given)]
            inner = first_difference(node.operation, arrays, twice, f"{place}/")
            if inner[0]:
                return inner
        return place, twins, found
    return "", None, None


def parts(model: Any) -> Iterator[tuple[Any, Any]]:
    """Yield (the network up to a layer's call, the call's node) in the graph's order, where it gives fractions."""
    graph = graph_of(model)
    for node in nodes(model):
        if len(node.outputs) == 1 and keras.backend.is_float_dtype(node.outputs[0].dtype):
            yield keras.Model(graph.inputs, node.outputs[0]), node


def where_gradients_stop(model: Any, inputs: Sequence[np.ndarray], unmoved: Sequence[Any]) -> str:
    """Return the first layer past which no gradient reaches weights that were reached up to there, or nothing."""
    reached: set[int] = set()
    for part, node in parts(model):
        twins = Twins(part, inputs, twice=False)
        now = {id(v) for v, g in zip(part.trainable_variables, twins.plain().at_weights) if np.any(g)}
        lost = [v for v in unmoved if id(v) in reached and id(v) not in now]
        if lost and any(v is lost[0] for v in part.trainable_variables):
            return str(node.operation.name)
        reached |= now
    return ""


def _numpy(tensor: Any) -> np.ndarray:
    tensor = ops.stop_gradient(ops.convert_to_tensor(tensor))
    floating = keras.backend.is_float_dtype(tensor.dtype)
    return np.array(ops.convert_to_numpy(ops.cast(tensor, "float32") if floating else tensor))
