"""``ganforge evaluate``."""

from __future__ import annotations

import json
from pathlib import Path

import click

from ganforge.cli.console import console, pairs, run_name, say_path
from ganforge.cli.options import plugin_option, run_argument, runs_dir_option, together

EPILOG = """\b
Examples:
  ganforge evaluate run_12
  ganforge evaluate latest --samples 5000 --json
  ganforge evaluate run_12 --features imagenet --data held-out
  ganforge evaluate run_12 --inception inception-2015-12-05.pt
"""


@click.command("evaluate", epilog=EPILOG)
@run_argument
@click.option(
    "--samples",
    type=click.IntRange(16),
    metavar="N",
    help="Pictures to draw.  [default: 2048; with imagenet 5000]",
)
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Seed for drawing them.")
@click.option(
    "--features",
    type=click.Choice(["random", "imagenet"]),
    default="random",
    show_default=True,
    help="imagenet: also FD, KID, precision, recall, density, coverage by an ImageNet network (extra: imagenet).",
)
@click.option(
    "--data",
    multiple=True,
    callback=together,
    metavar="FOLDER",
    help="Held-out pictures to compare with instead of the training pictures (repeatable).",
)
@click.option(
    "--inception",
    type=click.Path(path_type=Path),
    metavar="FILE.pt",
    help="Also compute FID and KID as published, with this TorchScript network.",
)
@click.option("--json", "as_json", is_flag=True, help="Print evaluation.json.")
@plugin_option
@runs_dir_option
def command(
    run: str,
    samples: int | None,
    seed: int,
    features: str,
    data: str | None,
    inception: Path | None,
    as_json: bool,
    plugins: tuple[str, ...],
    runs_dir: str,
) -> None:
    """Measure the quality of a run's generator, and store the result in the run as evaluation.json.

    RUN is a name such as run_12, a path, or `latest`. Nothing is downloaded.
    """
    from rich.markup import escape

    from ganforge.api import Run
    from ganforge.study.evaluate import evaluate
    from ganforge.study.in_words import rows

    opened, out = Run(run, runs_dir, plugins=plugins), console()
    say = None if as_json else lambda what: out.print(f"[dim]measuring {what} …[/]")
    result = evaluate(opened, samples, seed, inception, say, features=features, data=data)
    if as_json:
        click.echo(json.dumps(result, indent=2))
        return
    pictures = len(opened.manifest["image_shape"]) == 3
    what = "pictures" if pictures else "vectors"
    held_out = f", against held-out pictures in {escape(data)}" if data else ""
    out.print(f"\n[bold]{opened.id}[/] at step {result['step']:,}, {result['samples']:,} {what}{held_out}")
    out.print(pairs(rows(result)))
    nearest = (
        "\nThe pictures most like copies, above the training pictures they resemble: "
        f"{say_path(opened.path / 'nearest.png')}"
    )
    out.print(
        f"\nStored in {say_path(opened.path / 'evaluation.json')}{nearest if pictures else ''}\n"
        f"Next: [bold]ganforge compare {run_name(opened.path, runs_dir)} …[/]"
    )
