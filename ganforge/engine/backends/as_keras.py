"""What an adapter leaves to Keras, where Keras does it well: calling a model, and moving its weights."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from ganforge.engine.optimizing import apply
from ganforge.engine.team import Team
from ganforge.engine.traits import Traits


class AsKeras:
    """The part of an adapter that JAX and TensorFlow share; see ``ganforge.engine.adapter``."""

    team = Team()

    def averaged(self, tensors: Sequence[Any]) -> Sequence[Any]:
        return tensors

    def forward(self, model: Any, traits: Traits) -> tuple[Callable[[Any], Any], Callable[[Any], Any]]:
        def call(x: Any) -> Any:
            return model(x, training=True)

        return call, call

    def apply(
        self, optimizer: Any, gradients: Sequence[Any], variables: Sequence[Any], rate: Any, **betas: Any
    ) -> None:
        apply(optimizer, gradients, variables, rate, betas)

    def seeded(self, words: Sequence[int]) -> AbstractContextManager[None]:
        return nullcontext()  # layers draw from variables
