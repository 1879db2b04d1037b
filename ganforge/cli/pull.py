"""``ganforge pull``."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.console import console, run_name, say_path
from ganforge.cli.options import runs_dir_option

EPILOG = """\b
Examples:
  ganforge pull someone/cats
  ganforge pull someone/cats --revision v1
"""


@click.command("pull", epilog=EPILOG)
@click.argument("repo", metavar="USER/NAME")
@click.option("--revision", metavar="NAME", help="A branch, a tag or a commit. [default: main]")
@runs_dir_option
def command(repo: str, revision: str | None, runs_dir: str) -> None:
    """Download a run from the Hugging Face Hub (extra: hub) as a new run.

    None of its code is run: its files are checked like those of any untrusted run.
    """
    from ganforge.export.hub import pull

    path, out = pull(repo, Path(runs_dir), revision), console()
    out.print(say_path(path), markup=False)
    out.print(f"Next: [bold]ganforge sample {run_name(path, runs_dir)}[/]")
