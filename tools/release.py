"""Whether this checkout can be published: ``python -m tools.release [--extras] [--only STEP]``.

Each step prints one line: ok or failed, and why. The exit code is 1 if one failed. Nothing is uploaded or tagged;
``dist/`` holds what would be published. The steps that install need a package index and work in a temporary folder.
"""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import tomllib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

from tools import numbers
from tools.artifacts import build, install, metadata
from tools.links import broken_links, pages
from tools.shell import Failed, git, read, run

ROOT = Path(__file__).parents[1]
KINDS = ("Added", "Changed", "Deprecated", "Removed", "Fixed", "Security")

Step = Callable[[Path], str]


def tree(root: Path) -> str:
    """What is built is what is committed."""
    changed = git(root, "status", "--porcelain").splitlines()
    if changed:
        raise Failed(f"{len(changed)} uncommitted files, the first: {changed[0].split()[-1]}")
    return f"clean at {git(root, 'rev-parse', '--short', 'HEAD')}"


def version_of(root: Path) -> str:
    found = re.search(r'^__version__ = "(.+)"$', read(root / "ganforge" / "__init__.py"), flags=re.M)
    if found is None:
        raise Failed('ganforge/__init__.py: expected a line __version__ = "VERSION"')
    return found[1]


def releases(root: Path) -> list[tuple[str, str, list[str]]]:
    """Return (version, date, headings) of each release in the changelog, the newest first."""
    parts = re.split(r"^## \[(.+?)\] - (.+)$", read(root / "CHANGELOG.md"), flags=re.M)[1:]
    found = zip(parts[::3], parts[1::3], parts[2::3])
    return [(version, date, re.findall(r"^### (.+)$", text, flags=re.M)) for version, date, text in found]


def version(root: Path) -> str:
    """One version, in the code; the changelog and the citation name it with its date."""
    ours = version_of(root)
    project = tomllib.loads(read(root / "pyproject.toml"))["project"]
    if "version" in project or "version" not in project.get("dynamic", ()):
        raise Failed("pyproject.toml has a version of its own: expected it in ganforge/__init__.py alone")
    newest = releases(root)[:1]
    if not newest or newest[0][0] != ours:
        raise Failed(f"CHANGELOG.md does not begin with {ours}: expected the line ## [{ours}] - DATE")
    date = newest[0][1]
    if re.fullmatch(r"\d{4}-\d\d-\d\d", date) is None:
        raise Failed(f"CHANGELOG.md says {ours} - {date}: expected the date of the release, YYYY-MM-DD")
    citation = dict(re.findall(r'^([a-z-]+): *"?(.*?)"?$', read(root / "CITATION.cff"), flags=re.M))
    for key, expected in {"version": ours, "date-released": date}.items():
        if citation.get(key) != expected:
            raise Failed(f"CITATION.cff: expected the line {key}: {expected}")
    return f"{ours} of {date} in the code, CHANGELOG.md and CITATION.cff"


def changelog(root: Path) -> str:
    """Keep a Changelog: known headings, each once a release."""
    found = releases(root)
    for name, _, headings in found:
        for heading in headings:
            if heading not in KINDS:
                raise Failed(f"{name} has a heading '{heading}': expected {', '.join(KINDS)}")
            if headings.count(heading) > 1:
                raise Failed(f"{name} has the heading '{heading}' {headings.count(heading)} times")
        if not headings:
            raise Failed(f"{name} says nothing")
    return f"{len(found)} releases"


def links(root: Path) -> str:
    found = [f"{page.relative_to(root)}: {link}" for page in pages(root) for link in broken_links(page)]
    if found:
        raise Failed(f"{len(found)} lead nowhere, the first: {found[0]}")
    return f"all relative links of {len(pages(root))} pages lead somewhere"


def figures(root: Path) -> str:
    """The figures in the docs have a command; stale ones are counted, not refused."""
    tables = numbers.registry(root)
    if faults := numbers.faults(tables, root):
        raise Failed(faults[0])
    stale = [table for table in tables if numbers.state(table, root)[0] == "stale"]
    return f"{len(tables)} tables, {len(stale)} of them stale (python -m tools.numbers names them)"


def site(root: Path) -> str:
    with tempfile.TemporaryDirectory() as folder:
        run(sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", folder, cwd=root)
    return "builds with --strict"


def steps(root: Path) -> dict[str, Step]:
    """Return all steps by name, in their order."""
    extras = sorted(tomllib.loads(read(root / "pyproject.toml"))["project"].get("optional-dependencies", {}))
    found: dict[str, Step] = {
        **{"tree": tree, "version": version, "changelog": changelog, "links": links},
        **{"numbers": figures, "site": site},
    }
    for name, step in {"build": build, "metadata": metadata, "install": install}.items():
        found[name] = partial(_of_version, step)
    for name, chosen in {**{extra: [extra] for extra in extras}, "all": extras}.items():
        found[f"extra:{name}"] = partial(_of_version, partial(install, extras=chosen))
    return found


def _of_version(step: Callable[[Path, str], str], root: Path) -> str:
    return step(root, version_of(root))


def main(arguments: Sequence[str] | None = None, root: Path = ROOT) -> int:
    known = steps(root)
    parser = argparse.ArgumentParser(
        prog="python -m tools.release",
        description=(__doc__ or "").split("\n")[0],
        epilog="Tests are not a step: run `pytest -m ''`, all of them, first.",
    )
    parser.add_argument("--extras", action="store_true", help="also install each extra alone, then all together")
    parser.add_argument("--only", action="append", metavar="STEP", help=f"one of {', '.join(known)}; repeatable")
    asked = parser.parse_args(arguments)
    if unknown := [name for name in asked.only or () if name not in known]:
        parser.error(f"unknown step '{unknown[0]}': expected one of {', '.join(known)}")
    failed = 0
    for name in known:
        if name in asked.only if asked.only else (asked.extras or not name.startswith("extra:")):
            try:
                said, mark = known[name](root), "ok"
            except Failed as error:
                said, mark, failed = str(error), "failed", failed + 1
            print(f"{mark:6}  {name:{max(map(len, known))}}  {said}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
