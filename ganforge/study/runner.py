"""Carrying out a study: each run in a process of its own, several at a time; finished runs are kept."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.files import read_json, write_json
from ganforge.plugin.trust import PluginFile, named_by_text, require
from ganforge.runs import ended_early, read_manifest
from ganforge.runs.evaluation import read_evaluation
from ganforge.study.executors import Executor, Worker
from ganforge.study.executors.local import LocalExecutor
from ganforge.study.plan import Entry, Study
from ganforge.study.search import Trial, require_optuna
from ganforge.study.searching import Searching, read_search_record
from ganforge.training.interruption import hearing_signals

ENDED = ("done", "pruned")  # what needs nothing more
STOPPED = (-15, -1)  # by a signal that came before there was anything to save, or while it was measured


@dataclass
class Row:
    """How one run of the study is: ``state`` is waiting, queued, running, measuring, done, pruned, stopped or failed.

    ``trial`` is what the search knows of it, where it is one of a search's.
    """

    entry: Entry
    state: str = "waiting"
    run: Path | None = None
    step: int = 0
    steps: int = 0
    metrics: dict[str, float] = field(default_factory=dict)
    error: str = ""
    trial: Trial | None = None


class StudyRunner:
    """Runs a study's entries in ``runs_dir``, ``jobs`` at a time; ``rows`` says at any moment how it stands.

    Where the study searches, a place that has no other run left takes the next trial; ``rows`` grows by it.

    Which run belongs to which entry stands in ``NAME.study.json`` beside the runs, with the settings it was made
    with: an entry whose settings changed gets a new run. ``evaluate``: measure each run when it is done.
    ``executor`` says where they are trained, on this machine by default. ``plugins`` are the files that a person
    gives.
    """

    def __init__(
        self,
        study: Study,
        runs_dir: Path,
        jobs: int = 1,
        evaluate: bool = True,
        samples: int | None = None,
        executor: Executor | None = None,
        plugins: Sequence[PluginFile] = (),
    ) -> None:
        self.study, self.runs_dir, self.jobs = study, runs_dir, jobs
        self.evaluate, self.samples, self.plugins = evaluate, samples, plugins
        self.executor = executor or LocalExecutor(jobs)
        self.index = study_path(study.name, runs_dir)
        self.known = _read_index(self.index)
        record = read_search_record(self.index)
        self.other = {"search": record} if record else {}  # what a study that does not search keeps as it is
        self.searching = None if study.search is None else Searching.of(study, self.index, self.known)
        self.rows = [Row(entry) for entry in study.entries]
        if self.searching:
            if not evaluate:
                raise UsageError(f"the search of the study {study.name} needs metrics; leave out --no-evaluate")
            self.rows += [Row(self.searching.entry(trial), trial=trial) for trial in self.searching.trials]
        self._lock = threading.Lock()
        self._queue = list(self.rows)
        self._workers: set[Worker] = set()
        self._busy, self._ended = 0, threading.Event()
        self.stopping = False
        for row in self.rows:
            self._look(row)
            if self.searching and row.trial and row.state == "done" != row.trial.state:  # ended with this process
                self.searching.ended(row.trial, row.state, row.run)

    def look_first(self) -> list[str]:
        """Fail entries that cannot be carried out now, not after hours of other runs; return a line for each.

        Raises:
            GANForgeError: something that the search would try is wrong, or its extra is missing.
        """
        from ganforge.training.config import TrainConfig
        from ganforge.training.first import look_first

        seen: dict[str, GANForgeError | None] = {}  # runs that differ in the seed alone are all right, or none is

        def look(entry: Entry) -> None:
            settings = {**entry.settings, "runs_dir": str(self.runs_dir)}
            alike = json.dumps({**settings, "seed": None}, sort_keys=True, default=str)
            if alike not in seen:
                try:
                    look_first(TrainConfig.of(settings), self._plugins(entry))
                    seen[alike] = None
                except GANForgeError as error:
                    seen[alike] = error
            if (error_of := seen[alike]) is not None:
                raise error_of

        lines = []
        for row in self.rows:
            if row.state in ENDED or row.trial:
                continue
            try:
                look(row.entry)
            except GANForgeError as error:
                row.state, row.error = "failed", str(error)
                lines.append(f"{row.entry.name}: {error}")
        if self.searching:
            require_optuna()
            for entry in self.searching.probes():
                look(entry)
        return lines

    def run(self, changed: Callable[[], None] | None = None) -> bool:
        """Do the remaining runs; ``changed`` is called often, on this thread. Return whether every run is done.

        Ctrl-C, SIGTERM or a lost terminal asks the running ones to save, waits for them and raises
        ``KeyboardInterrupt``; the second time they end at once.
        """
        self.runs_dir.mkdir(parents=True, exist_ok=True)
        self._save_index()
        self._queue = [row for row in self.rows if row.state not in (*ENDED, "failed")]
        more = self.searching.left if self.searching else 0
        places = range(min(self.jobs, len(self._queue) + more))
        self._busy = len(places)
        for place in places:
            threading.Thread(target=self._work, args=(place,), daemon=True).start()
        asked: list[int] = []
        interrupted = 0
        with hearing_signals(asked.append):
            # Not Thread.join: one that a signal interrupts takes a running thread for ended (CPython 3.11).
            while self._busy:
                try:
                    self._ended.wait(0.25)
                    if changed:
                        changed()
                except KeyboardInterrupt:
                    asked.append(1)
                while interrupted < len(asked):
                    self.stopping = True
                    for worker in list(self._workers):
                        worker.interrupt(again=interrupted > 0)
                    interrupted += 1
        if self.searching:
            self.searching.sum_up()
            self._save_index()
        if changed:
            changed()
        if interrupted:
            raise KeyboardInterrupt
        return all(row.state in ENDED for row in self.rows)

    # ------------------------------------------------------------------ one run

    def _plugins(self, entry: Entry) -> tuple[PluginFile, ...]:
        """Return the plugin files that a run may load: a study file may come from elsewhere, and is only text."""
        named = entry.settings.get("plugins", ())
        return require(named_by_text(named, self.plugins, f"the study {self.study.name}"))

    def _look(self, row: Row) -> None:
        """Find the run that was made for this entry before, and whether anything is left to do."""
        known = self.known.get(row.entry.name)
        if not known or known.get("settings") != _comparable(row.entry):
            return
        run = self.runs_dir / known["run"]
        try:
            manifest = read_manifest(run)
            progress, state = manifest["progress"], manifest["state"]
            row.step, row.steps = progress["step"], progress["steps"]
        except GANForgeError:
            return
        row.run = run
        row.metrics = dict(manifest.get("metrics") or {})
        target = row.entry.stages[-1] if row.entry.stages else progress["epochs"]
        finished = state == "finished" and (progress["epoch"] >= target or bool(ended_early(manifest)))
        evaluation = read_evaluation(run)
        measured = not self.evaluate or (
            evaluation is not None and evaluation["step"] == progress["step"] and "failed" not in evaluation
        )
        row.state = "done" if finished and measured else "waiting"
        if row.trial and row.trial.state == "pruned":
            row.state = "pruned"

    def _work(self, place: int) -> None:
        try:
            self._take_turns(place)
        finally:
            with self._lock:
                self._busy -= 1
                if not self._busy:
                    self._ended.set()

    def _take_turns(self, place: int) -> None:
        while not self.stopping:
            with self._lock:
                if not self._queue and self.searching and self.searching.left:
                    trial = self.searching.next()
                    self.rows.append(Row(self.searching.entry(trial), trial=trial))
                    self._queue.append(self.rows[-1])
                    self._save_index()
                if not self._queue:
                    return
                row = self._queue.pop(0)
            try:
                self._carry_out(row, place)
            except Exception as error:
                row.state, row.error = "failed", reason(error)
            if self.searching and row.trial:
                with self._lock:
                    self.searching.ended(row.trial, row.state, row.run)
                    if row.trial.state != row.state == "done":
                        row.state, row.error = "failed", f"{self.searching.search.metric} could not be measured"
                    self._save_index()

    def _carry_out(self, row: Row, place: int) -> None:
        row.state, row.error = "running", ""
        if row.trial:
            row.trial.state = "running"
        run = row.run if row.run and any((row.run / "checkpoints").glob("step_*")) else None
        task = {
            "settings": {**row.entry.settings, "runs_dir": str(self.runs_dir)},
            "plugins": [one.record for one in self._plugins(row.entry)],
            "stages": list(row.entry.stages),
            "run": str(run) if run else None,
            "evaluate": self.evaluate,
            "samples": self.samples,
            "needs": row.entry.needs,
        }
        worker = self.executor.start(task, place)
        self._workers.add(worker)
        try:
            for said in worker.reports():
                self._hear(row, said)
                if "seen" in said and row.trial and self._prunes(row.trial, said["seen"]):
                    worker.interrupt(again=False)
            code = worker.wait()
        except BaseException:  # nobody listens to it any more
            worker.interrupt(again=True)
            worker.wait()
            raise
        finally:
            self._workers.discard(worker)
        if code == 0:
            row.state = "done"
        elif row.trial and row.trial.state == "pruned" and code in (130, -2, *STOPPED):
            row.state = "pruned"
        elif code in (130, -2) or (self.stopping and code in STOPPED):
            row.state = "stopped"
        else:
            row.state = "failed"
            ended = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            row.error = row.error or f"the process {ended}" + (" (out of memory?)" if code == -9 else "")

    def _hear(self, row: Row, said: dict[str, Any]) -> None:
        if "run" in said and (row.run is None or row.run != Path(said["run"])):
            row.run = Path(said["run"])
            with self._lock:
                self.known[row.entry.name] = {"run": row.run.name, "settings": _comparable(row.entry)}
                self._save_index()
        row.step, row.steps = said.get("step", row.step), said.get("steps", row.steps)
        row.error = said.get("error", row.error)
        row.state = said.get("doing", row.state)
        row.metrics.update({k: v for k, v in said.items() if isinstance(v, float)})

    def _prunes(self, trial: Trial, seen: Sequence[tuple[int, float]]) -> bool:
        """Take what a trial saw of itself, (step, value) each; return whether it ends here, once."""
        assert self.searching is not None
        with self._lock:
            was = trial.state
            trial.state = self.searching.look(trial, [value for _, value in seen])
            return was != trial.state

    def _save_index(self) -> None:
        about = {"name": self.study.name, "description": self.study.description, "entries": self.known}
        search = {"search": self.searching.record} if self.searching else self.other
        write_json(self.index, {"format": 1, **about, **search})


def study_path(name: str, runs_dir: Path) -> Path:
    """Return the file in which a study keeps which run belongs to which entry."""
    return runs_dir / f"{name}.study.json"


def study_runs(name: str, runs_dir: Path) -> list[tuple[str, Path]] | None:
    """Return (entry, run directory) for a study carried out in ``runs_dir``, or None if there is no such study."""
    path = study_path(name, runs_dir)
    if not path.is_file():
        return None
    runs = [(entry, runs_dir / about["run"]) for entry, about in _read_index(path).items()]
    return [(entry, run) for entry, run in runs if (run / "run.json").is_file()]


def _read_index(path: Path) -> dict[str, dict[str, Any]]:
    if not path.is_file():
        return {}
    index = read_json(path)
    entries = index.get("entries") if isinstance(index, dict) else None
    if not isinstance(entries, dict) or not all(map(_is_entry, entries.values())):
        raise GANForgeError(f"{path} is damaged; move it away to start the study afresh")
    return entries


def _is_entry(about: Any) -> bool:
    """Say whether an index entry names a run beside it; a path could lead anywhere."""
    run = about.get("run") if isinstance(about, dict) else None
    return isinstance(run, str) and re.fullmatch(r"run_[0-9]{1,18}", run) is not None


def _comparable(entry: Entry) -> dict[str, Any]:
    """Return what makes an entry the same run: its settings as JSON gives them back."""
    settings: dict[str, Any] = json.loads(json.dumps({**entry.settings, "stages": list(entry.stages)}))
    return settings
