"""A running mean of the generator's weights, which draws steadier pictures than the weights themselves."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import keras
from keras import ops

from ganforge.engine.keras_internals import all_layers


class EMA:
    """An exponential moving average of a model's trainable weights, w̄ ← w̄ + (1 - d) (w - w̄).

    After n updates d = min(decay, (1 + n) / (10 + n)), so that the untrained weights are soon forgotten. With a
    half-life of H pictures instead, d = 0.5^(B / min(H, 0.05 n B)): never more than a twentieth of what was seen.
    ``follow`` is traced and called once per update; ``worn`` is not traced.

    The running statistics of batch normalization belong to the current weights; for the averaged weights they are
    far off. ``worn`` measures them again on ``batches``, inputs of the model such as (B, latent_dim).

    Source: Yazıcı et al. 2019, "The Unusual Effectiveness of Averaging in GAN Training"; Brock et al. 2019, "Large
    Scale GAN Training for High Fidelity Natural Image Synthesis", appendix B (standing statistics); Karras et al.
    2020, "Training Generative Adversarial Networks with Limited Data", whose code has the half-life.

    Args:
        decay: d, in (0, 1); None if ``half_life`` is given.
        half_life: H, in pictures.
        batch_size: B, the pictures of an update.
    """

    def __init__(
        self,
        model: keras.Model,
        decay: float | None,
        batches: Sequence[Any] = (),
        half_life: float | None = None,
        batch_size: int = 1,
    ) -> None:
        self.decay, self.half_life, self.batch_size = decay, half_life, batch_size
        self.model, self.batches = model, list(batches)
        self.normalized = [layer for layer in all_layers(model) if isinstance(layer, keras.layers.BatchNormalization)]
        self.followed = list(model.trainable_variables)
        self.updates = keras.Variable(0.0, trainable=False, dtype="float32", name="average_updates")
        self.means = [
            keras.Variable(ops.copy(v.value), trainable=False, dtype="float32", name=f"average_{i}")
            for i, v in enumerate(self.followed)
        ]

    @property
    def variables(self) -> list[keras.Variable]:
        """Its variables."""
        return [self.updates, *self.means]

    def follow(self, decay: Any = None) -> None:
        """Move towards the current weights; ``decay``, a 0-d tensor, replaces the decay for this update."""
        done = ops.convert_to_tensor(self.updates)
        if decay is not None:
            move = 1.0 - decay
        elif self.half_life is not None:
            # In batches; at the first update, where nothing was seen, the mean is the weights themselves.
            life = ops.minimum(self.half_life / self.batch_size, 0.05 * done)
            move = 1.0 - ops.power(0.5, 1.0 / ops.maximum(life, 1e-3))
        else:
            move = 1.0 - ops.minimum(self.decay, (1.0 + done) / (10.0 + done))
        for mean, weight in zip(self.means, self.followed):
            mean.assign(mean + move * (ops.stop_gradient(ops.cast(weight, "float32")) - mean))
        self.updates.assign(done + 1.0)

    def begin_anew(self) -> None:
        """Start again from the current weights; the Keras variables must be up to date."""
        self.updates.assign(0.0)
        for mean, weight in zip(self.means, self.followed):
            mean.assign(weight)

    @contextmanager
    def worn(self) -> Iterator[None]:
        """Give the model the averaged weights within the context; the Keras variables must be up to date."""
        held = [*self.followed, *self.model.non_trainable_variables]
        own = [ops.copy(variable.value) for variable in held]
        for mean, weight in zip(self.means, self.followed):
            weight.assign(mean)
        try:
            self._take_statistics()
            yield
        finally:
            for value, variable in zip(own, held):
                variable.assign(value)

    def _take_statistics(self) -> None:
        """Set the statistics of every batch normalization to their means over the batches."""
        momenta = [layer.momentum for layer in self.normalized]
        try:
            for k, batch in enumerate(self.batches if self.normalized else ()):
                for layer in self.normalized:
                    layer.momentum = k / (k + 1)  # a plain mean of what was seen so far
                self.model(batch, training=True)
        finally:
            for layer, momentum in zip(self.normalized, momenta):
                layer.momentum = momentum
