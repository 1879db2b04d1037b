"""Plugins with one fault each, which the conformance kit must find; loaded with ``--plugin``."""

import random as python_random

import keras
import numpy as np
from keras import layers, ops
from pydantic import Field

from ganforge import Architecture, DatasetSource, Images, Loss, Options, Strategy, hookimpl


class SomeOptions(Options):
    width: int = Field(4, ge=1, description="units")


def generator(image_shape, latent_dim, options, activation="tanh", keep=True):
    return keras.Sequential(
        [
            layers.Input((latent_dim,)),
            layers.Dense(options.width if keep else 4, activation="relu"),
            layers.Dense(int(np.prod(image_shape)), activation=activation, dtype="float32"),
            layers.Reshape(image_shape),
        ],
        name="generator",
    )


def discriminator(image_shape, options, activation=None, keep=True):
    return keras.Sequential(
        [
            layers.Input(image_shape),
            layers.Flatten(),
            layers.Dense(options.width if keep else 4),
            layers.LeakyReLU(0.2),
            layers.Dense(1, activation=activation, dtype="float32"),
        ],
        name="discriminator",
    )


def unused_weight(image_shape, options):
    inputs = keras.Input(image_shape)
    x = layers.Flatten()(inputs)
    stopped = layers.Lambda(ops.stop_gradient, output_shape=(options.width,))(layers.Dense(options.width)(x))
    return keras.Model(inputs, layers.Dense(1, dtype="float32")(layers.Concatenate()([x, stopped])))


@keras.saving.register_keras_serializable("faulty")
class Forgetful(layers.Layer):
    """Forgets its factor when it is saved."""

    def __init__(self, factor=1.0, **settings):
        super().__init__(**settings)
        self.factor = factor

    def call(self, inputs):
        return inputs * self.factor

    def get_config(self):
        return {"name": self.name}


def forgetful(image_shape, latent_dim, options):
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(int(np.prod(image_shape)) * options.width, activation="tanh", dtype="float32")(inputs)
    x = layers.Reshape((*image_shape, options.width), dtype="float32")(x)
    return keras.Model(inputs, Forgetful(0.5, dtype="float32")(x[..., 0]))


def seedless(image_shape, latent_dim, options):
    noise = keras.initializers.RandomNormal(seed=int(np.random.default_rng().integers(2**31)))
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(options.width, kernel_initializer=noise)(inputs)
    x = layers.Dense(int(np.prod(image_shape)), activation="tanh", dtype="float32")(x)
    return keras.Model(inputs, layers.Reshape(image_shape)(x))


def fixed_size(image_shape, options):
    return keras.Sequential(
        [layers.Input((16, 16, 3)), layers.Flatten(), layers.Dense(options.width), layers.Dense(1)]
    )


def conditional_generator(image_shape, latent_dim, options, classes):
    latents, labels = keras.Input((latent_dim,)), keras.Input((), dtype="int32")
    x = layers.Concatenate()([latents, layers.Embedding(classes, options.width)(labels)])
    x = layers.Dense(int(np.prod(image_shape)), activation="tanh", dtype="float32")(x)
    return keras.Model([latents, labels], layers.Reshape(image_shape)(x), name="generator")


def conditional_discriminator(image_shape, options, classes):
    images, labels = keras.Input(image_shape), keras.Input((), dtype="int32")
    x = layers.Concatenate()([layers.Flatten()(images), layers.Embedding(classes, options.width)(labels)])
    x = layers.LeakyReLU(0.2)(layers.Dense(8)(x))
    return keras.Model([images, labels], layers.Dense(1, dtype="float32")(x), name="discriminator")


def classless(image_shape, latent_dim, options, classes):
    latents, labels = keras.Input((latent_dim,)), keras.Input((), dtype="int32")
    nothing = layers.Rescaling(0.0)(layers.Embedding(classes, latent_dim)(labels))
    x = layers.Dense(int(np.prod(image_shape)), activation="tanh", dtype="float32")(layers.Add()([latents, nothing]))
    return keras.Model([latents, labels], layers.Reshape(image_shape)(x), name="generator")


class Unbounded(Options):
    width: int = Field(4, description="units")


@hookimpl
def register_architectures(register):
    def add(name, g=generator, d=discriminator, options=SomeOptions, **more):
        register(Architecture(name, generator=g, discriminator=d, options=options, summary="Faulty", **more))

    add("sound")
    add("sound-conditional", conditional_generator, conditional_discriminator, conditional=True)
    add("classless", classless, conditional_discriminator, conditional=True)
    add("probabilities", d=lambda image_shape, options: discriminator(image_shape, options, "sigmoid"))
    add("zero-to-one", g=lambda shape, latent_dim, options: generator(shape, latent_dim, options, "sigmoid"))
    add("out-of-range", g=lambda shape, latent_dim, options: generator(shape, latent_dim, options, None))
    add(
        "deaf",
        g=lambda shape, latent_dim, options: generator(shape, latent_dim, options, keep=False),
        d=lambda image_shape, options: discriminator(image_shape, options, keep=False),
    )
    add("unbounded", options=Unbounded)
    add("unused-weight", d=unused_weight)
    add("forgetful", g=forgetful)
    add("seedless", g=seedless)
    add("fixed-size", d=fixed_size)
    add("wrong-defaults", defaults={"loss": "bc"})


class Faulty(Strategy):
    """A strategy with a fault. Helps: nobody. Source: none."""

    class Options(Options):
        sigma: float = Field(0.1, ge=0, description="standard deviation")

    @hookimpl
    def plan_step(self, progress, signals):
        return {"sigma": self.options.sigma * (1 - progress.fraction)}

    @hookimpl
    def discriminator_images(self, images, controls, random):
        return images + controls["sigma"] * random.normal(ops.shape(images))


class Sound(Faulty):
    name = "sound-strategy"


class Hookless(Strategy):
    name = "hookless"


class Changing(Faulty):
    name = "changing"

    @hookimpl
    def plan_step(self, progress, signals):
        return {"sigma": self.options.sigma} if progress.step < 30 else {}


class Impatient(Faulty):
    """Counts calls, not measurements. Helps: nobody. Source: none."""

    name = "impatient"

    def __init__(self, options=None):
        super().__init__(options)
        self.calls = 0

    @hookimpl
    def plan_step(self, progress, signals):
        self.calls += 1
        return {"sigma": self.options.sigma / self.calls}

    def get_state(self):
        return {"calls": self.calls}

    def set_state(self, state):
        self.calls = state.get("calls", 0)


class Shared(Faulty):
    name = "shared"
    seen: list = []  # noqa: RUF012

    @hookimpl
    def plan_step(self, progress, signals):
        if signals:
            self.seen.append(1)
        return {"sigma": self.options.sigma * len(self.seen)}


class Amnesiac(Impatient):
    name = "amnesiac"

    @hookimpl
    def plan_step(self, progress, signals):
        self.calls += bool(signals)
        return {"sigma": self.options.sigma * self.calls}

    def get_state(self):
        return {}


class Unwritable(Amnesiac):
    name = "unwritable"

    def get_state(self):
        return {"calls": np.float32(self.calls)}


class Reshaping(Faulty):
    name = "reshaping"

    @hookimpl
    def discriminator_images(self, images, controls):
        return images[:, :4] * controls["sigma"]


class Careless(Faulty):
    name = "careless"

    @hookimpl
    def discriminator_images(self, images, controls):
        return images + controls["sigma"] * python_random.random()


class Frozen(Faulty):
    name = "frozen"

    @hookimpl
    def plan_step(self, progress, signals):
        self.sigma = self.options.sigma * (1 + progress.fraction)
        return {"sigma": self.sigma}

    @hookimpl
    def discriminator_images(self, images):
        return images * getattr(self, "sigma", 1.0)


class Rounding(Faulty):
    name = "rounding"

    @hookimpl
    def discriminator_images(self, images, controls):
        return ops.round(images * 8) / 8 + 0 * controls["sigma"]


class Ignorant(Faulty):
    name = "ignorant"

    @hookimpl
    def plan_step(self, progress, signals):
        return {"sigma": 0.1}


class Infinite(Faulty):
    name = "infinite"

    @hookimpl
    def discriminator_penalty(self, discriminator, real, controls):
        return ops.log(controls["sigma"] * 0.0) * 0.0


class Deciding(Faulty):
    """Decides in Python on a tensor: works where nothing is compiled. Helps: nobody. Source: none."""

    name = "deciding"

    @hookimpl
    def discriminator_images(self, images, controls):
        return images * controls["sigma"] if controls["sigma"] > 0.05 else images


@hookimpl
def register_strategies(register):
    for strategy in (Sound, Hookless, Changing, Impatient, Shared, Amnesiac, Unwritable, Reshaping):
        register(strategy)
    for strategy in (Careless, Frozen, Rounding, Ignorant, Infinite, Deciding):
        register(strategy)


def right(real_logits, fake_logits, real_labels, fake_labels):
    return ops.mean(ops.square(real_logits - real_labels)) + ops.mean(ops.square(fake_logits - fake_labels))


def backwards(real_logits, fake_logits, real_labels, fake_labels):
    return -right(real_logits, fake_logits, real_labels, fake_labels)


def right_generator(fake_logits, labels):
    return ops.mean(ops.square(fake_logits - labels))


@hookimpl
def register_losses(register):
    register(Loss("sound-loss", right, right_generator, summary="Sound"))
    register(Loss("backwards", backwards, right_generator, summary="The sign is wrong"))
    register(
        Loss("backwards-generator", right, lambda fake_logits: ops.mean(fake_logits), summary="The sign is wrong")
    )
    register(
        Loss(
            "overflowing",
            lambda real_logits, fake_logits: (
                ops.mean(ops.log(1 + ops.exp(-real_logits))) + ops.mean(ops.log(1 + ops.exp(fake_logits)))
            ),
            right_generator,
            summary="exp overflows",
        )
    )
    register(
        Loss(
            "a-vector",
            lambda real_logits, fake_logits: ops.softplus(-real_logits) + ops.softplus(fake_logits),
            right_generator,
            summary="No mean",
        )
    )


def pictures(image_size, channels, limit, seed):
    return np.random.default_rng(seed).integers(0, 256, (limit, image_size, image_size, channels), dtype=np.uint8)


def source(change=lambda array: array, fingerprint=None, heeds=True):
    def load(image_size, channels, limit, seed):
        array = change(pictures(image_size, channels, limit if heeds else 20, seed))
        digest = fingerprint or f"{hash(array.tobytes()) & (2**64 - 1):x}"
        return Images(array, digest, "some noise", found=len(array))

    return load


@hookimpl
def register_datasets(register):
    for name, load in {
        "sound-data": source(),
        "floats": source(lambda array: array / 255.0),
        "dark": source(lambda array: array // 255),
        "unlimited": source(heeds=False),
        "one-fingerprint": source(fingerprint="abc"),
        "no-hex": source(fingerprint="xyz"),
    }.items():
        register(DatasetSource(name, load=load, summary="Faulty"))
