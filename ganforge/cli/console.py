"""What several commands share."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from click.shell_completion import CompletionItem

from ganforge.files import default_runs_dir

if TYPE_CHECKING:
    from rich.console import Console

    from ganforge.diagnosis.evidence import Finding
    from ganforge.training.setup import Training
    from ganforge.training.trainer import Outcome

runs_dir_option = click.option(
    "--runs-dir",
    envvar="GANFORGE_RUNS_DIR",
    default="runs",
    show_default=True,
    metavar="DIR",
    help="Where runs are kept (environment: GANFORGE_RUNS_DIR).",
)
plugin_option = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE.py",
    shell_complete=lambda ctx, param, incomplete: [CompletionItem(incomplete, type="file")],
    help="Load a Python file as a plugin (repeatable).",
)


def _leave_out(ctx: click.Context, param: click.Parameter, names: tuple[str, ...]) -> None:
    """Leave plugins out while a command runs, as GANFORGE_DISABLE_PLUGINS does."""
    if not names:
        return
    from ganforge.cli.completion import complete_plugin
    from ganforge.errors import UsageError, closest

    known = complete_plugin("")
    for name in names:
        if name not in known:
            raise UsageError(f"--no-plugin {name}: there is no such plugin.{closest(name, known)}")
    before = os.environ.get("GANFORGE_DISABLE_PLUGINS")
    os.environ["GANFORGE_DISABLE_PLUGINS"] = ",".join([*([before] if before else []), *names])

    def restore() -> None:
        if before is None:
            del os.environ["GANFORGE_DISABLE_PLUGINS"]
        else:
            os.environ["GANFORGE_DISABLE_PLUGINS"] = before

    ctx.call_on_close(restore)


no_plugin_option = click.option(
    "--no-plugin",
    multiple=True,
    metavar="NAME",
    expose_value=False,
    is_eager=True,
    callback=_leave_out,
    shell_complete=lambda ctx, param, incomplete: _complete_plugin(incomplete),
    help="Leave an installed plugin out (repeatable; also GANFORGE_DISABLE_PLUGINS).",
)


def spec_completion(*kinds: str) -> Callable[..., list[str]]:
    """Return a completion of NAME[:OPTIONS] for some kinds of plugin, or for all."""

    def complete(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
        from ganforge.cli.completion import complete_spec

        return complete_spec(kinds or ("architecture", "strategy", "loss", "dataset"), incomplete)

    return complete


def _complete_plugin(incomplete: str) -> list[str]:
    from ganforge.cli.completion import complete_plugin

    return complete_plugin(incomplete)


def _complete_run(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[str]:
    from ganforge.cli.completion import complete_run

    return complete_run(incomplete, ctx.params.get("runs_dir") or default_runs_dir())


def run_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument RUN: ``run_12``, ``12``, a path, or ``latest``."""
    return click.argument("run", metavar="RUN", shell_complete=_complete_run)(function)


def console(stderr: bool = False) -> Console:
    """Return a console; what is piped gets 100 columns and no colours."""
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 100
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def say_path(path: Path) -> str:
    """Return a path as short as it can be typed from here."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def run_name(path: Path, runs_dir: str) -> str:
    """Return what to call a run in the next command: its name, or its path where that is elsewhere."""
    return path.name if Path(runs_dir).resolve() == Path(default_runs_dir()).resolve() else say_path(path)


def pairs(rows: list[tuple[str, Any]]) -> Any:
    """Return a table of names and values without lines."""
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for name, value in rows:
        table.add_row(name, str(value))
    return table


def follow(training: Training, quiet: bool) -> int:
    """Run a training with its display, say what it left, and return the exit code."""
    from ganforge.cli.live import Display
    from ganforge.diagnosis.live import Watcher

    out = console()
    display = None if quiet else Display(out, training)
    observers = [display, Watcher(lambda finding: _warn(out, finding))] if display else []
    try:
        outcome = training.run(observers)
    except KeyboardInterrupt:
        if training.run_directory is None:
            raise
        name = run_name(training.run_directory, training.config.runs_dir)
        click.echo(f"ganforge: stopped at once; go on from the last checkpoint: ganforge resume {name}", err=True)
        return 130
    finally:
        if display:
            display.close()
    conclude(out, training, outcome, quiet)
    return 130 if outcome.state == "stopped" else 0


def _warn(out: Console, finding: Finding) -> None:
    """Say, once, what is going wrong in the training that runs."""
    out.print(f"[yellow]{finding.title}[/]: {finding.numbers}. More: [bold]ganforge diagnose latest[/]")


def conclude(out: Console, training: Training, outcome: Outcome, quiet: bool) -> None:
    """Say where everything is and what to do next."""
    from rich.markup import escape

    name = run_name(outcome.run, training.config.runs_dir)
    if quiet:
        out.print(escape(say_path(outcome.run)))
        return
    if outcome.state == "stopped":
        out.print(
            f"\n[yellow]Stopped[/] in epoch {outcome.step // training.steps_per_epoch + 1} of "
            f"{training.config.epochs}; everything is saved. Go on with:\n  [bold]ganforge resume {escape(name)}[/]"
        )
        return
    rows: list[tuple[str, Any]] = [("run", say_path(outcome.run))]
    if outcome.snapshot:
        rows.append(("pictures", say_path(outcome.snapshot)))
    if outcome.animation:
        rows.append(("animation", say_path(outcome.animation)))
    rows.append(("curves", say_path(outcome.run / "losses.png")))
    out.print(f"\n[green]Done[/]: {outcome.epoch} epochs, {duration(outcome.seconds)}")
    out.print(pairs(rows))
    out.print(
        f"Next: [bold]ganforge show {escape(name)}[/], [bold]ganforge sample {escape(name)}[/], "
        f"[bold]ganforge gif {escape(name)}[/],\n"
        f"      [bold]ganforge resume {escape(name)} --epochs {2 * outcome.epoch}[/] to train further"
    )


def duration(seconds: float) -> str:
    """Return seconds as a person says them."""
    seconds = round(seconds)
    if seconds < 100:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def short(value: float | None, digits: int = 3) -> str:
    """Return a number, or a dash for none."""
    return "–" if value is None else f"{value:.{digits}f}"
