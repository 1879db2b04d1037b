"""A whole run against the bare step: ``python -m tests.benchmarks.whole [--balance SPEC] [--json FILE]``.

A run with balancing, logging, snapshots and checkpoints at their default pace, and the same number of bare steps on
one batch, in turn in one process. Counted from the first step to the end of the last epoch.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from ganforge import hookimpl
from ganforge.files import require_file
from tests.benchmarks.record import record


class Clock:
    """Notes when the first step begins and the last epoch has ended, its files written."""

    begun = ended = 0.0

    @hookimpl
    def step_ended(self, step: Any) -> None:
        if not self.begun:
            self.begun = time.perf_counter()  # the first step warms up and does not count
        self.ended = time.perf_counter()

    @hookimpl
    def snapshot_taken(self, snapshot: Any) -> None:
        self.ended = time.perf_counter()


def measure(balance: tuple[str, ...], precision: str, count: int) -> tuple[float, float]:
    """Return the seconds of a run's steps, and those of as many bare ones."""
    from ganforge.plugin.types import Progress
    from ganforge.training.config import TrainConfig
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Trainer

    with tempfile.TemporaryDirectory() as folder:
        settings = {"data": f"critters:count={count}", "image_size": 64, "epochs": 1, "runs_dir": folder}
        arch = "dcgan:layers=3,width=32,discriminator_width=32"
        common = {"arch": arch, "precision": precision, **settings}
        whole = Setup.new(TrainConfig.of({**common, "balance": balance}))
        bare = Setup.new(TrainConfig.of(common))
        batch = whole.batches.batch(0)

        class Same:
            def iterate(self, start: int, stop: int) -> Any:
                return ((step, batch) for step in range(start, stop))

        clock = Clock()
        Trainer(whole).run([clock])
        steps = bare.engine.steps(Same(), lambda s: Progress(s, 10**6, 0, 1), 0, whole.steps)
        next(steps)
        start = time.perf_counter()
        for step in steps:
            last = step
        last.read()
        return clock.ended - clock.begun, time.perf_counter() - start


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--balance", action="append", default=[])
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--count", type=int, default=9984, help="pictures; 156 steps of 64 by default")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    a = parser.parse_args()
    if a.json:
        require_file(a.json)
    from ganforge.backend import choose_backend

    choose_backend("torch")
    rounds = []
    for _ in range(a.rounds):
        whole, bare = measure(tuple(a.balance), a.precision, a.count)
        rounds.append({"whole_seconds": whole, "bare_seconds": bare, "ratio": whole / bare})
        print(f"whole {whole:.2f} s, ratio {whole / bare:.3f}", flush=True)
    medians = {name: statistics.median(each[name] for each in rounds) for name in rounds[0]}
    print(f"median ratio {medians['ratio']:.3f}")
    if a.json:
        settings = {"balance": a.balance, "precision": a.precision, "count": a.count}
        record(a.json, "whole", settings, {**medians, "rounds": rounds})


if __name__ == "__main__":
    main()
