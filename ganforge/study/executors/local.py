"""Workers on this machine, each with its share of the cores and one of the GPUs."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from glob import glob
from typing import Any

THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "TF_NUM_INTRAOP_THREADS")


class LocalWorker:
    """A process of this machine."""

    def __init__(self, task: dict[str, Any], environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ganforge.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            env=environment,
            start_new_session=True,  # a terminal's Ctrl-C is not told to it twice
        )
        assert self._process.stdin is not None
        with self._process.stdin as pipe:
            pipe.write(json.dumps(task))

    def reports(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError, RecursionError):  # what a library prints is no report
                said = json.loads(line)
                if isinstance(said, dict):
                    yield said

    def wait(self) -> int:
        return self._process.wait()

    def interrupt(self, again: bool) -> None:
        if again:
            self._process.kill()
        elif os.name == "posix":  # elsewhere that would end it at once; there the terminal tells it too
            self._process.terminate()


class LocalExecutor:
    """Starts workers on this machine, ``jobs`` at a time."""

    def __init__(self, jobs: int) -> None:
        self.jobs = jobs

    def start(self, task: dict[str, Any], place: int) -> LocalWorker:
        return LocalWorker(task, share(place, self.jobs))


def share(place: int, jobs: int) -> dict[str, str]:
    """Return the environment of a worker: the cores shared out among ``jobs``, unless the person set a number.

    Where there are several GPUs, it sees one of them, in turn; of those in ``CUDA_VISIBLE_DEVICES``, if that is set.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = str(max(1, cores // jobs))
    environment = {**os.environ, **{name: os.environ.get(name, threads) for name in THREADS}}
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible is not None else list(map(str, range(len(glob("/dev/nvidia[0-9]*")))))
    return {**environment, "CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if len(gpus) > 1 else environment
