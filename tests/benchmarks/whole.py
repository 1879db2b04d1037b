"""A whole run against the bare step: ``python -m tests.benchmarks.whole [--balance SPEC]``.

A run with balancing, logging, snapshots and checkpoints at their default pace, and the same number of bare steps on
one batch, in turn in one process. Counted from the first step to the end of the last epoch.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from typing import Any

from ganforge import hookimpl


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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--balance", action="append", default=[])
    parser.add_argument("--precision", default="float32")
    parser.add_argument("--count", type=int, default=9984, help="pictures; 156 steps of 64 by default")
    parser.add_argument("--rounds", type=int, default=3)
    a = parser.parse_args()
    from ganforge.backend import choose_backend

    choose_backend("torch")
    from ganforge.plugin.types import Progress
    from ganforge.training.config import TrainConfig
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Trainer

    ratios = []
    for _ in range(a.rounds):
        with tempfile.TemporaryDirectory() as folder:
            settings = {"data": f"critters:count={a.count}", "image_size": 64, "epochs": 1, "runs_dir": folder}
            arch = "dcgan:layers=3,width=32,discriminator_width=32"
            common = {"arch": arch, "precision": a.precision, **settings}
            whole = Setup.new(TrainConfig.of({**common, "balance": tuple(a.balance)}))
            bare = Setup.new(TrainConfig.of(common))
            batch = whole.batches.batch(0)

            class Same:
                def iterate(self, start: int, stop: int, batch: Any = batch) -> Any:
                    return ((step, batch) for step in range(start, stop))

            clock = Clock()
            Trainer(whole).run([clock])
            steps = bare.engine.steps(Same(), lambda s: Progress(s, 10**6, 0, 1), 0, whole.steps)
            next(steps)
            start = time.perf_counter()
            for step in steps:
                last = step
            last.read()
            ratios.append((clock.ended - clock.begun) / (time.perf_counter() - start))
            print(f"whole {clock.ended - clock.begun:.2f} s, ratio {ratios[-1]:.3f}", flush=True)
    print(f"median ratio {statistics.median(ratios):.3f}")


if __name__ == "__main__":
    main()
