"""A running mean of the generator's weights, which draws steadier pictures than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import keras
from keras import ops


class Average:
    """An exponential moving average of a model's trainable weights, w̄ ← w̄ + (1 - d) (w - w̄).

    After n updates d = min(decay, (1 + n) / (10 + n)), so that the untrained weights are soon forgotten. ``follow``
    is traced, once an update; ``worn`` is not. Batch statistics are not averaged: they are running means already.

    Source: Yazıcı et al. 2019, "The Unusual Effectiveness of Averaging in GAN Training".
    """

    def __init__(self, model: keras.Model, decay: float) -> None:
        self.decay = decay
        self.followed = list(model.trainable_variables)
        self.updates = keras.Variable(0.0, trainable=False, dtype="float32", name="average_updates")
        self.means = [
            keras.Variable(ops.copy(v.value), trainable=False, dtype="float32", name=f"average_{i}")
            for i, v in enumerate(self.followed)
        ]

    @property
    def variables(self) -> list[keras.Variable]:
        """All that it remembers."""
        return [self.updates, *self.means]

    def follow(self) -> None:
        """Move towards the weights as they are now."""
        done = ops.convert_to_tensor(self.updates)
        move = 1.0 - ops.minimum(self.decay, (1.0 + done) / (10.0 + done))
        for mean, weight in zip(self.means, self.followed):
            mean.assign(mean + move * (ops.stop_gradient(ops.cast(weight, "float32")) - mean))
        self.updates.assign(done + 1.0)

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Give the model the averaged weights for a while; the Keras variables must be up to date."""
        own = [ops.copy(weight.value) for weight in self.followed]
        for mean, weight in zip(self.means, self.followed):
            weight.assign(mean)
        try:
            yield
        finally:
            for value, weight in zip(own, self.followed):
                weight.assign(value)
