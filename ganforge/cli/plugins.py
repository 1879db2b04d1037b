"""``ganforge plugins``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import click

from ganforge.cli.console import console
from ganforge.cli.options import no_plugin_option, plugin_option, spec_completion
from ganforge.plugin.telling import example_of, text_of

if TYPE_CHECKING:
    from ganforge.plugin.registry import Entry, Registry

EPILOG = """\b
Examples:
  ganforge plugins
  ganforge plugins noise-anneal
  ganforge plugins --plugin my_architecture.py
"""


@click.command("plugins", epilog=EPILOG)
@click.argument("name", required=False, shell_complete=spec_completion())
@plugin_option
@no_plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, plugins: tuple[str, ...], as_json: bool) -> None:
    """List installed plugins and their packages; with NAME, show one with all of its options."""
    from ganforge.backend import choose_backend
    from ganforge.cli.completion import remember
    from ganforge.errors import UsageError, closest
    from ganforge.plugin.kinds import KINDS
    from ganforge.plugin.registry import load_plugins
    from ganforge.plugin.trust import given

    choose_backend()
    registry = load_plugins(given(plugins))
    if not plugins:
        remember(registry)
    entries = [entry for kind in KINDS for entry in registry.of(kind)]
    if name is not None:
        entries = [entry for entry in entries if entry.name == name]
        if not entries:
            names = [entry.name for kind in KINDS for entry in registry.of(kind)]
            broken = next((line for line in registry.warnings() if f"'{name}'" in line), "")
            raise UsageError(
                broken or f"there is no plugin '{name}'; `ganforge plugins` lists all names.{closest(name, names)}"
            )
    if as_json:
        _print_json(entries, registry)
    elif name is not None:
        for entry in entries:
            _print_one(entry)
    else:
        _print_all(entries, registry)


def _print_json(entries: list[Entry], registry: Registry) -> None:
    from ganforge.plugin.options import describe_options

    listed = [
        {
            "kind": entry.kind,
            "name": entry.name,
            "package": entry.package,
            "version": entry.version,
            "plugin": entry.plugin,
            "summary": entry.summary,
            "text": text_of(entry),
            "example": example_of(entry),
            "options": [vars(option) for option in describe_options(entry.options)],
        }
        for entry in entries
    ]
    click.echo(json.dumps({"plugins": listed, "broken": [vars(b) for b in registry.broken]}, indent=2))


def _print_all(entries: list[Entry], registry: Registry) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from ganforge.plugin.kinds import KINDS

    out = console()
    for kind in KINDS.values():
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(min_width=22, no_wrap=True, style="bold")
        table.add_column(overflow="fold", ratio=1)
        table.add_column(no_wrap=True, style="dim")
        for entry in (e for e in entries if e.kind == kind.name):
            table.add_row(entry.name, escape(entry.summary), escape(f"{entry.package} {entry.version}"))
        out.print(f"\n{kind.title} [dim]({kind.flag})[/]")
        out.print(table)
    lines = registry.warnings()
    if lines:
        table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
        for line in lines:
            table.add_row(f"[red]{escape(line)}[/]")
        out.print("\nBroken")
        out.print(table)
    out.print("\n[dim]ganforge plugins NAME shows one with all of its options.[/]")


def _print_one(entry: Entry) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from ganforge.plugin.kinds import KINDS
    from ganforge.plugin.options import describe_options

    out = console()
    out.print(
        f"[bold]{entry.name}[/] ({KINDS[entry.kind].flag}), from {escape(entry.package)} {escape(entry.version)}\n"
    )
    out.print(escape(text_of(entry) or "No description."))
    options = describe_options(entry.options)
    if not options:
        out.print("\nNo options.\n")
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("option", "type", "default", ""):
            table.add_column(column, overflow="fold", no_wrap=column == "option")
        for option in options:
            kind = f"{option.type} {option.bounds}".strip()
            table.add_row(option.name, escape(kind), escape(option.default), escape(option.help))
        out.print(table)
    out.print(f"Example: [bold]{escape(example_of(entry))}[/]")
