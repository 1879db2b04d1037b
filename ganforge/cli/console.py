"""What commands print, and in which words."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import click

from ganforge.errors import on_one_line
from ganforge.files import default_runs_dir
from ganforge.showing.words import console, duration, short

__all__ = ["console", "duration", "pairs", "run_name", "say_path", "short", "warn", "with_options"]


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
