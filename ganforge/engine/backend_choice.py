"""Choosing Keras's backend, which must happen before Keras or any plugin is imported."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganforge.errors import GANForgeError, UsageError, closest

BACKENDS = ("torch", "jax", "tensorflow")


def choose_backend(name: str | None = None) -> str:
    """Set ``KERAS_BACKEND`` and return it: ``name``, else the environment, else Keras's own file, else torch.

    Raises:
        UsageError: the name is not one of the three.
        GANForgeError: it is not installed, or Keras was already imported with another one.
    """
    wanted = name or os.environ.get("KERAS_BACKEND") or _configured() or "torch"
    if wanted not in BACKENDS:
        raise UsageError(
            f"there is no backend '{wanted}'; expected torch, jax or tensorflow.{closest(wanted, BACKENDS)}"
        )
    if "keras" in sys.modules and hasattr(sys.modules["keras"], "backend"):
        loaded = sys.modules["keras"].backend.backend()
        if loaded != wanted:
            raise GANForgeError(
                f"Keras already runs on {loaded} in this process and cannot change to {wanted}; start a new process"
            )
        return loaded
    if importlib.util.find_spec(wanted) is None:
        package = "torch" if wanted == "torch" else f"'ganforge[{wanted}]'"
        raise GANForgeError(f"the backend '{wanted}' is not installed; pip install {package}")
    os.environ["KERAS_BACKEND"] = wanted
    if wanted == "tensorflow":
        with quietly():
            importlib.import_module("tensorflow")
    return wanted


@contextmanager
def quietly() -> Iterator[None]:
    """Keep what TensorFlow's C++ side writes about itself off the terminal; Python's errors still come through.

    It writes when it is loaded, which Keras does on any backend where TensorFlow is installed, and at the first step.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    sys.stderr.flush()
    saved = os.dup(2)
    try:
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(saved, 2)
        os.close(saved)


def _configured() -> str | None:
    home = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
    try:
        backend = json.loads((home / "keras.json").read_text()).get("backend")
    except (OSError, ValueError, AttributeError):
        return None
    # Keras writes this file by itself, naming tensorflow even where that is not installed.
    return backend if backend in BACKENDS and importlib.util.find_spec(backend) is not None else None
