"""``--devices N`` on torch: the command once for each device, started as torchrun starts processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib import import_module
from typing import TypeAlias

from ganforge.cli.console import warn
from ganforge.processes import hush, place

Process: TypeAlias = "subprocess.Popen[bytes]"
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
    from ganforge.training.interruption import hearing_signals

    store = import_module("torch.distributed").TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    together = {
        **os.environ,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(store.port),
        "WORLD_SIZE": str(count),
        "LOCAL_WORLD_SIZE": str(count),
        "TORCHELASTIC_USE_AGENT_STORE": "True",  # the store is here, and not with the first of them
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", str(max(1, _cores() // count))),
    }
    if sys.platform == "linux":
        together["GLOO_SOCKET_IFNAME"] = os.environ.get("GLOO_SOCKET_IFNAME", "lo")
    started: list[Process] = []
    heard: list[int] = []

    def pass_on(number: int) -> None:
        """Ask all to stop, as this process was asked: they agree on the step."""
        heard.append(number)
        for process in started:
            process.send_signal(number)

    try:
        with hearing_signals(pass_on):
            for rank in range(count):
                if not heard:
                    here = {**together, "RANK": str(rank), "LOCAL_RANK": str(rank)}
                    # In a session of its own, so that Ctrl-C reaches it once, from here.
                    started.append(subprocess.Popen(command, env=here, start_new_session=True))
            if heard:
                pass_on(heard[0])
            return _ended(started, heard)
    finally:
        for process in started:
            process.kill()
            process.wait()


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _ended(processes: Sequence[Process], heard: Sequence[int]) -> int:
    """Wait until all have ended, or one has failed and the first has had time to say so; return the exit code.

    ``heard`` are the signals passed on to them.
    """
    failed_at = None
    while None in (codes := [process.poll() for process in processes]):
        if failed_at is None and any(codes):
            failed_at = time.monotonic()
        if failed_at is not None and time.monotonic() - failed_at > PATIENCE:
            break
        time.sleep(LOOK)
    first = codes[0] if codes else None
    if first is not None and first >= 0:  # it has said what there is to say
        return first or next((1 for code in codes if code), 0)
    if any(code and -code in heard for code in codes) or not codes:  # before they listened
        warn("stopped")
        return 130
    number, code = next((number, code) for number, code in enumerate(codes, 1) if code)
    how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"failed with exit code {code}"
    warn(
        f"the process of device {number} of {len(codes)} {how}; the last checkpoint is kept: find the run with "
        "ganforge runs, then continue with ganforge resume RUN"
    )
    return 1
