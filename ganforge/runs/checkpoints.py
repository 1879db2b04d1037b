"""Checkpoints: complete or absent, never half; safetensors and JSON, no pickle."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError
from ganforge.runs.files import read_json, write_atomic, write_json

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """A run at a step: arrays by name, the JSON-able rest, and newer checkpoints that were damaged."""

    step: int
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]
    path: Path
    skipped: list[str] = field(default_factory=list)


def save_checkpoint(
    run: Path, step: int, arrays: dict[str, np.ndarray], state: dict[str, Any], keep: int = 2
) -> Path:
    """Save a checkpoint as ``checkpoints/step_N/`` and keep the ``keep`` newest."""
    from safetensors.numpy import save

    folder = run / "checkpoints"
    folder.mkdir(exist_ok=True)
    for leftover in folder.glob(".tmp-*"):
        shutil.rmtree(leftover, ignore_errors=True)
    temporary = folder / f".tmp-{os.getpid()}-{step}"
    temporary.mkdir()
    weights = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
    write_atomic(temporary / "weights.safetensors", weights)
    digest = hashlib.sha256(weights).hexdigest()
    # 0-d arrays lose their shape on the way through ascontiguousarray.
    scalars = [name for name, array in arrays.items() if array.ndim == 0]
    write_json(
        temporary / "state.json",
        {"format": FORMAT, "step": step, "sha256": digest, "scalars": scalars, "state": state},
    )
    path = folder / f"step_{step:08d}"
    if path.exists():
        shutil.rmtree(path)
    os.rename(temporary, path)
    for old in _list(run)[:-keep]:
        shutil.rmtree(old, ignore_errors=True)
    return path


def load_checkpoint(run: Path) -> Checkpoint:
    """Return the newest complete checkpoint. Raises ``GANForgeError`` when there is none."""
    skipped: list[str] = []
    for path in reversed(_list(run)):
        try:
            return _load(path, skipped)
        except Exception as error:
            skipped.append(f"{path.name}: {(str(error).splitlines() or [type(error).__name__])[0]}")
    why = f"; damaged: {', '.join(skipped)}" if skipped else ""
    raise GANForgeError(f"{run.name} has no checkpoint to go on from{why}; start again with ganforge train")


def _load(path: Path, skipped: list[str]) -> Checkpoint:
    from safetensors.numpy import load

    about = read_json(path / "state.json")
    if about["format"] > FORMAT:
        raise GANForgeError("written by a newer version")
    content = (path / "weights.safetensors").read_bytes()
    if hashlib.sha256(content).hexdigest() != about["sha256"]:
        raise GANForgeError("the weights are not those that were saved")
    arrays = load(content)
    for name in about["scalars"]:
        arrays[name] = arrays[name].reshape(())
    return Checkpoint(about["step"], arrays, about["state"], path, skipped)


def _list(run: Path) -> list[Path]:
    folder = run / "checkpoints"
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if re.fullmatch(r"step_[0-9]+", path.name))
