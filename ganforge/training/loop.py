"""The loop over a run's steps: following the engine, and telling recorder and audience when something is due."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ganforge.errors import GANForgeError, log
from ganforge.plugin.types import EpochInfo, RunInfo, StepInfo
from ganforge.runs import has_checkpoints, snapshot_path
from ganforge.runs.snapshots import Kind
from ganforge.training import record
from ganforge.training.audience import Audience
from ganforge.training.early import EarlyEnd
from ganforge.training.recorder import Recorder
from ganforge.training.recovery import (
    NotFinite,
    lost,
    may_roll_back,
    require_equal,
    require_finite_metrics,
    require_finite_weights,
    return_to_checkpoint,
    scale_learning_rate,
)
from ganforge.training.schedule import Schedule, logs, parse_every, shows
from ganforge.training.setup import Setup
from ganforge.training.throughput import Stopwatch, Throughput, peak_memory

if TYPE_CHECKING:
    from ganforge.engine.engine import Step


class Loop:
    """Trains from ``step`` on; ``stopping`` is set from outside to ask for an end after the running step.

    ``step`` counts the steps done and ``saved_step`` those that a checkpoint holds.
    """

    def __init__(
        self,
        setup: Setup,
        recorder: Recorder,
        audience: Audience,
        stopping: threading.Event,
        stopwatch: Stopwatch,
        step: int,
        stages: record.Stages,
        early: EarlyEnd | None = None,
    ) -> None:
        self.setup, self.engine, self.settings = setup, setup.engine, setup.settings
        self.team = setup.engine.adapter.team
        self.recorder, self.audience = recorder, audience
        self.stopping, self.stopwatch = stopping, stopwatch
        self.start_step = self.step = self.saved_step = step
        self.stages, self.early = stages, early
        self.metrics: dict[str, float] = {}
        self.images_per_second = 0.0
        self.grids_every = parse_every(self.settings.snapshot_every)
        self.schedule = Schedule(self.settings.checkpoint_every, setup.steps_per_epoch)

    def run(self) -> str:
        """Train to the end, or until a stop is asked for; return ``finished`` or ``stopped``."""
        self._begin()
        if self.met:  # killed when all but its pictures were made
            return "finished"
        while True:
            try:
                return self._train()
            except NotFinite as error:
                self._recover(error)

    @property
    def met(self) -> str:
        """Why ``--stop-when`` ends the run; empty if it does not."""
        return self.early.met if self.early else ""

    def end(self, state: str) -> None:
        """Note that everything is written: only now has the run ended."""
        self._note(state)
        self._tell("run_ended", run=self._info(), outcome=state)

    def give_up(self, state: str) -> None:
        """Note how a run ended early. No step count describes networks in the middle of a step."""
        if "run_ended" in self.audience.heard:  # it had ended, and was saved
            return
        self.step = self.saved_step
        # What went wrong before, a full disk perhaps, says more than what goes wrong because of it now.
        with suppress(OSError, GANForgeError):
            self._note(state)
        if "run_started" in self.audience.heard:
            with suppress(GANForgeError):
                self._tell("run_ended", run=self._info(), outcome=state)

    # ------------------------------------------------------------------ steps

    def _begin(self) -> None:
        self.recorder.describe()
        self.recorder.note({"early_end": self.early.record if self.early else None})
        if self.early:
            self.early.hear(self.recorder.lines())
        self.audience.start(self._info(), self.stopping)
        kind = self._shows()
        here = self.recorder.directory
        missing = kind is not None and not snapshot_path(here, self._number(kind), kind).is_file()
        unsaved = self.step == 0 and not has_checkpoints(here)
        missing, unsaved = self.team.shared([missing, unsaved])
        if kind and missing:
            self._snapshot(kind)
        if unsaved:
            self._checkpoint()

    def _train(self) -> str:
        setup, steps = self.setup, self.setup.steps
        finished = self.engine.steps(setup.batches, setup.progress, self.step, steps)
        throughput = Throughput(self.settings.batch_size)
        try:
            for step in finished:
                self.step += 1
                logged = logs(self.step, steps, self.settings.log_every)
                metrics = self._log(step, throughput) if logged else {}
                self._tell("step_ended", step=StepInfo(step.progress, step.plan.flat(), metrics))
                ends_epoch, stopped = self.step % setup.steps_per_epoch == 0, False
                # Whether to stop, and what is due by the clock, all devices decide alike.
                stops, due = self.team.any(self.stopping.is_set(), self.schedule.due(self.step))
                if ends_epoch or stops or self._shows() or due:
                    with throughput.paused():
                        stopped = self._save(step, ends_epoch, due)
                if self.met:
                    return "finished"
                if stopped:
                    return "stopped"
        finally:
            finished.close()
        return "finished"

    def _log(self, step: Step, throughput: Throughput) -> dict[str, float]:
        measured = step.read()  # waits for the device, as nothing else in the loop does
        self.images_per_second = throughput.measure(self.step)
        line = {
            "step": self.step,
            "epoch": round(self.step / self.setup.steps_per_epoch, 4),
            **measured,
            **step.plan.flat(),
            "images_per_second": round(self.images_per_second, 1),
            "seconds": round(self.stopwatch.seconds(), 2),
        }
        self.recorder.log(line)
        if self.early:
            self.early.hear([line])
        require_finite_metrics(measured)
        self.engine.hear(self.step, measured)
        self.metrics = {**measured, "images_per_second": self.images_per_second}
        return line

    def _save(self, step: Step, ends_epoch: bool, due: bool) -> bool:
        """Save what is due after a step: first the grid, then the checkpoint.

        Return whether the run stops here: observers may ask for it when an epoch ends or a grid is saved.
        """
        epoch, final = self.step // self.setup.steps_per_epoch, self.step == self.setup.steps
        if ends_epoch:
            self._tell("epoch_ended", epoch=EpochInfo(epoch, self.settings.epochs, dict(self.metrics)))
        grid = self._shows()
        checkpoint = final or self._stops() or due
        if grid or checkpoint:
            # Saving waits for the device anyway, so looking at this step's losses costs nothing.
            require_finite_metrics(step.read())
        if grid:
            self._snapshot(grid)
            if self.early:  # what was seen is in run.json before a checkpoint stands for it
                self.early.look(self.step)
                self.early.met = self.team.shared(self.early.met)
                checkpoint = bool(self.met) or checkpoint
                self.recorder.note({"early_end": self.early.record})
        stops = self._stops()
        if checkpoint or stops:
            self._checkpoint()
        return stops

    def _stops(self) -> bool:
        return self.team.any(self.stopping.is_set())[0] and self.step < self.setup.steps

    def _shows(self) -> Kind | None:
        return shows(self.step, self.setup.steps, self.setup.steps_per_epoch, self.grids_every)

    def _number(self, kind: Kind) -> int:
        return self.step if kind == "step" else self.step // self.setup.steps_per_epoch

    def _snapshot(self, kind: Kind) -> None:
        path = snapshot_path(self.recorder.directory, self._number(kind), kind)
        self._tell("snapshot_taken", snapshot=self.recorder.snapshot(path, self.step))

    def _checkpoint(self) -> None:
        arrays, state = self.engine.get_state()
        require_equal(self.team, arrays, state)
        require_finite_weights(arrays)
        self.recorder.checkpoint(self.step, arrays, {**state, "seconds": self.stopwatch.seconds()})
        self.saved_step = self.step
        self.schedule.saved()
        self._note("running")

    def _recover(self, error: NotFinite) -> None:
        """Return to the last checkpoint, and continue at half the learning rate, or leave the run there."""
        at, run = self.step, self.recorder.directory
        self.step = self.saved_step = return_to_checkpoint(self.engine, run)
        self.team.any(False)  # all have read it before the first one clears away
        if self.early:
            self.early.rewind(self.step)
        if not may_roll_back(self.settings.on_nan, self.stages, self.step):
            self.recorder.write_trained()
            self.recorder.draw_products()
            raise lost(error, at, self.step, run, self.settings.on_nan) from error
        self.stages = record.with_rollback(self.setup, self.stages, self.step, f"{error.what} at step {at}")
        scale_learning_rate(self.setup, self.stages)
        self.recorder.note({"stages": list(self.stages), "progress": record.progress(self.setup, self.step)})
        self.recorder.rewind(self.step)
        self.schedule.saved()
        log.warning(
            "%s at step %s: went back to step %s and continued at %g times the learning rate",
            error.what,
            f"{at:,}",
            f"{self.step:,}",
            record.learning_rate_scale(self.stages),
        )

    # ------------------------------------------------------------------ telling

    def _note(self, state: str) -> None:
        seconds = self.stopwatch.seconds()
        self.recorder.note(record.standing(self.setup, state, self.step, seconds, self.metrics, peak_memory()))

    def _info(self) -> RunInfo:
        return RunInfo(
            self.recorder.directory,
            self.settings.model_dump(mode="json"),
            self.setup.steps,
            self.setup.steps_per_epoch,
            self.start_step,
            self.engine.generator,
            self.engine.discriminator,
            self.stopping.set,
            self.engine.adapter.sync_to_keras,
        )

    def _tell(self, hook: str, **what: Any) -> None:
        self.audience.tell(hook, self.stopping, **what)
