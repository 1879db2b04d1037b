"""The host's plan of a step: every strategy's scalars, gathered into one vector for the device.

One float32 vector is one dynamic input: a scalar that changes can never compile anything anew.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.calling import strategy_hooks
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.types import Progress

RATES = ("generator_lr", "discriminator_lr")
COUNTS = ("generator_steps", "discriminator_steps")


class Plan:
    """One step's scalars: learning rates and update counts, and each strategy's own by strategy name."""

    def __init__(self, rates: dict[str, float], counts: dict[str, int], own: dict[str, dict[str, float]]) -> None:
        self.rates, self.counts, self.own = rates, counts, own

    def flat(self) -> dict[str, float]:
        """Return everything under the names that ``metrics.jsonl`` uses."""
        scalars: dict[str, float] = {**self.rates, **self.counts}
        for strategy, values in self.own.items():
            scalars.update({f"{strategy}/{name}": value for name, value in values.items()})
        return scalars


class Planner:
    """Asks the strategies, in command-line order, for each step's scalars and lays them out in a vector."""

    def __init__(self, strategies: Sequence[Strategy], learning_rate: float) -> None:
        self.learning_rate = learning_rate
        self.hooks = [(s.name, strategy_hooks(s).get("plan_step")) for s in strategies]
        self.layout: dict[tuple[str, str], int] | None = None
        self._names: dict[str, tuple[str, ...]] = {}

    def plan(self, progress: Progress, signals: Mapping[str, float]) -> Plan:
        """Return the plan of one step.

        Raises:
            UsageError: two strategies set one update count.
            GANForgeError: a strategy returned something that is not a number, or other names than before.
        """
        rates = dict.fromkeys(RATES, self.learning_rate)
        counts = dict.fromkeys(COUNTS, 1)
        own: dict[str, dict[str, float]] = {}
        owner: dict[str, str] = {}
        for strategy, hook in self.hooks:
            scalars = (hook(progress=progress, signals=signals) if hook else None) or {}
            self._check_names(strategy, scalars)
            own[strategy] = {}
            for name, value in scalars.items():
                number = _number(strategy, name, value)
                if name in RATES:
                    rates[name] *= number
                elif name in COUNTS:
                    if name in owner:
                        raise UsageError(
                            f"'{owner[name]}' and '{strategy}' both set {name}; leave one of them out of --balance"
                        )
                    owner[name], counts[name] = strategy, _count(strategy, name, number)
                else:
                    own[strategy][name] = number
        return Plan(rates, counts, own)

    def _check_names(self, strategy: str, scalars: Mapping[str, Any]) -> None:
        names = tuple(sorted(scalars))
        before = self._names.setdefault(strategy, names)
        if names != before:
            raise GANForgeError(
                f"strategy '{strategy}' planned {', '.join(names) or 'nothing'} where it planned "
                f"{', '.join(before) or 'nothing'} before; plan_step must return the same names every step"
            )

    def vector(self, plan: Plan) -> np.ndarray:
        """Return the plan's float32 vector: the two learning rates, then the strategies' own scalars."""
        if self.layout is None:
            keys = [(strategy, name) for strategy, values in plan.own.items() for name in values]
            self.layout = {key: len(RATES) + i for i, key in enumerate(keys)}
        values = list(plan.rates.values()) + [plan.own[strategy][name] for strategy, name in self.layout]
        return np.asarray(values, dtype=np.float32)

    def controls(self, strategy: str, vector: Any) -> dict[str, Any]:
        """Return a strategy's own scalars as 0-d tensors, inside the compiled step."""
        assert self.layout is not None
        return {name: vector[i] for (owner, name), i in self.layout.items() if owner == strategy}


def _number(strategy: str, name: str, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise GANForgeError(f"strategy '{strategy}' planned {name}={value!r}; expected a number") from None
    if not np.isfinite(number):
        raise GANForgeError(f"strategy '{strategy}' planned {name}={number}; expected a finite number")
    return number


def _count(strategy: str, name: str, number: float) -> int:
    if number != int(number) or number < 1:
        raise GANForgeError(f"strategy '{strategy}' planned {name}={number:g}; expected a whole number from 1")
    return int(number)
