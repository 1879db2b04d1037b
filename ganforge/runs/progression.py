"""A run's snapshots as one animation: the pictures of the same latents over training."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError
from ganforge.runs.snapshots import list_snapshots


def make_progression(
    run: Path, output: Path | None = None, every: int = 1, most: int | None = None, **settings: Any
) -> Path:
    """Make ``progression.gif`` (or ``output``) of a run's snapshots and return its path.

    Args:
        every: use every n-th snapshot; the last one is always shown.
        most: use at most about so many, evenly spaced over the run, including the first and the last.
        settings: ``fps``, ``scale``, ``hold`` and ``caption``, as ``ganforge.media.animation.make_animation`` takes.

    Raises:
        GANForgeError: the run has no snapshots.
    """
    from ganforge.media.animation import make_animation

    snapshots = list_snapshots(run)
    if not snapshots:
        raise GANForgeError(f"{run.name} has no snapshots to animate yet; the first is saved when training starts")
    if most:
        every = max(every, -(-len(snapshots) // most))
    chosen = snapshots[:-1][::every] + snapshots[-1:]
    output = output or run / "progression.gif"
    make_animation([grid.path for grid in chosen], [grid.title for grid in chosen], output, **settings)
    return output
