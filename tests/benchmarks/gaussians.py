"""Modes covered of 25 Gaussians on a grid: ``python -m tests.benchmarks.gaussians [--seeds 20] [--json FILE]``.

Every run is a whole ``ganforge.train``, measured on 2,500 new points by ``ganforge.metrics.modes``. A run holds where
it covers all modes and 95 % of its points are of high quality; of the mixture's own points 98.9 % are.
``--json`` is written after each run, and what it holds already is not run again.

The mixture and the rule for modes are those of Lin et al. 2018, "PacGAN", whose code takes 400 epochs of 100,000
points in batches of 100.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from pathlib import Path
from typing import Any

from ganforge.files import require_file
from tests.benchmarks.record import known_runs, record

SAMPLES, HELD = 2500, 0.95
# Smooth units and depth: what lies between two modes is how quickly the generator passes from one to the other.
COMMON: dict[str, Any] = {"arch": "mlp:layers=5,activation=silu", "ema": 0.999}
RECIPES: dict[str, dict[str, Any]] = {
    "bce": {"loss": "bce", "learning_rate": 0.001},
    # A strong penalty keeps the modes while they are found, a weak one lets D see how narrow they are.
    "relativistic": {
        "loss": "relativistic",
        "balance": ["r1:gamma=0.1,end=0.01", "r2:gamma=0.1,end=0.01", "lr-decay:hold=0.6"],
        "learning_rate": 0.004,
        "optimizer": "adam:beta_2=0.9",  # with 0.999 modes found late are lost again
    },
}


def measure(recipe: str, kind: str, seed: int, steps: int) -> dict[str, Any]:
    """Train one run and return its seed, seconds (of wall clock and of this process) and modes."""
    import ganforge
    from ganforge.data.gaussians import GaussianOptions, mixture
    from ganforge.metrics.modes import mode_coverage

    options = GaussianOptions(kind=kind)
    with tempfile.TemporaryDirectory() as folder:
        # An epoch is count / batch_size = 100 steps.
        epochs = max(1, steps // 100)
        settings = {"data": f"gaussians:kind={kind}", "epochs": epochs, "snapshot_every": epochs, "log_every": 100}
        wall, own = time.perf_counter(), time.process_time()
        run = ganforge.train(**COMMON, **RECIPES[recipe], **settings, seed=seed, runs_dir=folder)
        seconds = {"seconds": time.perf_counter() - wall, "process_seconds": time.process_time() - own}
        found = mode_coverage(run.sample(SAMPLES, seed=seed), *mixture(options))
    del found["counts"]
    return {"recipe": recipe, "kind": kind, "seed": seed, "steps": 100 * epochs, **seconds, **found}


def holds(result: dict[str, Any]) -> bool:
    """Return whether a run covers all modes with 95 % of its points within three deviations of one."""
    return bool(result["covered"] == result["of"] and result["high_quality"] >= HELD)


def summarise(results: list[dict[str, Any]]) -> dict[str, Any]:
    """Return for each recipe how many runs hold, and the means."""
    summary = {}
    for recipe in dict.fromkeys(r["recipe"] for r in results):
        mine = [r for r in results if r["recipe"] == recipe]
        means = {
            f"mean_{name}": sum(r[name] for r in mine) / len(mine)
            for name in ("covered", "high_quality", "seconds", "process_seconds")
        }
        summary[recipe] = {"runs": len(mine), "hold": sum(map(holds, mine)), **means}
    return summary


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--steps", type=int, default=20_000)
    parser.add_argument("--kind", choices=("grid", "ring"), default="grid")
    parser.add_argument("--recipe", action="append", choices=tuple(RECIPES))
    parser.add_argument("--threads", type=int, default=1, help="of the backend")
    parser.add_argument("--backend", default="torch")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, and go on from there")
    a = parser.parse_args()
    if a.json:
        require_file(a.json)
    os.environ["OMP_NUM_THREADS"] = str(a.threads)
    from ganforge.backend import choose_backend

    choose_backend(a.backend)
    settings = {
        "common": COMMON,
        "recipes": RECIPES,
        "steps": a.steps,
        "kind": a.kind,
        "threads": a.threads,
        "backend": a.backend,
    }
    settings = json.loads(json.dumps(settings))
    results = known_runs(a.json, settings)
    done = {(r["recipe"], r["seed"]) for r in results}
    for seed in range(a.seeds):
        for recipe in a.recipe or RECIPES:
            if (recipe, seed) in done:
                continue
            result = measure(recipe, a.kind, seed, a.steps)
            results.append(result)
            print(
                f"{recipe} seed {seed}: {result['covered']} of {result['of']} modes, "
                f"{result['high_quality']:.1%} within 3 deviations, {result['seconds']:.0f} s "
                f"({result['process_seconds']:.0f} s of this process)",
                flush=True,
            )
            if a.json:
                record(a.json, "gaussians", settings, {"summary": summarise(results), "runs": results})
    print(json.dumps(summarise(results), indent=2))


if __name__ == "__main__":
    main()
