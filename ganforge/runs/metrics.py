"""``metrics.jsonl``: one JSON object a line, one line a logged step."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError, reason
from ganforge.files import own, read_file, write_atomic
from ganforge.memory import memory_left

NAME = "metrics.jsonl"


def append_metrics(run: Path, line: Mapping[str, Any]) -> None:
    """Write one line, in one piece. What is not a finite number becomes null: JSON has no other word for it."""
    content = (json.dumps({k: finite(v) for k, v in line.items()}) + "\n").encode()
    # Unbuffered: nothing waits in memory for a kill to lose, or to fail again when the file is closed.
    with open(own(run, NAME), "ab", buffering=0) as file:
        while content:  # a nearly full disk takes a part, and refuses the rest
            content = content[file.write(content) :]


def sync_metrics(run: Path) -> None:
    """Bring all lines to the disk: a checkpoint stands for the lines before it."""
    with open(own(run, NAME), "ab") as file:
        os.fsync(file.fileno())


def finite(value: Any) -> Any:
    """Return ``value``, or None for a float that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the logged lines, oldest first; none when there is no file yet. A torn last line is left out.

    Raises:
        GANForgeError: a line before the last is damaged, or the file cannot be read.
    """
    lines, damaged = _parse(run)
    if damaged:
        raise GANForgeError(f"{run / NAME}: line {damaged[0]} is damaged; expected a JSON object with a step")
    return lines


def truncate_metrics(run: Path, last_step: int) -> list[int]:
    """Drop the lines after ``last_step`` and damaged ones, so that training goes on from there.

    Returns the numbers of damaged lines, a torn last one not counted: it was being written when the process ended.
    """
    lines, damaged = _parse(run)
    kept = [line for line in lines if line["step"] <= last_step]
    write_atomic(run / NAME, "".join(json.dumps(line) + "\n" for line in kept).encode())
    return damaged


def _is_number(value: Any) -> bool:
    kind = type(value)  # True is no number here
    return value is None or kind is float or (kind is int and -(2**63) <= value < 2**63)


def _parse(run: Path) -> tuple[list[dict[str, Any]], list[int]]:
    """Return the good lines, and the numbers of those that are not."""
    try:
        text = read_file(own(run, NAME), memory_left() // 8, links=False).decode("utf-8", errors="replace")
    except FileNotFoundError:
        return [], []
    except OSError as error:
        raise GANForgeError(f"{run / NAME} cannot be read: {reason(error, kind=False)}") from None
    lines = text.split("\n")
    good, damaged = [], []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and type(value.get("step")) is int and all(map(_is_number, value.values())):
            good.append({name: finite(number) for name, number in value.items()})
        elif number < len(lines):  # else it has no line end: killed while writing it
            damaged.append(number)
    return good, damaged
