"""What a run says of the machine it was trained on, taken out before strangers read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from ganforge.runs.typed import Held

# A file with options behind it, such as `x.npz:images=KEY`; a Windows path begins with a letter and a colon.
WITH_OPTIONS = re.compile(r"^((?:[A-Za-z]:(?=[\\/]))?[^:]*)(:.*)?$", re.DOTALL)
VALUE = re.compile(r"=((?:[/~\\]|\.\.?[/\\]|[A-Za-z]:[\\/])[^,]*)")


def without_places(manifest: Mapping[str, Any], run: Path) -> dict[str, Any]:
    """Return ``run.json`` without folders, process and loggers: of each path its last part alone."""
    cleaned: dict[str, Any] = cleared(dict(manifest), folders_of(manifest, run))
    cleaned["process"] = {"pid": 0}
    config = cleaned["config"]
    config["data"], config["runs_dir"], config["log"] = shortened(manifest["config"].get("data") or ""), "runs", []
    return Held(cleaned, str(run / "run.json"))  # what is asked for and not there is said in one line


def folders_of(manifest: Mapping[str, Any], run: Path) -> list[str]:
    """Return the folders that texts of a run may name: the deepest first."""
    config, data, origin = manifest["config"], manifest.get("data") or {}, manifest.get("from") or {}
    named = [data.get("path"), config.get("data"), origin.get("path"), *(config.get("plugins") or ())]
    named += [one.get("file") for one in manifest.get("plugins") or ()]
    found = {run.resolve().parent, Path.cwd()}
    with suppress(RuntimeError):  # nobody knows it
        found.add(Path.home())
    for text in filter(None, named):
        place = Path(WITH_OPTIONS.sub(r"\1", text))
        found |= {place.parent, *([place.resolve().parent] if place.exists() else [])}
    return sorted({str(one) for one in found if len(one.parts) > 1}, key=len, reverse=True)


def cleared(value: Any, folders: list[str]) -> Any:
    """Return a JSON-able value without ``folders``, and with the last part of whatever is the path of something."""
    if isinstance(value, dict):
        return {name: cleared(one, folders) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [cleared(one, folders) for one in value]
    if not isinstance(value, str):
        return value
    if PurePosixPath(value).is_absolute() or PureWindowsPath(value).drive:
        return shortened(value)
    for folder in folders:
        for slash in ("/", "\\"):
            value = value.replace(f"{folder}{slash}", "")
    return value


def shortened(text: str) -> str:
    """Return a place as ``--data`` takes it by its last part; a source by its name, the values of its options too."""
    match = WITH_OPTIONS.match(text)
    head, tail = (match[1], match[2] or "") if match else (text, "")
    return _last(head) + VALUE.sub(lambda found: f"={_last(found[1])}", tail)


def _last(path: str) -> str:
    return re.split(r"[\\/]", path.rstrip("\\/"))[-1]
