"""The documentation names every hook, argument and option; its examples load, and its links lead somewhere."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

import pytest

from ganforge import hookspecs
from ganforge.engine.backend_choice import choose_backend
from ganforge.options import describe_options

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
PAGES = [*sorted(DOCS.glob("*.md")), ROOT / "README.md", ROOT / "CONTRIBUTING.md"]
HOOKS = [name for name, value in vars(hookspecs).items() if hasattr(value, "ganforge_spec")]


def prose(path: Path) -> str:
    """A page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", path.read_text("utf-8"), flags=re.M | re.S)


def sections(path: Path) -> dict[str, str]:
    """The text under each heading, by heading, without the headings below it."""
    parts = re.split(r"^#+ (.+)$", prose(path), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def anchors(path: Path) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in sections(path)}


def first_cells(text: str) -> dict[str, list[str]]:
    """Rows of a section's tables by their first cell."""
    rows = re.findall(r"^\| `([^`]+)` \|(.*)\|$", text, flags=re.M)
    return {name: [cell.strip() for cell in re.split(r"(?<!\\)\|", rest)] for name, rest in rows}


def registered() -> list:
    choose_backend()
    from ganforge.plugins import KINDS, load_plugins

    registry = load_plugins()
    assert not registry.broken
    # Installed third-party plugins document themselves.
    return [entry for kind in KINDS for entry in registry.of(kind) if entry.package == "ganforge"]


# ------------------------------------------------------------------ hooks


def test_the_hooks_are_found():
    assert set(HOOKS) == {*hookspecs.REGISTRATION_HOOKS, *hookspecs.STRATEGY_HOOKS, *hookspecs.OBSERVER_HOOKS}


@pytest.mark.parametrize("hook", HOOKS)
def test_the_hook_table_names_each_hook_its_place_and_its_arguments(hook):
    runs, _, arguments, _ = first_cells(sections(DOCS / "plugins.md")["All hooks"])[hook]
    assert runs == ("traced" if hook in hookspecs.TRACED_HOOKS else "host")
    named = re.findall(r"`([a-z_]+)`", arguments)
    assert named == list(inspect.signature(getattr(hookspecs, hook)).parameters)


# ------------------------------------------------------------------ options


def test_every_option_of_every_registered_plugin_stands_in_the_reference():
    pages = [sections(page) for page in (DOCS / "strategies.md", DOCS / "architectures.md") if page.is_file()]
    text = {heading: body for page in pages for heading, body in page.items()}
    missing = []
    for entry in registered():
        if entry.kind == "dataset":
            continue
        family = entry.name if entry.name in text else re.sub(r"-\d+$", "", entry.name)
        if f"`{entry.name}`" not in text.get(family, "") and entry.name != family:
            missing.append(entry.name)
        rows = first_cells(text.get(family, ""))
        options = entry.value.Options if entry.kind == "strategy" else entry.value.options
        for option in describe_options(options):
            if option.name not in rows:
                missing.append(f"{entry.name}:{option.name}")
            elif family == entry.name and option.default != "None" and rows[option.name][0] != option.default:
                missing.append(f"{entry.name}:{option.name}={option.default}, not {rows[option.name][0]}")
        if family not in text:
            missing.append(entry.name)
    assert missing == []


def test_the_reference_names_no_option_that_does_not_exist():
    entries = {entry.name: entry for entry in registered() if entry.kind != "dataset"}
    gone = []
    for heading, body in sections(DOCS / "strategies.md").items():
        if heading not in entries:
            continue
        entry = entries[heading]
        options = entry.value.Options if entry.kind == "strategy" else entry.value.options
        known = {option.name for option in describe_options(options)} | set(entries)
        gone += [f"{heading}:{name}" for name in first_cells(body) if name not in known]
    assert gone == []


# ------------------------------------------------------------------ examples and links


def test_every_whole_example_loads_as_a_plugin(tmp_path):
    choose_backend()
    from ganforge.plugins import load_plugins

    blocks = re.findall(r"^```python\n(.*?)^```$", (DOCS / "plugins.md").read_text("utf-8"), flags=re.M | re.S)
    examples = [block for block in blocks if "hookimpl" in block]
    for i, block in enumerate(examples):
        (tmp_path / f"example_{i}.py").write_text(block, "utf-8")
    files = sorted(tmp_path.glob("example_*.py"))
    registry = load_plugins(files)
    brought = {entry.name for kind in registry.entries for entry in registry.of(kind) if entry.sha256}
    assert brought == {"tiny", "my-input-noise", "slow-when-winning", "gradient-norm", "absolute", "discs"}
    assert [plugin for plugin, _ in registry.observers if plugin.startswith(str(tmp_path))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_relative_links_lead_somewhere(page):
    links = re.findall(r"\]\(([^)\s]+)\)", prose(page))
    broken = []
    for link in links:
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []
