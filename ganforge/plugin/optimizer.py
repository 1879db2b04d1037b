"""What an optimizer plugin registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganforge.plugin.options import Options


@dataclass(frozen=True)
class Optimizer:
    """An optimizer that a run can use by name; each network has its own copy.

    Args:
        name: what ``--optimizer`` calls it.
        build: ``(options) -> keras.optimizers.Optimizer``, a new one each time. ``--learning-rate`` overrides its
            learning rate, and ``--beta-1`` its ``beta_1``; a learning-rate schedule is refused, since that is the
            task of a strategy.
        options: the ``Options`` subclass it receives. Its ``learning_rate`` and ``beta_1`` override the
            architecture's defaults when they are given.
        summary: one line for ``ganforge plugins``.
    """

    name: str
    build: Callable[..., Any]
    options: type[Options] = Options
    summary: str = ""
