"""A run's snapshots as one animation: what the same latents became."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError
from ganforge.runs.snapshots import list_snapshots


def make_progression(run: Path, output: Path | None = None, every: int = 1, **settings: Any) -> Path:
    """Make ``progression.gif`` (or ``output``) of a run's snapshots and return its path.

    Args:
        every: take each n-th snapshot; the last one always shows.
        settings: ``fps``, ``scale``, ``hold`` and ``caption``, as ``ganforge.media.animation.make_animation`` takes.

    Raises:
        GANForgeError: the run has no snapshots.
    """
    from ganforge.media.animation import make_animation

    snapshots = list_snapshots(run)
    if not snapshots:
        raise GANForgeError(f"{run.name} has no snapshots to animate yet; the first comes when training starts")
    chosen = snapshots[:-1][::every] + snapshots[-1:]
    output = output or run / "progression.gif"
    make_animation([path for _, path in chosen], [f"epoch {epoch}" for epoch, _ in chosen], output, **settings)
    return output
