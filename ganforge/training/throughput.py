"""How fast a run trains, how long it has taken, and how much memory."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager


class Stopwatch:
    """Total seconds of training, including those ``before`` this process."""

    def __init__(self, before: float = 0.0) -> None:
        self._zero = time.perf_counter() - before

    def seconds(self) -> float:
        """Return the seconds until now."""
        return time.perf_counter() - self._zero


class Throughput:
    """Images per second since the last measurement, without the time for saving and drawing."""

    def __init__(self, batch_size: int) -> None:
        self.batch_size, self.away = batch_size, 0.0
        self.step: int | None = None
        self.since = time.perf_counter()

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Do not count the time spent within the context."""
        start = time.perf_counter()
        yield
        self.away += time.perf_counter() - start

    def measure(self, step: int) -> float:
        """Return the rate until ``step``, and start the next measurement."""
        now = time.perf_counter()
        steps = step - self.step if self.step is not None else 1
        rate = steps * self.batch_size / max(now - self.since - self.away, 1e-9)
        self.step, self.since, self.away = step, now, 0.0
        return rate


def peak_memory() -> int | None:
    """Return the peak memory of this process in bytes; None if the system does not tell."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
