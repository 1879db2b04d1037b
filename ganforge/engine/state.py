"""The strategies' state on the device, kept from step to step and from checkpoint to checkpoint."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ganforge.errors import GANForgeError, reason
from ganforge.plugin.calling import call_by_name, reads_state
from ganforge.plugin.strategy import Strategy


class DeviceState:
    """The state of each strategy with ``initial_state``: any structure of dicts, lists and tuples, as variables.

    Args:
        given: returns the arguments that ``initial_state`` may take: ``image_shape``, ``batch_size`` (of all devices
            together), and both networks' current trainable weights, ``generator_weights`` and
            ``discriminator_weights``, lists of numpy arrays.

    Raises:
        GANForgeError: a strategy's ``initial_state`` failed, is missing, or returned something that is not a number.
    """

    def __init__(self, strategies: Sequence[Strategy], given: Callable[[], dict[str, Any]]) -> None:
        self._strategies, self._given = strategies, given
        self._structures: dict[str, Any] = {}
        self._variables: dict[str, list[keras.Variable]] = {}
        for name, structure in self._initial().items():
            self._structures[name] = structure
            arrays = [_array(name, value) for value in keras.tree.flatten(structure)]
            self._variables[name] = [
                keras.Variable(array, trainable=False, dtype=str(array.dtype), name=f"state_{i}")
                for i, array in enumerate(arrays)
            ]

    def _initial(self) -> dict[str, Any]:
        keepers = [(strategy, readers) for strategy in self._strategies if (readers := reads_state(strategy))]
        given = self._given() if keepers else {}
        states = {}
        for strategy, readers in keepers:
            state = _initial(strategy, given)
            if state is not None:
                states[strategy.name] = state
            elif "update_state" in readers:
                raise GANForgeError(
                    f"strategy '{strategy.name}' has update_state but no state: initial_state(self, image_shape, "
                    "batch_size) is missing or returns nothing; expected the first state, such as {'mean': 0.0}"
                )
        return states

    def holders(self) -> dict[str, list[keras.Variable]]:
        """Return the variables by the owner's name in a checkpoint."""
        return {f"strategy {name}": variables for name, variables in self._variables.items()}

    def begin_anew(self) -> None:
        """Give every strategy its first state, made from the networks' current weights."""
        for name, structure in self._initial().items():
            for variable, value in zip(self._variables[name], keras.tree.flatten(structure), strict=True):
                variable.assign(_array(name, value))

    def read(self) -> dict[str, Any]:
        """Return each strategy's state as tensors, in the structure that it gave."""
        return {
            name: keras.tree.pack_sequence_as(self._structures[name], [ops.convert_to_tensor(v) for v in variables])
            for name, variables in self._variables.items()
        }

    def is_state(self, name: str, value: Any) -> bool:
        """Say whether a value has the structure of a strategy's state."""
        try:
            keras.tree.assert_same_structure(self._structures[name], value)
        except (ValueError, TypeError, KeyError):
            return False
        return True

    def write(self, name: str, value: Any, hook: str) -> None:
        """Keep a strategy's new state.

        Raises:
            GANForgeError: its structure or a shape differs from the first state's.
        """
        if not self.is_state(name, value):
            raise GANForgeError(
                f"strategy '{name}': {hook} returned a state of another structure than initial_state; expected the "
                "same names and lengths"
            )
        for variable, new in zip(self._variables[name], keras.tree.flatten(value), strict=True):
            new = ops.stop_gradient(ops.cast(new, variable.dtype))
            if tuple(new.shape) != tuple(variable.shape):
                raise GANForgeError(
                    f"strategy '{name}': {hook} returned a state of shape {tuple(new.shape)} where initial_state "
                    f"gave {tuple(variable.shape)}; shapes must stay the same"
                )
            variable.assign(new)


def _initial(strategy: Strategy, given: dict[str, Any]) -> Any:
    function: Callable[..., Any] | None = getattr(strategy, "initial_state", None)
    if function is None:
        return None
    try:
        return call_by_name(function)(**given)
    except GANForgeError:
        raise
    except Exception as error:
        raise GANForgeError(f"strategy '{strategy.name}': initial_state raised {reason(error)}") from error


def _array(strategy: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value if isinstance(value, (int, float, np.ndarray)) else ops.convert_to_numpy(value))
    except Exception:
        array = np.asarray(None)
    if array.dtype.kind not in "fiub":
        raise GANForgeError(f"strategy '{strategy}': initial_state has {_what(value)}; expected numbers")
    if array.dtype == np.float64:
        return array.astype("float32")
    return array.astype("int32") if array.dtype == np.int64 else array


def _what(value: Any) -> str:
    return repr(value)[:40] if isinstance(value, (str, bytes)) else type(value).__name__
