"""Where else a run's log lines and grids go, beside ``metrics.jsonl``; they register as anybody's would."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from typing import Any

from pydantic import model_validator

from ganforge import GANForgeError, Logger, Options, hookimpl

ganforge_api = 2


class TensorBoardOptions(Options):
    """None so far; said before a run begins where the extra is missing."""

    @model_validator(mode="after")
    def _require_extra(self) -> TensorBoardOptions:
        if importlib.util.find_spec("tensorboard") is None:
            raise GANForgeError("--log tensorboard needs the tensorboard extra: pip install 'ganforge[tensorboard]'")
        return self


def make_tensorboard() -> Any:
    """Return an observer."""
    from ganforge.loggers.tensorboard import TensorBoard

    return TensorBoard()


def make_csv() -> Any:
    """Return an observer."""
    from ganforge.loggers.csv import CSV

    return CSV()


@hookimpl
def register_loggers(register: Callable[[Logger], None]) -> None:
    """Register those in the box."""
    for name, make, options, summary in (
        (
            "tensorboard",
            make_tensorboard,
            TensorBoardOptions,
            "Scalars and grids for TensorBoard: RUN/tensorboard",
        ),
        ("csv", make_csv, Options, "The log lines as a table, RUN/metrics.csv"),
    ):
        register(Logger(name, make, options, summary))
