"""GANForge: train generative adversarial networks on your own pictures, and choose what balances them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ganforge.api import Run, train
    from ganforge.api_types import EpochInfo, Progress, Random, RunConfig, RunInfo, SnapshotInfo, StepInfo
    from ganforge.architecture import Architecture, conv_size, plan_upsampling, transposed_conv_size
    from ganforge.data.images import Images
    from ganforge.data.sources import DatasetSource
    from ganforge.errors import GANForgeError, UsageError
    from ganforge.hookspecs import hookimpl
    from ganforge.options import Options
    from ganforge.strategy import Loss, Strategy

# Names are looked up when first used, so that `ganforge --help` loads none of what stands behind them.
_HOMES = {
    "EpochInfo": "api_types",
    "Progress": "api_types",
    "Random": "api_types",
    "RunConfig": "api_types",
    "RunInfo": "api_types",
    "SnapshotInfo": "api_types",
    "StepInfo": "api_types",
    "Architecture": "architecture",
    "conv_size": "architecture",
    "plan_upsampling": "architecture",
    "transposed_conv_size": "architecture",
    "Images": "data.images",
    "DatasetSource": "data.sources",
    "GANForgeError": "errors",
    "UsageError": "errors",
    "hookimpl": "hookspecs",
    "Options": "options",
    "Loss": "strategy",
    "Strategy": "strategy",
    "Run": "api",
    "train": "api",
}

__all__ = [
    "Architecture",
    "DatasetSource",
    "EpochInfo",
    "GANForgeError",
    "Images",
    "Loss",
    "Options",
    "Progress",
    "Random",
    "Run",
    "RunConfig",
    "RunInfo",
    "SnapshotInfo",
    "StepInfo",
    "Strategy",
    "UsageError",
    "__version__",
    "conv_size",
    "hookimpl",
    "plan_upsampling",
    "train",
    "transposed_conv_size",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"ganforge.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ganforge' has no attribute '{name}'")
