"""Trains small networks on one device and on several, and says how far apart they end: one JSON line.

On torch a script for torchrun, which starts it once for each device; on JAX one process with all of them.
``devices_probe.py BACKEND DEVICES CASE…``; without cases all of ``CASES``.
"""

from __future__ import annotations

import json
import sys
import zlib
from typing import Any

import numpy as np

from ganforge.backend import choose_backend

choose_backend(sys.argv[1])

import keras  # noqa: E402
from keras import layers, ops  # noqa: E402

from ganforge import Loss, Strategy, hookimpl  # noqa: E402
from ganforge.engine.engine import Engine  # noqa: E402
from ganforge.engine.networks import seeded  # noqa: E402
from ganforge.errors import GANForgeError, UsageError  # noqa: E402
from ganforge.plugin.registry import load_plugins  # noqa: E402
from ganforge.plugin.types import Batch, Progress  # noqa: E402
from ganforge.processes import place  # noqa: E402
from ganforge.training.recovery import require_equal  # noqa: E402

if sys.argv[1] == "torch":
    import torch

    torch.set_num_threads(1)

HERE = place()
DEVICES, BATCH, SIZE, LATENT, STEPS, CLASSES = int(sys.argv[2]), 8, 8, 6, 6, 3
REGISTRY = load_plugins()


class Batches:
    """Of each batch the rows of this process, where several train."""

    images = np.random.default_rng(0).integers(0, 256, (64, SIZE, SIZE, 3), dtype=np.uint8)
    labels = np.random.default_rng(1).integers(0, CLASSES, 64).astype(np.int32)

    def __init__(self, devices: int, classes: bool) -> None:
        rows = BATCH // HERE.count if devices > 1 else BATCH
        first = rows * HERE.rank if devices > 1 else 0
        self.own, self.classes = slice(first, first + rows), classes

    def at(self, index: int) -> Batch:
        labels = self.labels[index:][:BATCH][self.own].copy() if self.classes else None
        return Batch(self.images[index:][:BATCH][self.own].copy(), labels)

    def iterate(self, start, stop):
        return ((step, self.at(8 * step)) for step in range(start, stop))

    def extra(self, step, k):
        return self.at(5 * k + step)


class Alone(layers.Layer):
    """How alike the pictures of a batch are, as a channel (Karras et al. 2018): it looks at all of them."""

    def call(self, x):
        spread = ops.mean(ops.std(x, axis=0))
        return ops.concatenate([x, ops.ones_like(x[..., :1]) * spread], axis=-1)


class Summed(layers.Layer):
    """Adds a loss that is a sum over the batch, and one that is a mean."""

    def call(self, x):
        self.add_loss(0.001 * ops.sum(ops.square(x)))
        self.add_loss(0.01 * ops.mean(ops.abs(x)))
        return x


def networks(norm=False, dropout=False, classes=False, spectral=False, middle=None, noisy=False, dense=False):
    def norms():
        return [layers.BatchNormalization(momentum=0.8)] if norm else []

    with seeded(3):
        latent, image = layers.Input((LATENT,)), layers.Input((SIZE, SIZE, 3))
        label, shown = layers.Input((), dtype="int32"), layers.Input((), dtype="int32")
        x = layers.Concatenate()([latent, layers.Embedding(CLASSES, 4)(label)]) if classes else latent
        draws = (layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh"),)
        if dense:
            drawn = layers.Dense(SIZE * SIZE * 3, activation="tanh")
            draws = (layers.Flatten(), drawn, layers.Reshape((SIZE, SIZE, 3)))
        for layer in (layers.Dense(4 * 4 * 8), layers.Reshape((4, 4, 8)), *norms(), layers.ReLU(), *draws):
            x = layer(x)
        generator = keras.Model([latent, label] if classes else latent, x)
        conv = layers.Dense(4) if dense else layers.Conv2D(8, 4, 2, "same")
        y = layers.SpectralNormalization(conv)(image) if spectral else conv(image)
        for layer in (
            *(*norms(), layers.LeakyReLU(0.2), *([layers.Dropout(0.3)] if dropout else [])),
            *([layers.GaussianNoise(0.1)] if noisy else []),
            *([middle()] if middle else []),
            *(layers.Flatten(), layers.Dense(8, activation="tanh", kernel_regularizer="l2")),
        ):
            y = layer(y)
        if classes:
            y = layers.Concatenate()([y, layers.Embedding(CLASSES, 4)(shown)])
        discriminator = keras.Model([image, shown] if classes else image, layers.Dense(1)(y))
    return generator, discriminator


class Counts(Strategy):
    """Other numbers of updates each step, none at times."""

    name = "counts"

    @hookimpl
    def plan_step(self, progress):
        return {"generator_steps": progress.step % 3, "discriminator_steps": (progress.step + 1) % 3}


class Draws(Strategy):
    """Random numbers of many shapes: of the batch's rows, of real and fake together, of the whole update."""

    name = "draws"

    @hookimpl
    def discriminator_images(self, images, random):
        return images * (1 + 0.1 * random.normal((1, 1, 1, 3))) + 0.1 * random.uniform(ops.shape(images))

    @hookimpl
    def discriminator_penalty(self, discriminator, real, fake, random, gradient):
        both = ops.concatenate([real, fake], axis=0)
        both = both + 0.1 * random.normal(both.shape)
        direction = random.normal((SIZE, SIZE, 3))
        return ops.mean(ops.square(ops.sum(gradient(discriminator, both) * direction, axis=(1, 2, 3))))

    @hookimpl
    def generator_penalty(self, generator, latents, fake, random):
        return 0.1 * ops.mean(ops.square(generator(latents + 0.1 * random.normal(latents.shape)) - fake))

    def initial_state(self):
        return {"seen": 0.0}

    @hookimpl
    def update_state(self, state, metrics, random):
        return {"seen": state["seen"] + metrics.get("d_real_logit", 0.0) + random.normal(())}


class Mixes(Strategy):
    """Shows the discriminator each picture with a part of the one before."""

    name = "mixes"

    @hookimpl
    def discriminator_images(self, images):
        return 0.7 * images + 0.3 * ops.roll(images, 1, axis=0)


class Spread(Strategy):
    """A penalty on how far apart a batch's logits are."""

    name = "spread"

    @hookimpl
    def discriminator_penalty(self, real_logits):
        return ops.var(real_logits)


# Jolicoeur-Martineau 2018, equation 5: each logit beside the mean of the others.
RELATIVE = Loss(
    "relative-to-means",
    lambda real_logits, fake_logits: ops.mean(ops.softplus(ops.mean(fake_logits) - real_logits)),
    lambda fake_logits: ops.mean(ops.softplus(-fake_logits)),
)


def strategy(name, **options):
    cls = REGISTRY.get("strategy", name).value
    return cls(cls.Options(**options))


# (loss, strategies, networks, engine)
CASES: dict[str, tuple[str, Any, dict[str, Any], dict[str, Any]]] = {
    "noise-adam-ema": (
        "bce",
        lambda: [strategy("input-noise"), strategy("label-noise"), strategy("auto", lag=20.0)],
        {},
        {"ema": 0.5, "optimizers": "adam"},
    ),
    "norm-r1-r2-lazy": (
        "relativistic",
        lambda: [strategy("r1", every=2), strategy("r2"), Counts()],
        {"norm": True},
        {"ema": 100.0},
    ),
    "wasserstein-spectral": ("wasserstein", lambda: [Counts()], {"spectral": True}, {}),
    "ada-dropout": ("hinge", lambda: [strategy("ada", kimg=0.1)], {"dropout": True}, {}),
    "classes-norm": ("bce", lambda: [strategy("diffaugment"), Counts()], {"classes": True, "norm": True}, {}),
    "one-stage": ("bce", lambda: [strategy("input-noise"), strategy("mirror")], {}, {"step": "one-stage"}),
    "memory": ("least-squares", lambda: [strategy("lecam"), strategy("lookahead", k=2)], {}, {}),
    "own-losses-norm": ("bce", lambda: [strategy("r1")], {"middle": Summed, "norm": True}, {}),
    "draws": ("bce", lambda: [Draws()], {"norm": True}, {}),
}
# Few combinations of updates, each a program that JAX compiles for seconds, and no convolutions.
ON_JAX = {
    "norm-r1": ("bce", lambda: [strategy("input-noise"), strategy("r1")], {"norm": True, "dense": True}, {}),
    "looks-at-all": (RELATIVE, lambda: [Mixes()], {"middle": Alone, "dense": True, "dropout": True}, {"devices": 2}),
}
if sys.argv[1] == "jax":
    CASES = ON_JAX
REFUSED: dict[str, tuple[Any, Any, dict[str, Any]]] = {
    "a layer": ("bce", list, {"middle": Alone}),
    "a strategy": ("bce", lambda: [Mixes()], {}),
    "a penalty": ("bce", lambda: [Spread()], {}),
    "a loss": (RELATIVE, list, {}),
    "a layer's numbers": ("bce", list, {"noisy": True}),
}


def engine(devices, loss, strategies, network, **settings):
    generator, discriminator = networks(**network)
    if settings.get("optimizers") == "adam":  # with an epsilon above rounding, of which Adam else makes whole steps
        settings["optimizers"] = tuple(keras.optimizers.Adam(1e-3, 0.5, epsilon=1e-3) for _ in range(2))
    else:
        settings["optimizers"] = (keras.optimizers.SGD(0.05, 0.5), keras.optimizers.SGD(0.05, 0.5))
    frequencies = np.array([0.5, 0.25, 0.25]) if network.get("classes") else None
    built = Engine(
        generator,
        discriminator,
        REGISTRY.get("loss", loss).value if isinstance(loss, str) else loss,
        strategies=strategies(),
        batch_size=BATCH,
        latent_dim=LATENT,
        learning_rate=0.02,
        seed=5,
        frequencies=frequencies,
        devices=devices,
        **settings,
    )
    built.require_agreement(built.planner.plan(Progress(0, STEPS, 0, 1), {}))
    return built


def trained(devices, loss, strategies, network, settings):
    if devices > 1:
        devices = settings.get("devices", devices)
    settings = {name: value for name, value in settings.items() if name != "devices"}
    made = engine(devices, loss, strategies, network, **settings)
    begun, lines = made.get_state()[0], []
    begun = {name: array.copy() for name, array in begun.items()}
    batches = Batches(devices, bool(network.get("classes")))
    for step in made.steps(batches, lambda s: Progress(s, STEPS, 0, 1), 0, STEPS):
        lines.append(step.read())
        made.hear(step.progress.step + 1, lines[-1])
    return made, begun, made.get_state()[0], lines


def apart(one, other):
    return max(float(np.abs(a.astype("f8") - b).max()) for a, b in zip(one.values(), other.values(), strict=True))


def compared(case):
    made, begun, many, lines = trained(DEVICES, *case)
    result = {"moved": apart(begun, many), "sum": zlib.crc32(b"".join(a.tobytes() for a in many.values()))}
    if made.adapter.team.count > 1:
        require_equal(made.adapter.team, *made.get_state())  # raises where the processes are not alike to the bit
    if HERE.first:
        _, _, one, own = trained(1, *case)
        result["apart"] = apart(one, many)
        result["lines"] = max(abs(a[name] - b[name]) for a, b in zip(own, lines, strict=True) for name in a)
    return result


def refusal(loss, strategies, network):
    try:
        engine(DEVICES, loss, strategies, network)
    except UsageError as error:
        return str(error)
    return "not refused"


def drifted(made):
    """Say what is said once the second process's weights are no longer the first one's."""
    if HERE.rank == 1:
        variable = made.discriminator.trainable_variables[0]
        variable.assign(variable + 1e-6)
    try:
        require_equal(made.adapter.team, *made.get_state())
    except GANForgeError as error:
        return str(error)
    return "not seen"


chosen = sys.argv[3:] or list(CASES)
report: dict[str, Any] = {name: compared(CASES[name]) for name in chosen}
if len(sys.argv) == 3 and sys.argv[1] == "torch":
    report["again"] = compared(CASES["norm-r1-r2-lazy"])["sum"]
    report["refused"] = {name: refusal(*case) for name, case in REFUSED.items()}
    made = engine(DEVICES, "bce", list, {})
    team = made.adapter.team
    report["any"] = [team.any(HERE.rank == 1, False), team.any(HERE.first, True)]
    report["shared"] = team.shared({"rank": HERE.rank, "word": "große"})
    report["drifted"] = drifted(made)
if HERE.first:
    print(json.dumps(report), flush=True)
