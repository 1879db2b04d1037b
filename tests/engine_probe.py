"""Run in a process of its own for each backend, since Keras reads its backend when imported; prints one JSON line.

``python engine_probe.py BACKEND`` trains small networks in several ways and reports what happened.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from ganforge.backend import choose_backend

choose_backend(sys.argv[1])

import keras  # noqa: E402
from keras import layers, ops  # noqa: E402
from support import fixed_normal  # noqa: E402

from ganforge import Strategy, hookimpl  # noqa: E402
from ganforge.engine.context import Context  # noqa: E402
from ganforge.engine.engine import Engine  # noqa: E402
from ganforge.engine.networks import dtype_policy, seeded  # noqa: E402
from ganforge.engine.step import AdversarialStep, as_images  # noqa: E402
from ganforge.plugin.registry import load_plugins  # noqa: E402
from ganforge.plugin.types import Batch, Progress  # noqa: E402

BATCH, SIZE, LATENT = 8, 16, 12
REGISTRY = load_plugins()


class EverythingChanges(Strategy):
    """Every scalar a strategy can plan, another value each step."""

    name = "everything"

    @hookimpl
    def plan_step(self, progress):
        step = progress.step
        return {
            "sigma": 0.1 + 0.01 * step,
            "generator_lr": 1 + 0.1 * step,
            "discriminator_lr": 2 - 0.1 * step,
            "generator_steps": 1 + step % 3,
            "discriminator_steps": 1 + step % 2,
        }

    @hookimpl
    def discriminator_images(self, images, controls, random):
        return images + controls["sigma"] * random.normal(ops.shape(images))


class Batches:
    def __init__(self):
        self.images = np.random.default_rng(0).integers(0, 256, (64, SIZE, SIZE, 3), dtype=np.uint8)

    def iterate(self, start, stop):
        for step in range(start, stop):
            yield step, Batch(self.images[8 * (step % 8) :][:BATCH].copy())

    def extra(self, step, k):
        return Batch(self.images[k : k + BATCH].copy())


def networks(dropout=0.2, norm=True):
    with seeded(3):
        body = [
            layers.Dense(8 * 8 * 8),
            layers.Reshape((8, 8, 8)),
            *([layers.BatchNormalization(momentum=0.8)] if norm else []),
            layers.ReLU(),
            layers.Conv2DTranspose(3, 4, 2, "same", activation="tanh", dtype="float32"),
        ]
        generator = keras.Sequential([layers.Input((LATENT,)), *body])
        discriminator = keras.Sequential(
            [
                layers.Input((SIZE, SIZE, 3)),
                layers.Conv2D(8, 4, 2, "same"),
                layers.LeakyReLU(0.2),
                *([layers.Dropout(dropout)] if dropout else []),
                layers.Flatten(),
                layers.Dense(1, dtype="float32"),
            ]
        )
    return generator, discriminator


def engine(loss="bce", strategies=(), precision="float32", step="two-stage", ema=None, compile=None, **network):
    with dtype_policy(precision):
        generator, discriminator = networks(**network)
    built = REGISTRY.get("loss", loss).value
    settings = {
        "strategies": strategies,
        "batch_size": BATCH,
        "latent_dim": LATENT,
        "seed": 5,
        "step": step,
        "ema": ema,
        "compile": compile,
    }
    return Engine(generator, discriminator, built, **settings)


def strategy(name, **options):
    cls = REGISTRY.get("strategy", name).value
    return cls(cls.Options(**options))


def train(machine, start=0, stop=6, total=6):
    lines = []
    for step in machine.steps(Batches(), lambda s: Progress(s, total, 0, 1), start, stop):
        machine.signals = step.read()
        lines.append(machine.signals)
    return lines


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(a.values(), b.values(), strict=True))


def some():
    return [EverythingChanges(), strategy("label-noise"), strategy("r1")]


report: dict = {"backend": keras.backend.backend()}

first = engine(strategies=some())
lines = train(first)
arrays, rest = first.get_state()
report["traces"] = dict(first.adapter.traces)
report["lines"] = lines

second = engine(strategies=some())
report["repeats"] = train(second) == lines and same(second.get_state()[0], arrays)

part = engine(strategies=some())
begun = train(part, 0, 3)
held, held_rest = part.get_state()
held = {name: array.copy() for name, array in held.items()}
rest_of = engine(strategies=some())
rest_of.set_state(held, json.loads(json.dumps(held_rest)))
report["resumes"] = begun + train(rest_of, 3) == lines and same(rest_of.get_state()[0], arrays)


def generator_weights(machine):
    machine.adapter.sync_to_keras()
    return [np.array(ops.convert_to_numpy(v.value)) for v in machine.generator.trainable_variables]


def generator_rest(machine):
    return [np.array(ops.convert_to_numpy(v.value)) for v in machine.generator.non_trainable_variables]


averaged, plain = engine(ema=0.5), engine()
means, zeros = generator_weights(averaged), np.zeros((2, LATENT), "float32")
for step in range(4):
    train(averaged, step, step + 1)
    train(plain, step, step + 1)
    move = 1 - min(0.5, (1 + step) / (10 + step))
    means = [mean + move * (weight - mean) for mean, weight in zip(means, generator_weights(averaged))]
own, rest_of_own = generator_weights(averaged), generator_rest(averaged)
with averaged.showing():
    worn = [np.array(ops.convert_to_numpy(v.value)) for v in averaged.generator.trainable_variables]
    shown = averaged.generate(zeros)
    norm = next(layer for layer in averaged.generator.layers if isinstance(layer, layers.BatchNormalization))
    dense = averaged.generator.layers[0]
    latents = np.random.default_rng(9).standard_normal((2048, LATENT)).astype("float32")
    seen = ops.convert_to_numpy(ops.reshape(dense(latents), (-1, 8)))
    mean, variance = (ops.convert_to_numpy(v) for v in (norm.moving_mean, norm.moving_variance))
    off = [np.abs(mean - seen.mean(0)) / seen.std(0), np.abs(variance / seen.var(0) - 1)]
report["ema"] = {
    "statistics": float(np.max(off)),
    "own_statistics": float(np.abs(rest_of_own[1] / seen.var(0) - 1).max()),
    "momentum": norm.momentum,
    "error": max(float(np.abs(a - b).max()) for a, b in zip(worn, means)),
    "moved": max(float(np.abs(a - b).max()) for a, b in zip(worn, own)),
    "given_back": all(np.array_equal(a, b) for a, b in zip(generator_weights(averaged), own)),
    "statistics_given_back": all(np.array_equal(a, b) for a, b in zip(generator_rest(averaged), rest_of_own)),
    "training_unchanged": all(np.array_equal(a, b) for a, b in zip(own, generator_weights(plain))),
    "pictures_differ": not np.allclose(shown, plain.generate(zeros)),
    "saved": any(name.startswith("generator_average") for name in averaged.get_state()[0]),
}

report["losses"] = {}
for name in ("bce", "least-squares", "hinge", "wasserstein"):
    # Compiled where there is a second derivative: each program costs JAX seconds.
    machine = engine(loss=name, compile=None if name == "wasserstein" else False)
    before = {k: v.copy() for k, v in machine.get_state()[0].items()}
    result = train(machine, stop=3)
    after = machine.get_state()[0]
    # Kernels only: a margin loss leaves the last bias alone while real and fake pull at it alike.
    weights = [k for k in after if k.split("/")[0] in ("generator", "discriminator") and k.endswith("kernel")]
    report["losses"][name] = {
        "finite": bool(all(np.isfinite(list(line.values())).all() for line in result)),
        "moved": all(not np.array_equal(before[k], after[k]) for k in weights),
    }

bf16 = engine(precision="mixed_bfloat16", strategies=[strategy("r1")])
report["bfloat16"] = train(bf16, stop=3)
report["bfloat16_dtype"] = str(bf16.generator.layers[0].compute_dtype)


# One stage: against two updates made apart, both from the same old networks. Plain gradient steps, because Adam's
# first steps are signs and would hide or magnify differences.
def simultaneous(self, batch, vector, key, **parts):
    context = Context(self.adapter, self.planner, vector, key)
    fakes, backward = self._generate(context)
    loss = self._discriminator_loss(as_images(batch.images), context)
    held = ops.stop_gradient(fakes)
    (_, (metrics, _)), gradients, _ = self.adapter.value_and_gradients(lambda: loss(held), self.discriminator.weights)

    def of_generator(images):
        loss = self.objective.generator(self.door.discriminate(images, False, context, "discriminator"))
        return loss, ops.stop_gradient(loss)

    (_, loss), _, (at_fakes,) = self.adapter.value_and_gradients(of_generator, [], fakes)
    self.discriminator.learn(gradients, context)
    self._move_generator(backward, at_fakes, context)
    return metrics | {"g_loss": loss}


def plain_step(optimizer, gradients, variables, rate):
    for variable, gradient in zip(variables, gradients):
        variable.assign(ops.stop_gradient(variable - 300.0 * rate * gradient))


as_published = AdversarialStep.one_stage
report["one_stage"] = {}
for name in ("bce", "least-squares", "wasserstein"):
    ends = []
    for method in (as_published, simultaneous):
        AdversarialStep.one_stage = method
        kept = [strategy("input-noise", sigma=0.3), strategy("label-noise", flip=0.2)]
        compiled = None if (name, method) == ("bce", as_published) else False
        machine = engine(loss=name, strategies=kept, step="one-stage", compile=compiled, dropout=0)
        machine.adapter.apply = plain_step
        before = machine.get_state()[0]
        before = {k: v.copy() for k, v in before.items()}
        ends.append((train(machine, stop=3), machine.get_state()[0]))
    (our_lines, ours), (their_lines, theirs) = ends
    moved = {k.split("/")[0] for k, v in theirs.items() if not np.allclose(v, before[k])}
    # By position: layers' names carry a counter.
    pairs = [(a, b) for a, b in zip(ours.values(), theirs.values(), strict=True) if a.dtype == np.float32]
    report["one_stage"][name] = {
        "apart": max(float(np.abs(a - b).max()) for a, b in pairs),
        "lines": max(abs(a[k] - b[k]) for a, b in zip(our_lines, their_lines) for k in a),
        "moved": len(moved & {"generator", "discriminator"}),
    }
AdversarialStep.one_stage = as_published

# The same weights, latents and noise everywhere: what remains is the arithmetic, which must agree across backends.
parity = engine(strategies=[strategy("input-noise", sigma=0.1), strategy("r1")], dropout=0, norm=True)
weights = np.random.default_rng(11)
for _, variable in parity.variables():
    if variable.trainable and "optimizer" not in variable.path and len(variable.shape) > 1:
        variable.assign(weights.normal(0, 0.05, variable.shape).astype("float32"))
parity.adapter.sync_from_keras()


parity.adapter.normal = fixed_normal
report["parity"] = train(parity)

frozen = engine(dropout=0)
frozen_before = {k: v.copy() for k, v in frozen.get_state()[0].items() if k.startswith("discriminator/")}
vector = frozen.planner.vector(frozen.planner.plan(Progress(0, 1, 0, 1), {}))
frozen.update("generator_only")(vector, np.array([1, 2], np.uint32))
frozen_after = {k: v for k, v in frozen.get_state()[0].items() if k.startswith("discriminator/")}
report["frozen"] = same(frozen_before, frozen_after)
report["images"] = [float(first.generate(np.zeros((2, LATENT), "float32")).min()), "float32"]

print(json.dumps(report))
