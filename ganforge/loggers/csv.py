"""A run's log lines as a table: ``--log csv`` writes ``metrics.csv`` in the run directory."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ganforge import RunInfo, StepInfo, hookimpl
from ganforge.files import write_atomic

Line = Mapping[str, Any]


class CSV:
    """An observer that writes ``metrics.csv``: one row per log line, one column for each name seen so far.

    A name that first appears later adds a column, empty in the rows before. Values that are not finite are empty too.
    A run that resumes, or returns to a checkpoint, starts with the lines of ``metrics.jsonl`` up to that point: the
    table is never ahead of the checkpoint, and is complete even if the run started without this logger.
    """

    def __init__(self) -> None:
        self.path = self.lines_of = Path()
        self.names: list[str] = []
        self.last = 0

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        self.path, self.lines_of = run.directory / "metrics.csv", run.directory / "metrics.jsonl"
        self._begin(run.start_step)

    @hookimpl
    def step_ended(self, step: StepInfo) -> None:
        done = step.progress.step + 1
        if done <= self.last:  # the run went back to a checkpoint
            self._begin(step.progress.step)
        self.last = done
        if not step.metrics:
            return
        new = [name for name in step.metrics if name not in self.names]
        if new:
            rows = self._rows()
            self.names += new
            self._write([*rows, step.metrics])
            return
        with open(self.path, "a", encoding="utf-8", newline="") as file:
            file.write(self._text([step.metrics]))

    def _begin(self, step: int) -> None:
        """Write the table of what was logged up to a step."""
        lines = [line for line in _logged(self.lines_of) if line["step"] <= step]
        self.names = list(dict.fromkeys(name for line in lines for name in line))
        self.last = step
        self._write(lines)

    def _rows(self) -> list[dict[str, str]]:
        with open(self.path, encoding="utf-8", newline="") as file:
            return list(csv.DictReader(file))

    def _text(self, lines: Iterable[Line], header: bool = False) -> str:
        text = io.StringIO()
        table = csv.DictWriter(text, self.names, restval="", lineterminator="\n")
        if header and self.names:
            table.writeheader()
        table.writerows({name: _shown(value) for name, value in line.items()} for line in lines)
        return text.getvalue()

    def _write(self, lines: Iterable[Line]) -> None:
        write_atomic(self.path, self._text(lines, header=True).encode())


def _logged(file: Path) -> list[dict[str, Any]]:
    """Return the lines of ``metrics.jsonl`` that are whole."""
    lines = []
    for text in file.read_text("utf-8", errors="replace").splitlines() if file.is_file() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            lines.append(line)
    return lines


def _shown(value: Any) -> Any:
    return "" if value is None or (isinstance(value, float) and not math.isfinite(value)) else value
