"""What commands print, and in which words."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ganforge.errors import clean, on_one_line
from ganforge.files import default_runs_dir

if TYPE_CHECKING:
    from rich.console import Console


def console(stderr: bool = False) -> Console:
    """Return a console; what is piped gets 100 columns and no colours.

    Texts may come from anywhere: what a terminal would obey is shown as a character in their place.
    """
    from rich.console import Console
    from rich.segment import Segment

    class Clean(Console):
        def render(self, *args: Any, **how: Any) -> Iterator[Segment]:
            for segment in super().render(*args, **how):
                yield segment if segment.control else segment._replace(text=clean(segment.text))

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 100
    return Clean(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def warn(line: str) -> None:
    """Say something on stderr, in one line that a terminal obeys nothing of."""
    with suppress(OSError, ValueError):  # nobody hears it
        click.echo(f"ganforge: {on_one_line(line)}", err=True)


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


def with_options(name: str, options: Mapping[str, Any]) -> str:
    """Return a name with its options, those that are None left out: ``dcgan (layers=3, width=64)``."""
    from ganforge.plugin.options import written

    text = ", ".join(f"{key}={written(value)}" for key, value in options.items() if value is not None)
    return f"{name} ({text})" if text else name


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
