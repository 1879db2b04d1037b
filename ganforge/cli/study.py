"""``ganforge study``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganforge.cli.console import console, say_path, short, warn
from ganforge.cli.options import plugin_option, runs_dir_option, together

if TYPE_CHECKING:
    from ganforge.study.runner import StudyRunner

EPILOG = """\b
Examples:
  ganforge study examples/studies/seed-quick.toml --data PHOTOS
  ganforge study noise.toml --jobs 2
  ganforge study noise.toml --dry-run
  ganforge study noise.toml --on ray:10.0.0.1:6379
  ganforge study noise.toml --on slurm:gpu
  ganforge study modes --only "seed=0 ring" --add my-strategy:option=1

Run the same command to continue a stopped study: finished runs are skipped, interrupted ones are resumed.
"""
MANY = 24  # runs, of which medians are shown in place of each
STATES = {
    **{"done": "green", "pruned": "green", "running": "cyan", "measuring": "cyan"},
    **{"stopped": "yellow", "failed": "red"},
}


@click.command("study", epilog=EPILOG)
@click.argument("file", metavar="FILE.toml|NAME", type=click.Path(path_type=Path))
@click.option(
    "--on",
    default="local",
    show_default=True,
    metavar="WHERE",
    help="Where to train: local, ray[:ADDRESS] or slurm[:PARTITION].",
)
@click.option(
    "--jobs",
    type=click.IntRange(1),
    metavar="N",
    help="Runs at a time.  [default: 1; on a cluster, as many as fit]",
)
@click.option(
    "--data",
    multiple=True,
    callback=together,
    metavar="FOLDER|ZIP|NAME",
    help="Train every run on these pictures instead (repeatable).",
)
@click.option(
    "--only", multiple=True, metavar="TEXT", help="Only runs whose name contains all words of TEXT (repeatable)."
)
@click.option(
    "--add",
    multiple=True,
    metavar="NAME[:k=v,...]",
    help="Compare one more strategy (several: A+B), loss, optimizer or architecture: repeat each run that has no "
    "balancing strategy with it (repeatable).",
)
@click.option("--evaluate/--no-evaluate", default=True, show_default=True, help="Evaluate each run when it finishes.")
@click.option(
    "--samples",
    type=click.IntRange(16),
    metavar="N",
    help="Pictures to draw for the evaluation.  [default: 2048; for the modes of stacked pictures, 26 per mode]",
)
@click.option("--dry-run", is_flag=True, help="List the runs and their state without training.")
@plugin_option
@runs_dir_option
def command(
    file: Path,
    on: str,
    jobs: int | None,
    data: str | None,
    only: tuple[str, ...],
    add: tuple[str, ...],
    evaluate: bool,
    samples: int | None,
    dry_run: bool,
    plugins: tuple[str, ...],
    runs_dir: str,
) -> int:
    """Train all runs of a study file, and compare them.

    The file contains runs, a grid of settings or a search; each run accepts every flag of `ganforge train`.
    NAME is a built-in study: auto, modes, seed, seed-quick.
    """
    from ganforge.files import require_runs_dir
    from ganforge.plugin.trust import given, remember
    from ganforge.study.asked import asked_study
    from ganforge.study.executors.choosing import opened, places
    from ganforge.study.runner import ENDED, StudyRunner

    at_a_time = places(on, jobs)
    files = given(plugins)
    study = asked_study(file, files, data=data, only=only, add=add)
    runner = StudyRunner(study, Path(runs_dir), at_a_time, evaluate, samples, plugins=files)
    out = console()
    require_runs_dir(Path(runs_dir))
    remember(files)
    said = runner.look_first()
    for line in said:
        warn(line)
    if dry_run:
        out.print(_table(runner))
        more = f" The search adds {runner.searching.left} more." if runner.searching else ""
        ready = sum(row.state in ENDED for row in runner.rows)
        count = len(runner.rows)
        out.print(f"{count} run{'s' * (count != 1)}, {ready} done.{more} Nothing was trained.")
        return 1 if said else 0
    try:
        with opened(on, at_a_time, Path(runs_dir)) as executor:
            runner.executor = executor
            finished = _follow(runner, out)
    except KeyboardInterrupt:
        out.print("[yellow]Stopped[/]; everything is saved. The same command with the same options continues.")
        return 130
    from ganforge.cli.compare import print_comparison, print_medians
    from ganforge.study.mattered import told
    from ganforge.study.medians import medians, write_medians
    from ganforge.study.runner import study_runs
    from ganforge.study.summary import summarise

    done = study_runs(study.name, Path(runs_dir)) or []
    if done:
        summaries = [summarise(name, run) for name, run in done]
        page = write_medians(study, summaries, Path(runs_dir))
        if page and len(done) > MANY:
            print_medians(out, medians(summaries))
        else:
            print_comparison(out, summaries)
        if page:
            out.print(f"Medians over the seeds: {say_path(page)}", markup=False)
    if runner.searching:
        for sentence in told(runner.searching.record):
            out.print(f"• {sentence}", markup=False)
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
        for i, row in enumerate(list(runner.rows), 1):
            if states.get(row.entry.name) != row.state:
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
    for row in list(runner.rows):
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
