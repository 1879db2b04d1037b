"""A run of objects from Python, killed and resumed in other processes: ``python objects_probe.py FOLDER WHAT``.

``WHAT``: ``whole`` trains to the end; ``killed`` is killed on the way; ``again`` gives everything back and goes on.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops
from support import At

import ganforge
from ganforge import Options, Strategy, hookimpl

PICTURES = np.random.default_rng(1).integers(0, 256, (24, 8, 8, 3), np.uint8)
SETTINGS = {"data": PICTURES, "batch_size": 8, "epochs": 3, "checkpoint_every": "2steps", "seed": 5}


def networks():
    """Return a pair with batch normalisation and dropout, which is random, of plain layers; weights by seed."""
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
    from ganforge.runs import load_checkpoint

    return load_checkpoint(run.path).arrays


def keep(run: ganforge.Run, file: Path) -> None:
    """Keep the last checkpoint's arrays by owner and position: layers' names count up in a process."""
    np.savez(file, **{"-".join(name.split("/")[:2]): array for name, array in arrays(run).items()})


def main() -> None:
    folder, what, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
    made = {"objects": objects, "plain": plain}[kind]
    if what == "whole":
        given = made()
        run = ganforge.train(**{**SETTINGS, **given}, runs_dir=folder / "whole")
        keep(run, folder / f"{what}.npz")
        generator, discriminator = given["arch"]
        latents = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
        mine = ops.convert_to_numpy(generator(latents, training=False))
        drawn = ops.convert_to_numpy(run.generator()(latents, training=False))
        checkpoint = arrays(run)
        held = [ops.convert_to_numpy(v) for v in discriminator.weights]
        saved = [a for name, a in checkpoint.items() if name.startswith("discriminator/")]
        same = all(any(np.array_equal(h, s) for s in saved) for h in held)
        moved = float(np.abs(held[0] - ops.convert_to_numpy(networks()[1].weights[0])).max())
        print(json.dumps({"drawn": float(np.abs(mine - drawn).max()), "held": same, "moved": moved}))
    elif what == "killed":
        observer = At(5, lambda: os.kill(os.getpid(), signal.SIGKILL))
        ganforge.train(**{**SETTINGS, **made()}, runs_dir=folder / "killed", observers=[observer])
    else:
        run = ganforge.Run("run_1", folder / "killed")
        given = made() if what == "again" else {}
        run.resume(**given)
        keep(run, folder / f"{what}.npz")
        print(json.dumps({"state": run.state}))


if __name__ == "__main__":
    main()
