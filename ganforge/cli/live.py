"""The live view of a training: a progress line on a terminal, plain lines elsewhere."""

from __future__ import annotations

import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from ganforge import hookimpl
from ganforge.cli.console import duration

if TYPE_CHECKING:
    from rich.console import Console

    from ganforge.training.trainer import Trainer

LINES = 20


class Display:
    """An observer that shows losses, D(real), D(fake), img/s and the time left."""

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
    def run_started(self, run: Any) -> None:
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
        parts = [
            f"[blue]D {m['d_loss']:.2f}[/]",
            f"[red]G {m['g_loss']:.2f}[/]",
            f"D(real) {m['d_real']:.2f}",
            f"D(fake) {m['d_fake']:.2f}",
            f"{m['images_per_second']:.0f} img/s",
            f"{self._left(done)} left",
        ]
        return "  ".join(parts)

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
        self._print(
            f"epoch {epoch.epoch}/{epoch.epochs}  D {m['d_loss']:.3f}  G {m['g_loss']:.3f}  "
            f"D(real) {m['d_real']:.2f}  D(fake) {m['d_fake']:.2f}  {m['images_per_second']:.0f} img/s  "
            f"{self._left(epoch.epoch * self.setup.steps_per_epoch)} left"
        )

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
