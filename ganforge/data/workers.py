"""Threads that no stalled disk can make a person wait for: they are left behind when the work is given up."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")
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

    def close(self, wait: float | None) -> None:
        """Begin no further task; wait so many seconds for those begun, or with None as long as they take."""
        self._given_up.set()
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join(wait)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            future, function, arguments = task
            if self._given_up.is_set():
                continue
            try:
                future.set_result(function(*arguments))
            except BaseException as error:
                future.set_exception(error)


def aside(function: Callable[..., T], *arguments: Any) -> T:
    """Return ``function(*arguments)``, computed in a thread that an interrupt does not wait for."""
    workers = Workers(1, "ganforge-aside")
    try:
        return workers.submit(function, *arguments).result()
    finally:
        workers.close(0)
