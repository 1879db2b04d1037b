"""How much sooner dogs come from a run that has learnt cats than from noise: KID over the steps, both ways.

``python -m tests.benchmarks.transfer CATS DOGS [--json FILE]`` trains once on the pictures in CATS, then for each
seed on a few of those in DOGS, from scratch and with ``--from`` (and once more with frozen layers, if ``--freeze``
says how many), and measures each at every so many steps by an ImageNet network (the extra ``imagenet``) against as
many of all DOGS as it draws. What was stopped goes on where it was: runs lie in ``--runs``, and what is measured is
in the JSON file.

The figure is at how many steps a run from cats is first as near to dogs as the one from scratch ever was (``best``)
or was at its end (``last``), in parts of the steps that this took.
"""

from __future__ import annotations

import argparse
import json
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tests.benchmarks.record import known_runs, record

KEEP = 10_000  # all checkpoints


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cats", type=Path, help="a folder of pictures")
    parser.add_argument("dogs", type=Path, help="another")
    parser.add_argument("--arch", default="r3gan")
    parser.add_argument("--image-size", type=int, default=32)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--few", type=int, default=500, help="dogs to learn from")
    parser.add_argument("--source-steps", type=int, default=4000)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--every", type=int, default=100, help="steps between measurements")
    parser.add_argument(
        "--samples", type=int, default=1000, help="pictures that a measurement looks at, of each side"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--freeze", type=int, default=0, help="layers of the discriminator to freeze, in a third run")
    parser.add_argument("--runs", type=Path, default=Path("transfer-runs"))
    parser.add_argument("--json", type=Path, help="[default: in --runs]")
    asked = parser.parse_args(arguments)
    file = asked.json or asked.runs / "transfer.json"
    own = ("cats", "dogs", "arch", "image_size", "batch_size", "few", "source_steps", "steps", "every", "samples")
    settings = {name: value if isinstance(value := getattr(asked, name), int) else str(value) for name in own}
    runs = known_runs(file, settings)
    ways = {"scratch": {}, "from": {"from_run": "SOURCE"}}
    if asked.freeze:
        ways[f"from, {asked.freeze} frozen"] = {"from_run": "SOURCE", "freeze_discriminator": asked.freeze}
    wanted = [(seed, way) for seed in asked.seeds for way in ways]
    missing = [one for one in wanted if one not in [(run["seed"], run["way"]) for run in runs]]
    source = None
    for seed, way in missing:
        source = source or trained(asked, asked.runs / "source", asked.cats, asked.source_steps, 0, None)
        changes = {name: source if value == "SOURCE" else value for name, value in ways[way].items()}
        place = asked.runs / f"{way.replace(', ', '-').replace(' ', '-')}-{seed}"
        run = trained(asked, place, asked.dogs, asked.steps, seed, asked.few, **changes)
        curve = list(measured(asked, run))
        runs.append({"seed": seed, "way": way, "curve": curve})
        asked.runs.mkdir(parents=True, exist_ok=True)
        record(file, "transfer", settings, {"runs": runs, "sooner": sooner(runs)})
        shutil.rmtree(run / "checkpoints")  # what took the room is measured
        print(
            f"seed {seed}, {way}: KID {curve[0]['kid']:.4f} at first, {curve[-1]['kid']:.4f} at the end", flush=True
        )
    print(json.dumps(sooner(runs), indent=2))


def trained(asked: Any, place: Path, data: Path, steps: int, seed: int, limit: int | None, **changes: Any) -> Path:
    """Train a run in a directory of its own, or go on with the one that is there, and return it."""
    import ganforge

    started = sorted(place.glob("run_*"))
    if started:
        run = ganforge.Run(started[0])
        return run.path if run.state == "finished" else run.resume().path
    pictures = sum(path.is_file() for path in data.iterdir()) if limit is None else limit
    epochs = -(-steps // max(1, pictures // asked.batch_size))
    settings = {"image_size": asked.image_size, "batch_size": asked.batch_size, "limit": limit, "epochs": epochs}
    settings |= {"data": str(data), "seed": seed, "keep": KEEP if limit else 2, "runs_dir": str(place)}
    settings |= {"checkpoint_every": f"{asked.every}steps" if limit else "10min"}
    if "from_run" not in changes:
        settings["arch"] = asked.arch
    return ganforge.train(**settings, **changes).path


def measured(asked: Any, run: Path) -> Iterator[dict[str, float]]:
    """Yield ``step``, ``kid`` and its standard error of each checkpoint, by the pictures that the run would show."""
    from safetensors.numpy import load_file

    from ganforge.data.load import load_images
    from ganforge.engine.randomness import fixed_latents
    from ganforge.metrics.imagenet import features, kid
    from ganforge.training.config import TrainConfig, read_config
    from ganforge.training.recorder import draw
    from ganforge.training.setup import Setup

    real = features(
        load_images(str(asked.dogs), None, image_size=asked.image_size, channels=3, limit=asked.samples).array
    )
    config = read_config(run)
    # Its weights come from the checkpoints, whatever it began with.
    plain = {**config.model_dump(), "from_run": None, "from_optimizers": False, "from_partial": False}
    engine = Setup.new(TrainConfig.of(plain | {"freeze_discriminator": 0})).engine
    latents = fixed_latents(asked.samples, config.latent_dim or 0, 0, "transfer")
    shown = dict(_shown(engine))
    for path in sorted((run / "checkpoints").glob("step_*")):
        arrays = {
            "/".join(name.split("/")[:2]): array for name, array in load_file(path / "weights.safetensors").items()
        }
        for name, variable in shown.items():
            variable.assign(arrays[name].reshape(variable.shape))
        engine.adapter.sync_from_keras()
        made = np.concatenate([draw(engine, latents[i : i + 100], 0) for i in range(0, len(latents), 100)])
        value, error = kid(real, features(made))
        yield {"step": int(path.name.split("_")[1]), "kid": value, "error": error or 0.0}


def _shown(engine: Any) -> Iterator[tuple[str, Any]]:
    """Yield what pictures are drawn from, by owner and position: the generator and the mean of its weights."""
    for name, variable in engine.variables():
        owner, position, _ = name.split("/", 2)
        if owner in ("generator", "generator_average"):
            yield f"{owner}/{position}", variable


def sooner(runs: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return, for each run that began with another's weights, when it was as near as the one from scratch."""
    found = []
    for run in runs:
        scratch = next((one for one in runs if one["seed"] == run["seed"] and one["way"] == "scratch"), None)
        if run["way"] == "scratch" or scratch is None:
            continue
        curve = scratch["curve"]
        best = min(curve, key=lambda point: float(point["kid"]))
        row: dict[str, Any] = {"seed": run["seed"], "way": run["way"]}
        for name, goal in (("best", best), ("last", curve[-1])):
            reached = next((point["step"] for point in run["curve"] if point["kid"] <= goal["kid"]), None)
            row[name] = {"kid": goal["kid"], "scratch": goal["step"], "steps": reached}
            row[name]["part"] = None if reached is None or not goal["step"] else reached / goal["step"]
        found.append(row)
    return found


if __name__ == "__main__":
    main()
