"""What an optimizer plugin registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganforge.plugin.options import Options


@dataclass(frozen=True)
class Optimizer:
    """A way to move weights that a run can use by name; each network has its own copy.

    Args:
        name: what ``--optimizer`` calls it.
        build: ``(options) -> keras.optimizers.Optimizer``, a new one each time. ``--learning-rate`` wins over its
            learning rate, and ``--beta-1`` over its ``beta_1``; a learning-rate schedule is refused, since a
            strategy does that.
        options: the ``Options`` subclass it receives. What it calls ``learning_rate`` or ``beta_1`` wins over the
            architecture's default when it is given.
        summary: one line for ``ganforge plugins``.
    """

    name: str
    build: Callable[..., Any]
    options: type[Options] = Options
    summary: str = ""
