"""What a run is doing: as it wrote, and whether anybody is still at work on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.runs.lock import is_locked


def run_state(run: Path, manifest: dict[str, Any]) -> str:
    """Return ``running``, ``finished``, ``stopped`` or ``failed``; ``killed`` where it says running and nobody is."""
    state = manifest.get("state", "?")
    return "killed" if state == "running" and not is_locked(run) else state


def ended_early(manifest: dict[str, Any]) -> str:
    """Return why ``--stop-when`` ended a run that has finished; an empty string where it did not."""
    seen = manifest.get("early_end")
    return str(seen.get("met", "")) if seen and manifest.get("state") == "finished" else ""
