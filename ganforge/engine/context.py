"""The inputs of one update besides pictures: the plan's scalars, random numbers, classes and device state."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from keras import ops

from ganforge.engine.adapter import Adapter
from ganforge.engine.plan import RATES, Planner
from ganforge.engine.randomness import Random


@dataclass(frozen=True)
class Context:
    """One update's inputs, as tensors inside the compiled step.

    Attributes:
        vector: the plan's scalars, float32 (n,).
        key: two uint32 words, of which every random number of the update is a function.
        classes: int32 (B,), for networks that take class labels; real and fake rows have the same ones.
        state: each strategy's state on the device, by the strategy's name.
        due: the strategies whose lazy penalties are computed in this step.
        resting: the networks without an update in this step, which do not change at all.
    """

    adapter: Adapter
    planner: Planner
    vector: Any
    key: Any
    classes: Any = None
    state: Mapping[str, Any] = field(default_factory=dict)
    due: frozenset[str] = frozenset()
    resting: frozenset[str] = frozenset()

    def rate(self, side: str) -> Any:
        """Return the learning rate of the ``generator`` or the ``discriminator``."""
        return self.vector[RATES.index(f"{side}_lr")]

    def shared(self) -> dict[str, Any]:
        """Return the shared scalars that a strategy sets, 0-d tensors, such as ``generator_beta_1``."""
        return self.controls("")

    def controls(self, strategy: str) -> dict[str, Any]:
        """Return a strategy's own scalars, 0-d tensors."""
        return self.planner.controls(strategy, self.vector)

    def random(self, stream: str) -> Random:
        """Return the random numbers of a stream."""
        return Random(self.adapter, self.key, stream)

    def given(self, strategy: str, stream: str) -> dict[str, Any]:
        """Return the arguments that every traced hook of a strategy may take."""
        return {
            "controls": self.controls(strategy),
            "random": self.random(stream),
            "state": self.state.get(strategy),
        }

    def inputs(self, x: Any) -> Any:
        """Return a network's inputs: ``x``, and for conditional networks the classes of its rows, batch by batch."""
        if self.classes is None:
            return x
        rows, batch = x.shape[0], self.classes.shape[0]
        if rows == batch:
            return [x, self.classes]
        return [x, ops.concatenate([self.classes] * -(-rows // batch))[:rows]]
