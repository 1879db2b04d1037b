"""``ganforge resume``."""

from __future__ import annotations

from pathlib import Path

import click

from ganforge.cli.common import (
    console,
    follow,
    no_plugin_option,
    plugin_option,
    run_argument,
    run_name,
    runs_dir_option,
)

EPILOG = """\b
Examples:
  ganforge resume run_12
  ganforge resume latest --epochs 250
"""


@click.command("resume", epilog=EPILOG)
@run_argument
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Train on to N epochs in all.")
@plugin_option
@no_plugin_option
@runs_dir_option
@click.option("--quiet", is_flag=True, help="Print nothing but the run's directory.")
def command(run: str, epochs: int | None, plugins: tuple[str, ...], runs_dir: str, quiet: bool) -> int:
    """Carry a run on exactly where it stopped, or train it further with --epochs.

    RUN is a name such as run_12, a path, or `latest`.
    """
    from ganforge.cli.train import decoding
    from ganforge.runs import find_run
    from ganforge.training import Training

    path = find_run(run, Path(runs_dir))
    with decoding(quiet) as progress:
        training = Training.resume(path, epochs, plugins, progress)
    if not quiet:
        epoch = training.start_step / training.steps_per_epoch
        console().print(
            f"{run_name(path, runs_dir)} goes on from step {training.start_step:,} (epoch {epoch:.3g} of "
            f"{training.config.epochs})"
        )
    return follow(training, quiet)
