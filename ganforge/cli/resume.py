"""``ganforge resume``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ganforge.cli.console import console, run_name, warn
from ganforge.cli.live import follow
from ganforge.cli.options import (
    no_plugin_option,
    plugin_option,
    run_argument,
    runs_dir_option,
    spec_completion,
    together,
)
from ganforge.cli.sharing import shared_out
from ganforge.plugin.averaging import ALONE
from ganforge.showing.terminal import reading

EPILOG = """\b
Examples:
  ganforge resume run_12
  ganforge resume latest --epochs 250
  ganforge resume run_12 --learning-rate 1e-4 --ema 0.999
  ganforge resume run_12 --epochs 250 --balance r1 --balance label-noise
"""


class _Resume(click.Command):
    """Says of a flag of ``train`` that a run keeps why it does, instead of that there is no such flag."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            from ganforge.training.fixed import refuse_fixed

            flag = error.option_name.lstrip("-").removeprefix("no-").replace("-", "_")
            run = next((word for word in given if not word.startswith("-")), "RUN")
            refuse_fixed("from_run" if flag == "from" else flag, run)
            raise


@click.command("resume", cls=_Resume, epilog=EPILOG)
@run_argument
@click.option("--epochs", type=click.IntRange(1), metavar="N", help="Continue training to N epochs in total.")
@click.option(
    "--balance",
    multiple=True,
    metavar="NAME[:OPTIONS]",
    help="Replace the run's strategies with these (repeatable), or with none.",
)
@click.option("--backend", metavar="torch|jax|tensorflow", help="Continue with another backend.")
@click.option("--devices", type=click.IntRange(1), metavar="N", help="Continue on N devices of this machine.")
@click.option("--on-nan", metavar="stop|rollback", help="What to do when a loss becomes nan.")
@click.option("--stop-when", metavar="NAME:RULE|none", help="Stop early by this rule instead, or by none.")
@click.option("--learning-rate", type=float, metavar="RATE", help="New learning rate of both networks.")
@click.option(
    "--ema",
    is_flag=False,
    flag_value=str(ALONE),
    metavar="[DECAY|Nkimg|none]",
    help=f"New running mean of the generator's weights, or none. [without a value: {ALONE}]",
)
@click.option(
    "--log",
    multiple=True,
    metavar="NAME[:OPTIONS]",
    shell_complete=spec_completion("logger"),
    help="Write to these loggers instead (repeatable), or to none.",
)
@click.option("--snapshot-every", metavar="EPOCHS|Nsteps", help="How often to save a snapshot from now on.")
@click.option(
    "--data",
    multiple=True,
    callback=together,
    metavar="FOLDER|ZIP",
    help="Where the pictures are now, if they have moved (repeatable).",
)
@click.option("--data-changed", type=click.Choice(["ok"]), help="Continue even though the pictures have changed.")
@plugin_option
@no_plugin_option
@runs_dir_option
@click.option("--quiet", is_flag=True, help="Print only the run's directory.")
@click.pass_context
def command(ctx: click.Context, /, run: str, runs_dir: str, quiet: bool, **changes: Any) -> int:
    """Continue a run exactly where it stopped, or train it further with --epochs.

    RUN is a name such as run_12, a path, or `latest`.
    """
    from ganforge.runs import find_run
    from ganforge.training.config import read_config
    from ganforge.training.resume import resume

    path = find_run(run, Path(runs_dir))
    config = read_config(path)
    backend, devices = changes["backend"] or config.backend, changes["devices"] or config.devices
    if (code := shared_out(devices, backend, ctx.obj)) is not None:
        return code
    for name in ("balance", "log"):
        changes[name] = changes[name] or None
    with reading(quiet) as progress:
        trainer = resume(path, progress=progress, **changes)
    setup, start_step = trainer.setup, trainer.start.step
    for warning in setup.choices.warnings:
        warn(warning)
    if not quiet:
        epoch = start_step / setup.steps_per_epoch
        console().print(
            f"{run_name(path, runs_dir)} continues from step {start_step:,} (epoch {epoch:.3g} of "
            f"{setup.settings.epochs})"
        )
        if change := trainer.changes():
            console().print(f"From now on: {change}", markup=False)
    return follow(trainer, quiet)
