"""Where the runs of a study are trained: one short file an executor.

An executor starts ``python -m ganforge.study.worker`` somewhere, hands it a task on its standard input and passes on
what it reports. It knows nothing of studies: which run is next, what is done and what failed is ``StudyRunner``'s.
``choosing.py`` opens the one that ``--on`` names.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Protocol


class Worker(Protocol):
    """A process that trains one run."""

    def reports(self) -> Iterator[dict[str, Any]]:
        """Yield what it says, as it says it, until it ends; ``ganforge.study.worker`` lists what there is to say."""

    def wait(self) -> int:
        """Return its exit code, that of ``ganforge train``; minus the signal that ended it."""

    def interrupt(self, again: bool) -> None:
        """Ctrl-C was pressed: let it save and end; the second time (``again``), at once."""


class Executor(Protocol):
    """Starts workers; ``start`` is called from several threads."""

    def start(self, task: dict[str, Any], place: int) -> Worker:
        """Start a worker. ``place`` counts those at work at one time from 0; no two of them share one.

        ``task``, JSON-able: ``settings`` of ``TrainConfig``, ``plugins`` (the files that were let through, each with
        its SHA-256), ``stages`` (epochs), ``run`` (to resume) or None, ``evaluate`` and ``samples``, and ``needs``:
        the ``cpus``, ``gpus`` and ``minutes`` that the study file asks for.
        """
