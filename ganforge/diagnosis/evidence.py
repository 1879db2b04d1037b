"""The evidence of a diagnosis: settings, log lines, grids and the evaluation; and what a finding is."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.metrics.columns import column, names

WINDOW, LEAST, LATEST = 0.25, 12, 1000


@dataclass(frozen=True)
class Finding:
    """One problem: its kind, a title, why it happens, the numbers that show it, and settings to try."""

    kind: str
    title: str
    why: str
    numbers: str
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass
class Evidence:
    """The input of the rules: ``run.json``, log lines, the numbers of the grids (see ``look_at``), the evaluation."""

    manifest: dict[str, Any]
    lines: Sequence[dict[str, Any]]
    grids: Sequence[dict[str, float]] = ()
    evaluation: dict[str, Any] | None = None

    @cached_property
    def names(self) -> frozenset[str]:
        """What is logged at all."""
        return frozenset(names(self.lines))

    def recent(self, name: str) -> np.ndarray:
        """Return the last part of a column, finite numbers only."""
        values = column(self.lines, name, max(LEAST, math.ceil(len(self.lines) * WINDOW)))
        finite: np.ndarray = values[np.isfinite(values)]
        return finite

    def mean(self, name: str) -> float:
        """Return the recent mean of a column, NaN where nothing was logged."""
        values = self.recent(name)
        return float(values.mean()) if len(values) else math.nan

    def logs(self, name: str) -> bool:
        """Say whether a column is logged at all."""
        return name in self.names

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


def gather(run: Path, lines: Sequence[dict[str, Any]] | None = None) -> Evidence:
    """Return the evidence that a run directory holds; ``lines`` in place of all that it has logged."""
    from ganforge.media.grids import cells
    from ganforge.runs import list_snapshots, read_history, read_manifest
    from ganforge.runs.evaluation import read_evaluation

    manifest = read_manifest(run)
    shape = manifest["image_shape"]
    snapshots = list_snapshots(run)[-4:] if len(shape) == 3 else []  # a scatter plot of vectors is no grid
    grids = [(grid.epoch, cells(grid.path, shape)) for grid in snapshots]
    return Evidence(manifest, read_history(run) if lines is None else lines, look_at(grids), read_evaluation(run))


def latest(lines: Sequence[dict[str, Any]]) -> Sequence[dict[str, Any]]:
    """Return the lines that a diagnosis of a run that goes on looks at: ``LATEST``, however many there are.

    And the first one: by it a learning rate that was brought down is known.
    """
    return lines if len(lines) <= LATEST else [lines[0], *(lines[i] for i in range(-LATEST, 0))]


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
