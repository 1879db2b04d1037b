"""What one update is made with besides pictures: the plan's scalars, random numbers, and the classes of its rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from keras import ops

from ganforge.engine.adapter import Adapter
from ganforge.engine.plan import Planner
from ganforge.engine.randomness import Random


@dataclass(frozen=True)
class Context:
    """One update's inputs, as tensors inside the compiled step.

    Attributes:
        vector: the plan's scalars, float32 (n,).
        key: two uint32 words, of which every random number of the update is a function.
        classes: int32 (B,), for networks that take class labels; real and fake rows are of the same ones.
    """

    adapter: Adapter
    planner: Planner
    vector: Any
    key: Any
    classes: Any = None

    def rate(self, index: int) -> Any:
        """Return a learning rate: 0 is the generator's, 1 the discriminator's."""
        return self.vector[index]

    def controls(self, strategy: str) -> dict[str, Any]:
        """Return a strategy's own scalars, 0-d tensors."""
        return self.planner.controls(strategy, self.vector)

    def random(self, stream: str) -> Random:
        """Return the random numbers of a stream."""
        return Random(self.adapter, self.key, stream)

    def inputs(self, x: Any) -> Any:
        """Return what a network takes: ``x`` alone, or with the classes of its rows, which begin anew each batch."""
        if self.classes is None:
            return x
        rows, batch = x.shape[0], self.classes.shape[0]
        if rows == batch:
            return [x, self.classes]
        return [x, ops.concatenate([self.classes] * -(-rows // batch))[:rows]]
