"""A search while it is carried out: which trials there are, and what is known of each."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError
from ganforge.files import read_json
from ganforge.runs.evaluation import read_evaluation
from ganforge.study.plan import Entry, Study
from ganforge.study.search import Trial, importances, prunes, suggest
from ganforge.study.space import Search


@dataclass
class Searching:
    """The search of a study. ``asked`` is what it is about: another one begins anew."""

    study: Study
    search: Search
    asked: dict[str, Any]
    trials: list[Trial] = field(default_factory=list)
    mattered: dict[str, float] = field(default_factory=dict)

    @classmethod
    def of(cls, study: Study, index: Path, entries: dict[str, Any]) -> Searching:
        """Take up the search of a study; ``entries`` is what its file knows of runs, and forgets those of another.

        Raises:
            GANForgeError: what its file says of trials is damaged.
        """
        search = study.search
        assert search is not None
        found = cls(study, search, _about(study, search))
        known = read_search_record(index)
        if known.get("asked") == found.asked:
            found.trials = [Trial.of(record) for record in known["trials"]]
            found.mattered = dict(known.get("mattered") or {})
        else:
            for record in known.get("trials", []):
                entries.pop(Trial.of(record).name, None)
        return found

    @property
    def left(self) -> int:
        """How many trials are still to be made."""
        return max(0, self.search.trials - len(self.trials))

    @property
    def record(self) -> dict[str, Any]:
        """What the study's file keeps."""
        return {
            "asked": self.asked,
            "metric": self.search.metric,
            "falling": self.search.falling,
            "trials": [trial.record for trial in self.trials],
            "mattered": self.mattered,
        }

    def entry(self, trial: Trial) -> Entry:
        """Return the run that a trial is."""
        return self.study.trial({**self.search.table(trial.params), "name": trial.name})

    def probes(self) -> list[Entry]:
        """Return runs that have every choice once."""
        return [self.study.trial({**table, "name": "a trial"}) for table in self.search.probes]

    def next(self) -> Trial:
        """Choose another trial."""
        self.trials.append(suggest(self.search, self.trials))
        return self.trials[-1]

    def look(self, trial: Trial, seen: list[float]) -> str:
        """Take what a trial saw of itself so far; return how it is now: running or pruned."""
        trial.seen = seen
        ends = trial.state == "pruned" or prunes(self.search, self.trials, trial)
        return "pruned" if ends else trial.state

    def ended(self, trial: Trial, state: str, run: Path | None) -> None:
        """Take how a trial's run ended, and what was measured of it. One that was stopped goes on another time."""
        if state == "stopped":
            trial.state = "running"
            return
        trial.state = state
        if state == "done":
            trial.value = self.search.value(read_evaluation(run) if run else None)
            trial.state = "failed" if trial.value is None else "done"

    def sum_up(self) -> None:
        """Find out what mattered."""
        self.mattered = importances(self.search, self.trials)


def read_search_record(index: Path) -> dict[str, Any]:
    """Return what a study's file keeps of its search; nothing where it has none. Raises where it is damaged."""
    if not index.is_file():
        return {}
    value = read_json(index)
    found = value.get("search") if isinstance(value, dict) else None
    if found is None:
        return {}
    if not isinstance(found, dict) or not isinstance(found.get("trials"), list):
        raise GANForgeError(f"{index} is damaged; move it away to start the study afresh")
    return found


def _about(study: Study, search: Search) -> dict[str, Any]:
    """Return all that a search is about but for how many trials it has, as JSON gives it back."""
    about = {
        "metric": search.metric,
        "sampler": [search.sampler, search.sampler_options.model_dump()],
        "pruner": [search.pruner, search.pruner_options.model_dump()],
        "space": {
            name: replace(axis, choices=dict(axis.choices) if axis.choices else None).__dict__
            for name, axis in search.space.items()
        },
        "first": study.trial({**search.probes[0], "name": "first"}).settings,
    }
    found: dict[str, Any] = json.loads(json.dumps(about))
    return found
