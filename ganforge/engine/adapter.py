"""Everything that differs between backends: gradients, randomness, compiling and state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

import numpy as np

from ganforge.engine.team import Team
from ganforge.engine.traits import Traits

_T = TypeVar("_T")


class Adapter(Protocol):
    """What the engine needs from a backend; ``torch.py``, ``jax.py`` and ``tensorflow.py`` implement it.

    Assignments to variables by a function that ``value_and_gradients``, ``vjp`` or ``gradient`` differentiates are
    kept: no gradient flows through the assignment, and a weight's gradient is the sum over all values with which it
    was read, as on TensorFlow's tape. ``traces`` counts compilations by name.
    """

    traces: Counter[str]
    # The processes that share a batch; every function of an update is given this one's rows alone.
    team: Team

    def averaged(self, tensors: Sequence[Any]) -> Sequence[Any]:
        """Return the means over the team of tensors that differ from process to process."""

    def forward(self, model: Any, traits: Traits) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        """Return ``model(x, training=True)`` in its fastest form, and in one that allows second derivatives.

        ``x`` is a list if there are several inputs; ``traits`` is what the model was observed to do
        (``ganforge.engine.traits``).
        """

    def value_and_gradients(
        self, function: Callable[..., tuple[Any, _T]], variables: Sequence[Any], *inputs: Any
    ) -> tuple[tuple[Any, _T], Sequence[Any], Sequence[Any]]:
        """Call ``function(*inputs) -> (scalar, aux)``; return that, and the gradients at the variables and inputs.

        Gradients are zeros where none flow.
        """

    def apply(
        self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any], rate: Any, **betas: Any
    ) -> None:
        """Make one optimizer update at a learning rate, with a different ``beta_1`` or ``beta_2`` if given."""

    def vjp(
        self, function: Callable[[], tuple[Any, ...]], variables: Sequence[Any]
    ) -> tuple[tuple[Any, ...], Callable[[Sequence[Any]], Sequence[Any]]]:
        """Return ``function()``, a tuple of tensors, and ``back(cotangents) -> gradients`` at the variables.

        This way one forward pass of the generator serves both updates.
        """

    def gradient(self, function: Callable[[Any], Any], x: Any) -> Any:
        """Return d sum(function(x)) / dx, itself differentiable."""

    def normal(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        """Return normal numbers: a pure function of the two 32-bit words of the key and the stream's number."""

    def uniform(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        """Return numbers in [0, 1), likewise."""

    def compile(self, update: Callable[..., _T], name: str) -> Callable[..., _T]:
        """Return the update as a callable from numpy arrays to device values; the last one is the key.

        An argument may also be a ``Batch`` of arrays.
        """

    def seeded(self, words: Sequence[int]) -> AbstractContextManager[None]:
        """Seed the global generator from which Keras's layers draw, on backends that have one."""

    def try_out(
        self, model: Any
    ) -> Callable[[Sequence[Any], Sequence[Any]], tuple[np.ndarray, list[float], Sequence[Any]]]:
        """Return ``(values, inputs) -> (outputs, losses, assigned)``: a call in training mode with these values.

        It changes nothing and draws the same random numbers each time. Gives the outputs as numpy float32 (B, N), the
        losses that the call added, and the variables that it assigned to.
        """

    def inference(self, model: Any) -> Callable[..., np.ndarray]:
        """Return a function from numpy latents, and class labels if the model takes them, to pictures.

        Pictures are float32 numpy (B, H, W, C), or (B, D), and made in inference mode.
        """

    def slopes(self, model: Any, judge: Callable[..., Any]) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
        """Return a function of numpy arrays ``(x, *others)`` to values (N,) and slopes, d sum(values) / dx.

        ``judge(x, *others)`` returns the values, float32; it calls ``model`` with ``training=False``, and leaves its
        weights as they are.
        """

    def sync_to_keras(self) -> None:
        """Copy what training holds into the Keras variables."""

    def sync_from_keras(self) -> None:
        """Copy the Keras variables into what training holds."""
