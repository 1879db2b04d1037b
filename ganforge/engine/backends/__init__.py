"""What differs between backends, and nothing else: gradients, randomness, compiling and state.

An adapter offers:

``forward(model, traits, differentiable_twice=False)``
    ``model(x, training=True)`` as a function, in the form that runs fastest; ``x`` is a list for several inputs.
    ``traits`` is what the model was observed to do (``ganforge.engine.traits``).
``value_and_gradients(function, variables, *inputs)``
    ``function(*inputs) -> (scalar, aux)``; returns ``(scalar, aux)``, its gradients at the variables, and at the
    inputs; zeros where nothing flows.
``apply(optimizer, gradients, variables, rate)``
    One update of the optimizer at a learning rate.
``pullback(function, variables)``
    ``function() -> tensors`` (a tuple); returns them and ``pull(cotangents) -> gradients``, so that one forward pass
    of the generator serves both updates.
``gradient(function, x)``
    d sum(function(x)) / dx, itself differentiable.

    What a function assigns to a variable while any of the three differentiates it is kept: no gradient flows through
    the assignment, and a weight's gradient is the sum over all values it was read at, as on TensorFlow's tape.
``normal``, ``uniform``
    ``(key, stream, shape, dtype)``: a pure function of the two 32-bit words of the key and the stream's number.
``compile(update, name)``
    The update as a callable from numpy arrays to device values; ``traces`` counts compilations by name.
``try_out(model)``
    ``(values, inputs) -> (outputs, losses, assigned)``: a call in training mode with these values for its variables,
    which changes nothing and draws the same random numbers each time. Gives the outputs as numpy float32 (B, N), the
    losses that it added, and the variables that it assigned to.
``inference(model)``
    A function from numpy latents (and class labels, where the model takes them) to float32 numpy images in [-1, 1],
    running averages used.
``push_state()``, ``pull_state()``
    Copy what training holds into the Keras variables, and back from them.
"""

from __future__ import annotations

import importlib
from typing import Any

import keras


def make_adapter(variables: list[Any], compile: bool | None = None) -> Any:
    """Return the adapter of the running backend, holding ``variables``: all that an update may change.

    ``compile`` is whether steps are compiled, None the backend's own choice.
    """
    module = importlib.import_module(f"ganforge.engine.backends.{keras.backend.backend()}")
    return module.Adapter(variables, compile)
