"""``ganforge study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganforge.cli.console import console, short, warn
from ganforge.cli.options import plugin_option, runs_dir_option, together

if TYPE_CHECKING:
    from ganforge.study.runner import StudyRunner

EPILOG = """\b
Examples:
  ganforge study examples/studies/seed-quick.toml --data PHOTOS
  ganforge study noise.toml --jobs 2
  ganforge study noise.toml --dry-run

A study that was stopped goes on where it was: what is done is skipped, what was cut off is resumed.
"""
STATES = {"done": "green", "running": "cyan", "measuring": "cyan", "stopped": "yellow", "failed": "red"}


@click.command("study", epilog=EPILOG)
@click.argument("file", metavar="FILE.toml", type=click.Path(path_type=Path))
@click.option("--jobs", type=click.IntRange(1), default=1, show_default=True, metavar="N", help="Runs at a time.")
@click.option(
    "--data",
    multiple=True,
    callback=together,
    metavar="FOLDER|ZIP|NAME",
    help="Train every run on these pictures instead (folders and zips: repeatable).",
)
@click.option("--evaluate/--no-evaluate", default=True, show_default=True, help="Measure each run when it is done.")
@click.option(
    "--samples", type=click.IntRange(16), default=2048, show_default=True, metavar="N", help="Pictures to measure on."
)
@click.option("--dry-run", is_flag=True, help="List the runs and what is done already; train nothing.")
@plugin_option
@runs_dir_option
def command(
    file: Path,
    jobs: int,
    data: str | None,
    evaluate: bool,
    samples: int,
    dry_run: bool,
    plugins: tuple[str, ...],
    runs_dir: str,
) -> int:
    """Carry out all the runs of a study file, and compare them.

    The file lists runs, or a grid of settings; each is an ordinary run with every flag of `ganforge train`.
    """
    from ganforge.files import require_runs_dir
    from ganforge.plugin.trust import given, remember
    from ganforge.study.plan import read_study
    from ganforge.study.runner import StudyRunner

    study = read_study(file, **({"data": data} if data else {}))
    files = given(plugins)
    runner = StudyRunner(study, Path(runs_dir), jobs, evaluate, samples, plugins=files)
    out = console()
    require_runs_dir(Path(runs_dir))
    remember(files)
    said = runner.look_first()
    for line in said:
        warn(line)
    if dry_run:
        out.print(_table(runner))
        out.print(
            f"{len(runner.rows)} runs, {sum(row.state == 'done' for row in runner.rows)} done. Nothing was trained."
        )
        return 1 if said else 0
    try:
        finished = _follow(runner, out)
    except KeyboardInterrupt:
        out.print(f"[yellow]Stopped[/]; everything is saved. Go on with the same command: ganforge study {file}")
        return 130
    from ganforge.cli.compare import print_comparison
    from ganforge.study.runner import study_runs

    done = study_runs(study.name, Path(runs_dir)) or []
    if done:
        print_comparison(out, done)
    for row in runner.rows:
        if row.state == "failed" and f"{row.entry.name}: {row.error}" not in said:
            warn(f"{row.entry.name}: {row.error}")
    out.print(f"Next: [bold]ganforge report {study.name}[/]")
    return 0 if finished else 1


def _follow(runner: StudyRunner, out: Any) -> bool:
    """Run with a live table on a terminal, and a line for each change elsewhere."""
    if out.is_terminal:
        from rich.live import Live

        with Live(_table(runner), console=out, refresh_per_second=4) as live:
            return runner.run(lambda: live.update(_table(runner)))
    states: dict[str, str] = {row.entry.name: row.state for row in runner.rows}

    def say() -> None:
        for i, row in enumerate(runner.rows, 1):
            if states[row.entry.name] != row.state:
                states[row.entry.name] = row.state
                what = f"  {row.run.name}" if row.run else ""
                out.print(f"{i}/{len(runner.rows)} {row.entry.name}: {row.state}{what}", markup=False)
                out.file.flush()

    return runner.run(say)


def _table(runner: StudyRunner) -> Any:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("study", overflow="fold")
    table.add_column("run", no_wrap=True)
    for name in ("done", "D loss", "G loss", "img/s"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("state", overflow="fold")
    for row in runner.rows:
        rate = row.metrics.get("images_per_second")
        table.add_row(
            escape(row.entry.name),
            row.run.name if row.run else "–",
            f"{100 * row.step / row.steps:.0f} %" if row.steps else "–",
            short(row.metrics.get("d_loss"), 2),
            short(row.metrics.get("g_loss"), 2),
            f"{rate:.0f}" if rate else "–",
            f"[{STATES.get(row.state, 'dim')}]{row.state}[/]" + (f": {escape(row.error)}" if row.error else ""),
        )
    return table
