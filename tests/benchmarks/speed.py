"""Images a second, side by side: ``python -m tests.benchmarks.speed [--case N] [--rounds N] [--seconds S]``.

Every contender is a process of its own, since a process has one Keras backend and one memory allocator. They train in
turn, one at a time, for several rounds; figures are medians over the rounds, ratios are taken round by round, so that
a machine that slows down for a while slows both sides.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
from importlib.util import find_spec

from tests.benchmarks.cases import BATCH, CASES, CONTENDERS, quiet_environment


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
        self.started = self._read()
        self.rates: list[float] = []
        self.peak = 0.0
        self.steps = 2

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
    chosen = [i for i, c in enumerate(CONTENDERS) if find_spec(c.backend) and (not names or c.name in names)]
    workers = [Worker(case, i) for i in chosen]
    for worker in workers:
        worker.run(2)
        worker.steps = max(2, round(seconds / (worker.run(2) / 2)))
    for _ in range(rounds):
        for worker in workers:
            worker.rates.append(BATCH * worker.steps / worker.run(worker.steps))
    for worker in workers:
        worker.close()
    return workers


def table(case: int, workers: list[Worker]) -> str:
    """Return a Markdown table: images a second, the ratio to the first contender, memory and the first step."""
    base = workers[0].rates
    lines = [
        f"**{CASES[case].name}**",
        "",
        "| | img/s | ratio | peak memory | first step |",
        "|---|---:|---:|---:|---:|",
    ]
    for worker in workers:
        ratio = statistics.median(rate / first for rate, first in zip(worker.rates, base))
        rate = statistics.median(worker.rates)
        lines.append(
            f"| {worker.contender.name} | {rate:,.0f} | {ratio:.2f} | {worker.peak:,.0f} MiB | "
            f"{worker.started['first_step']:.1f} s |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--case", type=int, action="append", choices=range(len(CASES)), help="default: all")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=2.0, help="of each turn")
    parser.add_argument("--only", action="append", default=[], help="a contender's name (repeatable)")
    arguments = parser.parse_args()
    for case in arguments.case or range(len(CASES)):
        print(table(case, measure(case, arguments.rounds, arguments.seconds, arguments.only)) + "\n", flush=True)


if __name__ == "__main__":
    main()
