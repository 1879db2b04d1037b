"""Workers as jobs of Slurm, by submitit: queued there, and queued again where they are preempted or run out of time.

A job needs no more of the machine that asked than the disk they share. What the worker says goes into a file beside
the runs, one line of JSON each; a file beside that, once it is there, asks the job to save and end.
"""

from __future__ import annotations

import importlib.util
import json
import logging
import os
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, reason
from ganforge.study.executors.local import LocalWorker, with_threads

FOLDER = ".slurm"  # in the runs directory: what was submitted, and what it said
MINUTES = 240  # that a job may run at a time, unless the study file says otherwise
TIMEOUTS = 1000  # how often one may run out of them: each time it saves, and goes on
LOOK = 0.5  # seconds between two looks at a file
KILL_WAIT = 40.0  # seconds; Slurm's own, between its SIGTERM and its SIGKILL, is 30
UNASKED = (130, -15)  # how a worker ends that a signal stopped


class Job:
    """A run as a job: it is pickled, called on the machine that it was given to, and again after each preemption."""

    def __init__(self, task: dict[str, Any], cpus: int, said: Path) -> None:
        self.task, self.cpus, self.said = task, cpus, said
        self._worker: LocalWorker | None = None
        self._reader: threading.Thread | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_worker": None, "_reader": None}

    def __call__(self) -> int:
        """Train, and return the worker's exit code."""
        while True:
            code = self._work()
            if code not in UNASKED or stop_file(self.said).exists():
                return code
            _write(self.said, {"doing": "queued"})
            time.sleep(KILL_WAIT)  # who stopped it is about to end this job too, which then is queued again

    def checkpoint(self) -> Any:
        """Save, and return what goes on with the run once it is queued again: submitit asks, when Slurm does."""
        from submitit.helpers import DelayedSubmission

        if self._worker and self._reader:
            self._worker.interrupt(again=False)
            self._read_out(self._reader)
            self._worker.wait()
        _write(self.said, {"doing": "queued"})
        return DelayedSubmission(self)

    def _work(self) -> int:
        begun = [said["run"] for said in read_on(self.said, 0)[0] if "run" in said]
        task = {**self.task, "run": begun[-1] if begun else self.task["run"]}
        self._worker = worker = LocalWorker(task, with_threads(dict(os.environ), self.cpus))

        def pass_on() -> None:
            for said in worker.reports():
                _write(self.said, said)

        self._reader = threading.Thread(target=pass_on, daemon=True)
        self._reader.start()
        self._read_out(self._reader)
        return worker.wait()

    def _read_out(self, reader: threading.Thread) -> None:
        """Wait until all is read; meanwhile the main thread hears signals, one of which may wait here as well."""
        asked = False
        while reader.is_alive():
            time.sleep(LOOK)
            if not asked and self._worker and stop_file(self.said).exists():
                asked = True
                self._worker.interrupt(again=False)


def _write(said: Path, line: dict[str, Any]) -> None:
    with open(said, "a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")


def read_on(said: Path, start: int) -> tuple[list[dict[str, Any]], int]:
    """Return the whole lines of a file of reports from a byte on, and the byte after them."""
    try:
        with open(said, "rb") as file:
            file.seek(start)
            text = file.read()
    except FileNotFoundError:
        return [], start
    whole = text[: text.rfind(b"\n") + 1]
    found = []
    for line in whole.splitlines():
        with suppress(ValueError):  # what was cut off with its machine
            found.append(json.loads(line))
    return found, start + len(whole)


def stop_file(said: Path) -> Path:
    """Return the file that asks a job to save and end."""
    return said.with_suffix(".stop")


class SlurmWorker:
    """A run as a job, seen from the machine that submitted it."""

    def __init__(self, job: Any, said: Path) -> None:
        self._job, self._said = job, said
        self._told: list[bool] = []
        self._begun = False
        self._cancelled: float | None = None

    def _is_cancelled(self) -> bool:
        """Say whether it was cancelled a while ago: where Slurm keeps no accounts, nobody says that it is over."""
        return self._cancelled is not None and time.monotonic() - self._cancelled > KILL_WAIT

    def reports(self) -> Iterator[dict[str, Any]]:
        yield {"doing": "queued"}
        at, ended = 0, False
        while True:
            found, at = read_on(self._said, at)
            self._begun = self._begun or bool(found)
            yield from found
            if ended:
                return
            ended = self._job.done() or self._is_cancelled()  # what it said before that is read once more
            if not ended:
                time.sleep(LOOK)

    def wait(self) -> int:
        if self._cancelled is not None:
            return 130
        try:
            return int(self._job.result())
        except Exception as error:
            if self._told:
                return 130
            raise GANForgeError(f"job {self._job.job_id} ended with {self._job.state}: {reason(error)}") from None

    def interrupt(self, again: bool) -> None:
        self._told.append(again)
        if again or not self._begun:
            self._job.cancel(check=False)
            self._cancelled = time.monotonic()
        else:
            stop_file(self._said).touch()


class SlurmExecutor:
    """Submits workers to a partition of Slurm, to the default one where none is named; the rest is sbatch's own.

    ``cluster`` is submitit's: ``slurm``, or ``local`` for jobs as processes of this machine.
    """

    def __init__(self, partition: str, runs_dir: Path, cluster: str = "slurm") -> None:
        if importlib.util.find_spec("submitit") is None:
            raise GANForgeError("--on slurm needs the slurm extra: pip install 'ganforge[slurm]'")
        import submitit

        logging.getLogger("submitit").setLevel(logging.ERROR)  # its asides would stand in the table
        self._folder = (runs_dir / FOLDER).absolute()
        self._lock = threading.Lock()
        try:
            self._executor = submitit.AutoExecutor(
                self._folder, cluster=cluster, slurm_max_num_timeout=TIMEOUTS, local_max_num_timeout=TIMEOUTS
            )
        except RuntimeError as error:
            raise GANForgeError(f"--on slurm: {reason(error, kind=False)}") from None
        if partition:
            self._executor.update_parameters(slurm_partition=partition)
        if cluster == "slurm":  # a machine that fails is no reason to give up either
            self._executor.update_parameters(slurm_additional_parameters={"requeue": True})

    def start(self, task: dict[str, Any], place: int) -> SlurmWorker:
        needs = task["needs"]
        cpus = needs.get("cpus", 1)
        said = self._folder / f"{secrets.token_hex(8)}.jsonl"
        with self._lock:
            self._executor.update_parameters(
                name="ganforge",
                timeout_min=needs.get("minutes", MINUTES),
                cpus_per_task=cpus,
                gpus_per_node=needs.get("gpus", 0),
            )
            job = self._executor.submit(Job(task, cpus, said))
        return SlurmWorker(job, said)

    def close(self) -> None:
        """Leave nothing behind: what jobs said is read."""
