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
@click.option("--private", is_flag=True, help="Make a new repository private.")
@click.option("--message", metavar="TEXT", help="The commit message.")
@click.option(
    "--checkpoint", is_flag=True, help="Also upload the last checkpoint, so that others can continue training."
)
@runs_dir_option
def command(run: str, repo: str, private: bool, message: str | None, checkpoint: bool, runs_dir: str) -> None:
    """Upload a run to a model repository on the Hugging Face Hub (extra: hub), created if needed.

    RUN is a name such as run_12, a path, or `latest`. Uploads the model card (written by `ganforge card`, or
    now if there is none), the generator, exported files, numbers, pictures, and run.json without this machine's
    paths.
    Log in first with `hf auth login`.
    """
    from ganforge.api import Run
    from ganforge.export.hub import push

    click.echo(push(Run(run, runs_dir), repo, private, message, checkpoint))
