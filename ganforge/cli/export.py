"""``ganforge export``."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.console import console, say_path
from ganforge.cli.options import no_plugin_option, plugin_option, run_argument, runs_dir_option

EPILOG = """\b
Examples:
  ganforge export run_12 --format onnx
  ganforge export run_12 --format safetensors --output cats.safetensors
  npm pack onnxruntime-web
  ganforge export run_12 --format page --onnxruntime-web onnxruntime-web-1.30.0.tgz
"""


@click.command("export", epilog=EPILOG)
@run_argument
@click.option(
    "--format",
    "form",
    type=click.Choice(["onnx", "safetensors", "page"]),
    default="onnx",
    show_default=True,
    help="ONNX (extra: onnx); safetensors weights; or a page that draws in a browser (extra: onnx).",
)
@click.option(
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="[default: generator.onnx, .safetensors or .html in the run]",
)
@click.option(
    "--onnxruntime-web",
    type=click.Path(path_type=Path),
    metavar="FILE.tgz|DIR",
    help="For a page: the npm package of that name. It is cached, so give it once.",
)
@plugin_option
@no_plugin_option
@runs_dir_option
def command(
    run: str, form: str, output: Path | None, onnxruntime_web: Path | None, plugins: tuple[str, ...], runs_dir: str
) -> None:
    """Export a run's generator for programs without GANForge.

    RUN is a name such as run_12, a path, or `latest`. Nothing is downloaded.
    """
    from ganforge.api import Run
    from ganforge.export import export

    path, notes = export(Run(run, runs_dir, plugins=plugins), form, output, onnxruntime_web)
    out = console()
    out.print(f"{say_path(path)}  ({path.stat().st_size / 1e6:.1f} MB)", markup=False)
    for note in notes:
        out.print(f"  {note}", markup=False, highlight=False)
