"""One of the two networks, with what trains it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras

from ganforge.engine.adapter import Adapter
from ganforge.engine.context import Context
from ganforge.engine.traits import OwnLosses, observe


class Player:
    """A network of the game: as it is called in training, its optimizer, and what calling it showed.

    Args:
        takes: the shapes of its inputs without the batch; ``()`` are class labels.
        rate: where the plan's vector has its learning rate.
        companions: whether to measure that an output depends on the rows beside it.

    Attributes:
        call: ``model(x, training=True)`` in the form that the backend runs fastest.
        call_twice: the same where a second derivative is taken.
        losses: what the model adds to its loss by itself.
        depends_on_batch: an output depends on the rows beside it.
    """

    def __init__(
        self,
        adapter: Adapter,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        takes: Sequence[tuple[int, ...]],
        batch_size: int,
        classes: int,
        rate: int,
        companions: bool = True,
    ) -> None:
        self.adapter, self.model, self.optimizer, self.rate = adapter, model, optimizer, rate
        traits = observe(adapter, model, takes, batch_size, classes, companions)
        self.call, self.call_twice = adapter.forward(model, traits)
        self.losses = OwnLosses(model, traits.sums)
        self.depends_on_batch = traits.depends_on_batch

    @property
    def weights(self) -> list[keras.Variable]:
        """The trainable weights, in the model's order."""
        return list(self.model.trainable_variables)

    def learn(self, gradients: Sequence[Any], context: Context) -> None:
        """Move the weights against their gradients.

        All that ever changes a weight comes by here: on several devices the gradients are averaged over them first.
        """
        self.adapter.apply(self.optimizer, gradients, self.weights, context.rate(self.rate))
