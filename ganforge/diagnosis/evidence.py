"""What a diagnosis looks at: settings, logged lines, grids and what was measured; and what it finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.metrics.columns import column

WINDOW, LEAST = 0.25, 12


@dataclass(frozen=True)
class Finding:
    """One thing that is wrong: its kind, what is seen, why, the numbers, and what to try."""

    kind: str
    title: str
    why: str
    numbers: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Evidence:
    """All that the rules look at: ``run.json``, logged lines, and what the grids say (see ``look_at``)."""

    manifest: dict[str, Any]
    lines: Sequence[dict[str, Any]]
    grids: Sequence[dict[str, float]] = ()
    evaluation: dict[str, Any] | None = None

    def recent(self, name: str) -> np.ndarray:
        """Return the last part of a column, finite numbers only."""
        values = column(self.lines[-max(LEAST, math.ceil(len(self.lines) * WINDOW)) :], name)
        finite: np.ndarray = values[np.isfinite(values)]
        return finite

    def mean(self, name: str) -> float:
        """Return the recent mean of a column, NaN where nothing was logged."""
        values = self.recent(name)
        return float(values.mean()) if len(values) else math.nan

    def logs(self, name: str) -> bool:
        """Say whether a column is logged at all."""
        return any(name in line for line in self.lines)

    @property
    def loss(self) -> str:
        return str(self.manifest["loss"]["name"])

    @property
    def too_early(self) -> bool:
        """Whether too little was logged for the rules on losses to say anything."""
        return len(self.lines) < LEAST

    def option(self, strategy: str, name: str) -> float:
        """Return an option of an active strategy, 0 where it is not active."""
        for active in self.manifest.get("strategies", []):
            if active["name"] == strategy:
                value = active["options"].get(name)
                return float(value) if isinstance(value, (int, float)) and abs(value) < 2**63 else 0.0
        return 0.0


def gather(run: Path) -> Evidence:
    """Return the evidence that a run directory holds."""
    from ganforge.media.grids import cells
    from ganforge.runs import list_snapshots, read_manifest, read_metrics
    from ganforge.runs.evaluation import read_evaluation

    manifest = read_manifest(run)
    shape = manifest["image_shape"]
    snapshots = list_snapshots(run)[-4:] if len(shape) == 3 else []  # a scatter plot of vectors is no grid
    grids = [(grid.epoch, cells(grid.path, shape[0])) for grid in snapshots]
    return Evidence(manifest, read_metrics(run), look_at(grids), read_evaluation(run))


def look_at(grids: Sequence[tuple[float, np.ndarray]]) -> list[dict[str, float]]:
    """Return of each (epoch, pictures): ``mean`` and ``nearest`` spread, and how far a pixel ``moved``."""
    from ganforge.metrics.diversity import diversity

    result: list[dict[str, float]] = []
    before = None
    for epoch, pictures in grids:
        seen = {"epoch": float(epoch), **diversity(pictures)}
        if before is not None and before.shape == pictures.shape:
            seen["moved"] = float(np.abs(pictures.astype(np.int16) - before).mean())
        result.append(seen)
        before = pictures.astype(np.int16)
    return result
