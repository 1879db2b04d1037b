"""The display of a run during training in a notebook: a line of numbers, and below it the grid beside the curves.

Both are outputs of the cell that replace themselves, so the last ones stay in the saved notebook. They need no
widget, so Jupyter, VS Code, Colab and viewers that only read notebooks show them.
"""

from __future__ import annotations

import html
import time
from pathlib import Path
from typing import Any

from ganforge import hookimpl
from ganforge.errors import GANForgeError
from ganforge.showing.pictures import encoded, overview
from ganforge.showing.words import duration, standing

LINE_EVERY, CURVES_EVERY, SHARE = 0.5, 15.0, 20  # seconds; drawing takes a twentieth of the time at most


class NotebookDisplay:
    """An observer that shows a run in the output of a notebook's cell."""

    def __init__(self) -> None:
        self.line, self.picture = Output(), Output()
        self.metrics: dict[str, float] = {}
        self.directory: Path | None = None
        self.grid: Path | None = None
        self.vectors = False
        self.said = self.drawn = self.cost = 0.0
        self.line.put(_line("preparing", 0, 1), "preparing")

    @hookimpl
    def run_started(self, run: Any) -> None:
        self.directory, self.start_step = run.directory, run.start_step
        self.begun = time.perf_counter()
        self._draw()

    @hookimpl
    def step_ended(self, step: Any) -> None:
        if step.metrics:
            self.metrics = dict(step.metrics)
        now, progress = time.perf_counter(), step.progress
        done = progress.step + 1
        if now - self.said > LINE_EVERY or done == progress.steps:
            self.said = now
            left = (now - self.begun) / max(done - self.start_step, 1) * (progress.steps - done)
            rate = [f"{self.metrics['images_per_second']:.0f} img/s"] if self.metrics else []
            where = f"epoch {progress.epoch + 1}/{progress.epochs}"
            text = "  ".join([where, *standing(self.metrics), *rate, f"{duration(left)} left"])
            self.line.put(_line(text, done, progress.steps), text)
        if step.metrics and now - self.drawn > CURVES_EVERY:
            self._draw()

    @hookimpl
    def snapshot_taken(self, snapshot: Any) -> None:
        self.grid, self.vectors = snapshot.path, snapshot.images.ndim == 2
        if time.perf_counter() - self.drawn > SHARE * self.cost:
            self._draw()

    def _draw(self) -> None:
        from ganforge.media.grids import read_png
        from ganforge.runs import read_history

        if self.directory is None:
            return
        begun = time.perf_counter()
        try:
            grid = None if self.grid is None else read_png(self.grid)
            picture = overview(grid, read_history(self.directory), self.vectors)
        except GANForgeError:  # what cannot be read is said elsewhere
            return
        if picture is not None:
            self.picture.show({"image/png": encoded(picture), "text/plain": "the last grid and the curves"})
        self.drawn = time.perf_counter()
        self.cost = self.drawn - begun

    def close(self, text: str = "") -> None:
        """Draw the last grid and curves, and show ``text``, if any."""
        self._draw()
        if text:
            self.line.put(f"<b>{html.escape(text)}</b>", text)


class Output:
    """An output of the running cell that appears when there is something to show, and then replaces itself."""

    def __init__(self) -> None:
        self._handle: Any = None

    def say(self, text: str) -> None:
        """Show text."""
        self.put(f"<code>{html.escape(text)}</code>", text)

    def clear(self) -> None:
        """Remove what is shown."""
        if self._handle is not None:
            self.put("", "")

    def put(self, markup: str, text: str) -> None:
        """Show HTML, or ``text`` where HTML cannot be shown."""
        self.show({"text/html": markup, "text/plain": text})

    def show(self, bundle: dict[str, str]) -> None:
        """Show the same thing in several forms, by their MIME types."""
        from IPython.display import display

        if self._handle is None:
            self._handle = display(bundle, raw=True, display_id=True)
        else:
            self._handle.update(bundle, raw=True)


def _line(text: str, done: int, steps: int) -> str:
    return f'<progress value="{done}" max="{steps}"></progress> <code>{html.escape(text)}</code>'
