"""One run of a study in a process of its own: ``python -m ganforge.study.worker``.

It reads one line of JSON from its standard input, trains (or resumes) and evaluates, and writes one JSON object a
line about how far it is. Its parent survives whatever happens to it. Where the task says ``tied``, the end of its
standard input is the end of whoever asked: it saves and ends, so that another can go on with the run.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from pathlib import Path
from typing import Any

from ganforge import hookimpl

PATIENCE = 60.0  # seconds: who had a run before may still be saving it, or a network disk may not know yet
GRACE = 30.0  # seconds to save in, once whoever asked is gone
SHOWN = ("d_loss", "g_loss", "d_real", "d_fake", "d_accuracy", "images_per_second")


class Reporter:
    """An observer that writes down where the run is, at most a few times a second."""

    def __init__(self, stream: Any) -> None:
        self.stream, self.said = stream, 0.0
        self.metrics: dict[str, float] = {}
        self.run: Path | None = None
        self.looks = False

    def tell(self, **what: Any) -> None:
        self.stream.write(json.dumps(what) + "\n")
        self.stream.flush()

    @hookimpl
    def run_started(self, run: Any) -> None:
        self.run = run.directory
        self.tell(run=str(run.directory), step=run.start_step, steps=run.steps, doing="running")

    @hookimpl
    def snapshot_taken(self) -> None:
        self.looks = True  # what the run then sees of itself stands in run.json when its next step ends

    @hookimpl
    def run_ended(self) -> None:
        self._tell_seen()

    def _tell_seen(self) -> None:
        """Tell what the run has measured of itself at its snapshots (``--stop-when``), from its first step on."""
        from ganforge.runs import read_manifest

        self.looks = False
        if self.run and (early := read_manifest(self.run).get("early_end")):
            seen = [[one["step"], one["value"]] for one in early["seen"] if one["value"] is not None]
            self.tell(seen=seen)

    @hookimpl
    def step_ended(self, step: Any) -> None:
        if self.looks:
            self._tell_seen()
        if step.metrics:
            self.metrics = {k: v for k, v in step.metrics.items() if k in SHOWN}
        done, now = step.progress.step + 1, time.perf_counter()
        if now - self.said > 0.5 or done == step.progress.steps:
            self.said = now
            self.tell(step=done, steps=step.progress.steps, **self.metrics)


def main() -> int:
    """Do what standard input asks for; the exit code is that of ``ganforge train``."""
    from ganforge.errors import GANForgeError, reason

    task = json.loads(sys.stdin.readline())
    if task.get("tied"):
        threading.Thread(target=_end_with, args=(sys.stdin.fileno(),), daemon=True).start()
    # What libraries print must not be taken for a report.
    stream, sys.stdout = os.fdopen(os.dup(1), "w", encoding="utf-8"), sys.stderr
    os.dup2(2, 1)  # nor what they print without Python
    reporter = Reporter(stream)
    try:
        return _work(task, reporter)
    except GANForgeError as error:
        reporter.tell(error=str(error))
        return error.exit_code
    except KeyboardInterrupt:
        return 130
    except Exception as error:
        reporter.tell(error=reason(error))
        return 1


def _end_with(asker: int) -> None:
    """Save and end, as at Ctrl-C, once nobody can write to the pipe ``asker`` any more."""
    while os.read(asker, 4096):
        pass
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(GRACE)
    os._exit(130)


def _wait_for(run: Path, reporter: Reporter) -> None:
    """Wait a while for a process that still has the run; ``resume`` says so where it stays."""
    from ganforge.runs.lock import is_locked

    until = time.monotonic() + PATIENCE
    while is_locked(run) and time.monotonic() < until:
        reporter.tell(doing="waiting")
        time.sleep(1)


def _work(task: dict[str, Any], reporter: Reporter) -> int:
    from ganforge.plugin.trust import handed_over
    from ganforge.runs import ended_early, read_manifest
    from ganforge.training.config import TrainConfig
    from ganforge.training.resume import resume
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Trainer

    run = Path(task["run"]) if task["run"] else None
    plugins = handed_over(task["plugins"])
    # None stands for a new run, or for what is left of one that was cut off.
    for epochs in task["stages"] or [None]:
        if run is None:
            outcome = Trainer(Setup.new(TrainConfig.of(task["settings"]), plugins=plugins)).run([reporter])
        else:
            manifest = read_manifest(run)
            progress = manifest["progress"]
            if ended_early(manifest):
                break
            if progress["step"] >= progress["steps"] and (epochs or 0) <= progress["epochs"]:
                continue
            reporter.tell(run=str(run))
            _wait_for(run, reporter)
            further = epochs if epochs and epochs > progress["epochs"] else None
            outcome = resume(run, epochs=further, plugins=plugins).run([reporter])
        run = outcome.run
        if outcome.state == "stopped":
            return 130
    if task["evaluate"]:
        from ganforge import Run
        from ganforge.study.evaluate import evaluate

        assert run is not None  # there was a stage, if only one
        reporter.tell(run=str(run), doing="measuring")
        evaluate(Run(run, plugins=plugins), samples=task["samples"])
    return 0


if __name__ == "__main__":
    sys.exit(main())
