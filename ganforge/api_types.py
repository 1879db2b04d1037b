"""The small objects that hooks receive."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np


@dataclass(frozen=True)
class Progress:
    """Where a run is: ``step`` of ``steps`` (from 0), ``epoch`` of ``epochs`` (from 0)."""

    step: int
    steps: int
    epoch: int
    epochs: int

    @property
    def fraction(self) -> float:
        """How far the run is, in [0, 1]: 0 at the first step, 1 at the last."""
        return min(1.0, self.step / (self.steps - 1)) if self.steps > 1 else 0.0


@dataclass
class RunConfig:
    """What ``configure_run`` may change before the networks exist."""

    architecture: str
    image_shape: tuple[int, int, int]
    latent_dim: int
    batch_size: int
    epochs: int
    learning_rate: float
    generator_options: dict[str, Any]
    discriminator_options: dict[str, Any]
    loss: str
    loss_options: dict[str, Any]
    soft_labels: bool = True  # whether the loss can take labels between 0 and 1


class Random(Protocol):
    """Stateless random numbers inside the compiled step; each call is its own stream of (seed, step)."""

    def normal(self, shape: Any, dtype: str = "float32") -> Any:
        """Return standard-normal numbers of ``shape``."""

    def uniform(self, shape: Any, minval: float = 0.0, maxval: float = 1.0, dtype: str = "float32") -> Any:
        """Return numbers of ``shape`` uniform in [minval, maxval)."""

    def bernoulli(self, shape: Any, probability: Any, dtype: str = "float32") -> Any:
        """Return 1 with ``probability`` (a number or a 0-d tensor), else 0."""


@dataclass(frozen=True)
class RunInfo:
    """A run, for observers: its directory, its configuration and how far it is."""

    directory: Path
    config: Mapping[str, Any]
    steps: int
    steps_per_epoch: int
    start_step: int = 0
    generator: Any = None
    discriminator: Any = None


@dataclass(frozen=True)
class StepInfo:
    """A finished step. ``metrics`` is empty except on logged steps."""

    progress: Progress
    scalars: Mapping[str, float] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class EpochInfo:
    """A finished epoch, counted from 1."""

    epoch: int
    epochs: int
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SnapshotInfo:
    """A saved grid: the epoch it shows, its file and its pictures, uint8 (N, H, W, C)."""

    epoch: int
    path: Path
    images: np.ndarray
