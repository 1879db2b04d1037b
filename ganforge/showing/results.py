"""What the Python API returns about runs: values to compute with, which a notebook displays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.showing.tables import Part, Shown, Table, shown

if TYPE_CHECKING:
    from ganforge.training.setup import Setup


class Evaluation(Shown, dict[str, Any]):
    """The content of a run's ``evaluation.json``, a dict with the same keys."""

    def __init__(self, values: Mapping[str, Any], title: str, rows: Sequence[tuple[str, str]]) -> None:
        super().__init__(values)
        self._title, self._rows = title, rows

    def told(self) -> Iterable[Part]:
        return [self._title, Table(self._rows)]

    def __reduce__(self) -> Any:
        return Evaluation, (dict(self), self._title, self._rows)


@dataclass(frozen=True)
class Advice:
    """One problem of a run: its kind, a title, the numbers that show it, why it happens, and a command to try."""

    kind: str
    title: str
    numbers: str
    why: str
    command: str


class Diagnosis(Shown, list[Advice]):
    """The problems of a run, an empty list if there are none; ``notes`` say what was not checked."""

    def __init__(self, found: Iterable[Advice], title: str, notes: Sequence[str]) -> None:
        super().__init__(found)
        self.title, self.notes = title, tuple(notes)

    def told(self) -> Iterable[Part]:
        yield self.title
        for one in self:
            yield Table([("problem", f"{one.title} ({one.kind})"), ("numbers", f"{one.numbers}: {one.why}")])
            yield f"try: {one.command}"
        yield from self.notes


class Comparison(Shown, list[dict[str, Any]]):
    """Runs side by side: one dict per run, with its ``name``, its ``run`` and its numbers.

    Attributes:
        findings: what the numbers show, in sentences.
    """

    def __init__(
        self, rows: Iterable[dict[str, Any]], texts: Table, findings: Sequence[str], title: str = "Comparison"
    ) -> None:
        super().__init__(rows)
        self.texts, self.findings, self.title = texts, tuple(findings), title

    def told(self) -> Iterable[Part]:
        return [self.title, self.texts, *(f"• {sentence}" for sentence in self.findings)]


class StudyResult(Comparison):
    """The result of a study: the comparison of its finished runs.

    Attributes:
        states: waiting, done, pruned, stopped or failed, by each run's name in the study.
        errors: the error of each failed run, by the same name.
    """

    def __init__(
        self, compared: Comparison, states: Mapping[str, str], errors: Mapping[str, str], title: str
    ) -> None:
        super().__init__(list(compared), compared.texts, compared.findings, title)
        self.states, self.errors = dict(states), dict(errors)

    @property
    def finished(self) -> bool:
        """Whether every run is done."""
        return all(state in ("done", "pruned") for state in self.states.values())

    def told(self) -> Iterable[Part]:
        yield self.title
        yield Table([(name, state, self.errors.get(name, "")) for name, state in self.states.items()])
        if self:
            yield self.texts
        yield from (f"• {sentence}" for sentence in self.findings)


@dataclass(frozen=True)
class Plugin:
    """An installed architecture, strategy, loss, data source, optimizer or logger."""

    kind: str
    name: str
    package: str
    version: str
    summary: str
    text: str
    example: str
    options: tuple[dict[str, Any], ...]


class Plugins(Shown, list[Plugin]):
    """A list of installed plugins; ``broken`` has one line for each plugin that could not be loaded."""

    def __init__(self, plugins: Iterable[Plugin], broken: Sequence[str] = ()) -> None:
        super().__init__(plugins)
        self.broken = tuple(broken)

    def told(self) -> Iterable[Part]:
        yield f"{len(self)} plugin{'s' * (len(self) != 1)}"
        if len({one.name for one in self}) == 1:
            for one in self:
                yield f"{one.name} ({one.kind}), from {one.package} {one.version}\n{one.text}"
                keys = ("name", "type", "default", "bounds", "help")
                yield Table([[shown(option[key]) for key in keys] for option in one.options], keys)
                yield one.example
        else:
            rows = [(one.kind, one.name, one.summary, f"{one.package} {one.version}") for one in self]
            yield Table(rows, ("kind", "name", "", "from"))
        yield from self.broken


class Plan(Shown):
    """What ``train(…, dry_run=True)`` would train: all settings, both networks, the data and the first step.

    Attributes:
        settings: all settings by name, with defaults filled in.
        data: a description of the data.
        parameters: the number of parameters of ``generator`` and ``discriminator``.
        networks: the layers of both networks.
        first_step: the scalars that the first step will use.
        warnings: what to check before training, one line each.
    """

    def __init__(self, setup: Setup) -> None:
        self.settings = setup.settings.model_dump(mode="json")
        self.data, self.parameters = setup.images.description, setup.parameters
        self.networks, self.first_step = setup.networks, setup.first_plan()
        self.steps_per_epoch, self.image_shape = setup.steps_per_epoch, setup.image_shape
        self.warnings = (*setup.choices.warnings, *setup.images.warnings)

    def __repr__(self) -> str:
        return f"<Plan of {self.settings['arch']} on {self.data}>"

    def told(self) -> Iterable[Part]:
        s, sizes = self.settings, self.parameters
        yield "Nothing was trained (dry_run)"
        yield Table(
            [
                ("architecture", s["arch"]),
                ("parameters", f"generator {sizes['generator']:,}, discriminator {sizes['discriminator']:,}"),
                ("balance", "\n".join(s["balance"]) or "none"),
                ("loss", s["loss"]),
                ("data", self.data),
                ("training", f"{s['epochs']} epochs × {self.steps_per_epoch} steps of {s['batch_size']}"),
                ("first step", ", ".join(f"{name} {value:g}" for name, value in self.first_step.items())),
            ]
        )
        yield from self.warnings
        for side, layers in self.networks.items():
            yield side
            keys = ("kind", "output_shape", "parameters", "detail")
            yield Table([[_written(layer[key]) for key in keys] for layer in layers], keys)


def _written(value: Any) -> str:
    if isinstance(value, (list, tuple)):
        return " × ".join(map(str, value))
    return f"{value:,}" if type(value) is int else str(value)


def run_rows(manifest: Mapping[str, Any], state: str, path: Path) -> list[tuple[str, str]]:
    """Return a run in a few rows of words."""
    from ganforge.runs.origin import in_words
    from ganforge.showing.words import duration, standing

    config, progress = manifest["config"], manifest["progress"]
    metrics = {k: v for k, v in (manifest.get("metrics") or {}).items() if v is not None}
    why = (manifest.get("early_end") or {}).get("met", "")
    return [
        ("state", state + (f" early, because {why}" if why and state == "finished" else "")),
        ("architecture", str(config["arch"])),
        ("balance", "\n".join(config["balance"] or ()) or "none"),
        ("loss", str(config["loss"])),
        *([("started from", "\n".join(in_words(manifest["from"])))] if manifest.get("from") else []),
        ("data", str(manifest["data"]["description"])),
        (
            "trained",
            f"{progress['epoch']} of {progress['epochs']} epochs, {progress['step']:,} steps of "
            f"{config['batch_size']}, {duration(manifest['seconds'])}",
        ),
        *([("last", "  ".join(standing(metrics)))] if metrics else []),
        ("directory", str(path)),
    ]
