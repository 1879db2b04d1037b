"""Run in a process of its own for each backend; prints one JSON line.

``python from_probe.py BACKEND RUN FOLDER`` begins a run with the weights of RUN, which torch has trained, and trains
a discriminator whose first layers are frozen: one assigns its kernel when called, and one has batch statistics.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from support import SMALL, Same

from ganforge.backend import choose_backend


def begun(backend: str, run: Path, folder: Path) -> dict[str, Any]:
    """Say which weights differ from the earlier run's before the first step."""
    from safetensors.numpy import load_file

    from ganforge.training.config import TrainConfig
    from ganforge.training.setup import Setup

    asked = {"data": SMALL["data"], "epochs": 1, "from_run": str(run), "backend": backend, "runs_dir": str(folder)}
    setup = Setup.new(TrainConfig.of(asked))
    old = load_file(sorted((run / "checkpoints").glob("step_*"))[-1] / "weights.safetensors")
    new = setup.engine.get_state()[0]
    stored = {"/".join(name.split("/")[:2]): array for name, array in old.items()}
    owners = ("generator/", "discriminator/", "generator_average/")
    held = [name for name in new if name.startswith(owners) and "seed_generator" not in name]
    return {
        "compared": len(held),
        "differ": [n for n in held if not same(new[n], stored["/".join(n.split("/")[:2])])],
    }


def same(one: np.ndarray, other: np.ndarray) -> bool:
    """Say whether two arrays are the same bit for bit."""
    return np.array_equal(one.reshape(-1), other.reshape(-1))


def frozen(count: int) -> dict[str, Any]:
    """Train five steps with the first ``count`` layers frozen, and say what moved."""
    import keras
    from keras import layers

    from ganforge.engine.engine import Engine
    from ganforge.engine.networks import seeded
    from ganforge.plugin.registry import load_plugins
    from ganforge.plugin.types import Progress

    with seeded(3):
        generator = keras.Sequential([layers.Input((6,)), layers.Dense(8 * 8 * 3), layers.Reshape((8, 8, 3))])
        body = [
            layers.SpectralNormalization(layers.Conv2D(4, 3, 2), name="normalized"),
            layers.BatchNormalization(name="statistics"),
            layers.Conv2D(4, 3, name="conv"),
            layers.BatchNormalization(name="more"),
            layers.Flatten(),
            layers.Dense(1, name="judge"),
        ]
        discriminator = keras.Sequential([layers.Input((8, 8, 3)), *body])
    machine = Engine(
        generator,
        discriminator,
        load_plugins().get("loss", "bce").value,
        batch_size=8,
        latent_dim=6,
        freeze_discriminator=count,
    )
    before = {id(v): np.array(keras.ops.convert_to_numpy(v.value)) for v in discriminator.variables}
    pictures = np.random.default_rng(0).integers(0, 256, (8, 8, 8, 3), dtype=np.uint8)
    for _ in machine.steps(Same(pictures), lambda step: Progress(step, 5, 0, 1), 0, 5):
        pass
    machine.get_state()
    moved = [
        layer.name
        for layer in discriminator.layers
        if any(not same(keras.ops.convert_to_numpy(v.value), before[id(v)]) for v in layer.weights)
    ]
    slots = len(machine.optimizers[1].variables) - 2  # its step and its learning rate
    return {"moved": moved, "slots": slots, "names": machine.frozen}


if __name__ == "__main__":
    choose_backend(sys.argv[1])
    report = begun(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
    print(json.dumps({**report, "frozen": frozen(2), "free": frozen(0)}))
