"""Few photographs: ``python -m tests.benchmarks.few PHOTOS --json few.json [--count 500] [--seeds 3] [--epochs N]``.

``dcgan`` (or ``--arch``) at 32 pixels with and without augmentation, on so many photographs; after every ``--look``
pictures that it has seen, 1,000 of its own are compared with 3,000 photographs kept out by the KID of ImageNet
features, and the best of these is the run's, as a careful person would have stopped there. Copies are the pictures
that lie unusually close to one trained on. Resumable: what ``--json`` holds already is not run again.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.quality import split
from tests.benchmarks.record import known_runs, record

SIZE, SAMPLES, HELD = 32, 1000, 3000
# What an architecture trains with by default, which augmentation comes on top of.
OWN = {"dcgan": [], "r3gan": ["mirror", "r1:gamma=1,every=4", "r2:gamma=1,every=4"]}
BALANCES = {"none": [], "diffaugment": ["diffaugment"], "ada": ["ada"]}


def one(balance: str, photographs: Path, held: np.ndarray, a: argparse.Namespace, count: int, seed: int) -> dict:
    """Train one run and return what it came to at each look, the best look's numbers apart."""
    import ganforge
    from ganforge.metrics.imagenet import features, kid
    from ganforge.metrics.memorising import memorising

    each = max(1, round(a.look / count))  # epochs between two looks
    with tempfile.TemporaryDirectory() as runs:
        looks: list[dict[str, Any]] = []
        run = None
        for look in range(1, round(a.seen / (each * count)) + 1):
            if run is None:
                how = {"data": str(photographs), "limit": count, "image_size": SIZE, "seed": seed, "runs_dir": runs}
                balances = [*OWN[a.arch], *BALANCES[balance]] or ["none"]
                run = ganforge.train(a.arch, epochs=each, balance=balances, snapshot_every=each, **how)
            else:
                run = run.resume(epochs=look * each)
            made = np.asarray(run.sample(SAMPLES, seed=1))
            copies = memorising(made, trained_on(run))["share"]
            found = {"seen": look * each * count, "kid": kid(held, features(made))[0], "copies": copies}
            looks.append(found)
            print(f"  {found['seen']:,}: KID {found['kid']:.3f}, copies {copies:.3f}", flush=True)
    best = min(looks, key=lambda found: found["kid"])
    return {"balance": balance, "count": count, "seed": seed, "looks": looks, "best": best}


def trained_on(run: Any) -> np.ndarray:
    from ganforge.study.evaluate import training_images

    return np.asarray(training_images(run))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--json", type=Path, required=True)
    parser.add_argument("--count", type=int, action="append", help="500 and 2000")
    parser.add_argument("--arch", default="dcgan", choices=list(OWN))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--only", action="append", choices=list(BALANCES))
    parser.add_argument("--seen", type=int, default=96_000, help="pictures that a run sees")
    parser.add_argument("--look", type=int, default=16_000, help="pictures between two looks")
    a = parser.parse_args()
    from ganforge.backend import choose_backend

    choose_backend("torch")
    from ganforge.data.folder import load_folder
    from ganforge.metrics.imagenet import features

    settings = {"arch": a.arch, "size": SIZE, "samples": SAMPLES, "held": HELD, "seen": a.seen, "look": a.look}
    written = known_runs(a.json, settings)
    done = {(run["balance"], run["count"], run["seed"]) for run in written}
    with tempfile.TemporaryDirectory() as name:
        split(a.photographs, HELD, Path(name))
        held = features(np.asarray(load_folder(Path(name) / "held", image_size=SIZE).array))
        for seed in range(a.seeds):
            for count in a.count or [500, 2000]:
                for balance in a.only or list(BALANCES):
                    if (balance, count, seed) in done:
                        continue
                    written.append(one(balance, Path(name) / "train", held, a, count, seed))
                    record(a.json, "few", settings, {"runs": written})
                    best = written[-1]["best"]
                    said = f"KID {best['kid']:.3f} at {best['seen']:,}, copies {best['copies']:.3f}"
                    print(f"{count} photographs, {balance}, seed {seed}: {said}", flush=True)


if __name__ == "__main__":
    main()
