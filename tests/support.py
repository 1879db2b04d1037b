"""What several test files need: small settings, pictures, fixed noise, an act at a step, a process of its own.

The tests and the probes, which run as scripts, both import it as ``support``. It loads neither Keras nor torch.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import json
import os
import runpy
import subprocess
import sys
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from ganforge.plugin.types import Batch

TESTS = Path(__file__).parent
ROOT = TESTS.parent
# As a test's parameters: compiling takes JAX and TensorFlow long.
BACKENDS = ("torch", *(pytest.param(name, marks=pytest.mark.slow) for name in ("jax", "tensorflow")))
ARCH = "fcgan:hidden=8,discriminator_hidden=8"
# Two steps an epoch, each a few milliseconds.
SMALL: dict[str, Any] = {
    "arch": ARCH,
    "data": "critters:count=32",
    "image_size": 16,
    "batch_size": 16,
    "log_every": 1,
}
TIMING = ("images_per_second", "seconds")


# ------------------------------------------------------------------ what is read


def timeless(lines: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the lines of a run's metrics without what depends on the clock."""
    return [{name: value for name, value in line.items() if name not in TIMING} for line in lines]


def one_line(err: str) -> str:
    """Return the one line that the command line wrote to stderr; more or fewer fail the test."""
    lines = [line for line in err.splitlines() if line]
    assert len(lines) == 1, err
    assert lines[0].startswith("ganforge: ")
    return lines[0]


# ------------------------------------------------------------------ pictures, batches, noise


def photos(folder: Path, count: int = 6, size: int = 24) -> Path:
    """Fill a folder with PNG files of noise, named 0.png on."""
    folder.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, (count, size, size, 3), dtype=np.uint8)
    for i, picture in enumerate(pixels):
        Image.fromarray(picture).save(folder / f"{i}.png")
    return folder


def encoded(image: Image.Image, **how: Any) -> bytes:
    """Return a picture's bytes as a file has them; ``how`` goes to Pillow's ``save``."""
    file = io.BytesIO()
    image.save(file, **how)
    return file.getvalue()


class Same:
    """The same batch at every step, in place of a run's batches."""

    def __init__(self, batch: Any) -> None:
        self.batch = Batch(batch)

    def iterate(self, start: int, stop: int) -> Iterable[tuple[int, Batch]]:
        return ((step, self.batch) for step in range(start, stop))

    def extra(self, step: int, k: int) -> Batch:
        return self.batch


def fixed_normal(key: Any, stream: int, shape: Any, dtype: str) -> Any:
    """Stand in for an adapter's ``normal``: a function of the stream alone, the same on every backend."""
    import keras

    values = np.random.default_rng(stream).standard_normal(tuple(int(n) for n in shape)).astype("float32")
    return keras.ops.convert_to_tensor(values, dtype=dtype)


# ------------------------------------------------------------------ what happens at a step


class At:
    """An observer that does something once, when so many steps are done."""

    def __init__(self, steps: int, action: Callable[[], object]) -> None:
        from ganforge import hookimpl

        def step_ended(step: Any) -> None:
            if step.progress.step + 1 == steps and not self.done:
                self.done = True
                action()

        self.done = False
        self.step_ended = hookimpl(step_ended)


def fail(error: BaseException) -> Callable[[], None]:
    """Return an action that raises."""

    def action() -> None:
        raise error

    return action


# ------------------------------------------------------------------ processes of their own


def run(
    *words: object,
    cwd: Path | None = None,
    backend: str | None = "torch",
    check: bool = True,
    timeout: float = 600,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; with ``check``, anything but exit code 0 fails the test and shows what was said.

    ``backend`` None leaves the choice to the command. ``environment`` is added to this process's own.
    """
    given = {**os.environ, "CUDA_VISIBLE_DEVICES": "", **environment}
    given.pop("KERAS_BACKEND", None)
    if backend is not None:
        given["KERAS_BACKEND"] = backend
    command = [str(word) for word in words]
    done = subprocess.run(command, cwd=cwd, env=given, capture_output=True, text=True, timeout=timeout)
    assert not check or done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done


def python(*words: object, **how: Any) -> subprocess.CompletedProcess[str]:
    """Run Python on ``words``, as :func:`run` does."""
    return run(sys.executable, *words, **how)


def printed(program: str, backend: str, *words: object) -> Any:
    """Return the JSON that a program prints last; skip where the backend is not installed.

    ``program`` is Python code, ``NAME.py`` of ``tests`` or the name of a module, and gets ``words``. On the backend
    of this process it runs here: to import Keras once more would take longer than most of them.
    """
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    code, script = "\n" in program, program.endswith(".py")
    if backend != os.environ.get("KERAS_BACKEND"):
        words = ("-c" if code else TESTS / program if script else "-m", *([] if script else [program]), *words)
        return json.loads(python(*words, cwd=ROOT, backend=backend).stdout.splitlines()[-1])
    out = io.StringIO()
    with pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out):
        patch.setattr(sys, "argv", [program, *map(str, words)])
        if code:
            exec(compile(program, "<printed>", "exec"), {"__name__": "__main__"})
        elif script:
            runpy.run_path(str(TESTS / program), run_name="__main__")
        else:
            runpy.run_module(program, run_name="__main__")
    return json.loads(out.getvalue().splitlines()[-1])


@cache
def probe(script: str, backend: str) -> dict[str, Any]:
    """Return what ``printed`` does of a script that takes the backend's name.

    Once a process; the tests of a file that calls this run in one (``conftest.py``).
    """
    found: dict[str, Any] = printed(script, backend, backend)
    return found
