"""GANForge: train generative adversarial networks on your own pictures, and choose what balances them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from ganforge.api import Run, train
    from ganforge.errors import GANForgeError, UsageError
    from ganforge.plugin.architecture import Architecture
    from ganforge.plugin.conv_arithmetic import (
        conv_size,
        halvings,
        plan_upsampling,
        refused_size,
        transposed_conv_size,
    )
    from ganforge.plugin.dataset import DatasetSource, Images
    from ganforge.plugin.hookspecs import hookimpl
    from ganforge.plugin.logger import Logger
    from ganforge.plugin.loss import Loss
    from ganforge.plugin.optimizer import Optimizer
    from ganforge.plugin.options import Options
    from ganforge.plugin.strategy import Strategy
    from ganforge.plugin.types import EpochInfo, Progress, Random, RunConfig, RunInfo, SnapshotInfo, StepInfo

# Names are looked up when first used, so that `ganforge --help` loads none of what stands behind them.
_HOMES = {
    "EpochInfo": "plugin.types",
    "Progress": "plugin.types",
    "Random": "plugin.types",
    "RunConfig": "plugin.types",
    "RunInfo": "plugin.types",
    "SnapshotInfo": "plugin.types",
    "StepInfo": "plugin.types",
    "Architecture": "plugin.architecture",
    "conv_size": "plugin.conv_arithmetic",
    "halvings": "plugin.conv_arithmetic",
    "plan_upsampling": "plugin.conv_arithmetic",
    "refused_size": "plugin.conv_arithmetic",
    "transposed_conv_size": "plugin.conv_arithmetic",
    "Images": "plugin.dataset",
    "DatasetSource": "plugin.dataset",
    "GANForgeError": "errors",
    "UsageError": "errors",
    "hookimpl": "plugin.hookspecs",
    "Options": "plugin.options",
    "Logger": "plugin.logger",
    "Loss": "plugin.loss",
    "Optimizer": "plugin.optimizer",
    "Strategy": "plugin.strategy",
    "Run": "api",
    "train": "api",
}

__all__ = [
    "Architecture",
    "DatasetSource",
    "EpochInfo",
    "GANForgeError",
    "Images",
    "Logger",
    "Loss",
    "Optimizer",
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
    "halvings",
    "hookimpl",
    "plan_upsampling",
    "refused_size",
    "train",
    "transposed_conv_size",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"ganforge.{_HOMES[name]}"), name)
    raise AttributeError(f"module 'ganforge' has no attribute '{name}'")
