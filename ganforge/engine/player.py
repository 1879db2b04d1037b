"""One of the two networks, with what trains it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from ganforge.engine.adapter import Adapter
from ganforge.engine.context import Context
from ganforge.engine.traits import OwnLosses, observe


class Player:
    """One of the networks: how it is called in training, its optimizer, and what calling it showed.

    Args:
        side: ``generator`` or ``discriminator``.
        takes: the shapes of its inputs without the batch; ``()`` stands for class labels.
        companions: whether to measure if an output depends on the other rows of the batch.

    Attributes:
        call: ``model(x, training=True)`` in the form that the backend runs fastest.
        call_twice: the same, for second derivatives.
        losses: the losses that the model adds by itself.
        depends_on_batch: an output depends on the other rows of the batch.
    """

    def __init__(
        self,
        side: str,
        adapter: Adapter,
        model: keras.Model,
        optimizer: keras.optimizers.Optimizer,
        takes: Sequence[tuple[int, ...]],
        batch_size: int,
        classes: int,
        companions: bool = True,
    ) -> None:
        self.side, self.adapter, self.model, self.optimizer = side, adapter, model, optimizer
        traits = observe(adapter, model, takes, batch_size, classes, companions)
        self.call, self.call_twice = adapter.forward(model, traits)
        self.losses = OwnLosses(model, traits.sums, adapter.team)
        self.depends_on_batch, self._assigned = traits.depends_on_batch, traits.assigned
        self._kept: tuple[keras.Variable, ...] = ()

    def keep(self, frozen: Sequence[keras.Variable]) -> None:
        """Let no call change these variables, such as the batch statistics of frozen layers."""
        held = {id(v) for v in frozen}
        self._kept = tuple(v for v in self._assigned if id(v) in held)

    @property
    def weights(self) -> list[keras.Variable]:
        """The trainable weights, in the model's order."""
        return list(self.model.trainable_variables)

    def run(self, inputs: Any, context: Context, twice: bool = False) -> Any:
        """Call the network in training mode; ``twice`` if a second derivative is taken.

        While the network rests, calls assign nothing: batch statistics, for example, stay as they are.
        """
        call = self.call_twice if twice else self.call
        if self.side in context.resting:
            return self.leaving(call, inputs)
        return self.leaving(call, inputs, self._kept) if self._kept else call(inputs)

    def leaving(
        self, call: Callable[[Any], Any], inputs: Any, assigned: Sequence[keras.Variable] | None = None
    ) -> Any:
        """Call the network, and leave what the call assigns, or these of it, as it was."""
        held = self._assigned if assigned is None else assigned
        before = [ops.copy(ops.convert_to_tensor(v)) for v in held]
        output = call(inputs)
        for variable, value in zip(held, before):
            variable.assign(value)
        return output

    def learn(self, gradients: Sequence[Any], context: Context) -> None:
        """Move the weights against their gradients.

        Every change by an optimizer is made here: if several processes share a batch, each has the gradient of the
        mean over its own rows, and the mean of these is the gradient that one process would have.
        """
        betas = {
            name.removeprefix(f"{self.side}_"): value
            for name, value in context.shared().items()
            if name.startswith(f"{self.side}_beta")
        }
        whole = self.adapter.averaged(gradients)
        self.adapter.apply(self.optimizer, whole, self.weights, context.rate(self.side), **betas)
