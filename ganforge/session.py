"""One go at training: opens the run directory, follows the engine's steps, and leaves everything saved."""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.api_types import EpochInfo, RunInfo, SnapshotInfo, StepInfo
from ganforge.engine.backend_choice import quietly
from ganforge.plugins import observer_hooks
from ganforge.runs import (
    MetricsWriter,
    create_run,
    list_snapshots,
    read_metrics,
    save_checkpoint,
    snapshot_path,
    truncate_metrics,
    update_manifest,
    write_manifest,
)

if TYPE_CHECKING:
    from ganforge.training import Training

GRID = 10


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
        everyone = [*training.strategies, *training.observers, *observers]
        self.observers = [observer_hooks(observer) for observer in everyone]
        self.last: dict[str, float] = {}
        self.images_per_second = 0.0
        self.metrics: MetricsWriter | None = None

    def run(self) -> Outcome:
        training = self.training
        self.directory = training.run_directory or create_run(Path(self.config.runs_dir))
        self.step = self.saved_step = training.start_step
        self._open()
        outcome = "failed"
        try:
            with _stop_on_interrupt() as stopping:
                outcome = self._follow(stopping)
        except BaseException:
            self._close("failed")
            raise
        return self._close(outcome)

    # ------------------------------------------------------------------ the parts of a run

    def _open(self) -> None:
        training, directory = self.training, self.directory
        if training.run_directory is None:
            write_manifest(directory, {"id": directory.name, **training.manifest(), "progress": self._progress()})
            self._write_architecture()
        else:
            update_manifest(directory, **training.manifest(), progress=self._progress())
            truncate_metrics(directory, self.step)
        self.metrics = MetricsWriter(directory / "metrics.jsonl")
        self.latents = self._fixed_latents()
        self.begun = time.perf_counter()
        self._tell("run_started", run=self._info())
        if self.step == 0:
            self._snapshot(0)
            self._checkpoint()

    def _follow(self, stopping: threading.Event) -> str:
        training, config = self.training, self.config
        steps = self.engine.steps(training.batches, training.progress, self.step, training.steps)
        rate = _Rate(config.batch_size)
        try:
            for step in steps:
                self.step += 1
                metrics = self._log(step, rate) if self._logs() else {}
                self._tell("step_ended", step=StepInfo(step.progress, step.plan.flat(), metrics))
                if self.step % training.steps_per_epoch == 0:
                    with rate.paused():
                        self._end_epoch(self.step // training.steps_per_epoch)
                if stopping.is_set() and self.step < training.steps:
                    return "stopped"
        finally:
            steps.close()
        return "finished"

    def _logs(self) -> bool:
        return self.step % self.config.log_every == 0 or self.step in (1, self.training.steps)

    def _log(self, step: Any, rate: _Rate) -> dict[str, float]:
        measured = step.read()  # the one place that waits for the device
        self.engine.signals = measured
        self.images_per_second = rate.measure(self.step)
        self.last = {**measured, "images_per_second": self.images_per_second}
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
        return line

    def _end_epoch(self, epoch: int) -> None:
        config = self.config
        self._tell("epoch_ended", epoch=EpochInfo(epoch, config.epochs or 0, self.last))
        final = self.step == self.training.steps
        if epoch % config.snapshot_every == 0 or final:
            self._snapshot(epoch)
        if epoch % config.checkpoint_every == 0 or final:
            self._checkpoint()

    def _snapshot(self, epoch: int) -> None:
        from ganforge.media.grids import make_grid, save_png

        pictures = self._pictures()
        path = snapshot_path(self.directory, epoch)
        save_png(make_grid(pictures, GRID), path)
        self._tell("snapshot_taken", snapshot=SnapshotInfo(epoch, path, pictures))

    def _pictures(self) -> np.ndarray:
        from ganforge.media.grids import to_uint8

        with self.engine.showing():
            return to_uint8(self.engine.generate(self.latents))

    def _checkpoint(self) -> None:
        arrays, state = self.engine.get_state()
        state["seconds"] = self._seconds()
        save_checkpoint(self.directory, self.step, arrays, state, keep=self.config.keep)
        self.saved_step = self.step
        self._save_progress("running")

    def _close(self, outcome: str) -> Outcome:
        """Save everything, in the order of what would be missed most."""
        # A failure in the middle of a step leaves networks that no step count describes: keep the last checkpoint.
        if outcome != "failed" and self.saved_step != self.step:
            self._checkpoint()
        self._save_progress(outcome)
        if self.metrics is not None:
            self.metrics.close()
        animation = None
        if outcome != "failed":
            with self.engine.showing():
                save_generator(self.training.generator, self.directory / "generator.keras")
            self._draw_curves()
            animation = self._animate()
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

    # ------------------------------------------------------------------ files and people

    def _write_architecture(self) -> None:
        from ganforge.media.diagram import architecture_text, draw_architecture

        title = f"{self.training.arch.name} · {self.config.image_size}×{self.config.image_size}"
        (self.directory / "architecture.txt").write_text(architecture_text(self.training.networks), "utf-8")
        draw_architecture(self.training.networks, self.directory / "architecture.png", title=title)

    def _draw_curves(self) -> None:
        from ganforge.media.curves import plot_losses

        lines = read_metrics(self.directory)
        if lines:
            balance = " + ".join(self.config.balance) or "no balancing"
            plot_losses(lines, self.directory / "losses.png", title=f"{self.config.arch} · {balance}")

    def _animate(self) -> Path | None:
        from ganforge.runs.progression import make_progression

        return make_progression(self.directory)

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
            changes["metrics"] = self.last
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
        for hooks in self.observers:
            if hook in hooks:
                hooks[hook](**what)


class _Rate:
    """Images a second since the last measurement, saving and drawing left out."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.step, self.away = batch_size, None, 0.0
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


@contextmanager
def _stop_on_interrupt() -> Iterator[threading.Event]:
    """Turn the first Ctrl-C into a request to stop after this step; the second one interrupts as usual."""
    stopping = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stopping
        return
    before = signal.getsignal(signal.SIGINT)

    def ask(signum: int, frame: Any) -> None:
        stopping.set()
        signal.signal(signal.SIGINT, before)

    signal.signal(signal.SIGINT, ask)
    try:
        yield stopping
    finally:
        signal.signal(signal.SIGINT, before)


def _peak_memory() -> int | None:
    """Return the most memory this process has held, in bytes; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def save_generator(generator: Any, path: Path) -> None:
    """Save a plain Keras model, whole or not at all."""
    temporary = path.with_name("." + path.stem + ".tmp.keras")
    try:
        with quietly():
            generator.save(temporary)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
