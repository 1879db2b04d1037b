"""The devices that train one run: how many, whether they exist, and whether they can share a batch."""

from __future__ import annotations

import os
import zlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from ganforge.errors import UsageError
from ganforge.processes import place

if TYPE_CHECKING:
    from ganforge.engine.engine import Engine

_HOST_DEVICES = "--xla_force_host_platform_device_count"
LEAST = 2  # rows of a batch for each process


def prepare(backend: str, devices: int | None) -> None:
    """Let JAX use the processor as so many devices, before it is imported; GPUs are counted as they are."""
    flags = os.environ.get("XLA_FLAGS", "")
    if backend == "jax" and (devices or 1) > 1 and _HOST_DEVICES not in flags:
        os.environ["XLA_FLAGS"] = f"{flags} {_HOST_DEVICES}={devices}".strip()


def devices_of(backend: str, asked: int | None) -> int:
    """Return how many devices train: those requested, else, on torch, the processes that torchrun started."""
    return asked or (place().count if backend == "torch" else 1)


def meet(backend: str, devices: int, batch_size: int) -> None:
    """Refuse devices that do not exist, or a batch that they cannot share; on torch, meet the other processes.

    Raises:
        UsageError: the devices do not exist, or cannot share the batch.
        PeerLost: the other processes did not arrive.
    """
    count = place().count
    if backend != "torch" and count > 1:
        raise UsageError(
            f"torchrun started {count} processes, but {backend} trains in one process; expected "
            + (f"ganforge train --devices {count}" if backend == "jax" else "ganforge train without torchrun")
        )
    if devices == 1:
        if count > 1:
            raise UsageError(f"invalid --devices 1: torchrun started {count} processes; expected {count}, or no flag")
        return
    if backend == "tensorflow":
        raise UsageError(
            f"--devices {devices} does not apply to TensorFlow; expected --backend torch or jax, or one device"
        )
    if backend == "torch" and count == 1:
        raise UsageError(
            f"--devices {devices} needs {devices} processes on torch; run ganforge train --devices {devices} on the "
            f"command line, or torchrun --nproc-per-node {devices} FILE.py"
        )
    if backend == "torch" and count != devices:
        raise UsageError(
            f"invalid --devices {devices}: torchrun started {count} processes; expected {count}, or no flag"
        )
    require_shares(batch_size, devices, LEAST if backend == "torch" else 1)
    if backend == "torch":
        from ganforge.engine.backends.torch_ranks import join

        join(place())


def require_shares(batch_size: int, devices: int, least: int = 1) -> None:
    """Raise ``UsageError`` if a batch does not give each device equally many pictures, and at least ``least``."""
    below = batch_size // devices * devices
    if below == batch_size and batch_size >= least * devices:
        return
    sizes = [size for size in (below, below + devices) if size >= least * devices] or [least * devices]
    why = f"cannot be divided by {devices} devices" if below != batch_size else f"is too small for {devices} devices"
    raise UsageError(
        f"invalid --batch-size {batch_size}: the total of all devices {why}; expected {' or '.join(map(str, sizes))}"
    )


def begin_alike(engine: Engine, begun: Mapping[str, str]) -> None:
    """Let all processes of a run start from the first one's state; ``begun`` must be the same in all of them.

    Raises:
        GANForgeError: another machine has different pictures, settings or checkpoints.
    """
    team = engine.adapter.team
    if team.count > 1:
        team.require_equal({name: zlib.crc32(text.encode()) for name, text in begun.items()}, "begun apart")
        engine.share()
