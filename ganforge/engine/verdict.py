"""The discriminator's output for a batch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
from keras import ops

LOGITS, FEATURES = "logits", "features"


class Verdict(NamedTuple):
    """Logits, (B, K) float32, and features if the discriminator returns any: a tensor, or a dict of tensors."""

    logits: Any
    features: Any = None

    @classmethod
    def of(cls, output: Any) -> Verdict:
        """Return the verdict from a discriminator's output: logits of any shape, or a dict with features too."""
        logits, features = (output[LOGITS], output.get(FEATURES)) if isinstance(output, Mapping) else (output, None)
        logits = ops.cast(logits, "float32")
        if len(logits.shape) != 2:
            logits = ops.reshape(logits, (logits.shape[0], -1))
        return cls(logits, _each(lambda x: ops.cast(x, "float32"), features))

    def rows(self, first: int, last: int) -> Verdict:
        """Return the verdict on some of the rows."""
        return Verdict(self.logits[first:last], _each(lambda x: x[first:last], self.features))

    def held(self) -> Verdict:
        """Return the same verdict, through which no gradient flows."""
        return Verdict(ops.stop_gradient(self.logits), _each(ops.stop_gradient, self.features))


def _each(function: Any, features: Any) -> Any:
    return None if features is None else keras.tree.map_structure(function, features)
