"""The saved grids of a run: one after an epoch, or after a step within one."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Literal, NamedTuple

from ganforge.errors import GANForgeError
from ganforge.files import own
from ganforge.runs.manifest import read_manifest

Kind = Literal["epoch", "step"]


class Grid(NamedTuple):
    """A saved grid: the number of epochs before it, a fraction if it was saved within one, and its file."""

    epoch: float
    path: Path

    @property
    def title(self) -> str:
        """``epoch 6`` or ``step 500``."""
        kind, _, number = self.path.stem.partition("_")
        return f"{kind} {int(number)}"


def snapshot_path(run: Path, number: int, kind: Kind = "epoch") -> Path:
    """Return a grid's path: ``snapshots/epoch_0006.png``, or ``snapshots/step_0000500.png``."""
    return run / "snapshots" / (f"epoch_{number:04d}.png" if kind == "epoch" else f"step_{number:07d}.png")


def list_snapshots(run: Path) -> list[Grid]:
    """Return the saved grids, oldest first.

    Raises:
        GANForgeError: one is a link, or ``run.json`` does not say where in an epoch a step is.
    """
    found, per_epoch = [], 0
    folder = own(run, "snapshots")
    for name in os.listdir(folder) if folder.is_dir() else ():
        if match := re.fullmatch(r"(epoch|step)_([0-9]{1,15})\.png", name):
            number: float = int(match[2])
            if match[1] == "step":
                per_epoch = per_epoch or _steps_per_epoch(run)
                whole, into = divmod(number, per_epoch)
                number = number / per_epoch if into else whole
            found.append(Grid(number, own(folder, name)))
    return sorted(found)


def _steps_per_epoch(run: Path) -> int:
    steps = read_manifest(run).get("steps_per_epoch")
    if not isinstance(steps, int) or steps < 1:
        raise GANForgeError(f"{run / 'run.json'} is damaged: it has no steps_per_epoch")
    return steps


def drop_snapshots(run: Path, after: float) -> None:
    """Remove the grids later than ``after`` epochs, which training is about to save again."""
    for epoch, path in list_snapshots(run):
        if epoch > after:
            path.unlink()
