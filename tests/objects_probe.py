"""Runs of objects from Python, whole and ended on the way: ``python objects_probe.py BACKEND``."""

from __future__ import annotations

import json
import os
import signal
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

if __name__ == "__main__":
    os.environ["KERAS_BACKEND"] = sys.argv[1]
import keras
import numpy as np
from keras import layers, ops
from support import At

import ganforge
from ganforge import Options, Strategy, hookimpl

PICTURES = np.random.default_rng(1).integers(0, 256, (24, 8, 8, 3), np.uint8)
SETTINGS = {"data": PICTURES, "batch_size": 8, "epochs": 3, "checkpoint_every": "2steps", "seed": 5}


def networks():
    """Return a pair with batch normalization and dropout, which is random, of plain layers; weights by seed."""
    keras.utils.set_random_seed(3)
    generator = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(4 * 4 * 8),
            layers.BatchNormalization(),
            layers.Reshape((4, 4, 8)),
            layers.UpSampling2D(2),
            layers.Conv2D(3, 3, padding="same", activation="tanh"),
        ]
    )
    pictures = keras.Input((8, 8, 3))
    x = layers.LeakyReLU(0.2)(layers.Conv2D(8, 4, strides=2, padding="same")(pictures))
    x = layers.Dropout(0.3)(layers.Flatten()(x))
    return generator, keras.Model(pictures, layers.Dense(1)(x))


class Drifting(Strategy):
    """Noise whose strength is remembered on the host and on the device."""

    name = "drifting"

    class Options(Options):
        """Its options."""

        sigma: float = 0.1

    def __init__(self, options=None, **values):
        super().__init__(options, **values)
        self.steps = 0

    def initial_state(self):
        """Begin with nothing."""
        return {"sum": 0.0}

    @hookimpl
    def plan_step(self):
        self.steps += 1
        return {"sigma": self.options.sigma * self.steps}

    @hookimpl
    def discriminator_images(self, images, controls, random, state):
        return images + (controls["sigma"] + state["sum"]) * random.normal(ops.shape(images))

    @hookimpl
    def update_state(self, state, metrics):
        return {"sum": state["sum"] + 0.01 * metrics["d_loss"]}

    def get_state(self):
        """Say how many steps there were."""
        return {"steps": self.steps}

    def set_state(self, state):
        """Go on from there."""
        self.steps = state["steps"]


def squared(y_true, logits):
    """A loss of a person's own, one number for each logit."""
    return ops.square(logits - y_true)


def objects():
    return {
        "arch": networks(),
        "balance": [Drifting(sigma=0.2), "r1:gamma=0.1"],
        "data": PICTURES,
        "loss": squared,
        "optimizer": (keras.optimizers.Adam(1e-3, beta_1=0.3), keras.optimizers.RMSprop(2e-3)),
    }


def plain():
    return {
        "arch": networks(),
        "balance": "r1:gamma=0.1",
        "loss": keras.losses.BinaryCrossentropy(from_logits=True),
        "optimizer": (keras.optimizers.Adam(1e-3, beta_1=0.3), keras.optimizers.RMSprop(2e-3)),
    }


def arrays(run: ganforge.Run) -> dict[str, np.ndarray]:
    """Return the last checkpoint's arrays by owner and position: layers' names count up in a process."""
    from ganforge.runs import load_checkpoint

    return {"-".join(name.split("/")[:2]): array for name, array in load_checkpoint(run.path).arrays.items()}


def pull_the_plug() -> None:
    """End at once, as the second Ctrl-C does: nothing is saved since the last checkpoint."""
    signal.raise_signal(signal.SIGINT)
    signal.raise_signal(signal.SIGINT)


def looked_at(given: dict[str, Any], run: ganforge.Run) -> dict[str, Any]:
    """Return what a finished run and the networks it was given have to do with each other."""
    generator, discriminator = given["arch"]
    latents = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    mine = ops.convert_to_numpy(generator(latents, training=False))
    drawn = ops.convert_to_numpy(run.generator()(latents, training=False))
    saved = [array for name, array in arrays(run).items() if name.startswith("discriminator-")]
    held = [ops.convert_to_numpy(v) for v in discriminator.weights]
    first = ops.convert_to_numpy(networks()[1].weights[0])
    return {
        "drawn": float(np.abs(mine - drawn).max()),
        "held": all(any(np.array_equal(h, s) for s in saved) for h in held),
        "moved": float(np.abs(held[0] - first).max()),
    }


def killed_and_resumed(folder: Path, made: Any, whole: ganforge.Run) -> dict[str, Any]:
    """Train to the middle, end at once, and go on without the objects, then with them."""
    with suppress(KeyboardInterrupt):
        ganforge.train(**{**SETTINGS, **made()}, runs_dir=folder, observers=[At(5, pull_the_plug)])
    run, refused = ganforge.Run("run_1", folder), ""
    try:
        run.resume()
    except ganforge.GANForgeError as error:
        refused = str(error)
        run.resume(**made())
    expected, found = arrays(whole), arrays(run)
    same = expected.keys() == found.keys() and all(np.array_equal(expected[name], found[name]) for name in expected)
    return {"refused": refused, "same": same, "compared": len(expected), "state": run.state}


def main() -> None:
    found = {}
    with tempfile.TemporaryDirectory() as name:
        for kind, made in (("objects", objects), ("plain", plain)):
            given = made()
            whole = ganforge.train(**{**SETTINGS, **given}, runs_dir=Path(name, kind, "whole"))
            found[kind] = looked_at(given, whole) | killed_and_resumed(Path(name, kind, "killed"), made, whole)
    print(json.dumps(found))


if __name__ == "__main__":
    main()
