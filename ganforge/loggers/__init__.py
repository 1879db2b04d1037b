"""Loggers send a run's log lines and grids elsewhere, besides ``metrics.jsonl``; registered like any plugin's."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from ganforge import GANForgeError, Logger, Options, hookimpl

ganforge_api = 2


class Extra(Options):
    """Options of a logger that needs a library. Raises ``GANForgeError`` before a run starts if it is missing."""

    library: ClassVar[str] = ""

    @model_validator(mode="after")
    def _require_extra(self) -> Extra:
        name = self.library
        if importlib.util.find_spec(name) is None:
            raise GANForgeError(f"--log {name} needs the {name} extra: pip install 'ganforge[{name}]'")
        return self


class TensorBoardOptions(Extra):
    """No options yet."""

    library = "tensorboard"


class WandbOptions(Extra):
    """The destination; settings left out come from the environment's ``WANDB_…``."""

    library = "wandb"
    project: str = Field("ganforge", min_length=1, description="the project in which the run appears")
    entity: str = Field("", description="the user or team; empty for your default")
    mode: Literal["", "online", "offline"] = Field(
        "", description="offline keeps everything in RUN/wandb for `wandb sync`; empty uses WANDB_MODE, else online"
    )


class MLflowOptions(Extra):
    """The destination."""

    library = "mlflow"
    experiment: str = Field("ganforge", min_length=1, description="the experiment in which the run appears")
    uri: str = Field("", description="the server or store; empty uses MLFLOW_TRACKING_URI, else RUN/mlflow.db")


def make_tensorboard() -> Any:
    """Return an observer that writes TensorBoard events to ``tensorboard/`` in the run directory."""
    from ganforge.loggers.tensorboard import TensorBoard

    return TensorBoard()


def make_csv() -> Any:
    """Return an observer that writes ``metrics.csv`` in the run directory, one row per log line."""
    from ganforge.loggers.csv import CSV

    return CSV()


def make_wandb(options: WandbOptions) -> Any:
    """Return an observer that sends the run to Weights & Biases; a resumed run continues the same run there."""
    from ganforge.loggers.wandb import Wandb

    return Wandb(options)


def make_mlflow(options: MLflowOptions) -> Any:
    """Return an observer that sends the run to MLflow; a resumed run continues the same run there."""
    from ganforge.loggers.mlflow import MLflow

    return MLflow(options)


@hookimpl
def register_loggers(register: Callable[[Logger], None]) -> None:
    """Register the built-in loggers."""
    loggers: tuple[tuple[str, Callable[..., Any], type[Options], str], ...] = (
        (
            "tensorboard",
            make_tensorboard,
            TensorBoardOptions,
            "Scalars and grids for TensorBoard, in RUN/tensorboard",
        ),
        ("csv", make_csv, Options, "Log lines as a table, RUN/metrics.csv"),
        ("wandb", make_wandb, WandbOptions, "Log lines and grids at Weights & Biases, or offline in RUN/wandb"),
        (
            "mlflow",
            make_mlflow,
            MLflowOptions,
            "Settings, log lines and grids in MLflow, on a server or in RUN/mlflow.db",
        ),
    )
    for name, make, options, summary in loggers:
        register(Logger(name, make, options, summary))
