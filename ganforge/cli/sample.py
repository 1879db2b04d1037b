"""``ganforge sample``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganforge.cli.console import console, say_path
from ganforge.cli.options import no_plugin_option, plugin_option, run_argument, runs_dir_option

if TYPE_CHECKING:
    from ganforge.api import Run

EPILOG = """\b
Examples:
  ganforge sample run_12
  ganforge sample run_12 -n 16 --grid 4x4 --seed 3 --output cats.png
  ganforge sample run_12 -n 500 --output cats/
  ganforge sample run_12 --class cat
  ganforge sample run_12 --interpolate --output walk.gif
  ganforge sample run_13 -n 10000 --output points.csv    # where the data are vectors
"""
VECTORS = 2500  # as many as the papers on mixtures look at


@click.command("sample", epilog=EPILOG)
@run_argument
@click.option(
    "-n",
    "count",
    type=click.IntRange(1),
    metavar="N",
    help="How many. [default: what the grid holds, 100; or 2500 vectors]",
)
@click.option("--grid", metavar="COLUMNSxROWS", help="Shape of the grid. [default: 10x10]")
@click.option(
    "--seed", type=click.IntRange(0), default=0, show_default=True, help="The same seed, the same pictures."
)
@click.option("--class", "class_name", metavar="NAME", help="Of this class alone, from a conditional generator.")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="A grid, or a picture each; of vectors .npy, .csv or a .png plot.",
)
@click.option("--interpolate", is_flag=True, help="Animate a walk between latents that ends where it began.")
@click.option("--frames", type=click.IntRange(2), default=64, show_default=True, help="Frames of the walk.")
@click.option("--fps", type=float, default=16.0, show_default=True, help="Frames a second of the walk.")
@plugin_option
@no_plugin_option
@runs_dir_option
def command(run: str, runs_dir: str, plugins: tuple[str, ...], **flags: Any) -> None:
    """Draw new pictures, or vectors, from a trained generator, or a walk between pictures.

    RUN is a name such as run_12, a path, or `latest`.
    """
    from ganforge.api import Run

    opened = Run(run, runs_dir, plugins=plugins)
    if len(opened.manifest["image_shape"]) == 1:
        console().print(say_path(_vectors(opened, flags)), markup=False)
        return
    columns, rows = _shape(flags["grid"], flags["count"], 4 if flags["interpolate"] else 10)
    count = flags["count"] or columns * rows
    if flags["interpolate"]:
        path = _walk(opened, flags, min(count, columns * rows), columns, rows)
    else:
        path = _pictures(opened, flags, count, columns, rows)
    console().print(say_path(path), markup=False)


def _shape(grid: str | None, count: int | None, side: int) -> tuple[int, int]:
    if grid is None:
        if count is None:
            return side, side
        columns = min(count, max(1, round(count**0.5)) if count < side * side else side)
        return columns, -(-count // columns)
    match = re.fullmatch(r"([1-9][0-9]{0,3})[x×]([1-9][0-9]{0,3})", grid.lower())
    if not match:
        raise click.UsageError(f"invalid --grid {grid}: expected COLUMNSxROWS, such as 10x10")
    return int(match[1]), int(match[2])


def _pictures(run: Run, flags: dict[str, Any], count: int, columns: int, rows: int) -> Path:
    from ganforge.errors import GANForgeError, UsageError, reason
    from ganforge.files import require_file
    from ganforge.media.grids import Sheet, save_png

    of = _of(run, flags)
    output: Path = flags["output"] or run.path / f"samples_{of}.png"
    each = output.is_dir() or not output.suffix
    if not each and output.suffix.lower() != ".png":
        raise click.UsageError(f"invalid --output {output}: expected a .png, or a directory")
    require_file(output / f"sample_{of}_00000.png" if each else output)
    sheet, number = Sheet(columns, rows), 0
    try:
        (output if each else output.parent).mkdir(parents=True, exist_ok=True)
        for pictures in run.samples(count, flags["seed"], flags["class_name"]):
            if not each:
                sheet.add(pictures)
                continue
            for picture in pictures:
                save_png(picture, output / f"sample_{of}_{number:05d}.png")
                number += 1
        if not each:
            save_png(sheet.picture, output)
    except MemoryError:
        raise UsageError(
            f"invalid -n {count:,}: a grid of {columns:,} × {rows:,} pictures does not fit in memory; expected "
            "fewer, or a picture each: --output FOLDER"
        ) from None
    except OSError as error:
        raise GANForgeError(f"{output} cannot be written: {reason(error, kind=False)}") from None
    return output


def _of(run: Run, flags: dict[str, Any]) -> str:
    """Return what tells pictures of one generator apart, for their files' names: ``seed_3``, ``seed_3_class_1``."""
    name = flags["class_name"]
    return f"seed_{flags['seed']}" + (f"_class_{run.classes.index(name)}" if name in run.classes else "")


def _vectors(run: Run, flags: dict[str, Any]) -> Path:
    """Write new vectors as numbers, or as a plot of the first two of each."""
    import numpy as np

    from ganforge.errors import GANForgeError, reason
    from ganforge.files import replacing, require_file
    from ganforge.media.scatter import backdrop, save_scatter

    for flag in ("interpolate", "grid"):
        if flags[flag]:
            raise click.UsageError(f"--{flag} is for pictures; {run.id} makes vectors")
    output: Path = flags["output"] or run.path / f"samples_{_of(run, flags)}.npy"
    suffix = output.suffix.lower()
    if suffix not in (".npy", ".csv", ".png") or output.is_dir():
        raise click.UsageError(f"invalid --output {output}: {run.id} makes vectors; expected a .npy, .csv or .png")
    require_file(output)
    vectors = run.sample(flags["count"] or VECTORS, flags["seed"], flags["class_name"])
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        if suffix == ".png":
            save_scatter(vectors, backdrop(vectors), output)
            return output
        with replacing(output) as file:
            if suffix == ".npy":
                np.save(file, vectors)
            else:
                np.savetxt(file, vectors, "%.9g", ",")  # nine digits tell every float32 from its neighbours
    except OSError as error:
        raise GANForgeError(f"{output} cannot be written: {reason(error, kind=False)}") from None
    return output


def _walk(run: Run, flags: dict[str, Any], count: int, columns: int, rows: int) -> Path:
    from ganforge.media.animation import make_animation, require_animation
    from ganforge.media.grids import make_grid

    output: Path = flags["output"] or run.path / f"walk_{_of(run, flags)}.gif"
    require_animation(output, flags["fps"])
    walk = run.interpolate(flags["frames"], count, flags["seed"], flags["class_name"])
    frames = [make_grid(pictures, columns, rows) for pictures in walk]
    scale = 1 if frames[0].shape[1] >= 200 else 2
    make_animation(frames, [""] * len(frames), output, fps=flags["fps"], scale=scale, hold=0, caption=False)
    return output
