"""A search by Optuna: what to try next, which trial to end, and what mattered.

All that is known stands in ``NAME.study.json``; each question is asked of an Optuna study made of that, so that the
answer is a function of the file, the seed and the number of the trial, and a search that was cut off goes on as if it
had not been.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.errors import GANForgeError
from ganforge.study.space import Axis, Median, Search, Tpe

if TYPE_CHECKING:
    import optuna
    from optuna.distributions import BaseDistribution
    from optuna.pruners import BasePruner
    from optuna.samplers import BaseSampler


@dataclass
class Trial:
    """A trial: its values, its state (running, done, pruned or failed), its metric at snapshots, and its result."""

    number: int
    params: dict[str, Any]
    state: str = "running"
    value: float | None = None
    seen: list[float] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The name of its run in the study."""
        return f"trial {self.number}"

    @property
    def record(self) -> dict[str, Any]:
        """What the study's file keeps of it."""
        return asdict(self)

    @classmethod
    def of(cls, record: Mapping[str, Any]) -> Trial:
        """Return a trial from what the study's file keeps. Raises ``GANForgeError`` where that is damaged."""
        try:
            seen = [float(value) for value in record["seen"]]
            value = record["value"] if record["value"] is None else float(record["value"])
            return cls(int(record["number"]), dict(record["params"]), str(record["state"]), value, seen)
        except (KeyError, TypeError, ValueError):
            raise GANForgeError(
                "a trial in the study's file is damaged; move the file away to start afresh"
            ) from None


def require_optuna() -> None:
    """Raise ``GANForgeError`` where the extra is missing."""
    if any(importlib.util.find_spec(name) is None for name in ("optuna", "sklearn")):
        raise GANForgeError("[search] needs the search extra: pip install 'ganforge[search]'")


def suggest(search: Search, known: Sequence[Trial]) -> Trial:
    """Return the next trial, numbered after the existing ones."""
    number = len(known)
    study = _study(search, known, _sampler(search, number))
    chosen = study.ask(_distributions(search.space)).params
    return Trial(number, {name: chosen[name] for name in search.space})


def prunes(search: Search, known: Sequence[Trial], trial: Trial) -> bool:
    """Say whether a running trial should end, from its own and the others' metrics at snapshots."""
    if search.pruner == "none" or not trial.seen:
        return False
    others = [one for one in known if one.number != trial.number]
    study = _study(search, others)
    study.add_trial(_frozen(search, trial))
    return bool(_pruner(search).prune(study, study.trials[-1]))


def importances(search: Search, known: Sequence[Trial]) -> dict[str, float]:
    """Return which share of the metric's variance each name explains, the largest first: functional ANOVA.

    Empty if fewer than four trials were trained to the end, or all had the same result. Source: Hutter,
    Hoos, Leyton-Brown 2014, ICML.
    """
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    values = {trial.value for trial in known if trial.state == "done"}
    if len([trial for trial in known if trial.state == "done"]) < 4 or len(values) < 2:
        return {}
    found = get_param_importances(_study(search, known), evaluator=FanovaImportanceEvaluator(seed=0))
    return {name: float(share) for name, share in found.items()}


def _study(search: Search, known: Sequence[Trial], sampler: BaseSampler | None = None) -> optuna.Study:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    direction = optuna.study.StudyDirection.MINIMIZE if search.falling else optuna.study.StudyDirection.MAXIMIZE
    study = optuna.create_study(direction=direction, sampler=sampler, pruner=_pruner(search), study_name="search")
    study.add_trials([_frozen(search, trial) for trial in known])
    return study


def _frozen(search: Search, trial: Trial) -> optuna.trial.FrozenTrial:
    from optuna.trial import TrialState, create_trial

    states = {"done": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    state = states.get(trial.state, TrialState.RUNNING)
    return create_trial(
        state=state,
        value=trial.value if state == TrialState.COMPLETE else None,
        params=trial.params,
        distributions=_distributions(search.space),
        intermediate_values=dict(enumerate(trial.seen)),
    )


def _distributions(space: Mapping[str, Axis]) -> dict[str, BaseDistribution]:
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    found: dict[str, BaseDistribution] = {}
    for name, axis in space.items():
        if axis.choices:
            found[name] = CategoricalDistribution(list(axis.choices))
        elif axis.kind == "int":
            found[name] = IntDistribution(int(axis.low), int(axis.high), log=axis.log, step=int(axis.step or 1))
        else:
            found[name] = FloatDistribution(axis.low, axis.high, log=axis.log, step=axis.step)
    return found


def _sampler(search: Search, number: int) -> BaseSampler:
    """Return a sampler whose random numbers are a function of the seed and of the trial's number."""
    import optuna

    options: Any = search.sampler_options
    seed = int(np.random.SeedSequence([options.seed, number]).generate_state(1)[0])
    if isinstance(options, Tpe):
        return optuna.samplers.TPESampler(seed=seed, n_startup_trials=options.startup)
    return optuna.samplers.RandomSampler(seed=seed)


def _pruner(search: Search) -> BasePruner:
    import optuna

    options = search.pruner_options
    if isinstance(options, Median):
        return optuna.pruners.PercentilePruner(
            options.keep, n_startup_trials=options.startup, n_warmup_steps=options.warmup
        )
    return optuna.pruners.NopPruner()
