"""``ganforge check``."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import click

from ganforge.cli.console import console
from ganforge.cli.options import no_plugin_option, plugin_option, spec_completion
from ganforge.plugin.kinds import KINDS

if TYPE_CHECKING:
    from ganforge.testing import Report

EPILOG = """\b
Examples:
  ganforge check tiny
  ganforge check tiny:width=4 --backend torch
  ganforge check my-strategy --plugin my_strategy.py
"""
SIGNS = {"passed": "[green]✓[/]", "advice": "[yellow]![/]", "failed": "[red]✗[/]", "skipped": "[dim]–[/]"}


def _either(names: Iterable[str]) -> str:
    *most, last = names
    return f"{', '.join(most)} or {last}"


@click.command("check", epilog=EPILOG)
@click.argument("name", metavar="NAME[:OPTIONS]", shell_complete=spec_completion())
@click.option("--kind", metavar="KIND", help=f"Needed if the name has several kinds: {_either(KINDS)}.")
@click.option(
    "--backend",
    "backends",
    multiple=True,
    metavar="NAME",
    help="Check only on this backend (repeatable). [default: all]",
)
@plugin_option
@no_plugin_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(name: str, kind: str | None, backends: tuple[str, ...], plugins: tuple[str, ...], as_json: bool) -> int:
    """Check a plugin on each installed backend: shapes, ranges, gradients, seeds, resuming.

    Give an architecture small options to save time: ganforge check dcgan:width=4. If a check fails, the command says
    what to change and exits with 1.
    """
    from ganforge.errors import GANForgeError
    from ganforge.testing import backends_to_check, run_checks

    wanted = backends_to_check(backends)
    subject = _subject(name, kind, plugins, wanted[0])
    out = console(stderr=as_json)
    reports: dict[str, Report] = {}
    with out.status(f"checking on {wanted[0]}") as status:
        for backend, report in run_checks([subject], wanted, plugins):
            reports[backend] = report
            left = [other for other in wanted if other not in reports]
            status.update(f"checking on {left[0]}" if left else "")
    if as_json:
        click.echo(json.dumps(_as_json(subject, reports), indent=2))
    else:
        _show(out, subject, reports)
    failed = {result.check for report in reports.values() for result in report.failed}
    if failed:
        raise GANForgeError(f"{name} fails {len(failed)} check{'s' if len(failed) > 1 else ''}: {', '.join(failed)}")
    return 0


def _subject(name: str, kind: str | None, plugins: tuple[str, ...], backend: str) -> Any:
    """Find out what a name is, before any process starts."""
    from ganforge.backend import choose_backend
    from ganforge.cli.completion import installed_names
    from ganforge.errors import UsageError, closest
    from ganforge.plugin.options import parse_spec
    from ganforge.plugin.registry import load_plugins
    from ganforge.plugin.trust import given
    from ganforge.testing import Subject

    if kind is not None and kind not in KINDS:
        raise UsageError(f"invalid --kind {kind}: expected {', '.join(KINDS)}.{closest(kind, KINDS)}")
    spec = parse_spec(name)
    known = {} if plugins else installed_names()
    kinds = [k for k in KINDS if spec.name in known.get(k, ())]
    if not kinds:  # a file's, or one that is not there
        choose_backend(backend)
        registry = load_plugins(given(plugins))
        kinds = [k for k in KINDS if spec.name in registry.entries[k]]
        if not kinds:
            names = [n for k in KINDS for n in registry.entries[k]]
            broken = "".join(f" ({line})" for line in registry.warnings())
            raise UsageError(f"there is no plugin '{spec.name}'.{closest(spec.name, names)}{broken}")
    if kind is not None:
        if kind not in kinds:
            raise UsageError(f"invalid --kind {kind}: expected {', '.join(kinds)} for '{spec.name}'")
        kinds = [kind]
    if len(kinds) > 1:
        raise UsageError(f"'{spec.name}' names several plugins: {', '.join(kinds)}; choose one with --kind")
    return Subject(kinds[0], name)


def _facts(reports: dict[str, Any], spec: str) -> dict[str, Any]:
    facts = dict(next(iter(reports.values())).facts[spec])
    facts.pop("numbers", None)
    return facts


def _as_json(subject: Any, reports: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": subject.spec,
        "kind": subject.kind,
        **_facts(reports, subject.spec),
        "results": [dataclasses.asdict(result) for report in reports.values() for result in report.results],
    }


def _show(out: Any, subject: Any, reports: dict[str, Any]) -> None:
    from rich import box
    from rich.markup import escape
    from rich.table import Table

    from ganforge.testing import CHECKS

    facts = _facts(reports, subject.spec)
    package = f"{escape(facts['package'])} {escape(facts['version'])}"
    line = f"[bold]{escape(subject.spec)}[/], {subject.kind} from {package}"
    if sizes := facts.get("parameters"):
        side = facts["image_size"]
        line += f"\nparameters at {side}x{side}: generator {sizes['generator']:,}, "
        line += f"discriminator {sizes['discriminator']:,}"
    out.print(line)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    table.add_column("check", no_wrap=True)
    for backend in reports:
        table.add_column(backend, justify="center")
    table.add_column("requirement", overflow="fold", style="dim")
    promises = {one.name: one.summary for one in CHECKS[subject.kind]}
    if any(result.check == "agrees" for report in reports.values() for result in report.results):
        promises["agrees"] = "The same numbers as on the first backend."
    for name, promise in promises.items():
        signs = []
        for report in reports.values():
            found = next((r for r in report.results if r.check == name), None)
            signs.append(SIGNS[found.state] if found else "")
        table.add_row(name, *signs, escape(promise.replace("``", "")))
    out.print(table)
    said: dict[tuple[str, str, str], list[str]] = {}
    for backend, report in reports.items():
        for result in report.results:
            if result.state in ("failed", "advice"):
                said.setdefault((result.state, result.check, result.message), []).append(backend)
    for (state, name, message), where in sorted(said.items(), key=lambda item: item[0][0] != "failed"):
        on = "" if len(where) == len(reports) else f" on {', '.join(where)}"
        out.print(f"{SIGNS[state]} [bold]{name}[/]{on}: {escape(message)}\n")
    if not any(state == "failed" for state, _, _ in said):
        out.print("[green]All checks passed.[/]" + (" Lines marked ! are advice." if said else ""))
