"""``ganforge plugins``."""

from __future__ import annotations

import inspect
import json
from typing import Any

import click

from ganforge.cli.common import console, plugin_option

EPILOG = """\b
Examples:
  ganforge plugins
  ganforge plugins noise-anneal
  ganforge plugins --plugin my_architecture.py
"""
TITLES = {
    "architecture": ("Architectures", "--arch"),
    "strategy": ("Balancing strategies", "--balance"),
    "loss": ("Losses", "--loss"),
    "dataset": ("Data sources", "--data"),
}


@click.command("plugins", epilog=EPILOG)
@click.argument("name", required=False)
@plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str | None, plugins: tuple[str, ...], as_json: bool) -> None:
    """List what is installed, from which package; with NAME, everything about one, with every option."""
    from ganforge.engine.backend_choice import choose_backend
    from ganforge.errors import UsageError, closest
    from ganforge.plugins import KINDS, load_plugins

    choose_backend()
    registry = load_plugins(plugins)
    entries = [entry for kind in KINDS for entry in registry.of(kind)]
    if name is not None:
        entries = [entry for entry in entries if entry.name == name]
        if not entries:
            names = [entry.name for kind in KINDS for entry in registry.of(kind)]
            broken = next((line for line in registry.warnings() if f"'{name}'" in line), "")
            raise UsageError(
                broken or f"nothing is called '{name}'; ganforge plugins lists all.{closest(name, names)}"
            )
    if as_json:
        _print_json(entries, registry)
    elif name is not None:
        for entry in entries:
            _print_one(entry)
    else:
        _print_all(entries, registry)


def _options(entry: Any) -> Any:
    from ganforge.options import describe_options

    return describe_options(entry.value.Options if entry.kind == "strategy" else entry.value.options)


def _summary(entry: Any) -> str:
    if entry.kind == "strategy":
        lines = (inspect.getdoc(entry.value) or "").splitlines()
        return lines[0] if lines else ""
    return entry.value.summary


def _print_json(entries: list[Any], registry: Any) -> None:
    listed = [
        {
            "kind": entry.kind,
            "name": entry.name,
            "package": entry.package,
            "version": entry.version,
            "summary": _summary(entry),
            "options": [vars(option) for option in _options(entry)],
        }
        for entry in entries
    ]
    click.echo(json.dumps({"plugins": listed, "broken": [vars(b) for b in registry.broken]}, indent=2))


def _print_all(entries: list[Any], registry: Any) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    out = console()
    for kind, (title, flag) in TITLES.items():
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        table.add_column(min_width=22, no_wrap=True, style="bold")
        table.add_column(overflow="fold", ratio=1)
        table.add_column(no_wrap=True, style="dim")
        for entry in (e for e in entries if e.kind == kind):
            table.add_row(entry.name, escape(_summary(entry)), escape(f"{entry.package} {entry.version}"))
        out.print(f"\n{title} [dim]({flag})[/]")
        out.print(table)
    lines = registry.warnings()
    if lines:
        table = Table(box=box.SIMPLE, show_header=False, pad_edge=False)
        for line in lines:
            table.add_row(f"[red]{escape(line)}[/]")
        out.print("\nBroken")
        out.print(table)
    out.print("\n[dim]ganforge plugins NAME tells everything about one.[/]")


def _print_one(entry: Any) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    out = console()
    _, flag = TITLES[entry.kind]
    out.print(f"[bold]{entry.name}[/] ({flag}), from {escape(entry.package)} {escape(entry.version)}\n")
    text = inspect.getdoc(entry.value) if entry.kind == "strategy" else entry.value.summary
    if entry.kind == "architecture":
        text = "\n\n".join(t for t in (text, inspect.getdoc(inspect.getmodule(entry.value.generator))) if t)
    # Docstrings are wrapped for the source; here each paragraph takes the width it is given.
    paragraphs = (text or "It says nothing about itself.").split("\n\n")
    out.print(escape("\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)))
    options = _options(entry)
    if not options:
        out.print("\nIt has no options.")
        example = entry.name
    else:
        table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
        for column in ("option", "type", "default", ""):
            table.add_column(column, overflow="fold", no_wrap=column == "option")
        for option in options:
            table.add_row(option.name, escape(option.type), escape(option.default), escape(option.help))
        out.print(table)
        known = next((o for o in options if o.default != "None"), options[0])
        example = f"{entry.name}:{known.name}={known.default}"
    out.print(f"Example: [bold]ganforge train {flag} {escape(example)}[/]")
