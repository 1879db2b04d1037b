"""Optimistic Adam: Adam that partly undoes its previous update."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="ganforge")
class OptimisticAdam(keras.optimizers.Optimizer):
    """w ← w - 2 η u_t + η u_{t-1}, where u_t = m̂_t / (√v̂_t + ε) is the direction of Adam and u_0 = 0.

    Plain descent in a two-player game spirals outwards around the equilibrium. Undoing the last direction once is a
    forecast of the other network's next move, and training spirals inwards.

    Helps: losses that swing steadily. Hurts: large learning rates, since the first step is twice Adam's; it stores a
    third number for each weight.

    Source: Daskalakis et al. 2018, "Training GANs with Optimism", algorithm 1.

    Args:
        learning_rate: η.
        beta_1: decay of m, the mean gradient.
        beta_2: decay of v, the mean squared gradient.
        epsilon: ε.
        keywords: those of every Keras optimizer, such as ``clipnorm``.
    """

    def __init__(
        self,
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        beta_2: float = 0.999,
        epsilon: float = 1e-8,
        **keywords: Any,
    ) -> None:
        super().__init__(learning_rate=learning_rate, **{"name": "optimistic_adam", **keywords})
        self.beta_1, self.beta_2, self.epsilon = beta_1, beta_2, epsilon

    def build(self, variables: Sequence[Any]) -> None:
        """Create m, v and the last direction for each weight."""
        if self.built:
            return
        super().build(variables)
        slots = self.add_optimizer_variables(variables, ["momentum", "velocity", "direction"])
        self._momentums, self._velocities, self._directions = slots

    def update_step(self, gradient: Any, variable: Any, learning_rate: Any) -> None:
        """Update one weight."""
        index = self._get_variable_index(variable)
        m, v, last = self._momentums[index], self._velocities[index], self._directions[index]

        def number(value: Any) -> Any:
            return ops.cast(value, variable.dtype)

        beta_1, beta_2, steps = number(self.beta_1), number(self.beta_2), number(self.iterations + 1)
        gradient, rate = number(gradient), number(learning_rate)
        new_m = beta_1 * m + (1.0 - beta_1) * gradient
        new_v = beta_2 * v + (1.0 - beta_2) * ops.square(gradient)
        mean, square = new_m / (1.0 - beta_1**steps), new_v / (1.0 - beta_2**steps)
        direction = mean / (ops.sqrt(square) + self.epsilon)
        self.assign_sub(variable, rate * (2.0 * direction - last))
        self.assign(m, new_m)
        self.assign(v, new_v)
        self.assign(last, direction)

    def get_config(self) -> dict[str, Any]:
        """Return the constructor's arguments."""
        own = {"beta_1": self.beta_1, "beta_2": self.beta_2, "epsilon": self.epsilon}
        return {**super().get_config(), **own}
