"""Where else a run's log lines and grids go, beside ``metrics.jsonl``; they register as anybody's would."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any, ClassVar, Literal

from pydantic import Field, model_validator

from ganforge import GANForgeError, Logger, Options, hookimpl

ganforge_api = 2


class Extra(Options):
    """Options of a logger that needs a library; said before a run begins where that is missing."""

    library: ClassVar[str] = ""

    @model_validator(mode="after")
    def _require_extra(self) -> Extra:
        name = self.library
        if importlib.util.find_spec(name) is None:
            raise GANForgeError(f"--log {name} needs the {name} extra: pip install 'ganforge[{name}]'")
        return self


class TensorBoardOptions(Extra):
    """None so far."""

    library = "tensorboard"


class WandbOptions(Extra):
    """Where it goes; what is left out is as the environment's ``WANDB_…`` say."""

    library = "wandb"
    project: str = Field("ganforge", min_length=1, description="the project that the run is shown in")
    entity: str = Field("", description="the user or team; empty for your default one")
    mode: Literal["", "online", "offline"] = Field(
        "", description="offline keeps it in RUN/wandb for `wandb sync`; empty is as WANDB_MODE says, else online"
    )


class MLflowOptions(Extra):
    """Where it goes."""

    library = "mlflow"
    experiment: str = Field("ganforge", min_length=1, description="the experiment that the run is shown in")
    uri: str = Field("", description="the server or store; empty is MLFLOW_TRACKING_URI, else RUN/mlflow.db")


def make_tensorboard() -> Any:
    """Return an observer."""
    from ganforge.loggers.tensorboard import TensorBoard

    return TensorBoard()


def make_csv() -> Any:
    """Return an observer."""
    from ganforge.loggers.csv import CSV

    return CSV()


def make_wandb(options: WandbOptions) -> Any:
    """Return an observer."""
    from ganforge.loggers.wandb import Wandb

    return Wandb(options)


def make_mlflow(options: MLflowOptions) -> Any:
    """Return an observer."""
    from ganforge.loggers.mlflow import MLflow

    return MLflow(options)


@hookimpl
def register_loggers(register: Callable[[Logger], None]) -> None:
    """Register those in the box."""
    loggers: tuple[tuple[str, Callable[..., Any], type[Options], str], ...] = (
        (
            "tensorboard",
            make_tensorboard,
            TensorBoardOptions,
            "Scalars and grids for TensorBoard: RUN/tensorboard",
        ),
        ("csv", make_csv, Options, "The log lines as a table, RUN/metrics.csv"),
        ("wandb", make_wandb, WandbOptions, "Scalars and grids at Weights & Biases, or offline: RUN/wandb"),
        ("mlflow", make_mlflow, MLflowOptions, "Settings, scalars and grids in MLflow: a server, or RUN/mlflow.db"),
    )
    for name, make, options, summary in loggers:
        register(Logger(name, make, options, summary))
