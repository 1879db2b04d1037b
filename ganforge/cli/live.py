"""What is shown while a command trains: a progress line on a terminal, plain lines elsewhere; and how it ended."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ganforge import hookimpl
from ganforge.cli.console import console, duration, pairs, run_name, say_path, warn
from ganforge.cli.words import standing

if TYPE_CHECKING:
    from rich.console import Console

    from ganforge.diagnosis.evidence import Finding
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Outcome, Trainer

LINES = 20


def follow(trainer: Trainer, quiet: bool) -> int:
    """Run a training with its display, say what it left, and return the exit code."""
    from ganforge.diagnosis.live import Watcher
    from ganforge.training.interruption import StoppedAtOnce

    out = console()
    display = None if quiet else Display(out, trainer)
    observers = [display, Watcher(lambda finding: _warn(out, finding))] if display else []
    try:
        outcome = trainer.run(observers)
    except StoppedAtOnce as error:
        name = run_name(error.run, trainer.setup.settings.runs_dir)
        warn(f"stopped at once; go on from the last checkpoint: ganforge resume {name}")
        return 130
    finally:
        if display:
            display.close()
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
            f"{setup.settings.epochs}; everything is saved. Go on with:\n  [bold]ganforge resume {escape(name)}[/]"
        )
        return
    rows: list[tuple[str, Any]] = [("run", say_path(outcome.run))]
    if outcome.snapshot:
        rows.append(("pictures", say_path(outcome.snapshot)))
    if outcome.animation:
        rows.append(("animation", say_path(outcome.animation)))
    rows.append(("curves", say_path(outcome.run / "losses.png")))
    epochs = f"{outcome.epoch} epochs, {duration(outcome.seconds)}"
    if outcome.early:
        epochs += f"; it ended early, since {escape(outcome.early)} (--stop-when {setup.settings.stop_when})"
    out.print(f"\n[green]Done[/]: {epochs}", soft_wrap=True)
    out.print(pairs(rows))
    further = "--stop-when none" if outcome.early else f"--epochs {2 * outcome.epoch}"
    out.print(
        f"Next: [bold]ganforge show {escape(name)}[/], [bold]ganforge sample {escape(name)}[/], "
        f"[bold]ganforge gif {escape(name)}[/],\n"
        f"      [bold]ganforge resume {escape(name)} {further}[/] to train further"
    )


@contextmanager
def decoding(quiet: bool) -> Iterator[Callable[[int, int], None] | None]:
    """Yield a callback that shows how many pictures are decoded, once that takes long enough to matter."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn("reading pictures"),
        BarColumn(),
        MofNCompleteColumn(),
        console=console(stderr=True),
        transient=True,
    )
    task = None

    def show(done: int, total: int) -> None:
        nonlocal task
        if task is None:
            bar.start()
            task = bar.add_task("", total=total)
        bar.update(task, completed=done, total=total)

    try:
        yield show
    finally:
        bar.stop()


class Display:
    """An observer that shows losses, what D says of real and fake, img/s and the time left."""

    def __init__(self, out: Console, trainer: Trainer) -> None:
        self.out, self.setup, self.start_step = out, trainer.setup, trainer.start.step
        self.begun = time.perf_counter()
        self.metrics: dict[str, float] = {}
        self.progress: Any = None
        self.said = 0.0
        if out.is_terminal:
            self._start_bar()

    def _start_bar(self) -> None:
        from rich.progress import BarColumn, Progress, TextColumn

        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(bar_width=None),
            TextColumn("{task.fields[numbers]}"),
            console=self.out,
            expand=True,
            refresh_per_second=8,
        )
        self.task = self.progress.add_task("preparing", total=self.setup.steps, completed=self.start_step, numbers="")
        self.progress.start()

    @hookimpl
    def run_started(self) -> None:
        self.begun = time.perf_counter()

    @hookimpl
    def step_ended(self, step: Any) -> None:
        if step.metrics:
            self.metrics = dict(step.metrics)
        if self.progress is None:
            return
        now = time.perf_counter()
        done = step.progress.step + 1
        if now - self.said > 0.1 or done == step.progress.steps:
            self.said = now
            epoch = f"epoch {step.progress.epoch + 1}/{step.progress.epochs}"
            self.progress.update(self.task, completed=done, description=epoch, numbers=self._numbers(done))

    def _numbers(self, done: int) -> str:
        m = self.metrics
        if not m:
            return ""
        colours = {"D": "blue", "G": "red"}
        parts = [
            f"[{colours[name]}]{part}[/]" if (name := part.rpartition(" ")[0]) in colours else part
            for part in standing(m)
        ]
        return "  ".join([*parts, f"{m['images_per_second']:.0f} img/s", f"{self._left(done)} left"])

    def _left(self, done: int) -> str:
        ours = done - self.start_step
        return duration((time.perf_counter() - self.begun) / max(ours, 1) * (self.setup.steps - done))

    @hookimpl
    def epoch_ended(self, epoch: Any) -> None:
        if self.progress is not None or not epoch.metrics:
            return
        every = max(1, -(-epoch.epochs // LINES))
        if epoch.epoch % every and epoch.epoch != epoch.epochs and epoch.epoch != 1:
            return
        m = epoch.metrics
        parts = [f"epoch {epoch.epoch}/{epoch.epochs}", *standing(m, 3), f"{m['images_per_second']:.0f} img/s"]
        self._print("  ".join([*parts, f"{self._left(epoch.epoch * self.setup.steps_per_epoch)} left"]))

    def _print(self, text: str) -> None:
        # A closed pipe (`| head`), where rich asks to exit, or a lost terminal ends the telling, not the training.
        with suppress(OSError, SystemExit):
            self.out.print(text)
            self.out.file.flush()

    def close(self) -> None:
        """Stop the live line, whatever happened."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
