"""What happens after a step's main update: strategies change their device state and the weights."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import ops

from ganforge.engine.context import Context
from ganforge.engine.door import Hooks, Metrics, result_of
from ganforge.engine.player import Player
from ganforge.engine.state import DeviceState
from ganforge.errors import GANForgeError


class After:
    """Runs ``update_state``, then ``after_step``, of each strategy in turn."""

    def __init__(self, hooks: Hooks, state: DeviceState, generator: Player, discriminator: Player) -> None:
        self.hooks, self.state, self.generator, self.discriminator = hooks, state, generator, discriminator

    def run(self, metrics: Metrics, context: Context) -> Metrics:
        """Return the metrics, with the hooks' measurements added."""
        measured: Metrics = {}
        state = dict(context.state)
        for name, hooks in self.hooks:
            if not ("update_state" in hooks or "after_step" in hooks):
                continue
            given = context.given(name, f"{name}/state")
            if update := hooks.get("update_state"):
                returned = update(**{**given, "metrics": metrics})
                new = returned
                if not self.state.is_state(name, returned):
                    new = result_of(name, "update_state", returned, measured)
                self.state.write(name, new, "update_state")
                state[name] = new
            if after := hooks.get("after_step"):
                weights = {
                    "generator_weights": [ops.convert_to_tensor(v) for v in self.generator.weights],
                    "discriminator_weights": [ops.convert_to_tensor(v) for v in self.discriminator.weights],
                }
                returned = after(**{**given, **weights, "state": state.get(name)})
                self._keep(name, result_of(name, "after_step", returned, measured))
        return {**metrics, **measured}

    def _keep(self, name: str, returned: Any) -> None:
        """Keep ``(generator weights, discriminator weights)``, None for unchanged ones, or these and a new state."""
        if returned is None:
            return
        if not isinstance(returned, (tuple, list)) or len(returned) not in (2, 3):
            raise GANForgeError(
                f"strategy '{name}': after_step returned {type(returned).__name__}; expected (generator_weights, "
                "discriminator_weights), with None for weights that stay, or these and the new state"
            )
        for player, values in zip((self.generator, self.discriminator), returned):
            if values is not None:
                _assign(name, player.side, player.weights, values)
        if len(returned) == 3:
            self.state.write(name, returned[2], "after_step")


def _assign(name: str, side: str, weights: Sequence[keras.Variable], values: Sequence[Any]) -> None:
    many = isinstance(values, (list, tuple))
    shapes = [tuple(getattr(value, "shape", ())) for value in values] if many else []
    expected = [tuple(v.shape) for v in weights]
    if not many or len(shapes) != len(expected):
        got = f"{len(shapes)} tensor{'s' * (len(shapes) != 1)}" if many else type(values).__name__
        raise GANForgeError(
            f"strategy '{name}': after_step returned {got} for the {side}'s weights; expected a list of "
            f"{len(expected)}, one for each in their order, or None"
        )
    for variable, one, other in zip(weights, shapes, expected):
        if one != other:
            raise GANForgeError(
                f"strategy '{name}': after_step returned the shape {one} for the {side}'s {variable.path}; expected "
                f"{other}"
            )
    for variable, value in zip(weights, values):
        variable.assign(ops.stop_gradient(ops.cast(value, variable.dtype)))
