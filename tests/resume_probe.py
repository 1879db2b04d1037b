"""Run in a process of its own for each backend, after another process was killed; prints one JSON line.

``python resume_probe.py BACKEND FOLDER TORCH_RUN`` opens ``TORCH_RUN/generator.keras`` without GANForge, the killed run in FOLDER and compares it with a whole one, and takes TORCH_RUN's checkpoint to this backend.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np

backend, folder, torch_run = sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3])
os.environ["KERAS_BACKEND"] = backend

LATENTS = np.random.default_rng(3).standard_normal((4, 100)).astype("float32")
report: dict = {}

sys.modules["ganforge"] = None  # type: ignore[assignment]  # as if it were not installed
import keras  # noqa: E402

plain = keras.models.load_model(torch_run / "generator.keras")
report["plain"] = keras.ops.convert_to_numpy(plain(LATENTS, training=False)).ravel()[:64].tolist()
del sys.modules["ganforge"]
report["backend"] = keras.backend.backend()

from soak import SETTINGS, Slow, differences  # noqa: E402

from ganforge.config import TrainConfig  # noqa: E402
from ganforge.runs import load_checkpoint  # noqa: E402
from ganforge.training import Training  # noqa: E402


def fixed_normal(key, stream, shape, dtype):
    values = np.random.default_rng(stream).standard_normal(tuple(int(n) for n in shape)).astype("float32")
    return keras.ops.convert_to_tensor(values, dtype=dtype)


if folder.is_dir():
    killed = next(folder.glob("run_*"))
    keras.utils.clear_session()  # names of layers count on within a process
    Training.resume(killed).run([Slow()])
    keras.utils.clear_session()
    settings = {**SETTINGS, "runs_dir": str(folder / "whole")}
    whole = Training.new(TrainConfig.of(settings)).run().run
    report["differences"] = differences(killed, whole)

keras.utils.clear_session()
saved = load_checkpoint(torch_run)
crossing = Training.resume(torch_run, epochs=9, backend=backend)
arrays = crossing.engine.get_state()[0]
report["arrays"] = len(arrays)
# Sorted, both are in the engine's order: owner, position, and a path that backends may spell differently.
pairs = [[held[name] for name in sorted(held)] for held in (arrays, saved.arrays)]
report["equal"] = all(np.array_equal(a, b) for a, b in zip(*pairs, strict=True))
images = crossing.engine.generate(LATENTS)
report["images"] = np.asarray(images).ravel()[:64].tolist()
crossing.engine.adapter.normal = fixed_normal
steps = crossing.engine.steps(crossing.batches, crossing.progress, saved.step, saved.step + 1)
report["step"] = next(steps).read()
steps.close()
crossing.lock.release()
print(json.dumps(report))
