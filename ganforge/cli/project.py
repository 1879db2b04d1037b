"""``ganforge project``."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ganforge.cli.console import console, pairs, say_path
from ganforge.cli.options import no_plugin_option, plugin_option, run_argument, runs_dir_option

if TYPE_CHECKING:
    import numpy as np

    from ganforge.api import Run

EPILOG = """\b
Examples:
  ganforge project run_12 cat.jpg
  ganforge project run_12 cat.jpg dog.jpg --output found/animals.png
  ganforge project run_12 --interpolate cat.jpg dog.jpg
  ganforge sample run_12 --latents runs/run_12/projected_cat.npy
"""


@click.command("project", epilog=EPILOG)
@run_argument
@click.argument("pictures", metavar="PICTURE...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--interpolate",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="A B",
    help="Animate the path between two projections: pictures, or .npy files of latents.",
)
@click.option(
    "--starts", type=click.IntRange(1), default=4, show_default=True, help="Number of latents to start from."
)
@click.option("--steps", type=click.IntRange(1), default=250, show_default=True, help="Adam steps from each start.")
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Random seed for the starts.")
@click.option("--class", "class_name", metavar="NAME", help="Search only this class (conditional generators).")
@click.option(
    "--features",
    metavar="pixels|imagenet",
    default="pixels",
    show_default=True,
    help="imagenet: also compare features of an ImageNet network (extra: imagenet).",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE.png",
    help="The strip; the animation (.gif) and the latents (.npy) are saved beside it. [default: in the run]",
)
@plugin_option
@no_plugin_option
@runs_dir_option
def command(
    run: str,
    pictures: tuple[Path, ...],
    interpolate: tuple[Path, Path] | None,
    starts: int,
    steps: int,
    seed: int,
    class_name: str | None,
    features: str,
    output: Path | None,
    plugins: tuple[str, ...],
    runs_dir: str,
) -> None:
    """Find the latents whose pictures are nearest to yours, and show the path to them.

    RUN is a name such as run_12, a path, or `latest`. PICTURE is a file of any size, read like the run's
    training pictures.
    """
    import numpy as np

    from ganforge.api import Run
    from ganforge.latent.projection import between, places, project
    from ganforge.media.animation import make_animation, require_animation
    from ganforge.showing.terminal import reading

    if not pictures and interpolate is None:
        raise click.UsageError("there is nothing to project; expected one or more pictures, or --interpolate A B")
    if pictures and interpolate is not None:
        raise click.UsageError("pictures and --interpolate do not go together; leave one out")
    opened, asked = Run(run, runs_dir, plugins=plugins), list(pictures or interpolate or ())
    known = {i: _latent(opened, path, class_name) for i, path in enumerate(asked) if _is_latents(path, interpolate)}
    called = "_".join(path.stem for path in asked[:3]) + (f"_and_{len(asked) - 3}_more" if len(asked) > 3 else "")
    strip = output if output and interpolate is None else opened.path / f"projected_{called}.png"
    walk = output or opened.path / f"walk_{called}.gif"
    if interpolate is not None:
        require_animation(walk)
    places(strip)
    ends = {i: (latent, class_name) for i, latent in known.items()}
    sought = [(i, path) for i, path in enumerate(asked) if i not in known]
    if sought:
        with reading(quiet=False, what="projecting") as progress:
            found = project(
                opened,
                [path for _, path in sought],
                starts=starts,
                steps=steps,
                seed=seed,
                class_name=class_name,
                features=features,
                progress=progress,
            )
        console().print(pairs(list(found.rows())))
        for path in found.save(strip):
            console().print(say_path(path), markup=False)
        ends |= {i: (found.latents[row], found.classes[row]) for row, (i, _) in enumerate(sought)}
    if interpolate is not None:
        (one, first), (other, second) = ends[0], ends[1]
        frames = list(np.asarray(between(opened, (one, other), (first, second)))[:, 0])
        make_animation(frames, [""] * len(frames), walk, fps=16.0, scale=2, hold=0.0, caption=False)
        console().print(say_path(walk), markup=False)


def _is_latents(path: Path, interpolate: tuple[Path, Path] | None) -> bool:
    return interpolate is not None and path.suffix.lower() == ".npy"


def _latent(run: Run, path: Path, class_name: str | None) -> np.ndarray:
    """Return the one latent that a file holds, float32 (latent_dim,)."""
    from ganforge.media.latents import read_latents

    latents = read_latents(path, run.config.latent_dim or 0)
    if len(latents) != 1:
        raise click.UsageError(f"invalid --interpolate {path}: it holds {len(latents)} latents; expected one")
    if run.classes and class_name is None:
        raise click.UsageError(f"{path} does not say which class it belongs to; add --class {'|'.join(run.classes)}")
    row: np.ndarray = latents[0]
    return row
