"""What a measurement came to, as JSON: the numbers, and the machine and the code they were measured on."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ganforge.files import write_json

ROOT = Path(__file__).parents[2]
PACKAGES = ("torch", "keras", "numpy", "jax", "tensorflow-cpu", "tensorflow")


def record(path: Path, benchmark: str, settings: dict[str, Any], results: Any) -> None:
    """Write ``results`` of ``benchmark`` with its settings, the date, the code's state and the machine."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    about = {"benchmark": benchmark, "date": now, **code(), "machine": machine(), "settings": settings}
    write_json(path, {**about, "results": results})


def known_runs(path: Path | None, settings: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the runs that a file of ``record`` holds already; those of other settings are left out."""
    if path is None or not path.is_file():
        return []
    written = json.loads(path.read_text("utf-8"))
    return list(written["results"]["runs"]) if written.get("settings") == settings else []


def code(root: Path = ROOT) -> dict[str, Any]:
    """Return the ``commit`` that is checked out, and whether it is ``dirty``; both None where there is no git."""
    try:
        commit, changes = (
            subprocess.run(["git", "-C", root, *words], capture_output=True, text=True, check=True).stdout.strip()
            for words in (["rev-parse", "HEAD"], ["status", "--porcelain"])
        )
    except (OSError, subprocess.CalledProcessError):
        return {"commit": None, "dirty": None}
    return {"commit": commit, "dirty": bool(changes)}


def machine() -> dict[str, Any]:
    """Return the processor's name, how many cores this process may use, and the versions of what computes."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return {"processor": _processor(), "cores": cores, "system": platform.platform(), "versions": _versions()}


def _processor() -> str:
    try:
        name = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        name = None
    return name[1] if name else platform.processor() or platform.machine()


def _versions() -> dict[str, str]:
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
