"""A training started by a command: its display, and how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ganforge.cli.console import console, duration, pairs, run_name, say_path, warn
from ganforge.processes import place
from ganforge.showing.terminal import Display

if TYPE_CHECKING:
    from rich.console import Console

    from ganforge.diagnosis.evidence import Finding
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Outcome, Trainer


def follow(trainer: Trainer, quiet: bool) -> int:
    """Run a training with its display, say what it left, and return the exit code."""
    from ganforge.diagnosis.live import Watcher
    from ganforge.training.interruption import StoppedAtOnce

    out = console()
    display = None if quiet else Display(out, trainer.setup.steps, trainer.start.step)
    observers = [display, Watcher(lambda finding: _warn(out, finding))] if display else []
    try:
        outcome = trainer.run(observers)
    except StoppedAtOnce as error:
        name = run_name(error.run, trainer.setup.settings.runs_dir)
        warn(f"stopped immediately; continue from the last checkpoint: ganforge resume {name}")
        return 130
    finally:
        if display:
            display.close()
    if not place().first:
        return 0  # what happened to the run, the first one's exit code says
    conclude(out, trainer.setup, outcome, quiet)
    return 130 if outcome.state == "stopped" else 0


def _warn(out: Console, finding: Finding) -> None:
    """Say, once, what is going wrong in the training that runs."""
    out.print(f"[yellow]{finding.title}[/]: {finding.numbers}. More: [bold]ganforge diagnose latest[/]")


def conclude(out: Console, setup: Setup, outcome: Outcome, quiet: bool) -> None:
    """Say where everything is and what to do next."""
    from rich.markup import escape

    name = run_name(outcome.run, setup.settings.runs_dir)
    if quiet:
        out.print(escape(say_path(outcome.run)))
        return
    if outcome.state == "stopped":
        out.print(
            f"\n[yellow]Stopped[/] in epoch {outcome.step // setup.steps_per_epoch + 1} of "
            f"{setup.settings.epochs}; everything is saved. Continue with:\n  [bold]ganforge resume {escape(name)}[/]"
        )
        return
    rows: list[tuple[str, Any]] = [("run", say_path(outcome.run))]
    if outcome.snapshot:
        rows.append(("pictures", say_path(outcome.snapshot)))
    if outcome.animation:
        rows.append(("animation", say_path(outcome.animation)))
    rows.append(("curves", say_path(outcome.run / "losses.png")))
    epochs = f"{outcome.epoch} epoch{'s' * (outcome.epoch != 1)}, {duration(outcome.seconds)}"
    if outcome.early:
        epochs += f"; stopped early, because {escape(outcome.early)} (--stop-when {setup.settings.stop_when})"
    out.print(f"\n[green]Done[/]: {epochs}", soft_wrap=True)
    out.print(pairs(rows))
    further = "--stop-when none" if outcome.early else f"--epochs {2 * outcome.epoch}"
    out.print(
        f"Next: [bold]ganforge show {escape(name)}[/], [bold]ganforge sample {escape(name)}[/], "
        f"[bold]ganforge gif {escape(name)}[/],\n"
        f"      [bold]ganforge resume {escape(name)} {further}[/] to train further"
    )
