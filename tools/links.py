"""Markdown pages: their prose, their sections, and the relative links that lead nowhere."""

from __future__ import annotations

import re
from pathlib import Path


def prose(page: Path) -> str:
    """Return a page without its fenced blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text("utf-8"), flags=re.M | re.S)


def sections(page: Path) -> dict[str, str]:
    """Return the text under each heading, by heading, without the headings below it."""
    parts = re.split(r"^#+ (.+)$", prose(page), flags=re.M)
    return dict(zip(parts[1::2], parts[2::2]))


def anchors(page: Path) -> set[str]:
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in sections(page)}


def broken_links(page: Path) -> list[str]:
    """Return a page's relative links whose file or heading does not exist; links to the web are not followed."""
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    return broken


def pages(root: Path) -> list[Path]:
    """Return all pages of a checkout that a person reads: at its top, in docs/, examples/ and .github/."""
    folders = (root / name for name in ("docs", "examples", ".github"))
    return [*sorted(root.glob("*.md")), *(page for folder in folders for page in sorted(folder.rglob("*.md")))]
