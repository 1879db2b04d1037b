"""A plugin with what a run can be asked for by name: optimizers, loggers, a loss that compares, an architecture."""

from __future__ import annotations

import os

import keras
from keras import ops
from pydantic import Field

from ganforge import Architecture, Logger, Loss, Optimizer, Options, Strategy, hookimpl

ganforge_api = 2


class AdamOptions(Options):
    learning_rate: float | None = Field(None, gt=0)
    beta_1: float | None = Field(None, ge=0, lt=1)
    beta_2: float = 0.9


class RateOptions(Options):
    learning_rate: float = 0.5  # never what is taken: the run's, or what a person gives
    momentum: float = 0.5


ONE = keras.optimizers.SGD(0.1)
DECAY = keras.optimizers.schedules.ExponentialDecay(0.1, 10, 0.9)


@hookimpl
def register_optimizers(register):
    def adam(options):
        return keras.optimizers.Adam(options.learning_rate, options.beta_1, options.beta_2)

    register(Optimizer("own-adam", build=adam, options=AdamOptions, summary="Adam with options of its own"))
    register(
        Optimizer("rated", lambda o: keras.optimizers.SGD(o.learning_rate, momentum=o.momentum), options=RateOptions)
    )
    register(Optimizer("fixed", build=lambda options: keras.optimizers.RMSprop(0.125)))
    register(Optimizer("fixed-adam", build=lambda options: keras.optimizers.Adam(0.25, beta_1=0.75)))
    register(Optimizer("scheduled", build=lambda options: keras.optimizers.SGD(DECAY)))
    register(Optimizer("shared", build=lambda options: ONE))
    register(Optimizer("wordy", build=lambda options: "sgd"))
    register(Optimizer("failing", build=lambda options: 1 / 0))


class Lines:
    """Writes a line for each hook; ends the process, as a kill would, where it is asked to."""

    def __init__(self, run, options):
        self.file, self.options = (run.directory / options.name).open("a"), options
        self.said("made")

    def said(self, text):
        self.file.write(text + "\n")
        self.file.flush()

    @hookimpl
    def run_started(self, run):
        self.said(f"started at {run.start_step} of {run.steps}")

    @hookimpl
    def step_ended(self, step):
        self.said(f"step {step.progress.step}")
        if os.environ.get("KILLED_AT") == str(step.progress.step):
            os._exit(9)

    @hookimpl
    def run_ended(self, outcome):
        self.said(outcome)


class LinesOptions(Options):
    name: str = "lines.log"


class Falling:
    @hookimpl
    def step_ended(self):
        raise OSError("no such place")


def only_run(run):
    return Lines(run, LinesOptions(name="only_run.log"))


@hookimpl
def register_loggers(register):
    register(Logger("lines", make=Lines, options=LinesOptions))
    register(Logger("only-run", make=only_run))
    register(Logger("unmade", make=lambda run, options: 1 / 0))
    register(Logger("hookless", make=lambda run, options: object()))
    register(Logger("falling", make=lambda r, o: Falling()))


def discriminator_loss(real_logits, fake_logits):
    return ops.mean(ops.softplus(fake_logits - real_logits))


def generator_loss(real_logits, fake_logits):
    return ops.mean(ops.softplus(real_logits - fake_logits))


@hookimpl
def register_losses(register):
    register(Loss("pairs", discriminator=discriminator_loss, generator=generator_loss, boundary=None))


class Remembering(Strategy):
    """Keeps a mean of what it measured on the device, counts on the host, and acts by both."""

    name = "remembering"

    def __init__(self, options=None):
        super().__init__(options)
        self.count = 0

    def initial_state(self, image_shape, batch_size):
        return {"mean": ops.zeros(())}

    @hookimpl
    def plan_step(self, progress, signals):
        self.count += 1
        return {"sigma": 0.01 * (self.count % 5), "discriminator_lr": 0.5 + 0.5 * signals.get("d_accuracy", 1.0)}

    @hookimpl
    def discriminator_images(self, images, controls, random, state):
        noise = random.normal(ops.shape(images))
        return images + (controls["sigma"] + 0.1 * ops.tanh(state["mean"])) * noise

    @hookimpl
    def update_state(self, state, metrics):
        return {"mean": 0.9 * state["mean"] + 0.1 * metrics["d_real_logit"]}

    def get_state(self):
        return {"count": self.count}

    def set_state(self, state):
        self.count = int(state.get("count", 0))


class Waiting(Strategy):
    """Lets the generator wait for four steps."""

    name = "waiting"

    @hookimpl
    def plan_step(self, progress):
        return {"generator_steps": int(progress.step >= 4)}


@hookimpl
def register_strategies(register):
    register(Remembering)
    register(Waiting)


class TinyOptions(Options):
    width: int = 4


def generator(image_shape, latent_dim, options):
    size = image_shape[0] * image_shape[1] * image_shape[2]
    layers = [keras.layers.Dense(options.width, "relu"), keras.layers.Dense(size, "tanh")]
    return keras.Sequential([keras.Input((latent_dim,)), *layers, keras.layers.Reshape(image_shape)])


def discriminator(image_shape, options):
    layers = [keras.layers.Flatten(), keras.layers.Dense(options.width, "tanh"), keras.layers.Dense(1)]
    return keras.Sequential([keras.Input(image_shape), *layers])


DEFAULTS = {
    "learning_rate": 3e-3,
    "loss": "pairs",
    "balance": ["remembering", "input-noise:sigma=0.05"],
    "ema": "0.25kimg",
    "optimizer": "own-adam:beta_1=0.25",
    "image_size": 8,
}


@hookimpl
def register_architectures(register):
    def add(name, defaults):
        register(Architecture(name, generator, discriminator, TinyOptions, defaults=defaults))

    add("recommended", DEFAULTS)
    add("misled", {"loss": "pears"})
