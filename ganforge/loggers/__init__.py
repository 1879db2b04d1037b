"""The loggers that ship with GANForge: where else a run's log lines and grids go."""

from __future__ import annotations

import importlib.util
from typing import Any

from pydantic import model_validator

from ganforge import Logger, Options, hookimpl
from ganforge.errors import GANForgeError


class TensorBoardOptions(Options):
    """None so far; said before a run begins where the extra is missing."""

    @model_validator(mode="after")
    def _require_extra(self) -> TensorBoardOptions:
        if importlib.util.find_spec("tensorboard") is None:
            raise GANForgeError("--log tensorboard needs the tensorboard extra: pip install 'ganforge[tensorboard]'")
        return self


def _tensorboard() -> object:
    from ganforge.loggers.tensorboard import TensorBoard

    return TensorBoard()


@hookimpl
def register_loggers(register: Any) -> None:
    register(
        Logger(
            "tensorboard",
            make=_tensorboard,
            options=TensorBoardOptions,
            summary="TensorBoard events of losses, plans and grids, in tensorboard/ in the run",
        )
    )
