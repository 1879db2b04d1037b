"""``run.json``: everything needed to repeat a run, and its progress."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError
from ganforge.files import own, read_json, write_json
from ganforge.runs.typed import Manifest, held

FORMAT = 1


def write_manifest(run: Path, manifest: dict[str, Any]) -> None:
    """Write all of ``run.json``, with the times of its creation and last change (ISO 8601, UTC)."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    write_json(run / "run.json", {"format": FORMAT, "created": now, **manifest, "updated": now})


def update_manifest(run: Path, **changes: Any) -> None:
    """Change some entries of ``run.json``."""
    write_manifest(run, {**read_manifest(run), **changes})


def read_manifest(run: Path) -> dict[str, Any]:
    """Read ``run.json``. Raises ``GANForgeError`` if it is missing, damaged or from a newer version.

    The returned object raises it too, when an entry is asked for that the file does not have.
    """
    path = own(run, "run.json")
    if not path.is_file():
        raise GANForgeError(f"{run} is not a run directory; expected a run.json in it")
    manifest = read_json(path, links=False)
    if not isinstance(manifest, dict) or not isinstance(manifest.get("config"), dict):
        raise GANForgeError(f"{path} is damaged: it has no config")
    if type(manifest.get("format")) is not int or manifest["format"] > FORMAT:
        raise GANForgeError(
            f"{path} was written by a newer version (format {manifest.get('format')!r:.40}); pip install --upgrade "
            "ganforge"
        )
    return held(path, Manifest, manifest)
