"""Where a step's time goes on torch: ``python -m tests.benchmarks.breakdown [--case N] [--precision P] [--step S]``.

On a CPU torch computes each operation before it returns, so a clock around each part is exact; the parts' own clocks
cost microseconds.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from tests.benchmarks.cases import CASES, Contender, make_engine, pictures


def measure(case: int, contender: Contender, steps: int) -> dict[str, float]:
    """Return milliseconds a step by part, and the ``whole`` step."""
    from ganforge.engine.door import Door
    from ganforge.engine.objective import Objective
    from ganforge.engine.step import AdversarialStep
    from ganforge.plugin.types import Batch, Progress

    spent: dict[str, float] = defaultdict(float)
    inside: list[float] = []

    def clocked(name: str, function: Callable) -> Callable:
        def run(*arguments: Any, **keywords: Any) -> Any:
            start = time.perf_counter()
            inside.append(0.0)
            try:
                return function(*arguments, **keywords)
            finally:
                took = time.perf_counter() - start
                spent[name] += took - inside.pop()  # what a part inside it took is that part's own
                if inside:
                    inside[-1] += took

        return run

    parts = {
        "latents and generator, forward": (AdversarialStep, "generate"),
        "discriminator, forward": (Door, "_logits"),
        "pictures to floats": (Door, "transform_images"),
        "losses and metrics": (Objective, "discriminator"),
    }
    for name, (owner, method) in parts.items():
        setattr(owner, method, clocked(name, getattr(owner, method)))
    engine = make_engine(CASES[case], contender)
    adapter = engine.adapter
    adapter.apply = clocked("optimizers", adapter.apply)
    adapter.value_and_gradients = clocked("discriminator, backward", adapter.value_and_gradients)
    vjp = adapter.vjp

    def clocked_vjp(*arguments: Any) -> tuple:
        output, back = vjp(*arguments)
        return output, clocked("generator, backward", back)

    adapter.vjp = clocked_vjp
    engine.planner.plan = clocked("host: plan", engine.planner.plan)
    batch = Batch(pictures(CASES[case]))

    class Same:
        def iterate(self, start: int, stop: int) -> Any:
            return ((step, batch) for step in range(start, stop))

    def train(start: int, stop: int) -> None:
        for step in engine.steps(Same(), lambda s: Progress(s, 10**6, 0, 1), start, stop):
            if step.progress.step % 10 == 9:
                clocked("host: reading metrics", step.read)()

    train(0, 5)
    spent.clear()
    begun = time.perf_counter()
    train(5, 5 + steps)
    whole = time.perf_counter() - begun
    result = {name: 1000 * seconds / steps for name, seconds in spent.items()}
    result["the rest"] = 1000 * whole / steps - sum(result.values())
    return {**dict(sorted(result.items(), key=lambda item: -item[1])), "whole": 1000 * whole / steps}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--case", type=int, default=0, choices=range(len(CASES)))
    parser.add_argument("--precision", default="float32", choices=["float32", "mixed_bfloat16"])
    parser.add_argument("--step", default="two-stage", choices=["two-stage", "one-stage"])
    parser.add_argument("--balance", action="append", default=[])
    parser.add_argument("--steps", type=int, default=40)
    a = parser.parse_args()
    from ganforge.backend import choose_backend

    choose_backend("torch")
    parts = measure(a.case, Contender("", precision=a.precision, step=a.step, balance=tuple(a.balance)), a.steps)
    print(f"**{CASES[a.case].name}, {a.precision}, {a.step}**\n\n| part | ms a step | share |\n|---|---:|---:|")
    for name, milliseconds in parts.items():
        print(f"| {name} | {milliseconds:.1f} | {100 * milliseconds / parts['whole']:.0f} % |")


if __name__ == "__main__":
    main()
