"""The description on a package index: README.md, whose relative links would lead nowhere there.

A metadata hook of hatchling, which loads this file alone. With ``Repository`` among the project's URLs, links lead
there, and pictures are shown from there; without it a link becomes its text, and a picture is left out with the
italics below it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from hatchling.metadata.plugin.interface import MetadataHookInterface

RELATIVE = r"\]\((?![a-z]+:|#)([^)\s]+)\)"


class Description(MetadataHookInterface):
    """Sets ``readme``."""

    def update(self, metadata: dict[str, Any]) -> None:
        text = (Path(self.root) / "README.md").read_text("utf-8")
        repository = metadata.get("urls", {}).get("Repository", "")
        metadata["readme"] = {"content-type": "text/markdown", "text": portable(text, repository.rstrip("/"))}


def portable(page: str, repository: str = "") -> str:
    """Return a Markdown page that reads well anywhere; blocks of code stay as they are."""
    parts = re.split(r"(^```.*?^```$)", page, flags=re.M | re.S)
    return "".join(part if part.startswith("```") else _portable(part, repository) for part in parts)


def _portable(text: str, repository: str) -> str:
    if repository:
        text = re.sub(rf"(!\[[^\]]*){RELATIVE}", rf"\1]({repository}/raw/HEAD/\2)", text)
        return re.sub(RELATIVE, rf"]({repository}/blob/HEAD/\1)", text)
    text = re.sub(rf"^!\[[^\]]*{RELATIVE}\n+(\*[^*]+\*\n+)?", "", text, flags=re.M)
    return re.sub(rf"\[([^\]]*){RELATIVE}", r"\1", text)
