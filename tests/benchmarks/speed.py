"""Images a second, side by side: ``python -m tests.benchmarks.speed [--case N] [--json FILE]``.

Every contender is a process of its own, since a process has one Keras backend and one memory allocator. They train in
turn, one at a time, for several rounds; figures are medians over the rounds, ratios are taken round by round, so that
a machine that slows down for a while slows both sides. On a GPU, if CUDA_VISIBLE_DEVICES names one.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ganforge.files import require_file
from tests.benchmarks.cases import BATCH, CASES, CONTENDERS, quiet_environment
from tests.benchmarks.record import record

ON_GPU = bool(os.environ.get("CUDA_VISIBLE_DEVICES"))


class Worker:
    """A contender's process."""

    def __init__(self, case: int, contender: int) -> None:
        self.contender = CONTENDERS[contender]
        command = [sys.executable, "-m", "tests.benchmarks.worker", str(case), str(contender)]
        self.process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=quiet_environment(),
        )
        self.started: dict[str, float] = {}
        self.rates: list[float] = []
        self.peak = 0.0
        self.steps = 2

    def ready(self) -> None:
        """Wait for the networks to be built and the first step to be made."""
        self.started = self._read()

    def _read(self) -> dict[str, float]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit(f"{self.contender.name} ended early; run its worker by hand to see why")
        return json.loads(line)

    def run(self, steps: int) -> float:
        """Train and return the seconds it took."""
        assert self.process.stdin is not None
        self.process.stdin.write(f"{steps}\n")
        self.process.stdin.flush()
        answer = self._read()
        self.peak = answer["peak_mib"]
        return answer["seconds"]

    def close(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait()


def measure(case: int, rounds: int, seconds: float, names: list[str]) -> list[Worker]:
    """Return the contenders of a case with their rates, one a round."""
    wanted = [c.name in names if names else ON_GPU or not c.gpu for c in CONTENDERS]
    chosen = [i for i, c in enumerate(CONTENDERS) if find_spec(c.backend) and wanted[i]]
    workers = []
    for i in chosen:  # one after the other, so that the first step is timed alone
        workers.append(Worker(case, i))
        workers[-1].ready()
    for worker in workers:
        worker.run(2)
        worker.steps = max(2, round(seconds / (worker.run(2) / 2)))
    for _ in range(rounds):
        for worker in workers:
            worker.rates.append(CASES[case].batch * worker.steps / worker.run(worker.steps))
    for worker in workers:
        worker.close()
    return workers


def summary(workers: list[Worker]) -> dict[str, dict[str, Any]]:
    """Return each contender's medians over the rounds, and of its ratios to the first contender's same round."""
    base = workers[0].rates
    return {
        worker.contender.name: {
            "images_per_second": statistics.median(worker.rates),
            "ratio": statistics.median(rate / first for rate, first in zip(worker.rates, base)),
            "peak_mib": worker.peak,
            "first_step_seconds": worker.started["first_step"],
            "rounds": worker.rates,
        }
        for worker in workers
    }


def table(name: str, contenders: dict[str, dict[str, Any]]) -> str:
    """Return a Markdown table: images a second, the ratio to the first contender, memory and the first step."""
    lines = [f"**{name}**", "", "| | img/s | ratio | peak memory | first step |", "|---|---:|---:|---:|---:|"]
    for contender, c in contenders.items():
        lines.append(
            f"| {contender} | {c['images_per_second']:,.0f} | {c['ratio']:.2f} | {c['peak_mib']:,.0f} MiB | "
            f"{c['first_step_seconds']:.1f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--case", type=int, action="append", choices=range(len(CASES)), help="default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--only", action="append", default=[], help="a contender's name (repeatable)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there too")
    a = parser.parse_args()
    if a.json:
        require_file(a.json)
    results = {}
    for case in a.case or [i for i, one in enumerate(CASES) if ON_GPU or not one.gpu]:
        name = CASES[case].name
        results[name] = summary(measure(case, a.rounds, a.seconds, a.only))
        print(table(name, results[name]) + "\n", flush=True)
        if a.json:  # after each case: the next takes minutes
            record(a.json, "speed", {"rounds": a.rounds, "seconds": a.seconds, "batch": BATCH}, results)


if __name__ == "__main__":
    main()
