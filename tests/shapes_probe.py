"""Run in a process of its own for each backend: pictures that are not square, with transparency; prints JSON.

``python shapes_probe.py BACKEND`` trains a run, another that is stopped and resumed, draws from it, and says what
each architecture in the box makes of fixed weights.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from support import At, fail, timeless

SHAPE = (24, 16, 4)
# As small as shows it: JAX compiles for a long time.
SETTINGS: dict[str, Any] = {
    "arch": "dcgan:width=2,layers=1,discriminator_width=2,discriminator_layers=1",
    "balance": ["mirror", "diffaugment"],
    "data": "critters:count=16",
    "image_size": (16, 24),  # width before height
    "channels": 4,
    "batch_size": 8,
    "epochs": 4,
    "snapshot_every": 2,
    "log_every": 1,
}
SMALL = {
    "fcgan": "fcgan:hidden=8,discriminator_hidden=8",
    "dcgan": "dcgan:width=4,discriminator_width=4",
    "sngan": "sngan:width=2,discriminator_width=2",
    "fastgan": "fastgan:width=2,discriminator_width=2",
    "r3gan": "r3gan:width=4,discriminator_width=4,widest=8",
    "projected": "projected:width=2,discriminator_width=2,enlarge=1",
    "mlp": "mlp:width=8",
}


def trained(folder: Path) -> dict[str, Any]:
    """Train a run, and the same one stopped and resumed; draw from it."""
    import keras
    from PIL import Image

    import ganforge
    from ganforge.media.grids import cells, read_png

    settings = {**SETTINGS, "runs_dir": str(folder)}
    whole = ganforge.train(**settings)
    keras.utils.clear_session()  # names of layers count on within a process
    stopped = ganforge.train(**settings, observers=[At(3, fail(KeyboardInterrupt()))])
    state = stopped.state
    keras.utils.clear_session()
    stopped.resume()
    sheets = [[read_png(path) for _, path in run.snapshots()] for run in (whole, stopped)]
    film = stopped.make_gif(folder / "film.webp")
    with Image.open(film) as frames:
        kept = np.asarray(frames.convert("RGBA"))[: sheets[0][0].shape[0]]
    return {
        "state": state,
        "config": [whole.manifest["config"][name] for name in ("image_size", "channels")],
        "image_shape": whole.manifest["image_shape"],
        "same_lines": timeless(whole.metrics()) == timeless(stopped.metrics()),
        "same_grids": all(np.array_equal(*pair) for pair in zip(*sheets, strict=True)) and len(sheets[0]) == 3,
        "cells": list(cells(whole.snapshots()[-1].path, SHAPE).shape),
        "sample": list(whole.sample(3).shape),
        "walk": list(whole.interpolate(2, 3).shape),
        "film_keeps_opacity": bool(np.array_equal(kept[..., 3], sheets[0][0][..., 3])),
    }


def numbers() -> dict[str, list[float]]:
    """Return what both networks of each architecture give, from weights and inputs that are the same everywhere."""
    from ganforge.engine.networks import build_networks
    from ganforge.plugin.registry import load_plugins
    from ganforge.testing.small import outputs, refill, some_latents

    registry, found = load_plugins(), {}
    pictures = np.random.default_rng(5).uniform(-1, 1, (2, *SHAPE)).astype("float32")
    for name, text in list(SMALL.items())[1:-1]:  # dense layers see no shape
        choice = registry.choose("architecture", text)
        generator, discriminator = build_networks(choice.value, SHAPE, 5, choice.options, choice.options, 0)
        refill(generator)
        refill(discriminator)
        made = outputs(generator, some_latents(2, 5))
        assert made.shape == (2, *SHAPE)
        found[name] = [*made.ravel()[::97].tolist(), *outputs(discriminator, pictures).ravel().tolist()]
    return found


def main(backend: str) -> None:
    os.environ["KERAS_BACKEND"] = backend
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps({**trained(Path(folder)), "numbers": numbers()}))


if __name__ == "__main__":
    main(sys.argv[1])
