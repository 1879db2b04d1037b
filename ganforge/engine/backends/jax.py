"""JAX: the update as one pure function under ``jax.jit``, its state donated.

The updates are written as if variables could be assigned. A ``keras.StatelessScope`` around them collects the
assignments; an inner scope around every differentiated function keeps what it assigns (batch statistics, seeds)
from leaking out of its trace, and hands it to the scope outside.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import keras
import numpy as np

from ganforge.engine.backends.as_keras import AsKeras
from ganforge.engine.traits import call_once
from ganforge.errors import UsageError
from ganforge.plugin.types import Batch


class Adapter(AsKeras):
    """See ``ganforge.engine.adapter``."""

    def __init__(
        self, variables: Sequence[Any], compile: bool | None = None, devices: int = 1, batch_size: int = 1
    ) -> None:
        self.compiles = compile is not False
        self._shards = Shards(devices, batch_size) if devices > 1 else None
        self.traces: Counter[str] = Counter()
        self.variables = list(variables)
        self._scope: Any = None
        self.state: list[Any] = []
        self.sync_from_keras()

    def _pure(self, function: Callable[..., Any], variables: Sequence[Any]) -> tuple[Callable[..., Any], list[Any]]:
        """Return ``pure(values, *arguments) -> (output, values after it)`` and whose values: what it assigned to.

        The list is filled when ``pure`` is traced.
        """
        outer = self._scope
        current = {id(v): (v, outer.get_current_value(v)) for v in self.variables}
        assigned: list[Any] = []

        def pure(values: Sequence[Any], *arguments: Any) -> tuple[Any, ...]:
            mapping = dict(current)
            mapping.update({id(v): (v, value) for v, value in zip(variables, values)})
            leaves = {**outer.leaves, **{id(v): value for v, value in zip(variables, values)}}
            output, scope = self._within(_Scope(list(mapping.values()), leaves), function, *arguments)
            assigned[:] = [v for v in self.variables if id(v) in scope.assigned]
            return output, [scope.get_current_value(v) for v in assigned]

        return pure, assigned

    def _within(self, scope: _Scope, function: Callable[..., Any], *arguments: Any) -> tuple[Any, ...]:
        outer = self._scope
        with scope:
            self._scope = scope
            try:
                return function(*arguments), scope
            finally:
                self._scope = outer

    def _keep(self, assigned: Sequence[Any], values: Sequence[Any]) -> None:
        for variable, value in zip(assigned, values, strict=True):
            self._scope.add_update((variable, value))

    def value_and_gradients(
        self, function: Callable[..., Any], variables: Sequence[Any], *inputs: Any
    ) -> tuple[Any, ...]:
        pure, assigned = self._pure(function, variables)

        def scalar(values: Sequence[Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
            (value, aux), updates = pure(values, *inputs)
            return value, (aux, updates)

        at = [self._scope.get_current_value(v) for v in variables]
        differentiated = jax.value_and_grad(scalar, argnums=(0, 1), has_aux=True)
        (value, (aux, updates)), (gradients, at_inputs) = differentiated(at, inputs)
        self._keep(assigned, updates)
        return (value, aux), gradients, at_inputs

    def vjp(self, function: Callable[..., Any], variables: Sequence[Any]) -> tuple[Any, ...]:
        at = [self._scope.get_current_value(v) for v in variables]
        pure, assigned = self._pure(function, variables)
        outputs, back, updates = jax.vjp(pure, at, has_aux=True)
        self._keep(assigned, updates)
        return outputs, lambda cotangents: back(tuple(cotangents))[0]

    def gradient(self, function: Callable[..., Any], x: Any) -> Any:
        pure, assigned = self._pure(function, [])

        def total(x: Any) -> tuple[Any, ...]:
            output, updates = pure([], x)
            return jnp.sum(output), updates

        gradient, updates = jax.grad(total, has_aux=True)(x)
        self._keep(assigned, updates)
        return gradient

    def normal(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        return self._shared(jax.random.normal(_at(key, stream), tuple(shape), dtype))

    def uniform(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        return self._shared(jax.random.uniform(_at(key, stream), tuple(shape), dtype))

    def _shared(self, numbers: Any) -> Any:
        return self._shards.rows_of(numbers) if self._shards else numbers

    def compile(self, update: Callable[..., Any], name: str) -> Callable[..., Any]:
        def pure(state: Sequence[Any], *arrays: Any) -> tuple[Any, ...]:
            self.traces[name] += 1
            output, scope = self._within(_Scope(list(zip(self.variables, state)), {}), update, *arrays)
            after = [scope.get_current_value(v) for v in self.variables]
            return output, self._shards.everywhere(after) if self._shards else after

        compiled = jax.jit(pure, donate_argnums=0) if self.compiles else pure

        def run(*arrays: Any) -> Any:
            if self._shards:
                arrays = tuple(self._shards.placed(array) for array in arrays)
            output, self.state = compiled(self.state, *arrays)
            return output

        return run

    def try_out(self, model: Any) -> Callable[..., tuple[Any, ...]]:
        assigned: list[Any] = []

        @jax.jit
        def traced(values: Any, inputs: Any) -> tuple[Any, ...]:
            output, added, assigned[:] = call_once(model, values, inputs)
            return output, added

        def call(values: Sequence[Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
            output, added = traced(list(values), list(inputs))
            return np.asarray(output), [float(loss) for loss in added], assigned

        return call

    def inference(self, model: Any) -> Callable[..., np.ndarray]:
        @jax.jit
        def forward(values: Any, inputs: Any) -> Any:
            with keras.StatelessScope(zip(model.variables, values)):
                return model(_one_or_all(inputs), training=False)

        def generate(*inputs: np.ndarray) -> np.ndarray:
            return np.asarray(forward([v.value for v in model.variables], list(inputs)), dtype=np.float32)

        return generate

    def slopes(self, model: Any, judge: Callable[..., Any]) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
        @jax.jit
        def both(held: Any, x: Any, others: Any) -> Any:
            def total(x: Any) -> tuple[Any, Any]:
                with keras.StatelessScope(zip(model.variables, held)):
                    values = judge(x, *others)
                return jnp.sum(values), values

            return jax.grad(total, has_aux=True)(x)

        def call(x: np.ndarray, *others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            slopes, values = both([v.value for v in model.variables], x, list(others))
            return np.asarray(values), np.asarray(slopes)

        return call

    def sync_to_keras(self) -> None:
        # Copies, because the next step's donation deletes the buffers themselves.
        for variable, value in zip(self.variables, self.state):
            variable.assign(self._shards.gathered(value) if self._shards else jnp.copy(value))

    def sync_from_keras(self) -> None:
        self.state = [self._shards.copied(v.value) if self._shards else jnp.copy(v.value) for v in self.variables]


# Typed by nothing where they come from.
_spec: Any = jax.sharding.PartitionSpec
_constrained: Any = jax.lax.with_sharding_constraint


class Shards:
    """Several devices of one process: each has its rows of a batch, and all of the state.

    What a compiled update means does not change by that: JAX divides the work and joins what must be joined, batch
    statistics and whatever else looks at the whole batch.
    """

    def __init__(self, devices: int, batch_size: int) -> None:
        found = jax.local_devices()
        if len(found) < devices:
            raise UsageError(
                f"invalid --devices {devices}: JAX finds {len(found)} here ({found[0].platform}); expected at most "
                f"{len(found)}{_WAY_OUT if found[0].platform == 'cpu' else ''}"
            )
        mesh = jax.sharding.Mesh(np.array(found[:devices]), ("rows",))
        self.first, self.batch_size = found[0], batch_size
        self._rows, self._all = (jax.sharding.NamedSharding(mesh, _spec(*axes)) for axes in (("rows",), ()))

    def placed(self, array: Any) -> Any:
        """Return what an update is given: of a batch its rows on each device, anything else on all."""
        if isinstance(array, Batch):
            return array.map(lambda rows: jax.device_put(rows, self._rows))
        return jax.device_put(array, self._all)

    def rows_of(self, numbers: Any) -> Any:
        """Have what is drawn for a batch be drawn where its rows are."""
        if not numbers.shape or numbers.shape[0] != self.batch_size:
            return numbers
        return _constrained(numbers, self._rows)

    def everywhere(self, values: list[Any]) -> Any:
        """Have the state be whole on every device."""
        return _constrained(values, self._all)

    def copied(self, value: Any) -> Any:
        """Return a copy on every device."""
        return jax.device_put(jnp.copy(value), self._all, may_alias=False)

    def gathered(self, value: Any) -> Any:
        """Return a copy on the first device alone."""
        return jax.device_put(np.asarray(value), self.first)


_WAY_OUT = ", or XLA_FLAGS=--xla_force_host_platform_device_count=N to use the processor as N devices"


class _Scope(keras.StatelessScope):
    """Collects assignments as a tape does: what is assigned is a value, through which no gradient flows.

    A weight that is assigned while it is differentiated (by spectral normalization, say) goes on as the new value,
    and the gradients at all values it is read at add up to the weight's. ``leaves`` are the values that are
    differentiated.
    """

    def __init__(self, mapping: Any, leaves: dict[int, Any]) -> None:
        super().__init__(mapping, collect_losses=True)
        self.leaves, self.assigned = leaves, set[int]()

    def add_update(self, update: tuple[Any, Any]) -> None:
        variable, value = update
        value, leaf = jax.lax.stop_gradient(value), self.leaves.get(id(variable))
        if leaf is not None:
            value = value + (leaf - jax.lax.stop_gradient(leaf))
        self.assigned.add(id(variable))
        super().add_update((variable, value))


def _one_or_all(inputs: Sequence[Any]) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)


def _at(key: Any, stream: int) -> Any:
    return jax.random.fold_in(jax.random.wrap_key_data(key), stream)
