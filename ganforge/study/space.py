"""``[search]`` of a study file: what is tried, the metric to improve, what ends a trial early. No Optuna here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import Field

from ganforge.errors import UsageError, closest, shown
from ganforge.plugin.options import Options, make_options, parse_spec
from ganforge.training.config import TrainConfig

OWN = ("trials", "metric", "sampler", "pruner", "space")
# What a run can measure of itself as it is trained, where evaluation.json has it, and whether less of it is better.
METRICS: dict[str, tuple[Sequence[tuple[str, str]], bool]] = {
    "swd": ((("swd", "mean"),), True),
    "tone": ((("tone", "distance"),), True),
    "kid": ((("kid", "value"),), True),
    "modes": ((("modes", "covered"), ("critters", "covered")), False),
}
NEVER = -1e9  # no metric is below it: a rule that looks and ends nothing


class Tpe(Options):
    """A tree-structured Parzen estimator (Bergstra et al. 2011)."""

    seed: int = Field(0, ge=0, description="random seed")
    startup: int = Field(10, ge=0, description="trials drawn at random before the sampler learns from results")


class Random(Options):
    """Draws each trial independently."""

    seed: int = Field(0, ge=0, description="random seed")


class Unpruned(Options):
    """Trains every trial to the end."""


class Median(Options):
    """Stops a trial whose best value is worse than the others' median at that snapshot (Golovin et al. 2017)."""

    startup: int = Field(5, ge=1, description="trials trained to the end before any is stopped")
    warmup: int = Field(0, ge=0, description="snapshots of a trial before it may be stopped")
    keep: float = Field(50, gt=0, lt=100, description="percentage of the trials that may continue")


SAMPLERS: dict[str, type[Options]] = {"tpe": Tpe, "random": Random}
PRUNERS: dict[str, type[Options]] = {"none": Unpruned, "median": Median}


@dataclass(frozen=True)
class Axis:
    """The values that one name may take: a number from ``low`` to ``high``, or one of ``choices``, by their texts."""

    kind: Literal["int", "float", "choice"]
    low: float = 0
    high: float = 0
    log: bool = False
    step: float | None = None
    choices: Mapping[str, Any] | None = None

    @property
    def first(self) -> Any:
        return next(iter(self.choices)) if self.choices else self.low


@dataclass(frozen=True)
class Search:
    """A search over settings. ``fixed`` are those of every trial; ``{name}`` in them is replaced from ``space``."""

    trials: int
    metric: str
    space: Mapping[str, Axis]
    fixed: Mapping[str, Any]
    sampler: str
    sampler_options: Options
    pruner: str
    pruner_options: Options

    @property
    def falling(self) -> bool:
        """Whether less of the metric is better."""
        return METRICS[self.metric][1]

    def value(self, evaluation: Mapping[str, Any] | None) -> float | None:
        """Return the metric from the contents of a run's ``evaluation.json``; None if it has no such number."""
        for part, name in METRICS[self.metric][0]:
            value = ((evaluation or {}).get(part) or {}).get(name)
            if isinstance(value, (int, float)) and math.isfinite(value):
                return float(value)
        return None

    def table(self, params: Mapping[str, Any]) -> dict[str, Any]:
        """Return a trial's settings, as a study file would write them; ``params`` has a value for each name."""
        chosen = {}
        for name, axis in self.space.items():
            chosen[name] = axis.choices[params[name]] if axis.choices else params[name]
        settings = {key: value for key, value in chosen.items() if key in TrainConfig.model_fields}
        settings = {**self.fixed, **settings}
        if self.pruner != "none" and "stop_when" not in settings:
            settings["stop_when"] = f"{self.metric}:below={NEVER:.0f}"  # so that the run measures itself
        others = {f"{{{key}}}": _text(value) for key, value in chosen.items() if key not in TrainConfig.model_fields}
        return {key: _filled(value, others) for key, value in settings.items()}

    @property
    def probes(self) -> list[dict[str, Any]]:
        """Settings that contain every choice once, so that mistakes in them are found before anything is trained."""
        first = {name: axis.first for name, axis in self.space.items()}
        more = [{**first, name: text} for name, axis in self.space.items() for text in list(axis.choices or ())[1:]]
        ends = {name: axis.high for name, axis in self.space.items() if not axis.choices}
        return [self.table(params) for params in (first, *more, *([{**first, **ends}] if ends else []))]


def read_search(table: Any, where: str) -> Search:
    """Read ``[search]``.

    ::

        [search]
        trials = 30
        metric = "swd"                      # or kid, tone, modes
        sampler = "tpe:seed=1,startup=10"   # or random
        pruner = "median:startup=5"         # or none
        epochs = 20                         # settings of every trial
        arch = "dcgan-3:width={width}"
        [search.space]
        learning-rate = { low = 1e-5, high = 1e-2, log = true }
        balance = ["none", "auto"]
        width = [16, 32]                    # not a setting: its values replace {width}

    Raises:
        UsageError: a name or value is wrong.
    """
    if not isinstance(table, dict):
        raise UsageError(f"{where} is invalid: expected a table")
    fixed = {key.replace("-", "_"): value for key, value in table.items() if key not in OWN}
    for name in fixed:
        if name not in TrainConfig.model_fields and (near := closest(name, OWN)):
            raise UsageError(f"{where}: there is no setting '{name}'.{near}")
    trials = table.get("trials", 20)
    if type(trials) is not int or trials < 1:
        raise UsageError(f"{where}: invalid trials = {shown(trials)}: expected a whole number, 1 or more")
    metric = table.get("metric")
    if metric not in METRICS:
        raise UsageError(f"{where}: invalid metric {shown(metric)}: expected {', '.join(METRICS)}")
    sampler, sampler_options = _chosen(table.get("sampler", "tpe"), "sampler", SAMPLERS, where)
    pruner, pruner_options = _chosen(table.get("pruner", "none"), "pruner", PRUNERS, where)
    space = table.get("space")
    if not isinstance(space, dict) or not space:
        raise UsageError(f"{where} has no [search.space]; expected the values to try, such as seed = [0, 1]")
    axes = {name.replace("-", "_"): _axis(value, f"{where}, {name}") for name, value in space.items()}
    texts = str([fixed, [axis.choices for axis in axes.values()]])
    for name in axes:
        if name in fixed:
            raise UsageError(f"{where}: {name} is both a setting of every trial and in the space; leave one out")
        if name not in TrainConfig.model_fields and f"{{{name}}}" not in texts:
            known = closest(name, TrainConfig.model_fields)
            raise UsageError(f"{where}: '{name}' is not a setting, and no setting contains {{{name}}}.{known}")
    if pruner != "none" and not str(fixed.get("stop_when", metric)).startswith(metric):
        raise UsageError(f"{where}: the pruner looks at {metric}, so the stop-when of the trials must as well")
    return Search(trials, metric, axes, fixed, sampler, sampler_options, pruner, pruner_options)


def _chosen(text: Any, what: str, known: Mapping[str, type[Options]], where: str) -> tuple[str, Options]:
    if not isinstance(text, str):
        raise UsageError(f"{where}: invalid {what} = {shown(text)}: expected {', '.join(known)}")
    spec = parse_spec(text)
    if spec.name not in known:
        near = closest(spec.name, known)
        raise UsageError(f"{where}: there is no {what} '{spec.name}'; expected {', '.join(known)}.{near}")
    return spec.name, make_options(f"{where}: the {what} '{spec.name}'", known[spec.name], spec.values)


def _axis(value: Any, where: str) -> Axis:
    if isinstance(value, list) and value:
        choices = {_text(one): one for one in value}
        if len(choices) < len(value):
            raise UsageError(f"{where}: a choice is given twice; expected each once")
        return Axis("choice", choices=choices)
    if not isinstance(value, dict):
        raise UsageError(f"{where}: invalid {shown(value)}: expected a list of values, or {{ low = …, high = … }}")
    for key in value:
        if key not in ("low", "high", "log", "step"):
            raise UsageError(f"{where}: there is no '{key}' in a range; expected low, high, log and step")
    log, step = value.get("log"), value.get("step")
    low: Any = value.get("low")
    high: Any = value.get("high")
    numbers = [low, high] if step is None else [low, high, step]
    numeric = all(type(one) in (int, float) and abs(one) < math.inf for one in numbers)
    if not numeric or log not in (None, True, False):
        raise UsageError(f"{where}: invalid range: expected numbers for low, high and step, true or false for log")
    if not low < high or (log and low <= 0) or (step is not None and (step <= 0 or log)):
        raise UsageError(
            f"{where}: invalid range: expected low below high, and a step above 0, or with log = true a low above 0 "
            "and no step"
        )
    whole = all(type(one) is int for one in numbers)
    return Axis("int" if whole else "float", low, high, bool(log), step)


def _text(value: Any) -> str:
    return " + ".join(map(str, value)) if isinstance(value, list) else str(value)


def _filled(value: Any, others: Mapping[str, str]) -> Any:
    """Return a setting with the names in it replaced, including names within the replacements."""
    if isinstance(value, (list, tuple)):
        return [_filled(one, others) for one in value]
    if isinstance(value, str):
        for _ in others:
            for name, text in others.items():
                value = value.replace(name, text)
    return value
