"""Compositions of strategies, losses and optimizers in the engine against ``tests/exact/reference.py``.

``python -m tests.exact.recipes BACKEND`` prints how far each is from it, as one JSON line.
"""

from __future__ import annotations

import json
import math
import sys

import numpy as np

from ganforge.backend import choose_backend

if __name__ == "__main__":
    choose_backend(sys.argv[1])

import keras
import torch
from keras import layers, ops

from ganforge import Loss, Strategy, hookimpl
from ganforge.engine.engine import Engine
from ganforge.plugin.types import Batch, Progress
from tests.exact.pairs import fixed_draws
from tests.exact.reference import Recipe, Rule, Training
from tests.exact.small import REGISTRY, strategy

BATCH, LATENT, PIXELS, FEATURES, RATE = 4, 3, 6, 5, 0.01


def of_discriminator(real_logits, fake_logits, real_features, fake_features):
    loss = ops.mean(ops.softplus(-real_logits)) + ops.mean(ops.softplus(fake_logits))
    return loss + 0.1 * ops.mean(ops.square(real_features["f"])) + 0.2 * ops.mean(fake_features["f"])


def of_generator(fake_logits, real_features, fake_features):
    off = ops.mean(real_features["f"], axis=0) - ops.mean(fake_features["f"], axis=0)
    return ops.mean(ops.softplus(-fake_logits)) + ops.sum(ops.square(off))


class Jacobian(Strategy):
    """A penalty on the generator by all three ways: G called anew, the slope at latents, and D."""

    name = "jacobian"

    @hookimpl
    def generator_penalty(self, generator, discriminator, latents, fake, gradient, random):
        direction = random.normal(fake.shape)
        axes = tuple(range(1, len(fake.shape)))
        slopes = gradient(lambda z: ops.sum(generator(z) * direction, axis=axes), latents)
        return 0.3 * (ops.mean(ops.sum(ops.square(slopes), axis=1)) + ops.mean(discriminator(fake)))


def betas(step):
    return {"generator_beta_1": 0.3 + 0.1 * step, "discriminator_beta_2": 0.9 + 0.02 * step}


class Betas(Strategy):
    """Decay rates of the optimizers that change from step to step."""

    name = "betas"

    @hookimpl
    def plan_step(self, progress):
        return betas(progress.step)


class Scene:
    """One composition: the engine's side and the reference's."""

    def __init__(self, loss, strategies, recipe, optimizer="adam", shape=(PIXELS,), width=3, ema=None, steps=5):
        self.loss, self.strategies, self.recipe, self.optimizer = loss, strategies, recipe, optimizer
        self.shape, self.width, self.ema, self.steps = shape, width, ema, steps

    def engine(self, compile):
        generator = keras.Sequential(
            [layers.Input((LATENT,)), layers.Dense(PIXELS, activation="tanh"), layers.Reshape(self.shape)]
        )
        images = layers.Input(self.shape)
        seen = layers.Dense(FEATURES, activation="tanh")(layers.Flatten()(images))
        logits = layers.Dense(self.width)(seen)
        discriminator = keras.Model(images, {"logits": logits, "features": {"f": seen}})
        random = np.random.default_rng(5)
        for model in (generator, discriminator):
            model.set_weights([random.normal(0, 0.5, w.shape).astype("float32") for w in model.get_weights()])
        chosen = REGISTRY.choose("optimizer", self.optimizer)
        return Engine(
            generator,
            discriminator,
            self.loss if isinstance(self.loss, Loss) else REGISTRY.get("loss", self.loss).value,
            strategies=[make() for make in self.strategies],
            batch_size=BATCH,
            latent_dim=LATENT,
            learning_rate=RATE,
            optimizers=tuple(chosen.value.build(chosen.options) for _ in range(2)),
            ema=self.ema,
            compile=compile,
        )

    def images(self, step):
        return np.random.default_rng([9, step]).integers(0, 256, (BATCH, *self.shape), dtype=np.uint8)

    def iterate(self, start, stop):
        for step in range(start, stop):
            yield step, Batch(self.images(step))


def scenes():
    def half_life(done):
        return 0.5 ** (1 / max(min(24 / BATCH, 0.05 * done), 1e-3))

    adams = {name: Recipe(rules=[Rule(name), Rule(name)], betas=betas) for name in ("adam", "optimistic-adam")}
    return {
        "relativistic, r1, r2, lecam": Scene(
            "relativistic",
            [
                lambda: strategy("r1", gamma=0.7, end=0.2, every=2),
                lambda: strategy("r2", gamma=0.5),
                lambda: strategy("lecam", weight=0.3, decay=0.9, warmup=0.0),
            ],
            Recipe(
                "relativistic",
                r1=lambda step: 0.7 - 0.5 * step / 9,
                every=2,
                r2=0.5,
                lecam=(0.3, 0.9),
                ema=half_life,
            ),
            ema=24.0,
        ),
        "features, jacobian, lookahead, optimistic": Scene(
            Loss("features", of_discriminator, of_generator),
            [Jacobian, Betas, lambda: strategy("lookahead", k=2, alpha=0.3)],
            Recipe(
                "features",
                [Rule("optimistic-adam"), Rule("optimistic-adam")],
                jacobian=0.3,
                betas=betas,
                lookahead=(2, 0.3),
                ema=lambda done: min(0.8, (1 + done) / (10 + done)),
            ),
            optimizer="optimistic-adam",
            ema=0.8,
            shape=(1, 2, 3),
        ),
        "adam": Scene("bce", [Betas], adams["adam"], width=1, steps=3),
        "optimistic-adam": Scene("bce", [Betas], adams["optimistic-adam"], "optimistic-adam", width=1, steps=3),
        "adamw": Scene(
            "bce",
            [Betas],
            Recipe(rules=[Rule(decay=0.4), Rule(decay=0.4)], betas=betas),
            "adamw:weight_decay=0.4",
            steps=3,
        ),
        "rmsprop": Scene(
            "bce",
            [],
            Recipe(rules=[Rule("rmsprop", beta_2=0.8, momentum=0.4, epsilon=1e-7) for _ in range(2)]),
            "rmsprop:rho=0.8,momentum=0.4",
            steps=3,
        ),
        "sgd": Scene(
            "bce",
            [],
            Recipe(rules=[Rule("sgd", momentum=0.4, nesterov=True) for _ in range(2)]),
            "sgd:momentum=0.4,nesterov=true",
            steps=3,
        ),
    }


def compare(scene, compile=None):
    """How far the engine is from the reference, at most: by metric, weights of each network and their mean."""
    engine = scene.engine(compile)

    class Machine:  # what fixed_draws looks for
        pass

    Machine.engine = engine
    drawn = fixed_draws(Machine)

    def exact(values):
        return [torch.from_numpy(np.float64(w)) for w in values]

    training = Training(
        scene.recipe, exact(engine.generator.get_weights()), exact(engine.discriminator.get_weights())
    )
    errors = {}
    for step in engine.steps(scene, lambda s: Progress(s, 10, 0, 1), 0, scene.steps):
        found, number = step.read(), step.progress.step
        normal = {shape: torch.from_numpy(values) for (_, shape), values in drawn["normal"].items()}
        y = normal.get((BATCH, *scene.shape))
        pictures = torch.from_numpy(scene.images(number).reshape(BATCH, -1) / 127.5 - 1.0)
        y = None if y is None else y.reshape(BATCH, -1)
        for name, value in training.step(pictures, normal[BATCH, LATENT], y, RATE).items():
            errors[name] = max(errors.get(name, 0.0), abs(found[name] - value))
    engine.get_state()  # the weights are Keras's again
    pairs = {"generator": (engine.generator.get_weights(), training.g)}
    pairs["discriminator"] = (engine.discriminator.get_weights(), training.d)
    if engine.ema:
        pairs["mean"] = ([ops.convert_to_numpy(v.value) for v in engine.ema.means], training.mean)
    for name, (got, expected) in pairs.items():
        errors[name] = max(float(np.abs(a - b.numpy()).max()) for a, b in zip(got, expected, strict=True))
    return {name: error if math.isfinite(error) else 1e9 for name, error in errors.items()}


if __name__ == "__main__":
    # What is compiled is what two of them meet in; the others are one formula each.
    found = {name: compare(s, compile=None if len(s.strategies) > 1 else False) for name, s in scenes().items()}
    print(json.dumps({"backend": keras.backend.backend(), "errors": found}))
