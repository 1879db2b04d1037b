"""One update of a Keras optimizer, whichever it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

# On torch Keras makes a class of its own of it.
_ADAM = keras.optimizers.Adam(learning_rate=0.0, name="plain")
_PLAIN = _ADAM.get_config()
# What a plain Adam may have its own values of.
_OWN = ("name", "learning_rate", "beta_1", "beta_2", "epsilon")


def adam(learning_rate: float, beta_1: float) -> keras.optimizers.Adam:
    """Return the default optimizer of a network."""
    return keras.optimizers.Adam(learning_rate, beta_1=beta_1, beta_2=0.999, epsilon=1e-8)


def apply(
    optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any], rate: Any, betas: Mapping[str, Any]
) -> None:
    """Let the optimizer move the variables, with a learning rate and decay rates for this update only."""
    before = {name: getattr(optimizer, name) for name in betas}
    optimizer.learning_rate = rate
    try:
        for name, value in betas.items():
            setattr(optimizer, name, value)
        optimizer.apply(gradients, variables)
    finally:  # a value of the compiled step must not outlive it
        for name, value in before.items():
            setattr(optimizer, name, value)


def is_plain_adam(optimizer: Any) -> bool:
    """Say whether an optimizer is Keras's Adam without clipping, decay, averages or other additions."""
    if type(optimizer) is not type(_ADAM):
        return False
    return all(value == _PLAIN[name] for name, value in optimizer.get_config().items() if name not in _OWN)
