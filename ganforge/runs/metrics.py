"""``metrics.jsonl``: one JSON object a line, one line a logged step."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError
from ganforge.runs.files import write_atomic

NAME = "metrics.jsonl"


class MetricsWriter:
    """Appends lines; each is handed to the system as soon as it is written."""

    def __init__(self, path: Path) -> None:
        self._file = open(path, "a", encoding="utf-8")  # noqa: SIM115 (closed by close)

    def write(self, line: dict[str, Any]) -> None:
        """Write one line. What is not a finite number becomes null, since JSON has no other word for it."""
        self._file.write(json.dumps({k: _finite(v) for k, v in line.items()}) + "\n")
        self._file.flush()

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the logged lines, oldest first; none when there is no file yet. A torn last line is left out.

    Raises:
        GANForgeError: a line before the last is damaged.
    """
    try:
        text = (run / NAME).read_text("utf-8", errors="replace")
    except FileNotFoundError:
        return []
    lines = text.split("\n")
    result = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
            if not isinstance(value, dict):
                raise ValueError
        except ValueError:
            if number == len(lines):
                break  # killed while writing it
            raise GANForgeError(f"{run / NAME}: line {number} is damaged; expected one JSON object a line") from None
        result.append(value)
    return result


def truncate_metrics(run: Path, last_step: int) -> None:
    """Drop the lines after ``last_step`` and a torn one, so that training goes on from there."""
    kept = [line for line in read_metrics(run) if line.get("step", 0) <= last_step]
    write_atomic(run / NAME, "".join(json.dumps(line) + "\n" for line in kept).encode())
