"""Choosing Keras's backend, which must happen before Keras or any plugin is imported."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ganforge.errors import GANForgeError, UsageError, closest

BACKENDS = ("torch", "jax", "tensorflow")


# What this process chose itself, so that its own KERAS_BACKEND is not taken for the person's.
_chosen: Choice | None = None


@dataclass(frozen=True)
class Choice:
    """A backend, and why: ``source`` is asked, imported, environment, default or installed."""

    backend: str
    source: str

    def said(self, asked: str) -> str:
        """Return both for a person, such as ``torch (default)``; ``asked`` is where it was asked for, if it was."""
        reasons = {
            "asked": asked,
            "imported": "Keras was already imported with it",
            "environment": "from KERAS_BACKEND",
            "default": "default",
            "installed": "torch is not installed",
        }
        return f"{self.backend} ({reasons[self.source]})"


def choose_backend(name: str | None = None) -> str:
    """Choose Keras's backend as ``decide_backend`` does, set ``KERAS_BACKEND`` and return it."""
    return decide_backend(name).backend


def decide_backend(name: str | None = None) -> Choice:
    """Choose Keras's backend, set ``KERAS_BACKEND``, and say why.

    ``name`` comes first, then the environment's ``KERAS_BACKEND``, then torch, then what is installed. Where Keras
    has been imported already, that decides, and only another ``name`` is an error. Keras's own configuration file is
    never read: Keras writes it by itself when it is first imported, naming TensorFlow.

    Raises:
        UsageError: the name, or ``KERAS_BACKEND``, is none of the three.
        GANForgeError: it is not installed, or Keras was already imported with another one.
    """
    global _chosen
    if name is not None:
        _require_known(name, f"there is no backend '{name}'")
    if loaded := _loaded():
        if name not in (None, loaded):
            raise GANForgeError(
                f"Keras already runs on {loaded} in this process and cannot change to {name}; start a new process, "
                f"or ask for {loaded}"
            )
        if loaded not in BACKENDS:
            raise GANForgeError(
                f"Keras already runs on {loaded} in this process; expected torch, jax or tensorflow: start a new "
                "process with KERAS_BACKEND=torch"
            )
        return Choice(loaded, "asked" if name else "imported")
    choice = Choice(name, "asked") if name else _wanted(os.environ.get("KERAS_BACKEND"))
    require_backend(choice)
    os.environ["KERAS_BACKEND"] = choice.backend
    _chosen = choice
    if choice.backend == "tensorflow":
        with quietly():
            importlib.import_module("tensorflow")
    return choice


def _wanted(environment: str | None) -> Choice:
    """Return what to take where nobody asked: the environment's, else torch, else what is installed."""
    if _chosen is not None and _chosen.backend == environment:
        return _chosen
    if environment is not None:
        _require_known(environment, f"KERAS_BACKEND is '{environment}'", ", or unset it")
        return Choice(environment, "environment")
    for backend in BACKENDS:
        if _is_installed(backend):
            return Choice(backend, "default" if backend == BACKENDS[0] else "installed")
    raise GANForgeError("no backend is installed; pip install torch")


def _require_known(name: str, complaint: str, way_out: str = "") -> None:
    if name not in BACKENDS:
        raise UsageError(f"{complaint}; expected torch, jax or tensorflow{way_out}.{closest(name, BACKENDS)}")


def _loaded() -> str | None:
    """Return the backend of the Keras that this process has imported, if it has."""
    backend = getattr(sys.modules.get("keras"), "backend", None)
    return backend.backend() if backend is not None and hasattr(backend, "backend") else None


def require_backend(choice: Choice) -> None:
    """Raise ``GANForgeError`` where a backend is not installed."""
    if not _is_installed(choice.backend):
        package = "torch" if choice.backend == "torch" else f"'ganforge[{choice.backend}]'"
        why = " (KERAS_BACKEND asks for it)" if choice.source == "environment" else ""
        raise GANForgeError(f"the backend '{choice.backend}' is not installed{why}; pip install {package}")


def _is_installed(backend: str) -> bool:
    try:
        spec = importlib.util.find_spec(backend)
    except ValueError:  # imported, and without a specification
        return True
    return spec is not None and spec.origin is not None  # a folder that happens to be called so has none


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
