"""Where a run's grids are."""

from __future__ import annotations

import os
import re
from pathlib import Path

from ganforge.files import own


def snapshot_path(run: Path, epoch: int) -> Path:
    """Return the grid's path for an epoch, ``snapshots/epoch_0006.png``."""
    return run / "snapshots" / f"epoch_{epoch:04d}.png"


def list_snapshots(run: Path) -> list[tuple[int, Path]]:
    """Return (epoch, path) of the saved grids, oldest first. Raises ``GANForgeError`` where one is a link."""
    found = []
    folder = own(run, "snapshots")
    for name in os.listdir(folder) if folder.is_dir() else ():
        if match := re.fullmatch(r"epoch_([0-9]{1,18})\.png", name):
            found.append((int(match[1]), own(folder, name)))
    return sorted(found)


def drop_snapshots(run: Path, after: int) -> None:
    """Remove the grids of epochs later than ``after``, which training is about to make again."""
    for epoch, path in list_snapshots(run):
        if epoch > after:
            path.unlink()
