"""The run whose weights another started from, in words."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any


def in_words(origin: Mapping[str, Any]) -> list[str]:
    """Return the entry ``from`` of ``run.json`` in words, one line each."""
    lines = [f"{origin.get('run', '?')} at step {origin.get('step', 0):,}"]
    if left := origin.get("left_out"):
        lines.append(f"{origin.get('taken', 0)} layers copied; not copied: {listed(left)}")
    if frozen := origin.get("frozen"):
        lines.append(f"frozen discriminator layers: {', '.join(frozen)}")
    return lines


def listed(lines: Collection[str], most: int = 6) -> str:
    """Return the first of some texts, and how many more there are."""
    shown = list(lines)[:most]
    return ", ".join(shown) + (f" and {len(lines) - most} more" if len(lines) > most else "")
