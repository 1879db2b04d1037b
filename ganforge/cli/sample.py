"""``ganforge sample``."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganforge.cli.console import console, say_path
from ganforge.cli.options import no_plugin_option, plugin_option, run_argument, runs_dir_option

if TYPE_CHECKING:
    import numpy as np

    from ganforge.api import Run

EPILOG = """\b
Examples:
  ganforge sample run_12
  ganforge sample run_12 -n 16 --grid 4x4 --seed 3 --output cats.png
  ganforge sample run_12 -n 500 --output cats/
  ganforge sample run_12 --class cat
  ganforge sample run_12 --seeds 0-99 --truncation 0.7
  ganforge sample run_12 -n 16 --save-latents mine.npy
  ganforge sample run_12 --latents mine.npy
  ganforge sample run_12 --interpolate --output walk.gif
  ganforge sample run_13 -n 10000 --output points.csv    # if the data are vectors
"""
VECTORS = 2500  # as many as the papers on mixtures look at


@click.command("sample", epilog=EPILOG)
@run_argument
@click.option(
    "-n",
    "count",
    type=click.IntRange(1),
    metavar="N",
    help="How many to draw. [default: enough for the grid (100), or 2500 vectors]",
)
@click.option("--grid", metavar="COLUMNSxROWS", help="Shape of the grid. [default: 10x10]")
@click.option(
    "--seed",
    type=click.IntRange(0),
    metavar="N",
    help="Random seed; the same seed gives the same pictures. [default: 0]",
)
@click.option("--seeds", metavar="A-B", help="Draw the first picture of each of these seeds, such as 0-99 or 3,7.")
@click.option(
    "--truncation",
    type=float,
    metavar="PSI",
    help="Scale the latents by a factor from 0 to 1: less variety, more typical pictures. [default: 1]",
)
@click.option(
    "--latents",
    type=click.Path(path_type=Path),
    metavar="FILE.npy",
    help="Draw from these latents, floats (n, latent_dim).",
)
@click.option(
    "--save-latents",
    type=click.Path(path_type=Path),
    metavar="FILE.npy",
    help="Save the latents that were used.",
)
@click.option("--class", "class_name", metavar="NAME", help="Draw only this class (conditional generators).")
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE|DIR",
    help="A .png grid or a folder of pictures; for vectors, .npy, .csv or a .png plot.",
)
@click.option("--interpolate", is_flag=True, help="Animate a closed walk between latents.")
@click.option("--frames", type=click.IntRange(2), default=64, show_default=True, help="Number of frames of the walk.")
@click.option("--fps", type=float, default=16.0, show_default=True, help="Frames per second of the walk.")
@plugin_option
@no_plugin_option
@runs_dir_option
def command(run: str, runs_dir: str, plugins: tuple[str, ...], **flags: Any) -> None:
    """Draw new pictures or vectors from a trained generator, or animate a walk between pictures.

    RUN is a name such as run_12, a path, or `latest`.
    """
    from ganforge.api import Run

    _refuse(flags)
    flags["seed"], flags["truncation"] = flags["seed"] or 0, _or(flags["truncation"], 1.0)
    opened = Run(run, runs_dir, plugins=plugins)
    given = _given(opened, flags)
    count = flags["count"] if given is None else len(given)
    if len(opened.manifest["image_shape"]) == 1:
        console().print(say_path(_vectors(opened, flags, given, count or VECTORS)), markup=False)
        return
    columns, rows = _shape(flags["grid"], count, 4 if flags["interpolate"] else 10)
    count = count or columns * rows
    if flags["interpolate"]:
        path = _walk(opened, flags, min(count, columns * rows), columns, rows)
    else:
        path = _pictures(opened, flags, given, count, columns, rows)
    console().print(say_path(path), markup=False)


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _refuse(flags: dict[str, Any]) -> None:
    """Refuse two flags that say where latents come from, and a walk from any but a seed."""
    alone = {"seeds": ("count", "seed", "latents", "interpolate"), "latents": ("count", "seed", "interpolate")}
    alone["save_latents"] = ("interpolate",)
    for name, others in alone.items():
        for other in others if flags[name] is not None else ():
            if flags[other] is not None and flags[other] is not False:
                flag = "-n" if other == "count" else f"--{other}"
                raise click.UsageError(f"--{name.replace('_', '-')} and {flag} do not go together; leave one out")


def _given(run: Run, flags: dict[str, Any]) -> np.ndarray | None:
    """Return the latents that ``--latents`` or ``--seeds`` names; None where a seed and a number are meant."""
    from ganforge.files import require_file
    from ganforge.media.latents import parse_seeds, read_latents, truncated

    if (kept := flags["save_latents"]) is not None:
        if kept.suffix.lower() != ".npy":
            raise click.UsageError(f"invalid --save-latents {kept}: expected a .npy")
        require_file(kept)
    if flags["latents"] is not None:
        return truncated(read_latents(flags["latents"], run.config.latent_dim or 0), flags["truncation"])
    if flags["seeds"] is None:
        return None
    flags["each"] = parse_seeds(flags["seeds"])
    return run.latents(seeds=flags["each"], truncation=flags["truncation"])


def _latents(run: Run, flags: dict[str, Any], given: np.ndarray | None, count: int) -> tuple[np.ndarray, int | None]:
    """Return the latents, saved if asked for, and the number after which the classes start again."""
    from ganforge.media.latents import save_latents

    latents = run.latents(count, flags["seed"], truncation=flags["truncation"]) if given is None else given
    if flags["save_latents"] is not None:
        save_latents(latents, flags["save_latents"])
    return latents, None if flags["seeds"] is None else 1


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


def _pictures(run: Run, flags: dict[str, Any], given: np.ndarray | None, count: int, columns: int, rows: int) -> Path:
    from ganforge.errors import GANForgeError, UsageError, reason
    from ganforge.files import require_file
    from ganforge.media.grids import Sheet, save_png

    of = _of(run, flags)
    output: Path = flags["output"] or run.path / f"samples_{of}.png"
    each = output.is_dir() or not output.suffix
    if not each and output.suffix.lower() != ".png":
        raise click.UsageError(f"invalid --output {output}: expected a .png, or a directory")
    require_file(output / f"sample_{of}_00000.png" if each else output)
    sheet, number, seeds = Sheet(columns, rows), 0, flags.get("each")
    try:
        (output if each else output.parent).mkdir(parents=True, exist_ok=True)
        latents, period = _latents(run, flags, given, count)
        for pictures in run.decoded(latents, flags["class_name"], period):
            if not each:
                sheet.add(pictures)
                continue
            for picture in pictures:
                # As `--seed N -n 1` calls it, where each has a seed of its own.
                name = f"{of}_{number:05d}" if seeds is None else f"{_of(run, flags, f'seed_{seeds[number]}')}_00000"
                save_png(picture, output / f"sample_{name}.png")
                number += 1
        if not each:
            save_png(sheet.picture, output)
    except MemoryError:
        raise UsageError(
            f"invalid -n {count:,}: a grid of {columns:,} × {rows:,} pictures does not fit in memory; expected "
            "fewer, or --output FOLDER for one file per picture"
        ) from None
    except OSError as error:
        raise GANForgeError(f"{output} cannot be written: {reason(error, kind=False)}") from None
    return output


def _of(run: Run, flags: dict[str, Any], drawn: str = "") -> str:
    """Return what tells pictures of one generator apart, for their files' names: ``seed_3``, ``seed_3_class_1``."""
    if not drawn:
        seeds, latents = flags["seeds"], flags["latents"]
        drawn = f"seed_{flags['seed']}" if latents is None else f"latents_{latents.stem}"
        drawn = drawn if seeds is None else f"seeds_{''.join(seeds.split())[:40]}"
    name, truncation = flags["class_name"], flags["truncation"]
    return (
        drawn
        + (f"_truncation_{truncation:g}" if truncation != 1 else "")
        + (f"_class_{run.classes.index(name)}" if name in run.classes else "")
    )


def _vectors(run: Run, flags: dict[str, Any], given: np.ndarray | None, count: int) -> Path:
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
    latents, period = _latents(run, flags, given, count)
    vectors = run.decode(latents, flags["class_name"], period)
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
    walk = run.interpolate(flags["frames"], count, flags["seed"], flags["class_name"], truncation=flags["truncation"])
    frames = [make_grid(pictures, columns, rows) for pictures in walk]
    scale = 1 if frames[0].shape[1] >= 200 else 2
    make_animation(frames, [""] * len(frames), output, fps=flags["fps"], scale=scale, hold=0, caption=False)
    return output
