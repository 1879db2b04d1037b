"""The only writer of a run's directory."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.engine.randomness import fixed_latents
from ganforge.errors import log
from ganforge.files import own, sweep
from ganforge.plugin.types import SnapshotInfo
from ganforge.runs import (
    append_metrics,
    create_run,
    drop_snapshots,
    lock_run,
    prune_checkpoints,
    save_checkpoint,
    sync_metrics,
    truncate_metrics,
    update_manifest,
)
from ganforge.runs.metrics import each_line
from ganforge.training.outputs import describe_networks, draw_products, write_architecture, write_trained
from ganforge.training.record import Stages, manifest
from ganforge.training.setup import Setup

if TYPE_CHECKING:
    from filelock import BaseFileLock

    from ganforge.engine.engine import Engine
    from ganforge.media.scatter import Backdrop

GRID = 10  # pictures in a row of a snapshot, and rows
POINTS = 2500  # vectors in a snapshot


class Recorder:
    """Writes ``run.json``, metrics, snapshots, checkpoints and files for people, while it holds the run's lock.

    Training uses only its public methods, and no step depends on what they return: if several processes train one
    run, the first has a recorder, and the others have a ``Silent`` one.
    """

    def __init__(self, setup: Setup, directory: Path, lock: BaseFileLock | None) -> None:
        self.setup, self.directory, self._lock = setup, directory, lock
        self._backdrop: Backdrop | None = None
        count = POINTS if len(setup.image_shape) == 1 else GRID * GRID
        self._latents = fixed_latents(count, setup.settings.latent_dim, setup.settings.seed)

    @classmethod
    def create(cls, setup: Setup, stages: Stages) -> Recorder:
        """Create the directory of a new run and take its lock; of several processes, only the first does."""
        team = setup.engine.adapter.team
        if team.rank:
            return Silent(setup, Path(team.shared("")))
        recorder = cls._new(setup, stages)
        team.shared(str(recorder.directory))
        return recorder

    @classmethod
    def _new(cls, setup: Setup, stages: Stages) -> Recorder:
        directory = create_run(Path(setup.settings.runs_dir), manifest(setup, stages))
        return cls(setup, directory, lock_run(directory))

    def take_up(self, stages: Stages, step: int, seconds: float) -> None:
        """Continue in a directory from ``step``: note how, and remove half-written files."""
        folders = [own(self.directory, *name) for name in ((), ("snapshots",), ("checkpoints",))]
        self.note(manifest(self.setup, stages, step, seconds))
        for folder in folders:
            folder.mkdir(exist_ok=True)
            sweep(folder)
        self.rewind(step)

    def rewind(self, step: int) -> None:
        """Remove everything after ``step``, which is about to be made again."""
        for number in truncate_metrics(self.directory, step):
            log.warning("line %d of metrics.jsonl was damaged and is left out", number)
        prune_checkpoints(self.directory, step, self.setup.settings.keep)
        drop_snapshots(self.directory, after=step / self.setup.steps_per_epoch)

    def describe(self) -> None:
        """Write the networks' description."""
        write_architecture(self.setup, self.directory)
        describe_networks(self.setup, self.directory)

    def note(self, changes: Mapping[str, Any]) -> None:
        """Change some entries of ``run.json``."""
        update_manifest(self.directory, **changes)

    def log(self, line: Mapping[str, Any]) -> None:
        """Add a line to the metrics."""
        append_metrics(self.directory, line)

    def lines(self) -> Iterator[dict[str, Any]]:
        """Yield the lines that are in the metrics, one at a time."""
        return each_line(self.directory)

    def snapshot(self, path: Path, step: int) -> SnapshotInfo:
        """Save the pictures of the run's fixed latents after ``step`` steps."""
        from ganforge.media.grids import make_grid, save_png

        taken = self._taken(path, step)
        if taken.images.ndim == 2:
            self._scatter(taken.images, path)
        else:
            save_png(make_grid(taken.images, GRID), path)
        return taken

    def _taken(self, path: Path, step: int) -> SnapshotInfo:
        pictures = draw(self.setup.engine, self._latents, len(self.setup.classes))
        return SnapshotInfo(step // self.setup.steps_per_epoch, path, pictures, step)

    def _scatter(self, points: np.ndarray, path: Path) -> None:
        from ganforge.media.scatter import backdrop, save_scatter

        if self._backdrop is None:
            self._backdrop = backdrop(self.setup.images.array)
        save_scatter(points, self._backdrop, path)

    def checkpoint(self, step: int, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None:
        """Save a checkpoint, after making sure that the metrics before it are on the disk."""
        sync_metrics(self.directory)
        save_checkpoint(self.directory, step, arrays, state, keep=self.setup.settings.keep)

    def write_trained(self) -> None:
        """Write both networks; a run without its generator is not finished."""
        write_trained(self.setup, self.directory)

    def draw_products(self) -> Path | None:
        """Draw the curves and the animation; return the animation's path, or None if it could not be drawn."""
        return draw_products(self.setup, self.directory)

    def release(self) -> None:
        """Let others train the run."""
        if self._lock is not None:
            self._lock.release()


class Silent(Recorder):
    """The recorder of a process that is not the first of a run: it writes nothing, and holds no lock."""

    def __init__(self, setup: Setup, directory: Path) -> None:
        super().__init__(setup, directory, None)

    def take_up(self, stages: Stages, step: int, seconds: float) -> None: ...

    def rewind(self, step: int) -> None: ...

    def describe(self) -> None: ...

    def note(self, changes: Mapping[str, Any]) -> None: ...

    def log(self, line: Mapping[str, Any]) -> None: ...

    def checkpoint(self, step: int, arrays: dict[str, np.ndarray], state: dict[str, Any]) -> None: ...

    def write_trained(self) -> None: ...

    def draw_products(self) -> Path | None:
        return None

    def snapshot(self, path: Path, step: int) -> SnapshotInfo:
        return self._taken(path, step)  # a strategy may look at it


def draw(engine: Engine, latents: np.ndarray, classes: int) -> np.ndarray:
    """Return the pictures of a grid, uint8 (GRID², H, W, C); with classes, each row shows one, in turn.

    If the data are vectors, float32 (N, D).
    """
    from ganforge.media.grids import drawn

    labels = [(np.arange(len(latents)) // GRID % classes).astype(np.int32)] if classes else []
    with engine.showing():
        return drawn(engine.generate(latents, *labels))
