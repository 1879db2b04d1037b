"""``run.json``: everything needed to repeat a run, and how far it is."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError
from ganforge.files import own, read_json, write_json
from ganforge.runs.typed import Manifest, held

FORMAT = 1


def write_manifest(run: Path, manifest: dict[str, Any]) -> None:
    """Write ``run.json`` whole, with the time it was made and changed (ISO 8601, UTC)."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(run / "run.json", {"format": FORMAT, "created": now, **manifest, "updated": now})


def update_manifest(run: Path, **changes: Any) -> None:
    """Change some of ``run.json``."""
    write_manifest(run, {**read_manifest(run), **changes})


def read_manifest(run: Path) -> dict[str, Any]:
    """Read ``run.json``. Raises ``GANForgeError`` when it is missing, damaged or from a newer version.

    And, of what is returned, wherever something is asked for that it does not hold.
    """
    path = own(run, "run.json")
    if not path.is_file():
        raise GANForgeError(f"{run} is not a run directory; expected a run.json in it")
    manifest = read_json(path, links=False)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("config"), dict):
        raise GANForgeError(f"{path} is damaged: it has no config")
    if type(manifest.get("format")) is not int or manifest["format"] > FORMAT:
        raise GANForgeError(
            f"{path} was written by a newer version (format {manifest.get('format')!r:.40}); upgrade ganforge"
        )
    return held(path, Manifest, manifest)
