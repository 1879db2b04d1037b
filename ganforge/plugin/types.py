"""The small objects that hooks receive."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from ganforge.errors import closest


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


class Batch(NamedTuple):
    """Real pictures of one update: uint8 (B, H, W, C), and int32 (B,) class labels where the networks take them.

    Data that are vectors are float32 (B, D).
    """

    images: Any
    labels: Any = None

    def map(self, function: Callable[[Any], Any]) -> Batch:
        """Return the batch with ``function`` of its images and of its labels, if it has any."""
        return Batch(function(self.images), None if self.labels is None else function(self.labels))


class FixedSetting(AttributeError):
    """``configure_run`` assigned a setting that a strategy cannot change."""


CHANGEABLE = ("learning_rate", "generator_options", "discriminator_options", "loss_options")


@dataclass
class RunConfig:
    """A run before its networks exist, as ``configure_run`` sees it.

    ``learning_rate``, ``generator_options``, ``discriminator_options`` and ``loss_options`` may be changed; the
    rest is set by the user or the data, and is read-only.

    Raises:
        AttributeError: another setting is assigned, or one that does not exist.
    """

    architecture: str
    image_shape: tuple[int, ...]  # (H, W, C), or (D,) where the data are vectors
    latent_dim: int
    batch_size: int
    epochs: int
    learning_rate: float
    generator_options: dict[str, Any]
    discriminator_options: dict[str, Any]
    loss: str
    loss_options: dict[str, Any]
    soft_labels: bool = True  # whether the loss can take labels between 0 and 1
    compares: bool = False  # whether the generator's loss looks at real logits too

    def __setattr__(self, name: str, value: Any) -> None:
        begins = name in type(self).__dataclass_fields__ and name not in vars(self)
        if name not in CHANGEABLE and not begins:
            raise FixedSetting(_fixed(name, self))
        super().__setattr__(name, value)

    def __delattr__(self, name: str) -> None:
        raise FixedSetting(_fixed(name, self))


def _fixed(name: str, config: RunConfig) -> str:
    known = type(config).__dataclass_fields__
    what = f"configure_run cannot change {name}" if name in known else f"RunConfig has no setting '{name}'"
    return f"{what}; it may change {', '.join(CHANGEABLE)}.{'' if name in known else closest(name, CHANGEABLE)}"


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
    """A run, for observers: its directory, configuration, progress, and networks (for reading)."""

    directory: Path
    config: Mapping[str, Any]
    steps: int
    steps_per_epoch: int
    start_step: int = 0
    generator: Any = None
    discriminator: Any = None
    asks: Callable[[], None] | None = field(default=None, repr=False, compare=False)
    brings: Callable[[], None] | None = field(default=None, repr=False, compare=False)

    def stop(self) -> None:
        """Ask for a stop after the current step, like Ctrl-C: everything is saved, and the run can be resumed."""
        if self.asks is not None:
            self.asks()

    def sync(self) -> None:
        """Bring the networks' Keras variables up to date; on JAX they are otherwise those of the last save."""
        if self.brings is not None:
            self.brings()


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
    """A saved grid: epochs completed, its file and its pictures, uint8 (N, H, W, C), and steps completed.

    For vectors, float32 (N, D), the file is a scatter plot.
    """

    epoch: int
    path: Path
    images: np.ndarray
    step: int = 0
