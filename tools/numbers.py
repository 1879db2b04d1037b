"""Which figures in the docs are stale: ``python -m tools.numbers [--list | --run cheap] [PAGE]``.

``tools/numbers.toml`` lists each measured table: its page, the command that makes it (named on the page), the commit
and the date it was measured at. Figures are stale when files that they depend on have changed since that commit.
``--run cheap`` runs the commands that take about a minute at most; whoever copies their figures into the page also
writes the new commit and date into the registry.
"""

from __future__ import annotations

import argparse
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.shell import Failed, git, read

ROOT = Path(__file__).parents[1]
REGISTRY = Path("tools/numbers.toml")
NO_COMMAND = "no command"


@dataclass(frozen=True)
class Table:
    """Figures on a page. ``command`` is "" where nothing repeats them; the page names it as ``named``."""

    page: str
    what: str
    commit: str
    date: str
    paths: tuple[str, ...]
    command: str = ""
    named: str = ""
    cheap: bool = False


def registry(root: Path) -> list[Table]:
    """Return the tables of the registry. Raises ``Failed`` where an entry has other keys than ``Table``."""
    try:
        entries = tomllib.loads(read(root / REGISTRY)).get("table", [])
        return [Table(**{**one, "date": str(one["date"]), "paths": tuple(one["paths"])}) for one in entries]
    except (tomllib.TOMLDecodeError, KeyError, TypeError) as error:
        raise Failed(f"{REGISTRY}: {error}") from error


def faults(tables: Sequence[Table], root: Path) -> list[str]:
    """Return what the registry says that is not so, and the pages with figures that it does not have."""
    found = []
    for table in tables:
        where = f"{REGISTRY}, {table.page}, {table.what}"
        if not (root / table.page).is_file():
            found.append(f"{where}: there is no such page")
        elif _plain(table.named or table.command) not in _plain(read(root / table.page)):
            found.append(f"{where}: the page does not name {table.named or table.command}")
        found += [f"{where}: there is no {path}" for path in table.paths if not (root / path).exists()]
        if not table.paths:
            found.append(f"{where}: expected paths that the figures depend on")
        if table.cheap and (not table.command or re.search(r"\b[A-Z]{4,}\b", table.command)):
            found.append(f"{where}: a cheap command must run as it stands")
    known = {table.page for table in tables} | set(tomllib.loads(read(root / REGISTRY)).get("calculated", ()))
    for page in sorted((root / "docs").rglob("*.md")):
        name = page.relative_to(root).as_posix()
        if name not in known and has_figures(read(page)):
            found.append(f"{name} has a table of figures: expected it in {REGISTRY}, with the command that makes it")
    return found


def _plain(text: str) -> str:
    return " ".join(text.split())


def has_figures(text: str) -> bool:
    """Say whether a page has a table row in which most cells but the first are numbers."""
    for line in re.findall(r"^\|.*\|$", text, flags=re.M):
        cells = [cell.strip(" *") for cell in re.split(r"(?<!\\)\|", line)[2:-1]]
        if sum(bool(re.match(r"[−≈]?\d", cell)) for cell in cells) * 2 > len(cells):
            return True
    return False


def state(table: Table, root: Path) -> tuple[str, str]:
    """Return "fresh", "stale", "unknown" (no such commit here) or "no command", and why."""
    if not table.command:
        return NO_COMMAND, "nothing repeats these figures"
    try:
        changed = git(root, "diff", "--name-only", table.commit, "--", *table.paths).splitlines()
    except Failed:
        return "unknown", f"commit {table.commit} is not in this history"
    if not changed:
        return "fresh", f"unchanged since {table.commit}"
    return "stale", f"{len(changed)} files changed since {table.commit}, among them {changed[0]}"


def show(tables: Sequence[Table], root: Path) -> None:
    pages, whats = (max((len(getattr(t, name)) for t in tables), default=0) for name in ("page", "what"))
    for table in tables:
        word, why = state(table, root)
        print(f"{word:{len(NO_COMMAND)}}  {table.page:{pages}}  {table.what:{whats}}  {table.date}  {why}")


def repeat(table: Table, root: Path) -> int:
    """Run a table's command in the checkout, with this Python; return its exit code."""
    print(f"== {table.page}, {table.what}: {table.command}", flush=True)
    program, *words = shlex.split(table.command)
    start = {"python": [sys.executable], "ganforge": [sys.executable, "-m", "ganforge"]}.get(program, [program])
    return subprocess.run([*start, *words], cwd=root).returncode


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.numbers", description=(__doc__ or "").split("\n")[0])
    parser.add_argument("--list", action="store_true", help="say of each table whether it is stale (the default)")
    parser.add_argument("--run", choices=["cheap"], help="run the commands that take a minute at most")
    parser.add_argument("page", nargs="?", default="", metavar="PAGE", help="only pages with this in their name")
    asked = parser.parse_args(arguments)
    try:
        tables = registry(root)
        wrong = faults(tables, root)
    except Failed as error:
        print(error, file=sys.stderr)
        return 1
    chosen = [table for table in tables if asked.page in table.page]
    if asked.run:
        return max([repeat(table, root) != 0 for table in chosen if table.cheap], default=0)
    show(chosen, root)
    print(*wrong, sep="\n", end="\n" if wrong else "", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
