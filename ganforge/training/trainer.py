"""One go at training: opens the run directory, follows the engine's steps, and leaves everything saved."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import numpy as np

from ganforge.errors import GANForgeError, log
from ganforge.files import sweep
from ganforge.plugin.types import EpochInfo, RunInfo, SnapshotInfo, StepInfo
from ganforge.runs import (
    MetricsWriter,
    create_run,
    drop_snapshots,
    has_checkpoints,
    list_snapshots,
    load_checkpoint,
    lock_run,
    prune_checkpoints,
    save_checkpoint,
    snapshot_path,
    truncate_metrics,
    update_manifest,
)
from ganforge.runs.metrics import finite
from ganforge.training.audience import Audience
from ganforge.training.config import chosen
from ganforge.training.interruption import (
    NotFinite,
    explained,
    require_finite_metrics,
    require_finite_weights,
    stop_on_signals,
)
from ganforge.training.outputs import write_architecture, write_products
from ganforge.training.schedule import Schedule

if TYPE_CHECKING:
    from ganforge.training.setup import Training

GRID = 10
MOST_ROLLBACKS = 5


@dataclass(frozen=True)
class Outcome:
    """How a training session ended."""

    run: Path
    state: str
    step: int
    epoch: int
    images_per_second: float
    seconds: float
    snapshot: Path | None
    animation: Path | None


class Session:
    """A training session, from its first file to its last; ``observers`` are told of everything."""

    def __init__(self, training: Training, observers: Sequence[object]) -> None:
        self.training, self.engine, self.config = training, training.engine, training.config
        self.audience = Audience(training.strategies, (*training.observers, *observers))
        self.stopping: threading.Event | None = None
        self.last: dict[str, float] = {}
        self.images_per_second = 0.0
        self.metrics: MetricsWriter | None = None
        self.schedule = Schedule(self.config.checkpoint_every or 1, training.steps_per_epoch)

    def run(self) -> Outcome:
        training = self.training
        self.begun = time.perf_counter()
        self.step = self.saved_step = training.start_step
        directory = training.run_directory
        new = directory is None
        if change := training.changes():
            training.begin_stage(self.step, change)
        if directory is None:
            manifest = {**training.manifest(), "progress": self._progress()}
            directory = training.run_directory = create_run(Path(self.config.runs_dir), manifest)
            training.lock = lock_run(directory)
        self.directory = directory
        try:
            with stop_on_signals() as stopping:
                self.stopping = stopping
                if not new:
                    self._return()
                self._open()
                return self._close(self._follow(stopping))
        except KeyboardInterrupt:
            self._give_up("stopped")
            raise
        except BaseException as error:
            self._give_up("failed")
            if explanation := explained(error, self.directory, self.saved_step):
                raise explanation from error
            raise
        finally:
            if training.lock is not None:
                training.lock.release()

    # ------------------------------------------------------------------ the parts of a run

    def _return(self) -> None:
        """Take the directory of a run up again: note how it goes on, and drop what comes after its checkpoint."""
        training, directory = self.training, self.directory
        update_manifest(directory, **training.manifest(), progress=self._progress())
        for folder in (directory, directory / "snapshots", directory / "checkpoints"):
            folder.mkdir(exist_ok=True)
            sweep(folder)
        self._rewind()

    def _rewind(self) -> None:
        """Drop what lies after ``self.step``: it is about to be made again."""
        for number in truncate_metrics(self.directory, self.step):
            log.warning("line %d of metrics.jsonl was damaged and is left out", number)
        prune_checkpoints(self.directory, self.step, self.config.keep)
        drop_snapshots(self.directory, after=self.step // self.training.steps_per_epoch)

    def _open(self) -> None:
        write_architecture(self.training, self.directory)
        self.metrics = MetricsWriter(self.directory / "metrics.jsonl")
        self.latents = self._fixed_latents()
        self._tell("run_started", run=self._info())
        epoch, into = divmod(self.step, self.training.steps_per_epoch)
        if into == 0 and self._shows(epoch) and not snapshot_path(self.directory, epoch).is_file():
            self._snapshot(epoch)
        if self.step == 0 and not has_checkpoints(self.directory):
            self._checkpoint()

    def _follow(self, stopping: threading.Event) -> str:
        """Train to the end, or until a stop is asked for; where a loss is lost, do as ``--on-nan`` says."""
        while True:
            try:
                return self._train(stopping)
            except NotFinite as error:
                if self.config.on_nan == "stop":
                    self._stop_at(error)
                self._roll_back(error)

    def _train(self, stopping: threading.Event) -> str:
        training, config = self.training, self.config
        steps = self.engine.steps(training.batches, training.progress, self.step, training.steps)
        rate = _Rate(chosen(config.batch_size))
        try:
            for step in steps:
                self.step += 1
                metrics = self._log(step, rate) if self._logs() else {}
                self._tell("step_ended", step=StepInfo(step.progress, step.plan.flat(), metrics))
                stop = stopping.is_set() and self.step < training.steps
                ends_epoch = self.step % training.steps_per_epoch == 0
                if ends_epoch or stop or self.schedule.due(self.step):
                    with rate.paused():
                        self._save(step, ends_epoch, stop)
                if stop:
                    return "stopped"
        finally:
            steps.close()
        return "finished"

    def _logs(self) -> bool:
        return self.step % self.config.log_every == 0 or self.step in (1, self.training.steps)

    def _log(self, step: Any, rate: _Rate) -> dict[str, float]:
        measured = step.read()  # waits for the device, as nothing else in the loop does
        self.images_per_second = rate.measure(self.step)
        line = {
            "step": self.step,
            "epoch": round(self.step / self.training.steps_per_epoch, 4),
            **measured,
            **step.plan.flat(),
            "images_per_second": round(self.images_per_second, 1),
            "seconds": round(self._seconds(), 2),
        }
        assert self.metrics is not None
        self.metrics.write(line)
        require_finite_metrics(measured)
        self.engine.signals = {"step": self.step, **measured}
        self.last = {**measured, "images_per_second": self.images_per_second}
        return line

    def _save(self, step: Any, ends_epoch: bool, stop: bool) -> None:
        """Save what is due after a step: the grid of an epoch, then the checkpoint that vouches for it."""
        epoch, final = self.step // self.training.steps_per_epoch, self.step == self.training.steps
        if ends_epoch:
            self._tell("epoch_ended", epoch=EpochInfo(epoch, self.config.epochs or 0, dict(self.last)))
        shows = ends_epoch and self._shows(epoch)
        checkpoints = final or stop or self.schedule.due(self.step)
        if shows or checkpoints:
            # Saving waits for the device anyway, so looking at this step's losses costs nothing.
            require_finite_metrics(step.read())
        if shows:
            self._snapshot(epoch)
        if checkpoints:
            self._checkpoint()

    def _shows(self, epoch: int) -> bool:
        return epoch % chosen(self.config.snapshot_every) == 0 or epoch == self.config.epochs

    def _snapshot(self, epoch: int) -> None:
        from ganforge.media.grids import make_grid, save_png

        pictures = self._pictures()
        path = snapshot_path(self.directory, epoch)
        save_png(make_grid(pictures, GRID), path)
        self._tell("snapshot_taken", snapshot=SnapshotInfo(epoch, path, pictures))

    def _pictures(self) -> np.ndarray:
        from ganforge.media.grids import to_uint8

        classes = len(self.training.classes)
        # A row of the grid is of one class, the rows in turn.
        labels = [(np.arange(GRID * GRID) // GRID % classes).astype(np.int32)] if classes else []
        with self.engine.showing():
            return to_uint8(self.engine.generate(self.latents, *labels))

    def _checkpoint(self) -> None:
        arrays, state = self.engine.get_state()
        require_finite_weights(arrays)
        state["seconds"] = self._seconds()
        assert self.metrics is not None
        self.metrics.sync()
        save_checkpoint(self.directory, self.step, arrays, state, keep=self.config.keep)
        self.saved_step = self.step
        self.schedule.saved()
        self._save_progress("running")

    def _close(self, outcome: str) -> Outcome:
        """Leave the generator, the curves and the animation. Only then has a run ended."""
        assert self.metrics is not None
        self.metrics.close()
        animation = write_products(self.training, self.directory)
        self._save_progress(outcome)
        self._tell("run_ended", run=self._info(), outcome=outcome)
        snapshots = list_snapshots(self.directory)
        return Outcome(
            self.directory,
            outcome,
            self.step,
            self.step // self.training.steps_per_epoch,
            self.images_per_second,
            self._seconds(),
            snapshots[-1][1] if snapshots else None,
            animation,
        )

    def _give_up(self, outcome: str) -> None:
        """Note how a run ended early. What the running step made of the networks is described by no step count."""
        if self.audience.ended:  # it had ended, and was saved
            return
        self.step = self.saved_step
        # What went wrong before, a full disk perhaps, says more than what goes wrong because of it now.
        with suppress(OSError, GANForgeError):
            if self.metrics is not None:
                self.metrics.close()
            self._save_progress(outcome)
        if self.metrics is not None:
            with suppress(GANForgeError):
                self._tell("run_ended", run=self._info(), outcome=outcome)

    # ------------------------------------------------------------------ when a loss is nan

    def _stop_at(self, error: NotFinite) -> NoReturn:
        """Leave the run as it was at its last checkpoint, whose losses and weights were finite, and say so."""
        at, run = self.step, self.directory.name
        checkpoint = load_checkpoint(self.directory)
        self.engine.set_state(checkpoint.arrays, checkpoint.state)
        self.step = self.saved_step = checkpoint.step
        write_products(self.training, self.directory)
        if self.config.on_nan == "rollback":
            way_out = f"going back {MOST_ROLLBACKS} times with half the learning rate did not help"
        else:
            way_out = f"go on from it with half the learning rate: ganforge resume {run} --on-nan rollback"
        raise GANForgeError(
            f"{error.what} at step {at:,}; the checkpoint of step {checkpoint.step:,}, from before, is kept: "
            f"{way_out}; or begin anew with a smaller --learning-rate or another --balance"
        ) from error

    def _roll_back(self, error: NotFinite) -> None:
        """Return to the last checkpoint and train on with half the learning rate, a few times at most."""
        training, at = self.training, self.step
        checkpoint = load_checkpoint(self.directory)
        earlier = [stage for stage in training.stages if stage.get("rolled_back_to") == checkpoint.step]
        if len(earlier) >= MOST_ROLLBACKS:
            self._stop_at(error)
        self.engine.set_state(checkpoint.arrays, checkpoint.state)
        self.step = self.saved_step = checkpoint.step
        training.rescale_learning_rate(training.learning_rate_scale / 2)
        training.begin_stage(self.step, f"{error.what} at step {at}", rolled_back_to=self.step)
        update_manifest(self.directory, stages=training.stages, progress=self._progress())
        assert self.metrics is not None
        self.metrics.close()
        self._rewind()
        self.metrics = MetricsWriter(self.directory / "metrics.jsonl")
        self.schedule.saved()
        log.warning(
            "%s at step %s: went back to step %s and on with the learning rate times %g",
            error.what,
            f"{at:,}",
            f"{self.step:,}",
            training.learning_rate_scale,
        )

    # ------------------------------------------------------------------ files and people

    def _fixed_latents(self) -> np.ndarray:
        from ganforge.engine.randomness import fixed_latents

        return fixed_latents(GRID * GRID, self.config.latent_dim or 0, self.config.seed)

    def _progress(self) -> dict[str, Any]:
        per_epoch = self.training.steps_per_epoch
        return {
            "step": self.step,
            "steps": self.training.steps,
            "epoch": self.step // per_epoch,
            "epochs": self.config.epochs,
        }

    def _save_progress(self, state: str) -> None:
        changes: dict[str, Any] = {
            "state": state,
            "progress": self._progress(),
            "seconds": round(self._seconds(), 2),
        }
        if peak := _peak_memory():
            changes["peak_memory"] = peak
        if self.last:
            changes["metrics"] = {name: finite(value) for name, value in self.last.items()}
        update_manifest(self.directory, **changes)

    def _seconds(self) -> float:
        return self.training.seconds_before + time.perf_counter() - self.begun

    def _info(self) -> RunInfo:
        training = self.training
        return RunInfo(
            self.directory,
            self.config.model_dump(mode="json"),
            training.steps,
            training.steps_per_epoch,
            training.start_step,
            training.generator,
            training.discriminator,
        )

    def _tell(self, hook: str, **what: Any) -> None:
        self.audience.tell(hook, self.stopping, **what)


class _Rate:
    """Images a second since the last measurement, saving and drawing left out."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.away = batch_size, 0.0
        self.step: int | None = None
        self.since = time.perf_counter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        start = time.perf_counter()
        yield
        self.away += time.perf_counter() - start

    def measure(self, step: int) -> float:
        now = time.perf_counter()
        steps = step - self.step if self.step is not None else 1
        rate = steps * self.batch_size / max(now - self.since - self.away, 1e-9)
        self.step, self.since, self.away = step, now, 0.0
        return rate


def _peak_memory() -> int | None:
    """Return the most memory this process has held, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
