"""``ganforge pack``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from click.core import ParameterSource

from ganforge.cli.console import console, say_path
from ganforge.cli.options import together
from ganforge.showing.terminal import reading

EPILOG = """\b
Examples:
  ganforge pack PHOTOS set-64 --image-size 64
  ganforge pack --data FIRST --data SECOND.zip s3://bucket/set-64 --image-size 64
  ganforge train --data s3://bucket/set-64

The picture size of a packed set is fixed. --data opens it on any machine; from a store it copies the shards it needs.
"""


@click.command("pack", epilog=EPILOG)
@click.argument("words", metavar="[DATA] TARGET", nargs=-1, required=True)
@click.option(
    "--data",
    multiple=True,
    callback=together,
    metavar="FOLDER|FILE|NAME",
    help="Like --data of train, instead of DATA.",
)
@click.option(
    "--image-size", metavar="PIXELS|WIDTHxHEIGHT", help="Side of square pictures, or width and height. [default: 64]"
)
@click.option("--channels", type=int, metavar="1|3|4", help="Grey, colour, or colour with transparency. [default: 3]")
@click.option("--fit", metavar="crop|stretch|pad", help="How to fit pictures of other shapes. [default: crop]")
@click.option(
    "--background", metavar="white|black|#rrggbb", help="The colour behind transparent pixels. [default: white]"
)
@click.option(
    "--range",
    metavar="LOW,HIGH",
    help="The values of black and white in 16-bit, 32-bit and float pictures. [default: measured]",
)
@click.option("--frames", metavar="first|all", help="Which frames to use from files with several. [default: first]")
@click.option("--limit", type=int, metavar="N", help="Use only N pictures, chosen at random by the seed.")
@click.option("--seed", type=int, metavar="N", help="Random seed for --limit. [default: 0]")
@click.option(
    "--strict/--no-strict", default=None, help="Stop at the first unreadable picture instead of skipping it."
)
@click.option(
    "--shard-mib",
    type=click.IntRange(1),
    default=64,
    show_default=True,
    metavar="N",
    help="Size of one shard in MiB.",
)
@click.pass_context
def command(ctx: click.Context, /, words: tuple[str, ...], shard_mib: int, **flags: Any) -> None:
    """Decode pictures once into a set of shards that any machine can open with --data.

    TARGET is a new folder, or an address in a store that fsspec knows.
    """
    from ganforge.errors import UsageError
    from ganforge.training.packing import packed

    given = {n: v for n, v in flags.items() if ctx.get_parameter_source(n) is not ParameterSource.DEFAULT}
    data = given.pop("data", None)
    if len(words) != (1 if data else 2):
        raise UsageError("invalid arguments: expected DATA and TARGET, or --data DATA and TARGET")
    with reading(False) as progress:
        found = packed(data or words[0], words[-1], shard_mib, progress, **given)
    if found["skipped"]:
        count = len(found["skipped"])
        files = "file was" if count == 1 else "files were"
        console().print(f"{count:,} unreadable {files} skipped", markup=False)
    place = found["path"] if "://" in found["path"] else say_path(Path(found["path"]))
    shards = f"{found['shards']:,} shard{'s' * (found['shards'] != 1)}"
    console().print(f"{found['description']}: {shards}, {found['bytes']:,} bytes", markup=False)
    console().print(f"Next: [bold]ganforge train --data {place}[/]")
