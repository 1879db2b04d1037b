"""``ganforge compare``."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganforge.cli.console import console
from ganforge.cli.options import runs_dir_option

if TYPE_CHECKING:
    from ganforge.study.medians import Medians
    from ganforge.study.summary import Summary

EPILOG = """\b
Examples:
  ganforge compare run_3 run_7
  ganforge compare seed-quick
  ganforge compare run_3 run_7 --json
  ganforge compare modes --medians
"""


@click.command("compare", epilog=EPILOG)
@click.argument("names", metavar="STUDY|RUN...", nargs=-1, required=True)
@click.option(
    "--medians",
    "over_seeds",
    is_flag=True,
    help="One row for runs that differ only in the seed, one table per data set.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON list.")
@runs_dir_option
def command(names: tuple[str, ...], over_seeds: bool, as_json: bool, runs_dir: str) -> None:
    """Compare runs: their metrics, balance, parameters and time, with a summary in words.

    RUN is a name such as run_12, a path, or `latest`; STUDY is a study's name or file. Metrics come from
    `ganforge evaluate`.
    """
    from ganforge.study.mattered import searched, told
    from ganforge.study.summary import columns_of, resolve, summarise

    summaries = [summarise(name, run) for name, run in resolve(names, Path(runs_dir))]
    if over_seeds:
        from ganforge.study.medians import medians

        found = medians(summaries)
        if as_json:
            click.echo(json.dumps(found.numbers(), indent=2))
        else:
            print_medians(console(), found)
        return
    if as_json:
        columns = columns_of(summaries)
        rows = [{"name": s.name, "run": s.run.name, **{c.key: c.get(s) for c in columns}} for s in summaries]
        click.echo(json.dumps(rows, indent=2))
        return
    print_comparison(console(), summaries)
    for record in searched(names, Path(runs_dir)):
        for sentence in told(record):
            console().print(f"• {sentence}", markup=False)


def print_medians(out: Any, found: Medians) -> None:
    """Print a table for each set of data, the best median of a column bold."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    if not found.rows:
        out.print("No run has been evaluated yet. Next: ganforge evaluate RUN.")
    for data in found.data:
        head, lines = found.table(data, "[bold green]{}[/]")
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0), title=escape(data))
        table.add_column(head[0], overflow="fold", min_width=14)
        for title in head[1:]:
            table.add_column(title, justify="right")
        for line in lines:
            table.add_row(escape(line[0]), *line[1:])
        out.print(table)


def print_comparison(out: Any, summaries: Sequence[Summary]) -> None:
    """Print the table, the best of each column bold, and the findings."""
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from ganforge.study.findings import findings
    from ganforge.study.summary import best, columns_of, measured_apart

    # What is wide and rarely asked is in --json and in the report.
    left_out = {"flops", "memory", "copies", "balanced"} | ({"accuracy", "parameters"} if out.width < 96 else set())
    columns = [c for c in columns_of(summaries) if c.key not in left_out]
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("run", overflow="fold", min_width=14)
    if any(s.name != s.run.name for s in summaries):
        table.add_column("", no_wrap=True)
    for column in columns:
        table.add_column(column.title, justify="right", overflow="fold")
    for summary in summaries:
        cells = [escape(summary.label)]
        if any(s.name != s.run.name for s in summaries):
            cells.append(summary.run.name)
        for column in columns:
            value, top = column.get(summary), best(column, summaries)
            text = column.text(value)
            cells.append(f"[bold green]{text}[/]" if top is not None and value == top else text)
        table.add_row(*cells)
    out.print(table)
    for sentence in findings(summaries):
        out.print(f"• {sentence}", markup=False)
    if apart := measured_apart(summaries):
        out.print(apart, markup=False)
    missing = [s.run.name for s in summaries if s.evaluation is None]
    if missing:
        more = f" and {len(missing) - 1} more" * (len(missing) > 1)
        out.print(f"Not evaluated yet: {missing[0]}{more}. Next: ganforge evaluate {missing[0]}", markup=False)
