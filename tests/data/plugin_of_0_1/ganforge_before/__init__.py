"""A plugin as it stood for GANForge 0.1, one of each kind there was: left as it is, and loaded by later versions.

Names that later became hooks (``update_state``, ``after_step``, ``generator_penalty``, ``register_optimizers``), or
came to mean something (``initial_state``, ``lazy``), are its own helpers here.
"""

from __future__ import annotations

import hashlib

import keras
import numpy as np
from keras import layers, ops
from pydantic import Field

from ganforge import Architecture, DatasetSource, Images, Loss, Options, Strategy, hookimpl


class Widths(Options):
    width: int = Field(8, ge=1, description="units")


def generator(image_shape, latent_dim, options):
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(options.width, activation="relu")(inputs)
    x = layers.BatchNormalization()(x)
    x = layers.Dense(int(np.prod(image_shape)), activation="tanh", dtype="float32")(x)
    return keras.Model(inputs, layers.Reshape(image_shape)(x), name="generator")


def discriminator(image_shape, options):
    inputs = keras.Input(image_shape)
    x = layers.LeakyReLU(0.2)(layers.Dense(options.width)(layers.Flatten()(inputs)))
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(x), name="discriminator")


@hookimpl
def register_architectures(register):
    register(
        Architecture("before", generator=generator, discriminator=discriminator, options=Widths, summary="Small")
    )


class Before(Strategy):
    """Noise that grows as the discriminator wins, turned labels and a penalty."""

    name = "before"
    lazy = True  # its own word for something

    class Options(Options):
        sigma: float = Field(0.1, ge=0, description="standard deviation")

    def __init__(self, options=None):
        super().__init__(options)
        self.seen = self.initial_state(1)

    def initial_state(self, times):
        return 0 * times

    def update_state(self, signals):
        self.seen += bool(signals)
        return self.seen

    def after_step(self, anything):
        raise RuntimeError("nobody calls this")

    def generator_penalty(self, weight):
        raise RuntimeError("nobody calls this")

    @hookimpl
    def configure_run(self, config):
        config.learning_rate *= 2

    @hookimpl
    def plan_step(self, progress, signals):
        return {"sigma": self.options.sigma / (1 + self.update_state(signals)), "generator_lr": 0.5}

    @hookimpl
    def discriminator_images(self, images, real, controls, random):
        return images + controls["sigma"] * random.normal(ops.shape(images))

    @hookimpl
    def discriminator_labels(self, labels, real, controls, random):
        return labels * (1.0 - 0.1 * random.uniform(ops.shape(labels)))

    @hookimpl
    def discriminator_penalty(self, discriminator, real, fake, controls, random, gradient):
        slope = gradient(discriminator, real)
        return 0.5 * ops.mean(ops.sum(ops.square(slope), axis=(1, 2, 3)))

    def get_state(self):
        return {"seen": self.seen}

    def set_state(self, state):
        self.seen = state.get("seen", 0)


@hookimpl
def register_strategies(register):
    register(Before)


def loss_of_discriminator(real_logits, fake_logits, real_labels, fake_labels):
    return ops.mean(ops.square(real_logits - real_labels)) + ops.mean(ops.square(fake_logits - fake_labels))


def loss_of_generator(fake_logits, labels):
    return ops.mean(ops.square(fake_logits - labels))


def discriminator_penalty(discriminator, real, fake, random, gradient, options):
    mixed = real + random.uniform((ops.shape(real)[0], 1, 1, 1)) * (fake - real)
    return 0.01 * ops.mean(ops.square(gradient(discriminator, mixed)))


@hookimpl
def register_losses(register):
    register(Loss("before", loss_of_discriminator, loss_of_generator, discriminator_penalty, summary="Squares"))


def load(image_size, channels, limit, seed):
    count = min(32, limit or 32)
    array = np.random.default_rng(seed).integers(0, 256, (count, image_size, image_size, channels), dtype=np.uint8)
    return Images(array, hashlib.sha256(array.tobytes()).hexdigest(), f"{count} of noise", found=count)


@hookimpl
def register_datasets(register):
    register(DatasetSource("before", load=load, image_size=8, summary="Noise"))


def register_optimizers(optimizers):
    raise RuntimeError("nobody calls this")


@hookimpl
def run_ended(run, outcome):
    (run.directory / "before.txt").write_text(outcome)
