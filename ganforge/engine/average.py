"""A running mean of the generator's weights, which draws steadier pictures than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import ops


class Average:
    """An exponential moving average of a model's trainable weights, w̄ ← w̄ + (1 - decay) (w - w̄).

    It begins at the first weights. ``follow`` is traced, once an update; ``worn`` is not. Batch statistics are not
    averaged: they are running means already.

    Source: Yazıcı et al. 2019, "The Unusual Effectiveness of Averaging in GAN Training".
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        self.decay = decay
        self.followed = list(model.trainable_variables)
        self.variables = [
            keras.Variable(ops.copy(v.value), trainable=False, dtype="float32", name=f"average_{i}")
            for i, v in enumerate(self.followed)
        ]

    def follow(self) -> None:
        """Move towards the weights as they are now."""
        for mean, weight in zip(self.variables, self.followed):
            mean.assign(mean + (1.0 - self.decay) * (ops.cast(weight, "float32") - mean))

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Give the model the averaged weights for a while; the Keras variables must be up to date."""
        own = [ops.copy(weight.value) for weight in self.followed]
        for mean, weight in zip(self.variables, self.followed):
            weight.assign(mean)
        try:
            yield
        finally:
            for value, weight in zip(own, self.followed):
                weight.assign(value)
