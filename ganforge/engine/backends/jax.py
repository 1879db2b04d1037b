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


class Adapter:
    """See ``ganforge.engine.backends``."""

    def __init__(self, variables: Sequence[Any], compile: bool | None = None) -> None:
        self.compiles = compile is not False
        self.traces: Counter[str] = Counter()
        self.variables = list(variables)
        self._scope: Any = None
        self.pull_state()

    def _pure(self, function: Callable, variables: Sequence[Any]) -> Callable:
        """Return ``pure(values, *arguments) -> (output, every variable's value after it)``."""
        outer = self._scope
        current = {id(v): (v, outer.get_current_value(v)) for v in self.variables}

        def pure(values: Sequence[Any], *arguments: Any) -> tuple:
            mapping = dict(current)
            mapping.update({id(v): (v, value) for v, value in zip(variables, values)})
            output, scope = self._within(list(mapping.values()), function, *arguments)
            return output, [scope.get_current_value(v) for v in self._untrained(variables)]

        return pure

    def _untrained(self, variables: Sequence[Any]) -> list[Any]:
        given = {id(v) for v in variables}
        return [v for v in self.variables if id(v) not in given and not v.trainable]

    def _within(self, mapping: Any, function: Callable, *arguments: Any) -> tuple:
        outer = self._scope
        with keras.StatelessScope(mapping) as scope:
            self._scope = scope
            try:
                return function(*arguments), scope
            finally:
                self._scope = outer

    def _keep(self, variables: Sequence[Any], values: Sequence[Any]) -> None:
        for variable, value in zip(self._untrained(variables), values):
            self._scope.add_update((variable, value))

    def value_and_gradients(self, function: Callable, variables: Sequence[Any], *inputs: Any) -> tuple:
        pure = self._pure(function, variables)

        def scalar(values: Sequence[Any], inputs: Sequence[Any]) -> tuple:
            (value, aux), updates = pure(values, *inputs)
            return value, (aux, updates)

        at = [self._scope.get_current_value(v) for v in variables]
        differentiated = jax.value_and_grad(scalar, argnums=(0, 1), has_aux=True)
        (value, (aux, updates)), (gradients, at_inputs) = differentiated(at, inputs)
        self._keep(variables, updates)
        return (value, aux), gradients, at_inputs

    def pullback(self, function: Callable, variables: Sequence[Any]) -> tuple:
        at = [self._scope.get_current_value(v) for v in variables]
        output, pull, updates = jax.vjp(self._pure(function, variables), at, has_aux=True)
        self._keep(variables, updates)
        return output, lambda cotangent: pull(cotangent)[0]

    def gradient(self, function: Callable, x: Any) -> Any:
        pure = self._pure(function, [])

        def total(x: Any) -> tuple:
            output, updates = pure([], x)
            return jnp.sum(output), updates

        gradient, updates = jax.grad(total, has_aux=True)(x)
        self._keep([], updates)
        return gradient

    def forward(self, model: Any, differentiable_twice: bool = False) -> Callable[[Any], Any]:
        return lambda x: model(x, training=True)

    def apply(self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any], rate: Any) -> None:
        optimizer.learning_rate = rate
        optimizer.apply(gradients, variables)

    def normal(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        return jax.random.normal(_at(key, stream), tuple(shape), dtype)

    def uniform(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        return jax.random.uniform(_at(key, stream), tuple(shape), dtype)

    def compile(self, update: Callable, name: str) -> Callable:
        def pure(state: Sequence[Any], *arrays: Any) -> tuple:
            self.traces[name] += 1
            output, scope = self._within(list(zip(self.variables, state)), update, *arrays)
            return output, [scope.get_current_value(v) for v in self.variables]

        compiled = jax.jit(pure, donate_argnums=0) if self.compiles else pure

        def run(*arrays: np.ndarray) -> Any:
            output, self.state = compiled(self.state, *arrays)
            return output

        return run

    def inference(self, model: Any) -> Callable[..., np.ndarray]:
        @jax.jit
        def forward(trainable: Any, rest: Any, inputs: Any) -> Any:
            return model.stateless_call(trainable, rest, _one_or_all(inputs), training=False)[0]

        def generate(*inputs: np.ndarray) -> np.ndarray:
            trainable = [v.value for v in model.trainable_variables]
            rest = [v.value for v in model.non_trainable_variables]
            return np.asarray(forward(trainable, rest, list(inputs)), dtype=np.float32)

        return generate

    def push_state(self) -> None:
        # Copies, because the next step's donation deletes the buffers themselves.
        for variable, value in zip(self.variables, self.state):
            variable.assign(jnp.copy(value))

    def pull_state(self) -> None:
        self.state = [jnp.copy(v.value) for v in self.variables]


def _one_or_all(inputs: Sequence[Any]) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)


def _at(key: Any, stream: int) -> Any:
    return jax.random.fold_in(jax.random.wrap_key_data(key), stream)
