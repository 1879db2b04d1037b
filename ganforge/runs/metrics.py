"""``metrics.jsonl``: one JSON object per line, one line per logged step."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, BinaryIO

from ganforge.errors import GANForgeError, reason
from ganforge.files import opened, own, replacing
from ganforge.memory import memory_left
from ganforge.metrics.columns import History

NAME = "metrics.jsonl"
MOST, LINE = 2**36, 2**20  # bytes of the file, of which a line is in memory at a time, and of a line


def append_metrics(run: Path, line: Mapping[str, Any]) -> None:
    """Write one line, in one piece. Numbers that are not finite become null, since JSON cannot express them."""
    content = (json.dumps({k: finite(v) for k, v in line.items()}) + "\n").encode()
    # Unbuffered: nothing waits in memory for a kill to lose, or to fail again when the file is closed.
    with open(own(run, NAME), "ab", buffering=0) as file:
        while content:  # a nearly full disk takes a part, and refuses the rest
            content = content[file.write(content) :]


def sync_metrics(run: Path) -> None:
    """Write all lines to the disk, since a checkpoint implies the lines before it."""
    with open(own(run, NAME), "ab") as file:
        os.fsync(file.fileno())


def finite(value: Any) -> Any:
    """Return ``value``, or None for a float that is not finite."""
    return None if isinstance(value, float) and not math.isfinite(value) else value


def read_metrics(run: Path) -> list[dict[str, Any]]:
    """Return the logged lines, oldest first; none if there is no file yet. An incomplete last line is left out.

    Raises:
        GANForgeError: a line before the last is damaged, or the file cannot be read.
    """
    return list(each_line(run))


def read_history(run: Path) -> History:
    """Return the logged lines as columns, in a tenth of the memory. Raises as ``read_metrics`` does."""
    history = History()
    try:
        for i, line in enumerate(each_line(run)):
            history.append(line)
            if i % 2**16 == 0 and history.nbytes > memory_left():  # short lines may have many columns
                raise ValueError(f"its first {i:,} lines take more than the free memory")
    except ValueError as error:
        raise GANForgeError(f"{run / NAME} cannot be read: {reason(error, kind=False)}") from None
    return history


def each_line(run: Path) -> Iterator[dict[str, Any]]:
    """Yield the logged lines one at a time. Raises as ``read_metrics`` does."""
    with Reader(run) as reader:
        for number, line in reader:
            if line is None:
                raise GANForgeError(f"{run / NAME}: line {number} is damaged; expected a JSON object with a step")
            yield line


def truncate_metrics(run: Path, last_step: int) -> list[int]:
    """Drop the lines after ``last_step`` and damaged ones, so that training continues from there.

    Return the numbers of the damaged lines, except an incomplete last one, which the process was writing as it ended.
    """
    damaged = []
    with Reader(run) as reader, replacing(run / NAME) as file:
        for number, line in reader:
            if line is None:
                damaged.append(number)
            elif line["step"] <= last_step:
                file.write((json.dumps(line) + "\n").encode())
    return damaged


class Reader:
    """Reads ``metrics.jsonl`` line by line, from the byte ``at`` on: (number, line), or None for a damaged line.

    A last line without its end is still being written; it is left for the next reader, which begins at ``at``.
    """

    def __init__(self, run: Path, at: int = 0) -> None:
        self.run, self.at = run, at
        self._stack = ExitStack()
        self._file: BinaryIO | None = None

    def __enter__(self) -> Reader:
        try:
            self._file = self._stack.enter_context(opened(own(self.run, NAME), MOST, links=False))
            self._file.seek(self.at)
        except FileNotFoundError:
            pass
        except OSError as error:
            raise self._cannot(error) from None
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def __iter__(self) -> Iterator[tuple[int, dict[str, Any] | None]]:
        number = 0
        while self._file is not None:
            try:
                content = self._file.readline(LINE)
                whole = content.endswith(b"\n")
                if not whole and len(content) == LINE:  # no line of a run: on to its end
                    while rest := self._file.readline(LINE):
                        whole = rest.endswith(b"\n")
                        if whole:
                            break
                    content = b"too long"
            except OSError as error:
                raise self._cannot(error) from None
            if not content:
                return
            number += 1
            line = _parsed(content)
            if whole or line is not None:
                self.at = self._file.tell()
                if content.strip():
                    yield number, line
            if not whole:  # it has no line end: killed while writing it
                return

    def _cannot(self, error: OSError) -> GANForgeError:
        return GANForgeError(f"{self.run / NAME} cannot be read: {reason(error, kind=False)}")


def _parsed(content: bytes) -> dict[str, Any] | None:
    """Return a line if it is valid, else None."""
    try:
        value = json.loads(content.decode("utf-8", "replace"))
    except (ValueError, RecursionError):
        return None
    if isinstance(value, dict) and type(value.get("step")) is int and all(map(_is_number, value.values())):
        return {name: finite(number) for name, number in value.items()}
    return None


def _is_number(value: Any) -> bool:
    kind = type(value)  # True is no number here
    return value is None or kind is float or (kind is int and -(2**63) <= value < 2**63)
