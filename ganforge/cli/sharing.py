"""``--devices N`` on torch: the command once for each device, started as torchrun starts processes."""

from __future__ import annotations

import logging
import os
import signal
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from typing import Any

from ganforge.cli.console import warn
from ganforge.processes import hush, place

PATIENCE = 20.0  # seconds that the first process has to say what happened, once another has failed
LOOK = 0.1


def shared_out(
    devices: int | None, backend: str | None, words: Sequence[str], batch_size: int | None = None
) -> int | None:
    """Train on several devices in processes of their own and return the exit code; None where this process trains.

    ``words`` are the command line's.

    Raises:
        UsageError: there is no such backend, or a batch cannot be shared.
    """
    from ganforge.backend import choose_backend

    here = place()
    if here.count > 1:
        if not here.first:
            hush()
        return None
    if (devices or 1) == 1 or choose_backend(backend) != "torch":
        return None
    if batch_size is not None:
        from ganforge.training.devices import LEAST, require_shares

        require_shares(batch_size, devices or 1, LEAST)
    return _started([sys.executable, "-m", "ganforge", *words], devices or 1)


def _started(command: Sequence[str], count: int) -> int:
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, start_processes

    from ganforge.training.interruption import hearing_signals

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # what failed says so itself
    store = import_module("torch.distributed").TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    together = {
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is here, and not with the first of them
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, _cores() // count))),
    }
    if sys.platform == "linux":
        together["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
    started = start_processes(
        name="ganforge",
        entrypoint=command[0],
        args={rank: tuple(command[1:]) for rank in range(count)},
        envs={rank: {**together, "RANK": str(rank), "LOCAL_RANK": str(rank)} for rank in range(count)},
        logs_specs=DefaultLogsSpecs(),
    )
    try:
        with hearing_signals(lambda: _pass_on(started)):
            return _ended(started)
    finally:
        started.close()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _pass_on(started: Any) -> None:
    """Ask all to stop; they agree on the step."""
    for pid in started.pids().values():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGINT)


def _ended(started: Any) -> int:
    """Wait until all have ended, or one has failed and the first has had time to say so; return the exit code."""
    processes = [started.subprocess_handlers[rank].proc for rank in sorted(started.pids())]
    failed_at = None
    while True:
        codes = [process.poll() for process in processes]
        if None not in codes:
            break
        if failed_at is None and any(codes):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > PATIENCE:
            started.close()
            codes = [process.poll() for process in processes]
            break
        time.sleep(LOOK)
    first: int = codes[0] if codes[0] is not None else -signal.SIGKILL
    if first >= 0:
        return first or next((1 for code in codes if code), 0)
    warn(
        f"the process of device 1 of {len(codes)} was ended by {signal.Signals(-first).name}; what its last "
        "checkpoint holds is kept: ganforge runs names the run, and ganforge resume goes on"
    )
    return 1
