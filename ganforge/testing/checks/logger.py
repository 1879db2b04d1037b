"""What a logger is held to: it watches, writes inside the run directory alone, and goes on after a resume."""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError, UsageError, on_one_line, reason
from ganforge.plugin.calling import call_by_name, observer_hooks
from ganforge.plugin.types import EpochInfo, Progress, RunInfo, SnapshotInfo, StepInfo
from ganforge.plugin.validation import check_observers
from ganforge.testing.framework import Nonconformity, Skip, check
from ganforge.testing.probes import signals

CONFIG = {"arch": "fcgan", "balance": [], "loss": "bce", "epochs": 2, "batch_size": 4, "seed": 0, "image_size": 8}
STEPS = 8


def observer(case: Any, folder: Path, start: int = 0) -> tuple[Any, RunInfo]:
    """Return the observer that the logger under check makes for a run, and what it is told of the run."""
    from ganforge.testing.small import small_networks

    networks = case.__dict__.setdefault("_networks", small_networks())
    run = RunInfo(folder, dict(CONFIG), STEPS, STEPS // 2, start, *networks)
    return call_by_name(case.value.make)(run=run, options=case.options), run


def play(case: Any, folder: Path, start: int, stop: int, outcome: str) -> None:
    """Tell a new observer of a run what happens from one step to another."""
    watching, run = observer(case, folder, start)
    hooks = observer_hooks(watching)

    def tell(hook: str, **what: Any) -> None:
        try:
            if hook in hooks:
                hooks[hook](**what)
        except Exception as error:
            raise Nonconformity(
                f"{hook} raises {reason(error)}{' in a resumed run' if start else ''}",
                "a run would continue without it; see what the hook receives: docs/plugins/reference.md",
            ) from None

    tell("run_started", run=run)
    for step in range(start, stop):
        measured = signals(step + 1) if step % 2 else {}
        tell(
            "step_ended", step=StepInfo(Progress(step, STEPS, step * 2 // STEPS, 2), {"generator_lr": 1e-3}, measured)
        )
    tell("epoch_ended", epoch=EpochInfo(stop * 2 // STEPS, 2, signals(stop)))
    path = folder / "snapshots" / f"epoch_{stop * 2 // STEPS:04d}.png"
    images = np.random.default_rng(0).integers(0, 256, (4, 8, 8, 3), dtype=np.uint8)
    _picture(path, images)
    tell("snapshot_taken", snapshot=SnapshotInfo(stop * 2 // STEPS, path, images, stop))
    tell("run_ended", run=run, outcome=outcome)


def _picture(path: Path, images: np.ndarray) -> None:
    from PIL import Image

    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(images[0]).save(path)


def _run_of(case: Any, name: str) -> Path:
    """Return an empty run directory, the only thing in its folder."""
    folder = Path(tempfile.mkdtemp(dir=case.folder)) / name
    folder.mkdir()
    return folder


@check("logger")
def makes_an_observer(case: Any) -> None:
    """``make(run, options)`` gives an observer, with a marked hook."""
    case.hopeless = True
    try:
        made, _ = observer(case, _run_of(case, "run_1"))
    except (UsageError, GANForgeError) as error:
        raise Skip(f"it cannot be created here: {error}") from None
    except ImportError as error:
        raise Nonconformity(
            f"make raises {reason(error)}",
            "raise ganforge.GANForgeError where a package is missing, with the line that installs it",
        ) from None
    except Exception as error:
        raise Nonconformity(f"make raises {reason(error)}", "make it accept `run` and `options`") from None
    try:
        check_observers([made])
    except UsageError as error:
        raise Nonconformity(
            on_one_line(str(error)), "return an object with marked observer hooks from make"
        ) from None
    case.hopeless = False


@check("logger")
def follows_a_run(case: Any) -> None:
    """It handles all events of a run, with and without metrics."""
    play(case, _run_of(case, "run_1"), 0, STEPS, "finished")
    play(case, _run_of(case, "run_2"), 0, STEPS // 2, "stopped")


@check("logger")
def writes_in_the_run_directory_alone(case: Any) -> None:
    """It writes only in the run directory."""
    folder = _run_of(case, "run_1")
    elsewhere = Path(tempfile.mkdtemp(dir=case.folder))
    before = Path.cwd()
    os.chdir(elsewhere)
    try:
        with _written() as files:
            play(case, folder, 0, STEPS, "finished")
    finally:
        os.chdir(before)
    files |= {str(path) for root in (elsewhere, folder.parent) for path in root.rglob("*")}
    for file in sorted(files):
        path = Path(os.path.realpath(file))
        inside = path == folder.resolve() or folder.resolve() in path.parents
        if path.exists() and not inside and path != elsewhere.resolve():
            raise Nonconformity(
                f"it left '{on_one_line(path.name)}' outside the run directory", "write only inside run.directory"
            )


@contextmanager
def _written() -> Iterator[set[str]]:
    """Give the names of the files that Python opens for writing, or makes, in the meantime; caches aside."""
    files: set[str] = set()
    caches = (f"{os.sep}__pycache__{os.sep}", f"{os.sep}.cache{os.sep}", "/dev/", "/proc/")
    listening = True

    def hear(event: str, arguments: tuple[Any, ...]) -> None:
        if not listening or event not in ("open", "os.mkdir", "os.rename"):
            return
        name = arguments[1] if event == "os.rename" else arguments[0]
        flags = arguments[2] if event == "open" else os.O_WRONLY
        writing = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT)
        if writing and isinstance(name, (str, os.PathLike)):
            full = os.path.abspath(os.fspath(name))
            if not any(cache in full for cache in caches):
                files.add(full)

    sys.addaudithook(hear)  # none is ever taken off, so that it is told when to listen
    try:
        yield files
    finally:
        listening = False


@check("logger")
def survives_a_resumed_run(case: Any) -> None:
    """A resumed run continues its files."""
    folder = _run_of(case, "run_1")
    play(case, folder, 0, STEPS - 2, "stopped")
    before = {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    play(case, folder, STEPS - 2, STEPS, "finished")
    for path, size in before.items():
        if not path.exists() or path.stat().st_size < size:
            raise Nonconformity(
                f"after resuming, what it had written to {on_one_line(path.name)} is gone",
                "open files to append where run.start_step is above 0, or under a new name",
            )
