"""The state of a run: as it was written, and whether a process is still working on it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.runs.lock import is_locked


def run_state(run: Path, manifest: dict[str, Any]) -> str:
    """Return ``running``, ``finished``, ``stopped`` or ``failed``, or ``killed`` if no process runs it any more."""
    state = manifest.get("state", "?")
    return "killed" if state == "running" and not is_locked(run) else state


def ended_early(manifest: dict[str, Any]) -> str:
    """Return why ``--stop-when`` ended a finished run; an empty string if it did not."""
    seen = manifest.get("early_end")
    return str(seen.get("met", "")) if seen and manifest.get("state") == "finished" else ""
