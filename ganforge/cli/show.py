"""``ganforge show``."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click

from ganforge.cli.console import console, duration, pairs, run_name, say_path, with_options
from ganforge.cli.options import run_argument, runs_dir_option
from ganforge.cli.words import average_rows, learning_rates, optimizer_rows, records_of

EPILOG = """\b
Examples:
  ganforge show run_12
  ganforge show latest --open
  ganforge show run_12 --csv > metrics.csv
"""
BARS = "▁▂▃▄▅▆▇█"
STAGES = 20  # as many are shown
FILES = (
    *("losses.png", "progression.gif", "architecture.txt", "architecture.png", "generator.keras"),
    *("discriminator.keras", "metrics.jsonl"),
)


@click.command("show", epilog=EPILOG)
@run_argument
@click.option("--open", "open_it", is_flag=True, help="Open the last grid of pictures.")
@click.option("--csv", "as_csv", is_flag=True, help="Print the logged lines as CSV instead.")
@runs_dir_option
def command(run: str, open_it: bool, as_csv: bool, runs_dir: str) -> None:
    """Show everything about one run: its settings, progress and files.

    RUN is a name such as run_12, a path, or `latest`.
    """
    from rich.markup import escape

    from ganforge.errors import GANForgeError, UsageError
    from ganforge.runs import find_run, list_snapshots, read_history, read_manifest, run_state

    path = find_run(run, Path(runs_dir))
    if as_csv:
        _print_csv(path)
        return
    manifest, metrics, snapshots = read_manifest(path), read_history(path), list_snapshots(path)
    out = console()
    made = manifest["created"][:16].replace("T", " ")
    out.print(f"[bold]{escape(path.name)}[/]: {escape(run_state(path, manifest))}, created {escape(made)} UTC")
    try:
        out.print(pairs([(name, escape(value)) for name, value in _story(manifest)]))
    except UsageError as error:  # nobody typed it
        raise GANForgeError(f"{path / 'run.json'} is damaged, or from another version: {error}") from None
    if metrics:
        out.print("\n[bold]Progress[/]")
        out.print(_curves(metrics))
    out.print("\n[bold]Files[/]")
    files = [(name, _size(path / name)) for name in FILES if (path / name).is_file()]
    if snapshots:
        count = len(snapshots)
        which = f"last of {count} snapshots" if count > 1 else "the only snapshot"
        files.insert(0, (f"snapshots/{snapshots[-1][1].name}", which))
    out.print(pairs([(f"{say_path(path)}/{name}", what) for name, what in files]))
    name = run_name(path, runs_dir)
    going = f"ganforge resume {name}" + (" --epochs N" if manifest["state"] == "finished" else "")
    out.print(f"\nNext: [bold]{escape(going)}[/], [bold]ganforge sample {escape(name)}[/]")
    if open_it:
        if not snapshots:
            raise GANForgeError(f"{path.name} has no snapshots to open yet")
        click.launch(str(snapshots[-1][1]))


def _print_csv(run: Path) -> None:
    """Print a column for every name ever logged; values that are missing or not finite are empty."""
    import csv
    import sys

    from ganforge.errors import clean
    from ganforge.runs.metrics import each_line

    names = list(dict.fromkeys(name for line in each_line(run) for name in line))
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(map(clean, names))
    writer.writerows([line.get(name) for name in names] for line in each_line(run))


def _story(m: dict[str, Any]) -> list[tuple[str, str]]:
    def named(entry: dict[str, Any]) -> str:
        return with_options(entry["name"], entry["options"])

    from ganforge.runs.origin import in_words

    config, progress, shape = m["config"], m["progress"], m["image_shape"]
    later = m.get("stages", [])[1:]
    before = [f"and {len(later) - STAGES:,} earlier"] if len(later) > STAGES else []
    stages = "\n".join([*before, *(f"from step {stage['step']:,}: {stage['reason']}" for stage in later[-STAGES:])])
    versions = ", ".join(f"{k} {v}" for k, v in m["versions"].items() if k != "backend")
    skipped = f"; skipped {len(m['data']['skipped'])} unreadable" if m["data"]["skipped"] else ""
    return [
        ("architecture", named(m["architecture"])),
        (
            "parameters",
            f"generator {m['parameters']['generator']:,}, discriminator {m['parameters']['discriminator']:,}",
        ),
        ("balance", "\n".join(named(s) for s in m["strategies"]) or "none"),
        ("loss", named(m["loss"])),
        *optimizer_rows(config, records_of(m)),
        *average_rows(config),
        *([("started from", "\n".join(in_words(m["from"])))] if m.get("from") else []),
        ("data", f"{m['data']['description']}{skipped}"),
        _shape(shape),
        (
            "trained",
            f"{progress['epoch']} of {progress['epochs']} epochs, {progress['step']:,} steps of "
            f"{config['batch_size']}, {duration(m['seconds'])}",
        ),
        *([("stages", stages)] if stages else []),
        ("seed", f"{config['seed']}, {config['precision']}, {learning_rates(config, records_of(m))}"),
        ("versions", versions),
    ]


def _shape(shape: list[int]) -> tuple[str, str]:
    from ganforge.plugin.dataset import kind_of

    if len(shape) == 1:
        return "vectors", f"of {shape[0]} number{'s' * (shape[0] > 1)}"
    return "pictures", f"{shape[1]}×{shape[0]}, {kind_of(shape[2])}"


def _curves(metrics: Sequence[dict[str, Any]]) -> Any:
    from rich import box
    from rich.table import Table

    from ganforge.metrics.columns import column, judged_in_pairs

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("")
    table.add_column("over the run")
    for name in ("first", "last"):
        table.add_column(name, justify="right")
    labels = {"d_loss": "D loss", "g_loss": "G loss", "d_real": "D(real)", "d_fake": "D(fake)"}
    if judged_in_pairs(metrics):
        labels |= {"d_accuracy": "D accuracy", "d_real_logit": "logit of real", "d_fake_logit": "logit of fake"}
    for key, label in labels.items():
        values = _known(column(metrics, key))
        if values:
            table.add_row(label, _sparkline(values), f"{values[0]:.3f}", f"{values[-1]:.3f}")
    rates = sorted(_known(column(metrics, "images_per_second")))
    if rates:
        table.add_row("img/s", f"median {rates[len(rates) // 2]:,.0f}", "", "")
    return table


def _known(values: Any) -> list[float]:
    return [float(value) for value in values if math.isfinite(value)]


def _sparkline(values: list[float], width: int = 40) -> str:
    """Return the means of ``width`` equal parts as bars, from the smallest to the largest."""
    parts = min(width, len(values))
    edges = [round(i * len(values) / parts) for i in range(parts + 1)]
    means = [sum(values[a:b]) / (b - a) for a, b in itertools.pairwise(edges)]
    low, high = min(means), max(means)
    span = high - low
    if not span or not math.isfinite(span):
        return BARS[0] * parts
    return "".join(BARS[min(7, int((m - low) / span * 8))] for m in means)


def _size(path: Path) -> str:
    size = path.stat().st_size
    return f"{size / 1e6:.1f} MB" if size >= 1e6 else f"{size / 1e3:.0f} kB"
