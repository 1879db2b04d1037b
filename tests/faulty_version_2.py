"""Plugins of version 2, sound ones and ones with one fault each, which the conformance kit must find."""

from pathlib import Path

import keras
import numpy as np
from keras import layers, ops
from pydantic import Field

from ganforge import Architecture, Logger, Loss, Optimizer, Options, Strategy, hookimpl

ganforge_api = 2
SQUARED = (1, 2, 3)


# ------------------------------------------------------------------ strategies


class Two(Strategy):
    """Everything of version 2 at once. Helps: nobody. Source: none."""

    name = "sound-two"
    lazy = True

    class Options(Options):
        weight: float = Field(1.0, gt=0, description="factor of the penalties")
        every: int = Field(2, ge=1, description="steps between two payments")
        pull: float = Field(0.1, gt=0, lt=1, description="how far weights go back to their mean")

    def initial_state(self, generator_weights):
        return {"steps": 0, "real": 0.0, "mean": list(generator_weights)}

    @hookimpl
    def plan_step(self):
        return {"weight": self.options.weight, "generator_beta_2": 0.95, "ema_decay": 0.9}

    @hookimpl
    def discriminator_penalty(self, discriminator, real, fake, controls, gradient):
        of_real = gradient(discriminator, real)
        of_fake = gradient(lambda x: discriminator(x, real=False), fake)
        total = ops.mean(ops.sum(ops.square(of_real) + ops.square(of_fake), axis=SQUARED))
        return controls["weight"] * total, {"slope": total}

    @hookimpl
    def generator_penalty(self, generator, latents, fake, controls):
        near = generator(latents + 0.1)
        return controls["weight"] * ops.mean(ops.square(near - fake))

    @hookimpl
    def update_state(self, state, metrics):
        new = {**state, "steps": state["steps"] + 1, "real": 0.9 * state["real"] + 0.1 * metrics["d_real_logit"]}
        return new, {"real": new["real"]}

    @hookimpl
    def after_step(self, generator_weights, state):
        pull = self.options.pull
        return [w + pull * (m - w) for w, m in zip(generator_weights, state["mean"])], None


class Faulty(Strategy):
    """A strategy with a fault. Helps: nobody. Source: none."""


class Looks(Faulty):
    """Asks for features. Helps: nobody. Source: none."""

    name = "sound-looking"

    @hookimpl
    def discriminator_penalty(self, real_features, fake_features):
        return ops.mean(ops.square(ops.mean(real_features, axis=0) - ops.mean(fake_features, axis=0)))


class Unmoving(Faulty):
    name = "unmoving"

    @hookimpl
    def generator_penalty(self, latents):
        return ops.mean(ops.square(latents))


class Mistaken(Faulty):
    name = "mistaken"

    @hookimpl
    def discriminator_penalty(self, discriminator, fake, gradient):
        return ops.mean(ops.sum(ops.square(gradient(discriminator, fake)), axis=SQUARED))


class Counting(Faulty):
    name = "counting-calls"

    def __init__(self, options=None):
        super().__init__(options)
        self.calls = 0

    def initial_state(self):
        return {"n": 0.0}

    @hookimpl
    def update_state(self, state):
        self.calls += 1
        return {"n": state["n"] + self.calls}


class Retyping(Faulty):
    name = "retyping"

    def initial_state(self):
        return {"n": 0}

    @hookimpl
    def update_state(self, state):
        return {"n": state["n"] * 0.5}


class Idle(Faulty):
    name = "idle"

    @hookimpl
    def after_step(self, generator_weights):
        return generator_weights, None


class TwiceWeighed(Faulty):
    name = "twice-weighed"
    lazy = True

    class Options(Options):
        every: int = Field(2, ge=1, description="steps between two payments")

    @hookimpl
    def discriminator_penalty(self, discriminator, real, gradient):
        return self.options.every * ops.mean(ops.sum(ops.square(gradient(discriminator, real)), axis=SQUARED))


class Penniless(TwiceWeighed):
    name = "penniless"
    discriminator_penalty = None

    @hookimpl
    def plan_step(self):
        return {"every": self.options.every}


class Unsteady(Faulty):
    name = "unsteady"

    @hookimpl
    def plan_step(self, progress):
        return {"generator_beta_1": 2 * progress.fraction}


class Measuring(Faulty):
    name = "measuring"

    @hookimpl
    def discriminator_images(self, images):
        return images, {"pictures": images}


class Ignoring(Faulty):
    name = "ignoring"

    class Options(Options):
        pull: float = Field(0.1, gt=0, description="not used")

    @hookimpl
    def after_step(self, generator_weights):
        return [0.9 * w for w in generator_weights], None


@hookimpl
def register_strategies(register):
    for strategy in (Two, Looks, Unmoving, Mistaken, Counting, Retyping, Idle, TwiceWeighed, Penniless):
        register(strategy)
    for strategy in (Unsteady, Measuring, Ignoring):
        register(strategy)


# ------------------------------------------------------------------ losses


def against(real_logits, fake_logits):
    return ops.mean(ops.softplus(fake_logits - real_logits))


def with_features(real_logits, fake_logits, real_features):
    return against(real_logits, fake_logits) + 0.1 * ops.mean(ops.square(real_features["deep"]))


@hookimpl
def register_losses(register):
    def turned(real_logits, fake_logits):
        return against(fake_logits, real_logits)

    def flat(real_logits, fake_logits):
        return ops.mean(ops.softplus(-fake_logits)) + 0 * ops.mean(real_logits)

    def one_logit(real_logits, fake_logits):
        return ops.mean(ops.softplus(-ops.reshape(real_logits, (4,)))) + ops.mean(ops.softplus(fake_logits))

    register(Loss("sound-pair", against, turned, summary="Pairs"))
    register(Loss("sound-features", with_features, turned, summary="Pairs and features"))
    register(Loss("unpaired", against, flat, summary="Names real_logits and does not use them"))
    register(Loss("one-logit", one_logit, lambda fake_logits: ops.mean(ops.softplus(-fake_logits)), summary="K = 1"))


# ------------------------------------------------------------------ architectures


class Width(Options):
    width: int = Field(4, ge=1, description="channels")


def generator(image_shape, latent_dim, options, activation="tanh"):
    inputs = keras.Input((latent_dim,))
    x = layers.Dense(options.width, activation="relu")(inputs)
    x = layers.Dense(int(np.prod(image_shape)), activation=activation, dtype="float32")(x)
    return keras.Model(inputs, layers.Reshape(image_shape, dtype="float32")(x), name="generator")


def patches(image_shape, options):
    inputs = keras.Input(image_shape)
    x = layers.LeakyReLU(0.2)(layers.Conv2D(options.width, 3, strides=2, padding="same")(inputs))
    logits = layers.Conv2D(1, 3, strides=2, padding="same", dtype="float32")(x)
    return keras.Model(inputs, logits, name="discriminator")


def featured(image_shape, options):
    inputs = keras.Input(image_shape)
    x = layers.Conv2D(options.width, 3, strides=2, padding="same", activation="relu")(inputs)
    logits = layers.Dense(2, dtype="float32")(layers.Flatten()(x))
    return keras.Model(inputs, {"logits": logits, "features": {"map": x}}, name="discriminator")


def unbounded(image_shape, latent_dim, options):
    return generator(image_shape, latent_dim, options, activation=None)


@hookimpl
def register_architectures(register):
    for name, first, second, more in (
        ("sound-patches", generator, patches, {}),
        ("sound-featured", generator, featured, {}),
        ("sound-unbounded", unbounded, patches, {"bounded": False}),
    ):
        register(Architecture(name, first, second, options=Width, summary="Small", **more))


# ------------------------------------------------------------------ optimizers


class Rates(Options):
    momentum: float = Field(0.5, ge=0, lt=1, description="of the steps before")


class Uphill(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(-gradient, variable, learning_rate)


class Deaf(keras.optimizers.SGD):
    def update_step(self, gradient, variable, learning_rate):
        super().update_step(gradient, variable, 0.01)


class Forgetful(keras.optimizers.Optimizer):
    """Counts its steps in Python."""

    calls = 0

    def update_step(self, gradient, variable, learning_rate):
        self.calls += 1
        self.assign_sub(variable, learning_rate * gradient / self.calls)


@hookimpl
def register_optimizers(register):
    only = keras.optimizers.SGD(0.01)
    halving = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.5)
    for name, build in {
        "sound-sgd": lambda options: keras.optimizers.SGD(0.01, momentum=options.momentum),
        "shared-sgd": lambda options: only,
        "class-itself": lambda options: keras.optimizers.SGD,
        "scheduled": lambda options: keras.optimizers.SGD(halving, momentum=options.momentum),
        "uphill": lambda options: Uphill(0.01, momentum=options.momentum),
        "deaf-sgd": lambda options: Deaf(0.01, momentum=options.momentum),
        "optionless": lambda options: keras.optimizers.SGD(0.01),
        "forgetful-sgd": lambda options: Forgetful(0.01),
    }.items():
        register(Optimizer(name, build=build, options=Rates, summary="Steps"))


# ------------------------------------------------------------------ loggers


class Lines:
    """Writes a line a logged step into the run directory."""

    def __init__(self, run, mode="a", file="lines.txt"):
        self.path, self.mode = Path(run.directory) / file, mode

    @hookimpl
    def run_started(self, run):
        self.path.open(self.mode).close()

    @hookimpl
    def step_ended(self, step):
        if step.metrics:
            with self.path.open("a") as file:
                file.write(f"{step.progress.step} {step.metrics['d_loss']}\n")

    @hookimpl
    def snapshot_taken(self, snapshot):
        assert snapshot.path.is_file()


class Impatient(Lines):
    @hookimpl
    def step_ended(self, step):
        self.last = step.metrics["d_loss"]


class Silent:
    def close(self):
        """Not a hook."""


@hookimpl
def register_loggers(register):
    register(Logger("sound-lines", make=lambda run: Lines(run), summary="Lines"))
    register(Logger("overwriting", make=lambda run: Lines(run, "w"), summary="Begins anew each time"))
    register(Logger("straying", make=lambda run: Lines(run, file="../stray.txt"), summary="Beside the run"))
    register(Logger("silent", make=lambda run: Silent(), summary="Has no hook"))
    register(Logger("impatient-logger", make=lambda run: Impatient(run), summary="Takes every step for a logged one"))
