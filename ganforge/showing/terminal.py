"""The display of a run during training: one live line on a terminal, else plain lines now and then."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from ganforge import hookimpl
from ganforge.showing.words import console, duration, standing

if TYPE_CHECKING:
    from rich.console import Console

LINES, SILENCE = 20, 60.0  # plain lines of a run, about; seconds without one within an epoch


@contextmanager
def reading(quiet: bool, what: str = "reading pictures") -> Iterator[Callable[[int, int], None] | None]:
    """Yield a callback that shows the progress of ``what``; it shows nothing until it is called."""
    if quiet or not sys.stderr.isatty():
        yield None
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    bar = Progress(
        TextColumn(what),
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
    """An observer that shows the losses, D(real) and D(fake), img/s and the time left."""

    def __init__(self, out: Console, steps: int, start_step: int = 0) -> None:
        self.out, self.steps, self.start_step = out, steps, start_step
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
        self.task = self.progress.add_task("preparing", total=self.steps, completed=self.start_step, numbers="")
        self.progress.start()

    @hookimpl
    def run_started(self) -> None:
        self.begun = self.said = time.perf_counter()

    @hookimpl
    def step_ended(self, step: Any) -> None:
        if step.metrics:
            self.metrics = dict(step.metrics)
        now = time.perf_counter()
        done = step.progress.step + 1
        epoch = f"epoch {step.progress.epoch + 1}/{step.progress.epochs}"
        if self.progress is None:
            if now - self.said > SILENCE and self.metrics:
                self._line(f"{epoch}  step {done:,}/{self.steps:,}", self.metrics, done)
        elif now - self.said > 0.1 or done == self.steps:
            self.said = now
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
        return duration((time.perf_counter() - self.begun) / max(ours, 1) * (self.steps - done))

    @hookimpl
    def epoch_ended(self, epoch: Any) -> None:
        if self.progress is not None or not epoch.metrics:
            return
        every = max(1, -(-epoch.epochs // LINES))
        if epoch.epoch % every and epoch.epoch != epoch.epochs and epoch.epoch != 1:
            return
        done = epoch.epoch * self.steps // epoch.epochs
        self._line(f"epoch {epoch.epoch}/{epoch.epochs}", epoch.metrics, done)

    def _line(self, where: str, metrics: dict[str, float], done: int) -> None:
        parts = [where, *standing(metrics, 3), f"{metrics['images_per_second']:.0f} img/s"]
        self.said = time.perf_counter()
        self._print("  ".join([*parts, f"{self._left(done)} left"]))

    def _print(self, text: str) -> None:
        # A closed pipe (`| head`), where rich asks to exit, or a lost terminal ends the telling, not the training.
        with suppress(OSError, SystemExit):
            self.out.print(text, markup=False, soft_wrap=True)
            self.out.file.flush()

    def close(self, text: str = "") -> None:
        """Stop the live line and print ``text``, if any."""
        if self.progress is not None:
            self.progress.stop()
            self.progress = None
        if text:
            self._print(text)
