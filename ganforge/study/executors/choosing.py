"""What ``--on`` names: ``local``, ``ray[:ADDRESS]`` or ``slurm[:PARTITION]``."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ganforge.errors import UsageError, closest
from ganforge.study.executors import Executor
from ganforge.study.executors.local import LocalExecutor

NAMES = ("local", "ray", "slurm")
MOST = 256  # runs that are given to a cluster at a time; it queues those that it has no place for


def parse_on(text: str) -> tuple[str, str]:
    """Return the executor's name and what follows the colon. Raises ``UsageError`` where there is none so named."""
    name, _, rest = text.partition(":")
    if name not in NAMES or (name == "local" and rest):
        near = closest(name, NAMES)
        raise UsageError(f"invalid --on {text}: expected local, ray[:ADDRESS] or slurm[:PARTITION].{near}")
    return name, rest


def places(on: str, jobs: int | None) -> int:
    """Return how many runs are given away at a time: as asked, else one on this machine and many on a cluster."""
    return jobs or (1 if parse_on(on)[0] == "local" else MOST)


@contextmanager
def opened(on: str, jobs: int, runs_dir: Path) -> Iterator[Executor]:
    """Give the executor that ``--on`` names, and let go of it at the end.

    Raises:
        UsageError: there is none so named.
        GANForgeError: its extra is missing, or its cluster cannot be reached.
    """
    name, rest = parse_on(on)
    if name == "local":
        yield LocalExecutor(jobs)
    elif name == "ray":
        from ganforge.study.executors.ray import RayExecutor

        executor = RayExecutor(rest, runs_dir)
        try:
            yield executor
        finally:
            executor.close()
    else:
        from ganforge.study.executors.slurm import SlurmExecutor

        yield SlurmExecutor(rest, runs_dir)
