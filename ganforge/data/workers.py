"""Threads that a stalled disk cannot block: they are abandoned when the work is given up."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, wait
from typing import Any, TypeVar

T = TypeVar("T")
# Seconds after which an interrupt is heard.
_HEARD = 0.2
_Task = tuple[Future[Any], Callable[..., Any], tuple[Any, ...]]


class Workers:
    """A pool of daemon threads. Python's own pool joins its threads at exit, so one stuck read would hold Ctrl-C."""

    def __init__(self, count: int, name: str) -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._given_up = threading.Event()
        self._threads = [threading.Thread(target=self._work, name=f"{name}_{i}", daemon=True) for i in range(count)]
        for thread in self._threads:
            thread.start()

    def submit(self, function: Callable[..., T], *arguments: Any) -> Future[T]:
        """Return what will hold ``function(*arguments)``."""
        future: Future[T] = Future()
        self._tasks.put((future, function, arguments))
        return future

    def close(self, seconds: float | None) -> None:
        """Begin no further task; wait so many seconds for those begun, or with None as long as they take."""
        self._given_up.set()
        for _ in self._threads:
            self._tasks.put(None)
        end = None if seconds is None else time.monotonic() + seconds
        for thread in self._threads:
            thread.join(None if end is None else max(0.0, end - time.monotonic()))

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, function, arguments = task
            if self._given_up.is_set():
                continue
            try:
                future.set_result(function(*arguments))
            except BaseException as error:
                future.set_exception(error)


def patiently(future: Future[T]) -> T:
    """Return a future's result, hearing an interrupt meanwhile, whichever thread the system hands it to."""
    while not future.done():
        wait((future,), _HEARD)
    return future.result()


def aside(function: Callable[..., T], *arguments: Any) -> T:
    """Return ``function(*arguments)``, computed in a thread that an interrupt does not wait for."""
    workers = Workers(1, "ganforge-aside")
    try:
        return patiently(workers.submit(function, *arguments))
    finally:
        workers.close(0)
