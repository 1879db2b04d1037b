"""When a run ends early: rules such as ``--stop-when kid:below=0.2,patience=3``, looked at with each snapshot.

A goal (``below``, ``above``) and a patience, whichever comes first, as in Lightning's ``EarlyStopping``: the run ends
once the number is beyond a goal, or has not improved on its best for so many snapshots. Everything that a decision
depends on is kept in ``run.json``, so that a run that was killed and resumed ends at the same step.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import Field, model_validator

from ganforge.errors import UsageError, closest
from ganforge.plugin.options import Options, make_options, parse_spec

if TYPE_CHECKING:
    import numpy as np

# Of generated pictures, measured as ``ganforge evaluate`` does; where modes are known, ``modes``: high is good.
OF_PICTURES, OF_MIXTURES = ("kid", "swd", "tone"), ("modes",)
SIGNALS = ("d_loss", "g_loss", "d_accuracy", "d_real_sign", "d_real_logit", "d_fake_logit")
PROBABILITIES = ("d_real", "d_fake")  # only where the loss has any


class StopOptions(Options):
    """When to stop a run early."""

    below: float | None = Field(None, description="stop once the metric is below this")
    above: float | None = Field(None, description="stop once the metric is above this")
    patience: int | None = Field(
        None, ge=1, description="stop after this many snapshots in a row without improvement"
    )

    @model_validator(mode="after")
    def _says_something(self) -> StopOptions:
        if (self.below, self.above, self.patience) == (None, None, None):
            raise ValueError("expected below=NUMBER, above=NUMBER or patience=SNAPSHOTS")
        if self.patience and self.below is not None and self.above is not None:
            raise ValueError("patience needs only one of below and above, to know which direction is better")
        return self


@dataclass(frozen=True)
class StopRule:
    """A rule: the number it looks at, its goals, and for how many snapshots it may fail to improve."""

    metric: str
    below: float | None = None
    above: float | None = None
    patience: int | None = None

    @classmethod
    def parse(cls, text: str) -> StopRule:
        """Read ``NAME:below=…,above=…,patience=…``.

        Raises:
            UsageError: an option is invalid or missing, or ``patience`` is given for a number of which it is not
                known whether higher or lower is better.
        """
        spec = parse_spec(text)
        options = make_options(f"--stop-when {spec.name}", StopOptions, spec.values)
        rule = cls(spec.name, **options.model_dump())
        directed = spec.name in (*OF_PICTURES, *OF_MIXTURES) or (rule.below, rule.above) != (None, None)
        if rule.patience and not directed:
            raise UsageError(
                f"invalid --stop-when {text}: patience needs to know which direction of {spec.name} is better; add "
                "below=… (lower is better) or above=… (higher is better)"
            )
        return rule

    def __str__(self) -> str:
        goals = {"below": self.below, "above": self.above, "patience": self.patience}
        return f"{self.metric}:" + ",".join(f"{k}={v:g}" for k, v in goals.items() if v is not None)

    @property
    def rising(self) -> bool:
        """Whether higher is better."""
        return self.above is not None or (self.below is None and self.metric in OF_MIXTURES)

    def met(self, values: Sequence[float | None]) -> str:
        """Return why a run ends after these numbers, one per snapshot; an empty string if it goes on.

        None stands for a snapshot without a number, which counts neither as an improvement nor as none.
        """
        known = [value for value in values if value is not None and math.isfinite(value)]
        if not known or values[-1] is None:
            return ""
        last = known[-1]
        if self.below is not None and last < self.below:
            return f"{self.metric} {last:.4g} is below {self.below:g}"
        if self.above is not None and last > self.above:
            return f"{self.metric} {last:.4g} is above {self.above:g}"
        best = (max if self.rising else min)(known)
        since = len(known) - 1 - known.index(best)
        if self.patience and since >= self.patience:
            return f"{self.metric} has not improved on {best:.4g} for {since} snapshot{'s' * (since > 1)}"
        return ""


def written_rule(text: Any) -> str | None:
    """Return a rule as run.json keeps it, and None for ``none``. Raises ``UsageError`` if it is not a rule."""
    if not isinstance(text, str):
        raise UsageError(f"invalid --stop-when {text}: expected text such as kid:below=0.2,patience=3")
    if text.strip() == "none":
        return None
    StopRule.parse(text)
    return text.strip()


def check_rule(rule: StopRule, measured: Sequence[str], logged: Sequence[str], strategies: Iterable[str]) -> None:
    """Refuse a number that the run will not have, as far as can be told before its first step.

    Raises:
        UsageError: nothing with that name is measured or logged.
    """
    owner, slash, _ = rule.metric.partition("/")
    # What a traced hook measures is known once it was traced: after the first step.
    traced = slash and owner in {"discriminator", "generator", *strategies}
    if rule.metric not in (*measured, *logged) and not traced:
        raise unknown(rule, (*measured, *logged))


def unknown(rule: StopRule, known: Sequence[str]) -> UsageError:
    """Return the message for a run without such a number."""
    return UsageError(
        f"invalid --stop-when {rule.metric}: this run has no such metric; expected {', '.join(known)}."
        f"{closest(rule.metric, known)}"
    )


def measures(vectors: bool, options: Options | None) -> tuple[str, ...]:
    """Return the metrics of generated pictures, or of vectors from a source with these options."""
    from ganforge.data.stacked import StackedOptions

    known = mixture_of(options) is not None or isinstance(options, StackedOptions)
    return (*(() if vectors else OF_PICTURES), *(OF_MIXTURES if known else ()))


def signals(compares: bool) -> tuple[str, ...]:
    """Return the names that every run logs; ``compares``: the zero of the logits has no meaning."""
    return SIGNALS if compares else (*SIGNALS, *PROBABILITIES)


def mixture_of(options: Options | None) -> tuple[np.ndarray, float] | None:
    """Return the means (n, 2) and the deviation of ``--data gaussians``; None for other data."""
    from ganforge.data.gaussians import GaussianOptions, mixture

    return mixture(options) if isinstance(options, GaussianOptions) else None
