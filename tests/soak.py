"""Kill trainings at random instants, resume them, and compare with a run that was never stopped.

``python -m tests.soak --kills 100`` reports how many of 100 killed runs end bit for bit like the whole one;
``--starts 50`` starts 50 runs at once in one directory; ``--commands 20`` starts as many real ``ganforge train`` at
once on one folder of pictures (``--pictures FOLDER``, of which 300 are copied) that no cache holds yet;
``--backend jax`` takes another backend. Every second kill comes at a random moment, every other one just before a
random file operation of the run, so that a checkpoint's rename or the manifest's is hit as often as a step.

What is compared: every array and the state of the last checkpoint, the lines of ``metrics.jsonl`` without
``images_per_second`` and ``seconds``, the bytes of every snapshot, of ``losses.png`` and of ``progression.gif``, the
weights in ``generator.keras``, and that nothing else lies about.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parent))  # however this file is run
from support import SMALL, photos, timeless

SETTINGS: dict[str, Any] = {
    **SMALL,
    "balance": ("noise-anneal", "label-noise:flip=0.1"),
    "image_size": 8,
    "batch_size": 8,
    "epochs": 6,
    "snapshot_every": 2,
    "checkpoint_every": "7steps",
    "log_every": 3,
    "seed": 5,
}
WATCHED = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "shutil.rmtree", "os.listdir", "os.truncate")
SLOWED = 0.01  # seconds a step, so that a random moment often falls between two


# ------------------------------------------------------------------ in the process that is killed


class Slow:
    """An observer that makes steps last long enough to be killed in."""

    def __init__(self) -> None:
        from ganforge import hookimpl

        self.step_ended = hookimpl(lambda step: time.sleep(SLOWED))


def work(settings: dict[str, Any], run: str, kill_before: int | None) -> None:
    """Train ``run`` on, or a new one; kill this very process before its ``kill_before``-th file operation."""
    from ganforge.training.resume import resume
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Trainer

    places = (str(Path(settings["runs_dir"]).resolve()), os.environ["GANFORGE_CACHE_DIR"])
    count, watching = 0, True

    def watch(event: str, args: tuple) -> None:
        nonlocal count
        if watching and event in WATCHED and any(place in str(args) for place in places):
            count += 1
            if count == kill_before:
                os.kill(os.getpid(), signal.SIGKILL)

    sys.addaudithook(watch)
    if run:
        trainer = resume(Path(run))
    else:
        from ganforge.training.config import TrainConfig

        trainer = Trainer(Setup.new(TrainConfig.of(settings)))
    trainer.run([Slow()])
    watching = False
    (Path(settings["runs_dir"]) / "operations").write_text(str(count))


# ------------------------------------------------------------------ in the process that kills


class Forked:
    """Workers forked from a process that has imported everything: torch only, and quick."""

    def __init__(self, backend: str) -> None:
        from ganforge.backend import choose_backend, quietly

        choose_backend(backend)
        import torch

        from ganforge.engine import engine  # noqa: F401
        from ganforge.plugin.registry import load_plugins
        from ganforge.training import resume  # noqa: F401

        for heavy in (
            "tensorflow",
            "matplotlib.figure",
            "matplotlib.backends.backend_agg",
            "safetensors.numpy",
            "scipy",
        ):
            with (
                contextlib.suppress(ImportError),
                quietly(),
            ):  # Keras loads TensorFlow to save a model, where it is installed
                importlib.import_module(heavy)
        torch.set_num_threads(1)
        load_plugins()

    def start(self, settings: dict[str, Any], run: str, kill_before: int | None) -> int:
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                work(settings, run, kill_before)
                code = 0
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
            finally:
                os._exit(code)
        return pid


class Spawned:
    """Workers that are processes of their own, for backends whose threads do not survive a fork."""

    def __init__(self, backend: str) -> None:
        self.backend = backend

    def start(self, settings: dict[str, Any], run: str, kill_before: int | None) -> int:
        environment = {**os.environ, "KERAS_BACKEND": self.backend, "CUDA_VISIBLE_DEVICES": ""}
        command = [sys.executable, __file__, "--work", json.dumps([settings, run, kill_before])]
        return subprocess.Popen(command, env=environment).pid


def ended(run: Path) -> bool:
    """Say whether a run has reached its end, and what is drawn after it is there."""
    drawn = all((run / name).is_file() for name in ("losses.png", "progression.gif"))
    return drawn and json.loads((run / "run.json").read_text())["state"] == "finished"


def outcome(pid: int) -> int:
    """Wait for a worker: its exit code, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def differences(run: Path, whole: Path) -> list[str]:
    """Say in what two finished runs differ."""
    from ganforge.runs import list_snapshots, load_checkpoint, read_manifest, read_metrics

    found = []
    a, b = load_checkpoint(run), load_checkpoint(whole)
    if a.step != b.step or a.arrays.keys() != b.arrays.keys():
        found.append(f"checkpoint of step {a.step}, not {b.step}, with {sorted(a.arrays.keys() ^ b.arrays.keys())}")
    found += [f"array {k}" for k in b.arrays if k not in a.arrays or not np.array_equal(a.arrays[k], b.arrays[k])]
    state = [{k: v for k, v in c.state.items() if k != "seconds"} for c in (a, b)]
    if state[0] != state[1]:
        found.append("state")
    lines = [timeless(read_metrics(r)) for r in (run, whole)]
    if lines[0] != lines[1]:
        found.append(f"metrics: steps {[line['step'] for line in lines[0]]}, not {[x['step'] for x in lines[1]]}")
    if [epoch for epoch, _ in list_snapshots(run)] != [epoch for epoch, _ in list_snapshots(whole)]:
        found.append("which snapshots there are")
    names = [path.relative_to(whole) for _, path in list_snapshots(whole)]
    for name in [*names, Path("losses.png"), Path("progression.gif"), Path("architecture.txt")]:
        if not (run / name).is_file() or (run / name).read_bytes() != (whole / name).read_bytes():
            found.append(str(name))
    if weights(run / "generator.keras") != weights(whole / "generator.keras"):
        found.append("generator.keras")
    if read_manifest(run)["state"] != "finished":
        found.append("state of run.json")
    files = [sorted(str(p.relative_to(r)) for p in r.rglob("*")) for r in (run, whole)]
    if files[0] != files[1]:
        found.append(f"files: {sorted(set(files[0]) ^ set(files[1]))}")
    return found


def weights(path: Path) -> Any:
    """Return what a .keras file holds that training decides: the weights' file, free of dates."""
    import io
    import zipfile

    import h5py

    with zipfile.ZipFile(path) as archive, h5py.File(io.BytesIO(archive.read("model.weights.h5"))) as file:
        found: dict[str, bytes] = {}
        file.visititems(
            lambda name, item: found.update({name: item[()].tobytes()}) if hasattr(item, "dtype") else None
        )
        return found


def survive(
    workers: Any, settings: dict[str, Any], chance: random.Random, most: int, longest: float, operations: int
) -> tuple[Path, int]:
    """Kill a run ``most`` times at most until it has ended; return its directory and how often it was killed.

    ``longest`` and ``operations`` are the seconds and the file operations of a whole run.
    """
    kills, runs_dir = 0, Path(settings["runs_dir"])
    while True:
        runs = sorted(runs_dir.glob("run_*"))
        if runs and ended(runs[0]):  # killed between its last file and its exit
            return runs[0], kills
        before, after = None, None
        if kills < most:
            if chance.random() < 0.5:
                before = chance.randint(1, operations)
            else:
                after = chance.uniform(0, longest)
        pid = workers.start(settings, str(runs[0]) if runs else "", before)
        if after is not None:
            time.sleep(after)
            os.kill(pid, signal.SIGKILL)
        code = outcome(pid)
        if code == 0:
            return sorted(runs_dir.glob("run_*"))[0], kills
        if code != -signal.SIGKILL:
            raise SystemExit(f"a worker failed with {code}")
        kills += 1


def soak(workers: Any, kills: int, each: int, seed: int, folder: Path) -> tuple[int, int, int]:
    """Return (kills made, runs killed, runs that ended like the whole one). Each run builds its own cache."""
    os.environ["GANFORGE_CACHE_DIR"] = str(folder / "cache_whole")
    settings = {**SETTINGS, "runs_dir": str(folder / "whole")}
    begun = time.monotonic()
    if code := outcome(workers.start(settings, "", None)):
        raise SystemExit(f"the run that is never stopped failed with {code}")
    longest = 1.1 * (time.monotonic() - begun)
    whole = folder / "whole" / "run_1"
    operations = int((folder / "whole" / "operations").read_text())
    chance = random.Random(seed)
    made = runs = same = 0
    while made < kills:
        place = folder / f"killed_{made}"
        os.environ["GANFORGE_CACHE_DIR"] = str(place / "cache")
        settings = {**SETTINGS, "runs_dir": str(place / "runs")}
        run, count = survive(workers, settings, chance, min(each, kills - made), longest, operations)
        if count:
            found = differences(run, whole)
            made, runs, same = made + count, runs + 1, same + (not found)
            verdict = f"DIFFERS in {found}" if found else "alike"
            print(f"run {runs}: killed {count} times, {verdict}; {made} of {kills} kills")
        shutil.rmtree(place)
    return made, runs, same


def starts(workers: Any, count: int, folder: Path) -> int:
    """Start ``count`` runs at once in one directory; return how many distinct complete ones there are."""
    from ganforge.runs import list_runs, read_manifest, read_metrics

    settings = {**SETTINGS, "runs_dir": str(folder / "many"), "epochs": 1}
    pids = [workers.start({**settings, "seed": i}, "", None) for i in range(count)]
    codes = [outcome(pid) for pid in pids]
    complete = [
        run
        for run in list_runs(folder / "many")
        if read_manifest(run)["state"] == "finished" and read_metrics(run) and (run / "generator.keras").is_file()
    ]
    seeds = {read_manifest(run)["config"]["seed"] for run in complete}
    return min(codes.count(0), len(complete), len(seeds))


def commands(count: int, backend: str, pictures: str, folder: Path) -> list[str]:
    """Run ``count`` real trainings at once on one folder that no cache holds yet; return what is wrong with them."""
    from ganforge.data.folder import load_folder
    from ganforge.runs import list_runs, read_manifest

    data, cache, runs_dir = folder / "pictures", folder / "cache of commands", folder / "commands"
    if pictures:
        data.mkdir()
        for path in [path for path in sorted(Path(pictures).rglob("*")) if path.is_file()][:300]:
            shutil.copy(path, data)
    else:
        photos(data, 300)
    environment = {**os.environ, "GANFORGE_CACHE_DIR": str(cache), "KERAS_BACKEND": backend, "OMP_NUM_THREADS": "1"}
    words = [sys.executable, "-m", "ganforge", "train", "--arch", SMALL["arch"], "--data", data, "--image-size", 16]
    words += ["--batch-size", 50, "--epochs", 1, "--runs-dir", runs_dir, "--seed"]
    started = []
    for i in range(count):
        said = open(folder / f"command_{i}.txt", "wb")  # noqa: SIM115 - closed with the process
        started.append(
            subprocess.Popen([*map(str, words), str(i)], env=environment, stdout=said, stderr=subprocess.STDOUT)
        )
    codes = [one.wait() for one in started]
    wrong = [
        f"the one with seed {i} ended with {code}: {(folder / f'command_{i}.txt').read_text()[-500:]}"
        for i, code in enumerate(codes)
        if code
    ]
    manifests = [read_manifest(run) for run in list_runs(runs_dir)]
    if sorted(one["config"]["seed"] for one in manifests if one["state"] == "finished") != list(range(count)):
        wrong.append(f"{len(manifests)} runs, not one of each seed")
    if len({one["id"] for one in manifests}) != count:
        wrong.append("two runs have one number")
    own = load_folder(data, image_size=16, cache_dir=folder / "cache of its own")
    if {one["data"]["fingerprint"] for one in manifests} != {own.fingerprint}:
        wrong.append("the fingerprints differ")
    entries = [path for path in cache.iterdir() if path.is_dir()]
    if len(entries) != 1 or not np.array_equal(np.load(entries[0] / "images.npy"), own.array):
        wrong.append(f"the cache is not as one process makes it: {sorted(path.name for path in cache.iterdir())}")
    return wrong


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=0, help="kills in all")
    parser.add_argument("--each", type=int, default=4, help="kills a run suffers at most")
    parser.add_argument("--starts", type=int, default=0, help="starts at once")
    parser.add_argument("--commands", type=int, default=0, help="ganforge train at once, on one uncached folder")
    parser.add_argument("--pictures", default="", help="the folder for --commands; by default noise is drawn")
    parser.add_argument("--backend", default="torch", choices=["torch", "jax", "tensorflow"])
    parser.add_argument("--seed", type=int, default=None, help="of the moments; by default another each time")
    parser.add_argument("--work", help=argparse.SUPPRESS)
    flags = parser.parse_args()
    if flags.work:
        work(*json.loads(flags.work))
        return
    alone = flags.backend != "torch" or not (flags.starts or flags.kills)
    workers = Spawned(flags.backend) if alone else Forked("torch")
    with tempfile.TemporaryDirectory(prefix="ganforge-soak-") as folder:
        os.environ["GANFORGE_CACHE_DIR"] = f"{folder}/cache"
        begun = time.monotonic()
        good = True
        if flags.starts:
            complete = starts(workers, flags.starts, Path(folder))
            good = complete == flags.starts
            print(f"{complete} of {flags.starts} starts are distinct complete runs, {time.monotonic() - begun:.0f} s")
        if flags.commands:
            wrong = commands(flags.commands, flags.backend, flags.pictures, Path(folder))
            good = good and not wrong
            print(*wrong, sep="\n", end="\n" if wrong else "")
            print(f"{flags.commands} commands at once in {time.monotonic() - begun:.0f} s: {len(wrong)} complaints")
        if flags.kills:
            seed = flags.seed if flags.seed is not None else random.SystemRandom().randrange(10**6)
            print(f"seed {seed}, {flags.backend}")
            made, runs, same = soak(workers, flags.kills, flags.each, seed, Path(folder))
            print(
                f"{made} kills of {runs} runs in {time.monotonic() - begun:.0f} s: "
                f"{same} of {runs} ended bit for bit like the one never stopped"
            )
            good = good and same == runs
        raise SystemExit(not good)


if __name__ == "__main__":
    main()
