"""``ganforge explore``."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.console import console, say_path
from ganforge.cli.options import no_plugin_option, plugin_option, run_argument, runs_dir_option

EPILOG = """\b
Examples:
  ganforge explore run_12
  ganforge explore run_12 --directions 20 --seeds 8 --strength 5 --open
"""


@click.command("explore", epilog=EPILOG)
@run_argument
@click.option("--directions", "count", type=click.IntRange(1), default=10, show_default=True, help="How many.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Latents, a row each.")
@click.option("--strength", type=float, default=3.0, show_default=True, help="How far to both sides, in deviations.")
@click.option("--class", "class_name", metavar="NAME", help="Of this class alone, from a conditional generator.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="The page; the directions (.npy) stand beside it. [default: in the run]",
)
@click.option("--open", "open_it", is_flag=True, help="Open it.")
@plugin_option
@no_plugin_option
@runs_dir_option
def command(
    run: str,
    count: int,
    seeds: int,
    strength: float,
    class_name: str | None,
    output: Path | None,
    open_it: bool,
    plugins: tuple[str, ...],
    runs_dir: str,
) -> None:
    """Show in which directions of its latents a generator's pictures change, on one page.

    RUN is a name such as run_12, a path, or `latest`. The page needs nothing beside it. The directions are found
    without labels, from the weights that take the latents (SeFa).
    """
    from ganforge.api import Run
    from ganforge.latent.explore import explore

    opened = Run(run, runs_dir, plugins=plugins)
    path = explore(opened, output, count=count, seeds=seeds, strength=strength, class_name=class_name)
    console().print(f"{say_path(path)}  ({path.stat().st_size / 1e6:.1f} MB)", markup=False)
    if open_it:
        click.launch(str(path))
