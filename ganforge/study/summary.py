"""Runs side by side: the numbers of each, in columns, for the terminal and the report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, UsageError
from ganforge.files import read_toml
from ganforge.metrics.balance import balance
from ganforge.metrics.cost import cost
from ganforge.runs import find_run, read_history, read_manifest
from ganforge.runs.evaluation import read_evaluation
from ganforge.study.runner import study_runs


@dataclass(frozen=True)
class Summary:
    """One run: its name here, its directory, ``run.json``, its log lines and its metrics."""

    name: str
    run: Path
    manifest: dict[str, Any]
    lines: Sequence[dict[str, Any]]
    evaluation: dict[str, Any] | None
    gap: dict[str, float]
    cost: dict[str, Any]

    @property
    def balance(self) -> str:
        return " + ".join(text for text in self.manifest["config"]["balance"] or () if text != "none") or "none"

    @property
    def label(self) -> str:
        """The name that readers see: the one from the study, else its number, architecture and strategies."""
        if self.name != self.run.name:
            return self.name
        parts = [self.name, self.manifest["config"]["arch"], self.balance]
        return " · ".join(part for part in parts if part != "none")


@dataclass(frozen=True)
class Column:
    """A number of a run: its title, how it is written, and whether ``low``, ``high`` or neither is better."""

    key: str
    title: str
    get: Callable[[Summary], float | None]
    form: str = "{:.2f}"
    better: str = ""
    noun: str = ""

    def text(self, value: float | None) -> str:
        if value is None:
            return "–"
        if self.form == "si":
            return f"{value / 1e6:.1f}M" if value >= 1e6 else f"{value / 1e3:.0f}k"
        if self.form == "count":  # between two counts there is a median, or a mean, that is none
            return f"{value:.0f}" if value == int(value) else f"{value:.1f}"
        return self.form.format(value)


def _measured(*path: str) -> Callable[[Summary], float | None]:
    def get(summary: Summary) -> float | None:
        value: Any = summary.evaluation
        for name in path:
            value = value.get(name) if isinstance(value, dict) else None
        return value if isinstance(value, (int, float)) else None

    return get


def _modes(critters: str, mixture: str) -> Callable[[Summary], float | None]:
    """Return a function that gets a number with one name for critters and another for mixtures of Gaussians."""
    gets = (_measured("critters", critters), _measured("modes", mixture))
    return lambda summary: next((value for get in gets if (value := get(summary)) is not None), None)


def _gap(name: str) -> Callable[[Summary], float | None]:
    return lambda summary: summary.gap.get(name)


COLUMNS = (
    Column("swd", "SWD ×10³", _measured("swd", "mean"), "{:.1f}", "low", "the sliced Wasserstein distance"),
    Column("tone", "tone", _measured("tone", "distance"), "{:.1f}", "low", "the distance in brightness and contrast"),
    Column("kid", "KID", _measured("kid", "value"), "{:.3f}", "low", "the kernel distance"),
    Column("fd", "FD", _measured("imagenet", "fd"), "{:.1f}", "low", "the Fréchet distance of ImageNet features"),
    Column("coverage", "coverage", _measured("imagenet", "coverage"), "{:.3f}", "high", "the coverage"),
    Column("density", "density", _measured("imagenet", "density"), "{:.3f}", "high"),
    Column("fid", "FID", _measured("inception", "fid"), "{:.1f}", "low", "the Fréchet distance"),
    Column(
        "modes",
        "modes",
        _modes("modes", "covered"),
        "count",
        "high",
        "the number of modes covered",
    ),
    Column(
        "precision",
        "precision",
        _modes("precision", "high_quality"),
        "{:.2f}",
        "high",
        "the precision",
    ),
    Column("kl", "KL", _measured("modes", "reverse_kl"), "{:.3f}", "low", "the reverse KL over the modes"),
    Column("rare", "rare", _measured("modes", "rare"), "{:.2f}"),
    Column("copies", "copies", _measured("memorising", "share"), "{:.3f}", "low"),
    Column("gap", "loss gap", _gap("loss_gap"), "{:.2f}", "", "the gap between the losses"),
    Column("accuracy", "D accuracy", _gap("d_accuracy"), "{:.2f}"),
    Column("balanced", "in balance", _gap("balanced"), "{:.2f}", "high"),
    Column("parameters", "G params", lambda s: s.manifest["parameters"]["generator"], "si"),
    Column("flops", "MFLOP", lambda s: s.cost["training_flops"] / 1e6, "{:,.0f}"),
    Column("seconds", "seconds", lambda s: s.manifest.get("seconds"), "{:,.0f}"),
    Column(
        "memory", "GB", lambda s: s.manifest["peak_memory"] / 1e9 if "peak_memory" in s.manifest else None, "{:.2f}"
    ),
)


def resolve(names: Sequence[str], runs_dir: Path) -> list[tuple[str, Path]]:
    """Return (name, run directory) of each requested run: studies by name or file, and single runs.

    Raises:
        GANForgeError: there is no such study or run.
    """
    chosen: list[tuple[str, Path]] = []
    for name in names:
        if name.endswith(".toml"):
            runs = study_runs(study_name(Path(name)), runs_dir)
            if not runs:
                raise GANForgeError(f"no run of {name} is in {runs_dir} yet; start it with: ganforge study {name}")
        else:
            runs = study_runs(name, runs_dir)
            if runs is None:
                run = find_run(name, runs_dir)
                runs = [(run.name, run)]
        chosen += [(label, run) for label, run in runs if run not in [path for _, path in chosen]]
    if not chosen:
        raise GANForgeError("there is no run to compare yet")
    return chosen


def study_name(path: Path) -> str:
    """Return the name of the study in a file."""
    with suppress(UsageError):
        return str(read_toml(path, str(path)).get("name", path.stem))
    return path.stem


def summarise(name: str, run: Path) -> Summary:
    """Read everything about a run. Raises ``GANForgeError`` when ``run.json`` is missing or damaged."""
    manifest, lines = read_manifest(run), read_history(run)
    return Summary(name, run, manifest, lines, read_evaluation(run), balance(lines), cost(manifest))


def columns_of(summaries: Sequence[Summary]) -> list[Column]:
    """Return the columns in which at least one run has a number."""
    return [column for column in COLUMNS if any(column.get(s) is not None for s in summaries)]


def measured_apart(summaries: Sequence[Summary]) -> str | None:
    """Return a sentence if runs were compared with different pictures, or different numbers of them, else None."""
    ways: dict[str, list[str]] = {}
    for summary in summaries:
        if summary.evaluation and "real" in summary.evaluation:
            reference = summary.evaluation.get("reference", {})
            what = f"held-out pictures of {reference['data']}" if reference.get("held_out") else "training pictures"
            ways.setdefault(f"{summary.evaluation['real']:,} {what}", []).append(summary.name)
    if len(ways) < 2:
        return None
    parts = "; ".join(f"{', '.join(names)} against {way}" for way, names in ways.items())
    return f"Evaluated differently, so distances cannot be compared: {parts}."


def best(column: Column, summaries: Sequence[Summary]) -> float | None:
    """Return the best number of a column, or None if no number is better than another."""
    values = [value for s in summaries if (value := column.get(s)) is not None]
    if not column.better or len(set(values)) < 2:
        return None
    return min(values) if column.better == "low" else max(values)
