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

from ganforge.errors import GANForgeError, reason
from ganforge.files import MIB, beside, own, parse_json, read_file, sweep, sync, write_atomic, write_json
from ganforge.memory import memory_left
from ganforge.runs.typed import CheckpointAbout, wrong

FORMAT = 1


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run at a step: arrays by name, the JSON-able rest, and newer checkpoints that were damaged."""

    step: int
    arrays: dict[str, np.ndarray]
    state: dict[str, Any]
    path: Path
    sha256: str  # of its arrays' file
    skipped: list[str] = field(default_factory=list)


def save_checkpoint(
    run: Path, step: int, arrays: dict[str, np.ndarray], state: dict[str, Any], keep: int = 2
) -> Path:
    """Save a checkpoint as ``checkpoints/step_N/`` and keep the ``keep`` newest.

    The new one is on the disk before an old one goes.
    """
    from safetensors.numpy import save

    folder = own(run, "checkpoints")
    folder.mkdir(exist_ok=True)
    sweep(folder)
    path = folder / f"step_{step:08d}"
    temporary = beside(path)
    temporary.mkdir()
    try:
        weights = save({name: np.ascontiguousarray(array) for name, array in arrays.items()})
        write_atomic(temporary / "weights.safetensors", weights)
        # 0-d arrays lose their shape on the way through ascontiguousarray.
        scalars = [name for name, array in arrays.items() if array.ndim == 0]
        about = {"format": FORMAT, "step": step, "sha256": hashlib.sha256(weights).hexdigest(), "scalars": scalars}
        write_json(temporary / "state.json", {**about, "state": state})
        sync(temporary)
        if path.exists():  # a damaged one, which training has reached again
            shutil.rmtree(path)
        os.rename(temporary, path)
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)  # on a full disk its room is wanted
        raise
    sync(folder)
    prune_checkpoints(run, step, keep)
    return path


def prune_checkpoints(run: Path, step: int, keep: int) -> None:
    """Keep the checkpoint of ``step`` and those before it, ``keep`` in total.

    Later ones are removed too: they are damaged, or training has returned to a point before them.
    """
    saved = _list(run)
    kept = [path for path in saved if _step(path) <= step][-keep:]
    for path in saved:
        if path not in kept:
            shutil.rmtree(path, ignore_errors=True)


def load_checkpoint(run: Path) -> Checkpoint:
    """Return the newest complete checkpoint.

    Raises:
        GANForgeError: there is none, or one is of a newer version or cannot be read now without being damaged.
    """
    skipped: list[str] = []
    for path in reversed(_list(run)):
        try:
            return _load(path, skipped)
        except (MemoryError, _Refused):
            raise
        except Exception as error:  # whatever a damaged file makes of its reader
            skipped.append(f"{path.name}: {reason(error)}")
    why = f"; damaged: {', '.join(skipped)}" if skipped else ""
    raise GANForgeError(f"{run.name} has no checkpoint to continue from{why}; start again with ganforge train")


def has_checkpoints(run: Path) -> bool:
    """Say whether a run has any checkpoint, damaged or not; a run killed before its first has none."""
    return bool(_list(run))


class _Refused(GANForgeError):
    """A checkpoint that may be intact, and must not be skipped in favour of an older one."""


def _load(path: Path, skipped: list[str]) -> Checkpoint:
    from safetensors.numpy import load

    try:
        about = parse_json(read_file(path / "state.json", 256 * MIB, links=False))
        # Twice: as the file is, and as arrays.
        content = read_file(path / "weights.safetensors", memory_left() // 2, links=False)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GANForgeError(f"{Path(error.filename).name} is missing") from None
    except OSError as error:
        raise _Refused(f"{path} cannot be read: {reason(error, kind=False)}") from None
    if not isinstance(about, dict) or type(about.get("format")) is not int:
        raise GANForgeError("state.json is damaged")
    if about["format"] > FORMAT:
        raise _Refused(f"{path} was written by a newer version; pip install --upgrade ganforge")
    if why := wrong(CheckpointAbout, about):
        raise GANForgeError(f"state.json is damaged: {why}")
    if about["step"] != _step(path) or not about["state"]:
        raise GANForgeError("state.json is damaged: its step does not match, or its state is empty")
    if hashlib.sha256(content).hexdigest() != about.get("sha256"):
        raise GANForgeError("the weights differ from those that were saved")
    arrays = load(content)
    for name in about["scalars"]:
        arrays[name] = arrays[name].reshape(())
    for name, array in arrays.items():
        if array.dtype.kind == "f" and not np.isfinite(array).all():  # none is ever saved so
            raise GANForgeError(f"{name} holds values that are not finite")
    if not arrays:
        raise GANForgeError("it holds no weights")
    return Checkpoint(about["step"], arrays, about["state"], path, about["sha256"], skipped)


def _step(path: Path) -> int:
    return int(path.name.removeprefix("step_"))


def _list(run: Path) -> list[Path]:
    folder = own(run, "checkpoints")
    if not folder.is_dir():
        return []
    names = [name for name in os.listdir(folder) if re.fullmatch(r"step_[0-9]{1,18}", name)]
    return sorted((own(folder, name) for name in names), key=_step)
