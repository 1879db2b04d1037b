"""The contents of ``run.json``: pure functions of what is trained, and of the progress."""

from __future__ import annotations

import os
import platform
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ganforge import __version__
from ganforge.data.load import whole_path
from ganforge.data.order import some
from ganforge.engine.randomness import DRAWS
from ganforge.metrics.diversity import diversity
from ganforge.plugin.options import Options
from ganforge.plugin.registry import Entry
from ganforge.runs.metrics import finite
from ganforge.training.objects import PACKAGE
from ganforge.training.setup import Setup

# From a step on, a run is trained in one way: ``step``, ``reason`` and what ``_way`` lists.
Stage = dict[str, Any]
Stages = tuple[Stage, ...]


def manifest(setup: Setup, stages: Stages = (), step: int = 0, seconds: float = 0.0) -> dict[str, Any]:
    """Return the contents of ``run.json`` when a run begins or is resumed."""
    import keras

    backend = keras.backend.backend()
    settings, choices, images = setup.settings, setup.choices, setup.images
    strategies = zip(choices.strategy_entries, choices.strategies)
    return {
        "format": 1,
        "state": "running",
        "seconds": seconds,
        "config": settings.model_dump(mode="json"),
        "architecture": _entry(choices.architecture.entry, choices.architecture.options),
        "loss": _entry(setup.loss.entry, setup.loss.options),
        "optimizer": setup.optimizers[0].record,
        "discriminator_optimizer": setup.optimizers[1].record,
        "given": sorted(choices.given),
        "strategies": [_entry(entry, strategy.options) for entry, strategy in strategies],
        "plugins": [one.record for one in choices.plugins],
        **_objects(setup),
        **({} if setup.origin is None else {"from": dict(setup.origin)}),
        "draws": DRAWS,
        "process": {"pid": os.getpid()},
        "stages": list(stages),
        "data": {
            "description": images.description,
            "fingerprint": images.fingerprint,
            "path": whole_path(settings.data, choices.source),
            "count": len(images),
            "classes": list(setup.classes),
            "skipped": [list(item) for item in images.skipped],
            "range": images.range,
            "notes": [*images.notes, *images.warnings],
            "spread": _diversity(images.array),
            "order": "kept" if setup.batches.kept_order else "by place",
        },
        "image_shape": list(setup.image_shape),
        "steps_per_epoch": setup.steps_per_epoch,
        "networks": setup.networks,
        "parameters": setup.parameters,
        "versions": {
            "ganforge": __version__,
            "keras": keras.__version__,
            "backend": backend,
            backend: __import__(backend).__version__,
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "progress": progress(setup, step),
    }


def progress(setup: Setup, step: int) -> dict[str, int]:
    """Return the progress of a run after ``step`` steps."""
    epoch = step // setup.steps_per_epoch
    return {"step": step, "steps": setup.steps, "epoch": epoch, "epochs": setup.settings.epochs}


def standing(
    setup: Setup, state: str, step: int, seconds: float, metrics: Mapping[str, float], peak_memory: int | None
) -> dict[str, Any]:
    """Return what ``run.json`` gets with each checkpoint and at the end; ``metrics`` are the last logged ones."""
    return {
        "state": state,
        "progress": progress(setup, step),
        "seconds": round(seconds, 2),
        **({"peak_memory": peak_memory} if peak_memory else {}),
        **({"metrics": {name: finite(value) for name, value in metrics.items()}} if metrics else {}),
    }


# ------------------------------------------------------------------ stages


def learning_rate_scale(stages: Sequence[Stage]) -> float:
    """Return the factor of the learning rate after returns to a checkpoint, in (0, 1]."""
    scale = stages[-1].get("learning_rate_scale", 1.0) if stages else 1.0
    return float(scale) if isinstance(scale, (int, float)) and 0 < scale <= 1 else 1.0


def changes(setup: Setup, stages: Stages) -> str:
    """Return what differs from the last stage, such as ``epochs 250``; empty if nothing does."""
    if not stages:
        return "start"
    # Before there could be several devices, there was one.
    before, now = {"devices": 1, **stages[-1]}, _way(setup, setup.engine.planner.scale)
    words = {
        "learning_rate": f"learning rate {_spoken(now['learning_rate'])}",
        "learning_rate_scale": f"learning rate times {now['learning_rate_scale']:g}",
        "ema": f"--ema {now['ema'] or 'none'}",
        "log": f"--log {' '.join(now['log']) or 'none'}",
        "snapshot_every": f"--snapshot-every {now['snapshot_every']}",
        "balance": f"balance {' + '.join(now['balance']) or 'none'}",
        "data": "other pictures",
        "stop_when": f"--stop-when {now['stop_when'] or 'none'}",
    }
    return ", ".join(words.get(name, f"{name} {now[name]}") for name in now if before.get(name) != now[name])


def with_changes(setup: Setup, stages: Stages, step: int) -> Stages:
    """Return the stages, with one more from ``step`` on if the run is now trained differently."""
    change = changes(setup, stages)
    return (*stages, _stage(setup, step, change, setup.engine.planner.scale)) if change else stages


def with_rollback(setup: Setup, stages: Stages, step: int, reason: str) -> Stages:
    """Return the stages with one more: back at ``step``, the learning rate is halved."""
    scale = learning_rate_scale(stages) / 2
    return (*stages, {**_stage(setup, step, reason, scale), "rolled_back_to": step})


def _stage(setup: Setup, step: int, reason: str, scale: float) -> Stage:
    return {"step": step, "reason": reason, **_way(setup, scale)}


def _way(setup: Setup, scale: float) -> Stage:
    return {
        "epochs": setup.settings.epochs,
        "balance": list(setup.settings.balance),
        "backend": setup.settings.backend,
        "data": setup.images.fingerprint,
        "stop_when": setup.settings.stop_when,
        "devices": setup.settings.devices,
        "learning_rate": [one.learning_rate for one in setup.optimizers],
        "ema": setup.settings.ema,
        "log": list(setup.settings.log),
        "snapshot_every": setup.settings.snapshot_every,
        "learning_rate_scale": scale,
    }


def whole(stages: Sequence[Stage], manifest: Mapping[str, Any]) -> Stages:
    """Return the stages of a run on disk, completed by settings that older versions did not store in them."""
    config = manifest["config"]
    rates = [manifest.get(name, {}).get("learning_rate") for name in ("optimizer", "discriminator_optimizer")]
    known = {
        "learning_rate": [config.get("learning_rate") if rate is None else rate for rate in rates],
        "ema": config.get("ema"),
        "log": list(config.get("log") or ()),
        "snapshot_every": config.get("snapshot_every"),
    }
    return tuple({**known, **stage} for stage in stages)


def _spoken(rates: Sequence[float]) -> str:
    """Return both networks' rate, or each one's."""
    return " and ".join(f"{rate:g}" for rate in dict.fromkeys(rates))


def _diversity(pictures: np.ndarray) -> dict[str, float]:
    """Return how different a hundred of the pictures are, to compare generated ones with."""
    return diversity(np.asarray(pictures[some(np.random.default_rng(0), len(pictures), 100)]))


def _objects(setup: Setup) -> dict[str, Any]:
    """Return the objects that came from Python instead of names, and which of them can be rebuilt."""
    choices, objects = setup.choices, setup.choices.objects
    config, optimizers = choices.config, choices.optimizers
    chosen = [
        ("architecture", config.arch, choices.architecture.entry),
        ("loss", config.loss, choices.loss.entry),
        *(("strategy", text, entry) for text, entry in zip(choices.balance, choices.strategy_entries)),
        *(
            ("optimizer", text, choice.entry)
            for text, choice in zip((config.optimizer, config.discriminator_optimizer), optimizers)
            if choice
        ),
    ]
    needed = [[kind, text] for kind, text, entry in chosen if entry.package == PACKAGE and text is not None]
    if not needed and objects.source is None:
        return {}
    kept = [{"kind": kind, "text": text, **what} for (kind, text), what in objects.kept.items()]
    networks = {"networks": objects.networks.record()} if objects.networks is not None else {}
    return {"objects": {"needed": needed, "kept": kept, "data": objects.source is not None, **networks}}


def _entry(entry: Entry, options: Options) -> dict[str, Any]:
    about = {"name": entry.name, "package": entry.package, "version": entry.version}
    return {**about, "options": options.model_dump(mode="json")}
