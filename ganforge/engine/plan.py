"""The host's plan of a step: every strategy's scalars, gathered into one vector for the device.

One float32 vector is one dynamic input, so that a changing scalar never causes a recompilation.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.calling import strategy_hooks
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.types import Progress

RATES = ("generator_lr", "discriminator_lr")
COUNTS = ("generator_steps", "discriminator_steps")
# Absolute values, for what an optimizer or the running mean has.
BETAS = ("generator_beta_1", "generator_beta_2", "discriminator_beta_1", "discriminator_beta_2")
SHARED = (*BETAS, "ema_decay")


class Plan:
    """One step's scalars.

    Attributes:
        rates: the learning rates.
        counts: how many updates each network makes.
        shared: those of ``SHARED`` that a strategy sets.
        own: each strategy's own scalars, by the strategy's name.
    """

    def __init__(
        self,
        rates: dict[str, float],
        counts: dict[str, int],
        shared: dict[str, float],
        own: dict[str, dict[str, float]],
    ) -> None:
        self.rates, self.counts, self.shared, self.own = rates, counts, shared, own

    @property
    def resting(self) -> frozenset[str]:
        """The networks without an update in this step."""
        return frozenset(side for side in ("generator", "discriminator") if self.counts[f"{side}_steps"] == 0)

    def flat(self) -> dict[str, float]:
        """Return everything under the names that ``metrics.jsonl`` uses."""
        scalars: dict[str, float] = {**self.rates, **self.counts, **self.shared}
        for strategy, values in self.own.items():
            scalars.update({f"{strategy}/{name}": value for name, value in values.items()})
        return scalars


class Planner:
    """Asks the strategies, in command-line order, for each step's scalars and lays them out in a vector.

    Args:
        learning_rate: that of both networks before the strategies' multipliers, or one for each, generator first.
        absent: those of ``SHARED`` that cannot be set, and why.
        one_stage: whether both networks learn from one pass, which allows only one update of each.
    """

    def __init__(
        self,
        strategies: Sequence[Strategy],
        learning_rate: float | tuple[float, float],
        absent: Mapping[str, str] | None = None,
        one_stage: bool = False,
    ) -> None:
        self.learning_rates = learning_rate if isinstance(learning_rate, tuple) else (learning_rate, learning_rate)
        self.scale, self.absent, self.one_stage = 1.0, absent or {}, one_stage
        self.hooks = [(s.name, strategy_hooks(s).get("plan_step")) for s in strategies]
        self.layout: dict[tuple[str, str], int] | None = None
        self._names: dict[str, tuple[str, ...]] = {}

    def plan(self, progress: Progress, signals: Mapping[str, float]) -> Plan:
        """Return the plan of one step.

        Raises:
            UsageError: two strategies set the same shared scalar, or one sets a scalar that this run lacks.
            GANForgeError: a strategy returned something that is not a number, or names that differ from before.
        """
        rates = {name: rate * self.scale for name, rate in zip(RATES, self.learning_rates)}
        counts = dict.fromkeys(COUNTS, 1)
        shared: dict[str, float] = {}
        own: dict[str, dict[str, float]] = {}
        owner: dict[str, str] = {}
        for strategy, hook in self.hooks:
            scalars = (hook(progress=progress, signals=_seen_by(strategy, signals)) if hook else None) or {}
            self._check_names(strategy, scalars)
            own[strategy] = {}
            for name, value in scalars.items():
                number = _number(strategy, name, value)
                if name in RATES:
                    rates[name] *= number
                elif name in COUNTS or name in SHARED:
                    self._claim(name, strategy, owner)
                    if name in COUNTS:
                        counts[name] = _count(strategy, name, number)
                    else:
                        shared[name] = _share(strategy, name, number)
                else:
                    own[strategy][name] = number
        self._check_counts(counts, owner)
        return Plan(rates, counts, shared, own)

    def _claim(self, name: str, strategy: str, owner: dict[str, str]) -> None:
        if name in owner:
            raise UsageError(f"'{owner[name]}' and '{strategy}' both set {name}; leave one of them out of --balance")
        if name in self.absent:
            raise UsageError(f"strategy '{strategy}' sets {name}, but {self.absent[name]}")
        owner[name] = strategy

    def _check_counts(self, counts: Mapping[str, int], owner: Mapping[str, str]) -> None:
        if not any(counts.values()):
            owners = " and ".join(sorted(set(owner.values())))
            raise GANForgeError(f"no update is left in a step: {owners} planned 0 for both networks")
        for name, count in counts.items():
            if self.one_stage and count != 1:
                raise UsageError(
                    f"--step one-stage does not apply: '{owner[name]}' plans {name}={count}, and both networks learn "
                    "at once; leave it out of --balance, or choose --step two-stage"
                )

    def _check_names(self, strategy: str, scalars: Mapping[str, Any]) -> None:
        names = tuple(sorted(scalars))
        before = self._names.setdefault(strategy, names)
        if names != before:
            raise GANForgeError(
                f"strategy '{strategy}' planned {', '.join(names) or 'nothing'} where it planned "
                f"{', '.join(before) or 'nothing'} before; plan_step must return the same names every step"
            )

    def vector(self, plan: Plan) -> np.ndarray:
        """Return the plan's float32 vector: the two learning rates, shared scalars, the strategies' own."""
        if self.layout is None:
            keys = [("", name) for name in plan.shared]
            keys += [(strategy, name) for strategy, values in plan.own.items() for name in values]
            self.layout = {key: len(RATES) + i for i, key in enumerate(keys)}
        values = list(plan.rates.values())
        values += [plan.own[strategy][name] if strategy else plan.shared[name] for strategy, name in self.layout]
        return np.asarray(values, dtype=np.float32)

    def controls(self, strategy: str, vector: Any) -> dict[str, Any]:
        """Return a strategy's own scalars as 0-d tensors, inside the compiled step; "" is the shared ones."""
        assert self.layout is not None
        return {name: vector[i] for (owner, name), i in self.layout.items() if owner == strategy}


def _seen_by(strategy: str, signals: Mapping[str, float]) -> Mapping[str, float]:
    """Return the signals, with a strategy's own measurements under the names that its hooks gave them."""
    prefix = f"{strategy}/"
    mine = {name.removeprefix(prefix): value for name, value in signals.items() if name.startswith(prefix)}
    return {**signals, **mine} if mine else signals


def _number(strategy: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise GANForgeError(f"strategy '{strategy}' planned {name}={value!r}; expected a number") from None
    if not np.isfinite(number):
        raise GANForgeError(f"strategy '{strategy}' planned {name}={number}; expected a finite number")
    return number


def _count(strategy: str, name: str, number: float) -> int:
    if number != int(number) or number < 0:
        raise GANForgeError(f"strategy '{strategy}' planned {name}={number:g}; expected a whole number from 0")
    return int(number)


def _share(strategy: str, name: str, number: float) -> float:
    if not 0 <= number < 1:
        raise GANForgeError(f"strategy '{strategy}' planned {name}={number:g}; expected a number from 0 to below 1")
    return number


def absent_scalars(optimizers: Collection[Any], ema: bool) -> dict[str, str]:
    """Return which shared scalars a run lacks, and why; ``optimizers``: the generator's first."""
    missing = {}
    for side, optimizer in zip(("generator", "discriminator"), optimizers):
        for beta in ("beta_1", "beta_2"):
            if not hasattr(optimizer, beta):
                kind = type(optimizer).__name__
                missing[f"{side}_{beta}"] = (
                    f"the {side}'s optimizer, {kind}, has no {beta}; expected one such as adam"
                )
    if not ema:
        missing["ema_decay"] = "no running mean of the generator's weights is kept; expected --ema as well"
    return missing
