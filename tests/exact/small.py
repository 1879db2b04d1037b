"""The oracle's two networks in an engine. Import it after a backend was chosen."""

from __future__ import annotations

import math

import keras
import numpy as np
from keras import layers, ops

from ganforge import Loss
from ganforge.engine.engine import Engine
from ganforge.plugin.registry import load_plugins
from ganforge.plugin.types import Batch, Progress

REGISTRY = load_plugins()
STILL = 1e-12  # a learning rate at which no float32 weight moves


def strategy(name, **options):
    cls = REGISTRY.get("strategy", name).value
    return cls(cls.Options(**options))


class Quadratic(layers.Layer):
    """x·w + x²·q / 2 + b over all of a picture's numbers."""

    def build(self, shape):
        self.size = math.prod(shape[1:])
        for name, count in (("w", self.size), ("q", self.size), ("b", 1)):
            setattr(self, name, self.add_weight(shape=(count,), initializer="zeros", name=name))

    def call(self, images):
        x = ops.reshape(images, (-1, self.size))
        return ops.sum(x * self.w + ops.square(x) * self.q / 2.0, axis=1, keepdims=True) + self.b


class Small:
    """The oracle's networks in an engine; ``weights`` are its arrays by name."""

    def __init__(self, loss, strategies=(), shape=(3, 4, 2), batch=8, latent=3, weights=None, **settings):
        self.shape, self.batch, self.latent, size = shape, batch, latent, math.prod(shape)
        self.generator = keras.Sequential([layers.Input((latent,)), layers.Dense(size), layers.Reshape(shape)])
        self.discriminator = keras.Sequential([layers.Input(shape), Quadratic()])
        self.engine = Engine(
            self.generator,
            self.discriminator,
            loss if isinstance(loss, Loss) else REGISTRY.get("loss", loss).value,
            strategies=strategies,
            batch_size=batch,
            latent_dim=latent,
            **settings,
        )
        self.set_weights(weights or {})

    def set_weights(self, weights):
        """Set the networks' weights, random where none are given; the mean of G's starts there too."""
        random, size = np.random.default_rng(1), math.prod(self.shape)
        latent = self.latent
        drawn = {"W": (latent, size), "c": (size,), "w": (size,), "q": (size,), "b": (1,)}
        self.first = {name: random.normal(0, 0.3, shape).astype("float32") for name, shape in drawn.items()}
        for name, value in weights.items():
            self.first[name] = np.full(drawn[name], value, "float32") if np.isscalar(value) else np.float32(value)
        arrays, rest = self.engine.get_state()
        self.engine.set_state({name: self._weight(name, array) for name, array in arrays.items()}, rest)

    def _weight(self, name, array):
        """The array that the state holds under ``name``, or the first weight that belongs there."""
        owner, position, path = name.split("/", 2)
        if owner.startswith("generator_average") and path.startswith("average_updates"):
            return array
        known = {"generator": "Wc", "generator_average": "?Wc", "discriminator": "wqb", "strategy lookahead": "wqbWc"}
        order = known.get(owner, "")[: 5 if position != "005" else 0]  # its last is a count
        return self.first[order[int(position)]].reshape(array.shape) if order else np.array(array)

    def run(self, batches, steps=(0, 1), total=2):
        lines = []
        for step in self.engine.steps(batches, lambda s: Progress(s, total, 0, 1), *steps):
            lines.append(step.read())
        return lines

    def read(self):
        """Weights, Adam's first moments and the average, by the oracle's names."""
        found = {}
        for name, array in self.engine.get_state()[0].items():
            owner, _, path = name.split("/", 2)
            letter = self._letter(owner, path)
            if letter and not path.endswith("velocity"):
                kind = "m" if path.endswith("momentum") else "average" if owner == "generator_average" else "value"
                found[f"{kind}/{letter}"] = np.array(array, "float64").reshape(self.first[letter].shape)
        return found

    @staticmethod
    def _letter(owner, path):
        if owner == "generator_average":
            return {"average_0": "W", "average_1": "c"}.get(path.rsplit("/", 1)[-1])
        last = path.rsplit("/", 1)[-1].removesuffix("_momentum").removesuffix("_velocity")
        names = {"kernel": "W", "bias": "c"} if owner.startswith("generator") else {"w": "w", "q": "q", "b": "b"}
        return next((letter for name, letter in names.items() if last == name or last.endswith("_" + name)), None)


class Batches:
    """Each step's own pictures, and each extra update's."""

    def __init__(self, machine, constant=None):
        self.shape, self.constant = (machine.batch, *machine.shape), constant

    def images(self, *which):
        if self.constant is not None:
            return np.full(self.shape, self.constant, np.uint8)
        return np.random.default_rng([7, *which]).integers(0, 256, self.shape, dtype=np.uint8)

    def iterate(self, start, stop):
        for step in range(start, stop):
            yield step, Batch(self.images(step))

    def extra(self, step, k):
        return Batch(self.images(step, k))


def rows(images):
    return images.reshape(len(images), -1) / 127.5 - 1.0
