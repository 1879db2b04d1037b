"""Applying ``--stop-when`` while a run is trained; the rules are in ``stopping.py``."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ganforge.data.settings import parse_background
from ganforge.metrics.transparency import over
from ganforge.training.stopping import OF_MIXTURES, OF_PICTURES, StopRule, mixture_of, unknown

if TYPE_CHECKING:
    import numpy as np

    from ganforge.metrics.stacked import StackedModes
    from ganforge.training.setup import Setup

SAMPLES, BLOCK = 512, 64  # pictures that are measured, and drawn at a time


class EarlyEnd:
    """Looks at a run's number with each snapshot; ``met`` says why the run ends, once it does.

    For a logged number it uses the mean since the last snapshot, because that of one batch says little. ``since`` is
    the step from which the rule holds; ``seen`` are the numbers so far, ``{"step", "value"}`` each.
    """

    def __init__(self, rule: StopRule, setup: Setup, since: int, seen: Iterable[dict[str, Any]] = ()) -> None:
        self.rule, self.setup, self.since = rule, setup, since
        self.seen = list(seen)
        self._logged: list[tuple[int, float]] = []
        self._names: list[str] = []
        self.met = self._decided()
        self._real: np.ndarray | None = None

    @classmethod
    def of(cls, setup: Setup, record: dict[str, Any] | None, step: int) -> EarlyEnd | None:
        """Return what looks at a run that begins, or goes on, after ``step``; ``record`` is what run.json has."""
        if setup.settings.stop_when is None:
            return None
        rule = StopRule.parse(setup.settings.stop_when)
        if record and record.get("when") == str(rule):
            return cls(rule, setup, record["since"], [one for one in record["seen"] if one["step"] <= step])
        return cls(rule, setup, step)

    @property
    def record(self) -> dict[str, Any]:
        """The record of it in run.json."""
        return {"when": str(self.rule), "since": self.since, "seen": self.seen, "met": self.met}

    def _decided(self) -> str:
        return self.rule.met([one["value"] for one in self.seen])

    @property
    def _looked(self) -> int:
        return self.seen[-1]["step"] if self.seen else self.since

    def hear(self, lines: Iterable[Mapping[str, Any]]) -> None:
        """Take logged lines."""
        for line in lines:
            self._names = list(line)
            if line.get(self.rule.metric) is not None:
                self._logged.append((line["step"], float(line[self.rule.metric])))

    def rewind(self, step: int) -> None:
        """Forget everything after ``step``."""
        self.seen = [one for one in self.seen if one["step"] <= step]
        self._logged = [one for one in self._logged if one[0] <= step]
        self.met = self._decided()

    def look(self, step: int) -> str:
        """Look at the number after ``step`` steps; return why the run ends, or an empty string.

        Raises:
            UsageError: lines were logged, and it is in none of them.
        """
        value = self._value()
        if value is None and self._names and not any(one["value"] is not None for one in self.seen):
            raise unknown(self.rule, [name for name in self._names if name not in ("step", "epoch")])
        self.seen.append({"step": step, "value": value})
        self.met = self._decided()
        return self.met

    def _value(self) -> float | None:
        if self.rule.metric in (*OF_PICTURES, *OF_MIXTURES):
            value = self._measured()
            return value if math.isfinite(value) else None
        recent = [value for step, value in self._logged if step > self._looked]
        return math.fsum(recent) / len(recent) if recent else None

    def _measured(self) -> float:
        from ganforge.metrics.features import features
        from ganforge.metrics.kid import kid
        from ganforge.metrics.modes import mode_coverage
        from ganforge.metrics.swd import swd
        from ganforge.metrics.tone import tone

        if self.rule.metric == "modes":
            source = self.setup.choices.source
            mixture = mixture_of(source.options if source else None)
            if mixture is None:
                return float(self._stacks.covered(drawn_parts(self.setup, self._stacks.samples)))
            return float(mode_coverage(samples(self.setup), *mixture)["covered"])
        made = samples(self.setup)
        if self._real is None:
            self._real = real_pictures(self.setup)
            if self.rule.metric == "kid":
                self._real = features(self._flat(self._real))
        if self.rule.metric == "kid":
            return kid(self._real, features(self._flat(made)))[0]
        if self.rule.metric == "swd":
            return float(swd(self._real, made)["mean"])
        return float(tone(self._flat(self._real), self._flat(made))["distance"])

    @cached_property
    def _stacks(self) -> StackedModes:
        from ganforge.metrics.stacked import StackedModes

        source = self.setup.choices.source
        assert source is not None  # check_rule
        return StackedModes.of(source.options, self.setup.image_shape)

    def _flat(self, pictures: np.ndarray) -> np.ndarray:
        """Return pictures without transparency, on the run's background, for metrics of colours."""
        return over(pictures, parse_background(self.setup.settings.background))


def samples(setup: Setup) -> np.ndarray:
    """Return ``SAMPLES`` pictures or vectors, from the same latents each time, as snapshots show them."""
    import numpy as np

    return np.concatenate(list(drawn_parts(setup, SAMPLES)))


def drawn_parts(setup: Setup, count: int) -> Iterator[np.ndarray]:
    """Yield so many pictures or vectors, from the same latents each time, in parts that fit in memory."""
    import numpy as np

    from ganforge.engine.randomness import fixed_latents
    from ganforge.media.grids import drawn

    latents = fixed_latents(count, setup.settings.latent_dim, setup.settings.seed, "stop-when")
    labels = [(np.arange(count) % len(setup.classes)).astype(np.int32)] if setup.classes else []
    with setup.engine.showing():
        for at in range(0, count, BLOCK):
            yield drawn(setup.engine.generate(*(each[at : at + BLOCK] for each in (latents, *labels))))


def real_pictures(setup: Setup) -> np.ndarray:
    """Return ``SAMPLES`` of the training pictures, chosen by the seed, or all if there are fewer."""
    import numpy as np

    from ganforge.data.order import some

    return np.asarray(
        setup.images.array[some(np.random.default_rng([setup.settings.seed, 4]), len(setup.images), SAMPLES)]
    )
