"""``ganforge push``."""

from __future__ import annotations

import click

from ganforge.cli.options import run_argument, runs_dir_option

EPILOG = """\b
Examples:
  ganforge push run_12 me/cats
  ganforge push run_12 me/cats --private --checkpoint
"""


@click.command("push", epilog=EPILOG)
@run_argument
@click.argument("repo", metavar="USER/NAME")
@click.option("--private", is_flag=True, help="Where the repository is new: for you alone.")
@click.option("--message", metavar="TEXT", help="Of the commit.")
@click.option("--checkpoint", is_flag=True, help="The last checkpoint too, so that others can train it further.")
@runs_dir_option
def command(run: str, repo: str, private: bool, message: str | None, checkpoint: bool, runs_dir: str) -> None:
    """Send a run to a model repository of Hugging Face's hub (extra: hub), made where there is none.

    RUN is a name such as run_12, a path, or `latest`. What goes: the model card (`ganforge card` writes it; it is
    written where there is none), the generator, what was exported, run.json without the paths of this machine,
    numbers and pictures. You are known to the hub by `hf auth login`.
    """
    from ganforge.api import Run
    from ganforge.export.hub import push

    click.echo(push(Run(run, runs_dir), repo, private, message, checkpoint))
