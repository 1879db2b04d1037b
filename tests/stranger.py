"""A run directory as a stranger could have sent it: what the tests of such runs share."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from support import SMALL

SETTINGS: dict[str, Any] = {**SMALL, "image_size": 8, "epochs": 2, "snapshot_every": 1, "latent_dim": 6}
READING = ("runs", "show run_1", "diagnose run_1", "compare run_1", "report run_1", "gif run_1", "sample run_1 -n 4")
READING += ("evaluate run_1 --samples 16 --json",)
RESUME = "resume run_1 --epochs 3 --quiet"
STEP = "checkpoints/step_00000004"
GRID = "snapshots/epoch_0002.png"


def finished(folder: Path) -> Path:
    """Train a tiny run, which nobody may change: copy it."""
    from ganforge import train

    return train(**SETTINGS, runs_dir=folder).path


def copied(made: Path, folder: Path) -> Path:
    """Return a copy of a run that is ``runs/run_1`` in ``folder``."""
    shutil.copytree(made, folder / "runs" / "run_1")
    return folder / "runs" / "run_1"


def places(value, here=()) -> Iterator[tuple]:
    """Yield the place of every value in a file; of a list's elements the first."""
    if here:
        yield here
    if isinstance(value, dict):
        for name in value:
            yield from places(value[name], (*here, name))
    elif isinstance(value, list) and value:
        yield from places(value[0], (*here, 0))


def replaced(value, place, new):
    value = json.loads(json.dumps(value))
    one = value
    for name in place[:-1]:
        one = one[name]
    if new is KeyError:
        del one[place[-1]]
    else:
        one[place[-1]] = new
    return value
