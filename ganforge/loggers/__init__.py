"""Where else a run's log lines go, beside ``metrics.jsonl``; they register by the same door as anybody's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ganforge import Logger, Options, RunInfo, hookimpl

ganforge_api = 2


def make_tensorboard(run: RunInfo, options: Options) -> Any:
    """Raises ``UsageError``: the extra is not installed."""
    from ganforge.loggers.tensorboard import TensorBoard

    return TensorBoard()


def make_csv(run: RunInfo, options: Options) -> Any:
    from ganforge.loggers.csv import CSV

    return CSV()


@hookimpl
def register_loggers(register: Callable[[Logger], None]) -> None:
    register(Logger("tensorboard", make_tensorboard, summary="Scalars and grids for TensorBoard, in RUN/tensorboard"))
    register(Logger("csv", make_csv, summary="The log lines as a table, RUN/metrics.csv"))
