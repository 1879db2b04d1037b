"""``ganforge new-plugin``."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from ganforge.cli.console import console, say_path

EPILOG = """\b
Examples:
  ganforge new-plugin tiny
  ganforge new-plugin slow-start --strategy
  ganforge new-plugin lion --kind optimizer
"""


@click.command("new-plugin", epilog=EPILOG)
@click.argument("name")
@click.option("--architecture", "kind", flag_value="architecture", default=True, help="Two networks (the default).")
@click.option("--strategy", "kind", flag_value="strategy", help="A balancing strategy with a schedule and a state.")
@click.option("--loss", "kind", flag_value="loss", help="An adversarial loss.")
@click.option("--dataset", "kind", flag_value="dataset", help="A data source.")
@click.option("--optimizer", "kind", flag_value="optimizer", help="An optimizer.")
@click.option("--logger", "kind", flag_value="logger", help="A logger for a run's numbers and grids.")
@click.option("--kind", "chosen", metavar="KIND", help="The kind by name: --kind optimizer.")
@click.option(
    "--directory", type=click.Path(path_type=Path), default=".", metavar="DIR", help="Where to write it. [default: .]"
)
def command(name: str, kind: str, chosen: str | None, directory: Path) -> None:
    """Write a small plugin package, ganforge-NAME, that is ready to install, test and train."""
    from rich.markup import escape

    from ganforge.errors import UsageError, closest
    from ganforge.scaffold import CHECKED, trial, write_plugin

    kind = chosen or (kind if isinstance(kind, str) else "architecture")
    if kind not in CHECKED:
        raise UsageError(f"invalid --kind {kind}: expected {', '.join(CHECKED)}.{closest(kind, CHECKED)}")
    folder = write_plugin(name, kind, directory)
    name = folder.name.removeprefix("ganforge-")
    out = console()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        out.print(f"  {escape(say_path(path))}")
    python = "" if sys.prefix != sys.base_prefix else "python -m "
    out.print(
        f"\nNext:\n  [bold]cd {escape(say_path(folder))}\n  {python}pip install -e '.\\[test]'\n"
        f"  ganforge check {CHECKED[kind].format(name=name)}\n  ganforge train {trial(name, kind)}[/]"
    )
