"""One adapter for each backend; which of them is at work is Keras's choice."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import keras

from ganforge.engine.adapter import Adapter

if TYPE_CHECKING:  # that the three are such adapters is seen by mypy
    from ganforge.engine.backends import jax, tensorflow, torch

    ADAPTERS: tuple[type[Adapter], ...] = (torch.Adapter, jax.Adapter, tensorflow.Adapter)


def make_adapter(
    variables: Sequence[Any], compile: bool | None = None, devices: int = 1, batch_size: int = 1
) -> Adapter:
    """Return the adapter of the running backend, holding ``variables``: all that an update may change.

    ``compile`` is whether steps are compiled, None the backend's own choice. Several ``devices`` share each batch.

    Raises:
        UsageError: there are not so many devices, or the backend trains on one alone.
    """
    module = importlib.import_module(f"ganforge.engine.backends.{keras.backend.backend()}")
    adapter: Adapter = module.Adapter(list(variables), compile, devices, batch_size)
    return adapter
