"""GANForge: train generative adversarial networks on your own pictures, and choose how they are balanced."""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from ganforge.api import Run, train
    from ganforge.commands import compare, plugins, runs, study
    from ganforge.errors import GANForgeError, UsageError
    from ganforge.metrics.imagenet import imagenet_weights
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
    from ganforge.training.packing import pack

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
    "imagenet_weights": "metrics.imagenet",
    "Options": "plugin.options",
    "Logger": "plugin.logger",
    "Loss": "plugin.loss",
    "Optimizer": "plugin.optimizer",
    "Strategy": "plugin.strategy",
    "Run": "api",
    "train": "api",
    "pack": "training.packing",
    "compare": "commands",
    "plugins": "commands",
}
# Packages that are functions too: ``ganforge.runs`` holds what reads run directories, ``ganforge.runs()`` lists them.
_CALLED = {"ganforge.runs": "runs", "ganforge.study": "study"}

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
    "compare",
    "conv_size",
    "halvings",
    "hookimpl",
    "imagenet_weights",
    "pack",
    "plan_upsampling",
    "plugins",
    "refused_size",
    "runs",
    "study",
    "train",
    "transposed_conv_size",
]


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(importlib.import_module(f"ganforge.{_HOMES[name]}"), name)
    if f"ganforge.{name}" in _CALLED:
        return importlib.import_module(f"ganforge.{name}")
    raise AttributeError(f"module 'ganforge' has no attribute '{name}'")


def __dir__() -> list[str]:
    return sorted({*__all__, *(name for name in globals() if name.startswith("__"))})


class _Called(ModuleType):
    """A package of ``_CALLED``: an ordinary module that can be called as the function of its name."""

    @property
    def __signature__(self) -> Any:
        import inspect

        return inspect.signature(self._function)

    @property
    def _function(self) -> Any:
        return getattr(importlib.import_module("ganforge.commands"), _CALLED[self.__name__])

    def __call__(self, *args: Any, **settings: Any) -> Any:
        return self._function(*args, **settings)


class _Face(ModuleType):
    """This module. Python binds a package's name here when it is first imported, whoever imports it."""

    def __setattr__(self, name: str, value: Any) -> None:
        if getattr(value, "__name__", "") in _CALLED and type(value) is ModuleType:
            value.__class__ = _Called
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Face
