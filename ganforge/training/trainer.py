"""A training from its first file to its last."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganforge.errors import PeerLost
from ganforge.plugin.validation import check_observers
from ganforge.runs import list_snapshots
from ganforge.training import record
from ganforge.training.audience import Audience
from ganforge.training.devices import begin_alike
from ganforge.training.early import EarlyEnd
from ganforge.training.interruption import StoppedAtOnce, explained, stop_on_signals
from ganforge.training.loop import Loop
from ganforge.training.recorder import Recorder
from ganforge.training.setup import Setup
from ganforge.training.throughput import Stopwatch


@dataclass(frozen=True)
class Outcome:
    """How a training ended; ``early``: why ``--stop-when`` ended it, if it did."""

    run: Path
    state: str
    step: int
    epoch: int
    images_per_second: float
    seconds: float
    snapshot: Path | None
    animation: Path | None
    early: str = ""


@dataclass(frozen=True)
class Start:
    """Where a training begins: at its first step, or where ``resume`` found a run on disk.

    ``seconds``, ``stages`` and ``early_end`` (what ``--stop-when`` has seen) are those of the run so far.
    ``recorder`` holds its directory and its lock; a new run gets one when it begins.
    """

    step: int = 0
    seconds: float = 0.0
    stages: record.Stages = ()
    recorder: Recorder | None = None
    early_end: dict[str, Any] | None = None


@dataclass(frozen=True)
class Trainer:
    """Trains what was set up, once."""

    setup: Setup
    start: Start = Start()

    def changes(self) -> str:
        """Say what differs from how the run was trained before, such as ``epochs 250``."""
        return record.changes(self.setup, self.start.stages)

    def run(self, observers: Sequence[object] = ()) -> Outcome:
        """Train to the end, or until Ctrl-C, and leave everything the run directory promises.

        Raises:
            UsageError: an observer would never be called.
            GANForgeError: the runs directory cannot be written, or a strategy misbehaved; what was trained is saved.
            StoppedAtOnce: Ctrl-C came twice.
        """
        setup, start, stopping = self.setup, self.start, threading.Event()
        choices = setup.choices
        audience = Audience(choices.strategies, (*choices.observers, *check_observers(observers)), choices.loggers)
        stopwatch = Stopwatch(start.seconds)
        stages = record.with_changes(setup, start.stages, start.step)
        recorder = start.recorder or Recorder.create(setup, stages)
        early = EarlyEnd.of(setup, start.early_end, start.step)
        loop = Loop(setup, recorder, audience, stopping, stopwatch, start.step, stages, early)
        try:
            settings = setup.settings.model_dump_json(exclude={"data", "runs_dir"})  # where things are may differ
            begun = {"the pictures": setup.images.fingerprint, "the settings": settings, "the step": str(start.step)}
            begin_alike(setup.engine, begun)
            with stop_on_signals(stopping):
                if start.recorder:
                    recorder.take_up(stages, start.step, start.seconds)
                state = loop.run()
                recorder.write_trained()
                loop.end(state)
                animation = recorder.draw_products()
                with suppress(PeerLost):  # the first one is waited for: torchrun ends all once one has failed
                    setup.engine.adapter.team.any(False)
        except KeyboardInterrupt as error:
            loop.give_up("stopped")
            raise StoppedAtOnce(recorder.directory) from error
        except BaseException as error:
            loop.give_up("failed")
            if explanation := explained(error, recorder.directory, loop.saved_step):
                raise explanation from error
            raise
        finally:
            recorder.release()
        snapshots = list_snapshots(recorder.directory)
        return Outcome(
            run=recorder.directory,
            state=state,
            step=loop.step,
            epoch=loop.step // setup.steps_per_epoch,
            images_per_second=loop.images_per_second,
            seconds=stopwatch.seconds(),
            snapshot=snapshots[-1][1] if snapshots else None,
            animation=animation,
            early=loop.met,
        )
