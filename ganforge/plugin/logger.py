"""What a logger plugin registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganforge.plugin.options import Options


@dataclass(frozen=True)
class Logger:
    """An additional destination for a run's numbers and grids, by name.

    Args:
        name: what ``--log`` calls it.
        make: ``(run, options) -> observer``, called when the run starts; ``run`` is a ``RunInfo``. The observer's
            hooks are marked like any other's; the first one called is ``run_started``.
        options: the ``Options`` subclass it receives.
        summary: one line for ``ganforge plugins``.
    """

    name: str
    make: Callable[..., Any]
    options: type[Options] = Options
    summary: str = ""
