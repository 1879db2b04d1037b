"""Run in a process of its own for each backend, after another process was killed; prints one JSON line.

``python resume_probe.py BACKEND FOLDER TORCH_RUN`` opens ``TORCH_RUN/generator.keras`` without GANForge, resumes
the killed run in FOLDER and compares it with a whole one, and takes TORCH_RUN's checkpoint to this backend.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import numpy as np
from support import fixed_normal

LATENTS = np.random.default_rng(3).standard_normal((4, 100)).astype("float32")


def plain(run: Path) -> dict[str, Any]:
    """Return what ``generator.keras`` draws, by Keras alone."""
    import keras

    model = keras.models.load_model(run / "generator.keras")
    return {"plain": keras.ops.convert_to_numpy(model(LATENTS, training=False)).ravel()[:64].tolist()}


def again(folder: Path) -> dict[str, Any]:
    """Resume the killed run, make a whole one, and say in what they differ."""
    import keras
    from soak import SETTINGS, Slow, differences

    from ganforge.training.config import TrainConfig
    from ganforge.training.resume import resume
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Trainer

    killed = next(folder.glob("run_*"))
    keras.utils.clear_session()  # names of layers count on within a process
    resume(killed).run([Slow()])
    keras.utils.clear_session()
    settings = {**SETTINGS, "runs_dir": str(folder / "whole")}
    return {"differences": differences(killed, Trainer(Setup.new(TrainConfig.of(settings))).run().run)}


def crossed(run: Path, backend: str) -> dict[str, Any]:
    """Take a run's checkpoint to a backend: its arrays, its pictures, and one step with the same noise everywhere."""
    import keras

    from ganforge.runs import load_checkpoint
    from ganforge.training.resume import resume

    keras.utils.clear_session()
    saved = load_checkpoint(run)
    trainer = resume(run, epochs=9, backend=backend)
    setup, engine = trainer.setup, trainer.setup.engine
    arrays = engine.get_state()[0]
    # Sorted, both are in the engine's order: owner, position, and a path that backends may spell differently.
    pairs = [[held[name] for name in sorted(held)] for held in (arrays, saved.arrays)]
    images = engine.generate(LATENTS)
    engine.adapter.normal = fixed_normal
    steps = engine.steps(setup.batches, setup.progress, saved.step, saved.step + 1)
    step = next(steps).read()
    steps.close()
    trainer.start.recorder.release()
    return {
        "arrays": len(arrays),
        "equal": all(np.array_equal(a, b) for a, b in zip(*pairs, strict=True)),
        "images": np.asarray(images).ravel()[:64].tolist(),
        "step": step,
    }


def main(backend: str, folder: Path, torch_run: Path) -> None:
    os.environ["KERAS_BACKEND"] = backend
    sys.modules["ganforge"] = None  # type: ignore[assignment]  # as if it were not installed
    report = plain(torch_run)
    del sys.modules["ganforge"]
    import keras

    report |= again(folder) | crossed(torch_run, backend) | {"backend": keras.backend.backend()}
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
