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
@click.option(
    "--directions", "count", type=click.IntRange(1), default=10, show_default=True, help="Number of directions."
)
@click.option(
    "--seeds", type=click.IntRange(1), default=5, show_default=True, help="Number of latents, one row each."
)
@click.option(
    "--strength",
    type=float,
    default=3.0,
    show_default=True,
    help="How far to go in both directions, in standard deviations.",
)
@click.option("--class", "class_name", metavar="NAME", help="Draw only this class (conditional generators).")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.html",
    help="The page; the directions (.npy) are saved beside it. [default: in the run]",
)
@click.option("--open", "open_it", is_flag=True, help="Open the page in a browser.")
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
    """Write a page that shows how a generator's pictures change along directions of the latent space.

    RUN is a name such as run_12, a path, or `latest`. The page is self-contained. The directions are
    computed without labels, from the weights that take the latents (SeFa).
    """
    from ganforge.api import Run
    from ganforge.latent.explore import explore

    opened = Run(run, runs_dir, plugins=plugins)
    path = explore(opened, output, count=count, seeds=seeds, strength=strength, class_name=class_name)
    console().print(f"{say_path(path)}  ({path.stat().st_size / 1e6:.1f} MB)", markup=False)
    if open_it:
        click.launch(str(path))
