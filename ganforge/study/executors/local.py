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
    """A process of this machine. Its standard input stays open: where that ends, whoever asked is gone, and so is it.

    The other executors start one on the machine that a run was given to.
    """

    def __init__(self, task: dict[str, Any], environment: dict[str, str], folder: str | None = None) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "ganforge.study.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            encoding="utf-8",
            errors="replace",
            env=environment,
            cwd=folder,
            start_new_session=True,  # a terminal's Ctrl-C is not told to it twice
        )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has ended already, and ``wait`` says how
            self._process.stdin.write(json.dumps({**task, "tied": True}) + "\n")
            self._process.stdin.flush()

    def reports(self) -> Iterator[dict[str, Any]]:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            with suppress(ValueError, RecursionError):  # what a library prints is no report
                said = json.loads(line)
                if isinstance(said, dict):
                    yield said

    def wait(self) -> int:
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()
        return code

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
        return LocalWorker(task, share(place, self.jobs, task["needs"].get("cpus")))


def with_threads(environment: dict[str, str], cpus: int) -> dict[str, str]:
    """Return an environment in which libraries compute with so many threads, unless the person set a number."""
    return {**environment, **{name: os.environ.get(name, str(cpus)) for name in THREADS}}


def share(place: int, jobs: int, cpus: int | None = None) -> dict[str, str]:
    """Return the environment of a worker: ``cpus``, else the cores shared out among ``jobs``.

    Where there are several GPUs, it sees one of them, in turn; of those in ``CUDA_VISIBLE_DEVICES``, if that is set.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    environment = with_threads(dict(os.environ), cpus or max(1, cores // jobs))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    gpus = visible.split(",") if visible is not None else list(map(str, range(len(glob("/dev/nvidia[0-9]*")))))
    return {**environment, "CUDA_VISIBLE_DEVICES": gpus[place % len(gpus)]} if len(gpus) > 1 else environment
