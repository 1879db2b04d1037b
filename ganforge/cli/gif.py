"""``ganforge gif``."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.console import console, say_path
from ganforge.cli.options import run_argument, runs_dir_option

EPILOG = """\b
Examples:
  ganforge gif run_12
  ganforge gif latest --fps 12 --every 2 --output cats.webp
  ganforge gif run_12 --scale 2 --no-caption --output cats.mp4
"""


@click.command("gif", epilog=EPILOG)
@run_argument
@click.option("--fps", type=float, default=8.0, show_default=True, help="Frames per second.")
@click.option(
    "--scale", type=click.IntRange(1, 16), default=1, show_default=True, help="Enlarge each pixel by this factor."
)
@click.option("--hold", type=float, default=2.0, show_default=True, help="Seconds to show the last frame.")
@click.option("--every", type=click.IntRange(1), default=1, show_default=True, help="Use every n-th snapshot.")
@click.option("--caption/--no-caption", default=True, show_default=True, help="Show the epoch below the pictures.")
@click.option("--output", type=click.Path(path_type=Path), metavar="FILE", help="A .gif, .webp, .png or .mp4.")
@runs_dir_option
def command(
    run: str, fps: float, scale: int, hold: float, every: int, caption: bool, output: Path | None, runs_dir: str
) -> None:
    """Animate the pictures of the same latents over the epochs.

    RUN is a name such as run_12, a path, or `latest`. Without --output, it writes the run's progression.gif.
    """
    from ganforge.runs import find_run
    from ganforge.runs.progression import make_progression

    path = make_progression(
        find_run(run, Path(runs_dir)), output, every, fps=fps, scale=scale, hold=hold, caption=caption
    )
    console().print(f"{say_path(path)}  ({path.stat().st_size / 1e6:.1f} MB)", markup=False)
