"""Pictures at equal seconds: ``python -m tests.benchmarks.quality PHOTOS [--seconds 900] [--seeds 1] [--only NAME]``.

Each contender trains in a process of its own for so many seconds of wall clock, start-up included, on all but
``--held`` of the photographs; then 5,000 of its pictures are compared with those kept out, by features of an ImageNet
network (the extra ``imagenet``): from the trained generator, and from its moving average where it has one. One at a
time, on an idle machine. ``--json`` is written after each run, and what it holds already is not run again; grids of
the first 64 pictures, of fixed latents and not chosen, are written beside it.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.files import require_file
from tests.benchmarks.record import record

SAMPLES, SIZE = 5000, 64
# Ours: what is typed after ``ganforge train --data PHOTOS``.
OURS: dict[str, list[str]] = {
    "r3gan": ["--arch", "r3gan"],
    "dcgan auto": ["--arch", "dcgan", "--balance", "auto"],
    "sngan": ["--arch", "sngan"],
    "fastgan": ["--arch", "fastgan"],
}
RIVALS = ("hand-written dcgan", "hand-written r3gan")
# Seconds that a whole run takes besides its steps: the curves, the animation, the model's file.
ENDING = 8.0


def split(photographs: Path, held: int, folder: Path) -> None:
    """Link all photographs into ``folder/train`` but ``held`` of them, chosen at random, which go to ``held``."""
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    order = np.random.default_rng(0).permutation(len(files))
    for part, chosen in (("held", order[:held]), ("train", order[held:])):
        (folder / part).mkdir(parents=True)
        for i in chosen:
            os.symlink(files[i].resolve(), folder / part / f"{i:06d}{files[i].suffix}")


def pictures(folder: Path) -> np.ndarray:
    from ganforge.data.folder import load_folder

    return np.asarray(load_folder(folder, image_size=SIZE).array)


def train_ours(words: list[str], train: Path, seed: int, seconds: float, precision: str, out: Path) -> dict[str, Any]:
    """Run the command for about ``seconds``; a trial of some steps says how many epochs that is."""
    common = [sys.executable, "-m", "ganforge", "train", *words, "--data", train, "--image-size", SIZE]
    common += ["--seed", seed, "--precision", precision, "--quiet"]

    def run(epochs: int, runs: Path, *more: Any) -> float:
        begun = time.perf_counter()
        command = [str(word) for word in [*common, "--epochs", epochs, "--runs-dir", runs, *more]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return time.perf_counter() - begun

    with tempfile.TemporaryDirectory() as trial:
        run(1, Path(trial), "--limit", 1500)
        log = (Path(trial) / "run_1" / "metrics.jsonl").read_text().splitlines()
        rates = [json.loads(line)["images_per_second"] for line in log]
    rate = float(np.median(rates[len(rates) // 3 :]))
    start = 8.0
    count = len(list(train.iterdir()))
    took = run(max(1, int((seconds - start - ENDING) * rate / count)), out / "runs")
    return {"seconds": took}


def drawn_by_ours(out: Path) -> dict[str, np.ndarray]:
    """Return what the averaged generator draws, or the trained one where there is no average."""
    import ganforge

    run = ganforge.Run(out / "runs" / "run_1")
    return {"pictures": run.sample(SAMPLES, seed=1)}


def train_rival(name: str, images: np.ndarray, seed: int, seconds: float, autocast: bool) -> dict[str, Any]:
    """Train a rival until ``seconds`` are over and return what it drew and how many pictures it saw."""
    import torch

    from tests.benchmarks.rival import LATENT, Rival, dcgan
    from tests.benchmarks.rival_r3gan import LATENT as MODERN_LATENT
    from tests.benchmarks.rival_r3gan import ModernRival, drawn, networks

    begun = time.perf_counter()
    torch.manual_seed(seed)
    random, modern = np.random.default_rng(seed), name.endswith("r3gan")
    batch = 32 if modern else 64
    rival: Any = (
        ModernRival(networks(SIZE, **R3GAN), 5e-4, autocast) if modern else Rival(dcgan(SIZE, 32), 2e-4, autocast)
    )
    order, place, steps = random.permutation(len(images)), 0, 0
    while time.perf_counter() - begun < seconds:
        if place + batch > len(order):
            order, place = random.permutation(len(images)), 0
        rival.step(images[np.sort(order[place : place + batch])])
        place, steps = place + batch, steps + 1
    took = time.perf_counter() - begun
    if modern:
        made = {
            "raw": drawn(rival.generator, SAMPLES, MODERN_LATENT, 1),
            "pictures": drawn(rival.average, SAMPLES, MODERN_LATENT, 1),
        }
    else:
        made = {"pictures": drawn(rival.generator, SAMPLES, LATENT, 1)}
    return {"seconds": took, "seen": steps * batch, "made": made}


# The rival's networks are those of our r3gan by its defaults.
R3GAN: dict[str, Any] = {"width": 16, "stem": 2, "widest": 128}


def measure(real: np.ndarray, made: dict[str, np.ndarray]) -> dict[str, Any]:
    from ganforge.metrics.imagenet import features, scores

    return {kind: scores(real, features(drawn)) for kind, drawn in made.items()}


def one(name: str, folder: Path, seed: int, seconds: float, precision: str, grid: Path | None) -> dict[str, Any]:
    """Train one contender and measure it."""
    from ganforge.metrics.imagenet import features

    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    if name in OURS:
        result = train_ours(OURS[name], folder / "train", seed, seconds, precision, out)
        log = (out / "runs" / "run_1" / "metrics.jsonl").read_text().splitlines()
        manifest = json.loads((out / "runs" / "run_1" / "run.json").read_text())
        result["seen"] = json.loads(log[-1])["step"] * manifest["config"]["batch_size"]
        made = drawn_by_ours(out)
    else:
        result = train_rival(name, pictures(folder / "train"), seed, seconds, precision == "mixed_bfloat16")
        made = result.pop("made")
    known = folder / "held.npy"
    if not known.exists():
        np.save(known, features(pictures(folder / "held")))
    result |= measure(np.load(known), made)
    if grid:
        from PIL import Image

        for kind, drawn in made.items():
            rows = drawn[:64].reshape(8, 8, SIZE, SIZE, 3).transpose(0, 2, 1, 3, 4)
            Image.fromarray(rows.reshape(8 * SIZE, 8 * SIZE, 3)).save(grid.with_name(f"{grid.name}-{kind}.png"))
    return {"contender": name, "seed": seed, "budget": seconds, "precision": precision, **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--seconds", type=float, action="append")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--held", type=int, default=3000)
    parser.add_argument("--only", action="append", choices=[*OURS, *RIVALS])
    parser.add_argument("--precision", default="float32", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    a = parser.parse_args()
    require_file(a.json)
    from ganforge.backend import choose_backend
    from ganforge.metrics.imagenet import require_imagenet

    choose_backend("torch")
    require_imagenet()
    written = json.loads(a.json.read_text("utf-8"))["results"] if a.json.is_file() else []
    keys = ("contender", "seed", "budget", "precision")
    done = {tuple(run[key] for key in keys) for run in written}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        split(a.photographs, a.held, folder)
        for seconds in a.seconds or [300.0]:
            for seed in range(a.seeds):
                for contender in a.only or [*RIVALS, *OURS]:
                    if (contender, seed, seconds, a.precision) in done:
                        continue
                    grid = a.json.with_name(f"{contender.replace(' ', '-')}-{seconds:.0f}s-seed{seed}")
                    written.append(one(contender, folder, seed, seconds, a.precision, grid))
                    record(a.json, "quality", {"held": a.held, "samples": SAMPLES}, written)
                    last = written[-1]
                    said = f"{contender}, seed {seed}: {last['seen']:,} pictures in {last['seconds']:.0f} s"
                    print(f"{said}, FD {last['pictures']['fd']:.0f}", flush=True)


if __name__ == "__main__":
    main()
