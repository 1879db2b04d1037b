"""``ganforge card``."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.console import console, say_path
from ganforge.cli.options import run_argument, runs_dir_option

EPILOG = """\b
Examples:
  ganforge card run_12
  ganforge card run_12 --output cats.md
"""


@click.command("card", epilog=EPILOG)
@run_argument
@click.option(
    "--output", type=click.Path(path_type=Path), metavar="FILE.md", help="[default: README.md in the run directory]"
)
@runs_dir_option
def command(run: str, output: Path | None, runs_dir: str) -> None:
    """Write a model card for a run, in Markdown with Hugging Face metadata.

    RUN is a name such as run_12, a path, or `latest`. Run `ganforge evaluate` first to
    include metrics. You have to add the licence yourself.
    """
    from ganforge.api import Run
    from ganforge.export.card import write_card

    console().print(say_path(write_card(Run(run, runs_dir), output)), markup=False)
