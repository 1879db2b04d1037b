"""``ganforge report``."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.console import console, say_path
from ganforge.cli.options import runs_dir_option

EPILOG = """\b
Examples:
  ganforge report seed-quick
  ganforge report run_3 run_7 --output noise.html --open
"""


@click.command("report", epilog=EPILOG)
@click.argument("names", metavar="STUDY|RUN...", nargs=-1, required=True)
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE.html", help="[default: in the runs directory]"
)
@click.option("--title", help="[default: the names of the runs]")
@click.option(
    "--frames", type=click.IntRange(2), default=12, show_default=True, help="Maximum number of grids per run."
)
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.")
@runs_dir_option
def command(
    names: tuple[str, ...], output: Path | None, title: str | None, frames: int, open_it: bool, runs_dir: str
) -> None:
    """Write one self-contained HTML page about a study or several runs.

    It shows curves, grids over the epochs, a table of metrics, both networks, and a summary in words.
    """
    from ganforge.files import require_file
    from ganforge.report.report import write_report
    from ganforge.study.mattered import searched
    from ganforge.study.summary import resolve, summarise

    chosen = resolve(names, Path(runs_dir))
    label = title or ", ".join(Path(name).stem for name in names)  # not where they are on this machine
    path = output or Path(runs_dir) / f"{Path(names[0]).stem if len(names) == 1 else 'report'}.html"
    require_file(path)
    write_report([summarise(name, run) for name, run in chosen], path, label, frames, searched(names, Path(runs_dir)))
    console().print(f"{say_path(path)}  ({path.stat().st_size / 1e6:.1f} MB)", markup=False)
    if open_it:
        click.launch(str(path))
