"""Rebuilding a run from its directory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ganforge.backend import decide_backend
from ganforge.engine.randomness import DRAWS
from ganforge.errors import GANForgeError, UsageError, log, reason, shown
from ganforge.files import own
from ganforge.plugin.dataset import Images
from ganforge.plugin.options import make_options
from ganforge.plugin.trust import PluginFile, given, plugin_files, remember, require
from ganforge.processes import place
from ganforge.runs import Checkpoint, ended_early, has_checkpoints, load_checkpoint, lock_run, read_manifest
from ganforge.training.config import TrainConfig, range_of_run, read_config
from ganforge.training.devices import meet
from ganforge.training.earlier import Earlier, place_of_data, with_recorded_options
from ganforge.training.objects import NO_OBJECTS, Objects
from ganforge.training.objects.back import given_back
from ganforge.training.outputs import FINAL_FILES
from ganforge.training.record import whole
from ganforge.training.recorder import Recorder, Silent
from ganforge.training.recovery import scale_learning_rate
from ganforge.training.resolve import WINNING, Choices, resolve
from ganforge.training.setup import Decoded, Setup, load
from ganforge.training.trainer import Start, Trainer


def resume(
    run: Path,
    *,
    epochs: int | None = None,
    balance: Sequence[str] | None = None,
    backend: str | None = None,
    devices: int | None = None,
    data: str | None = None,
    data_changed: str | None = None,
    on_nan: str | None = None,
    stop_when: str | None = None,
    learning_rate: float | None = None,
    ema: bool | float | str | None = None,
    log: str | Sequence[str] | None = None,
    snapshot_every: int | str | None = None,
    plugins: Sequence[str | PluginFile] = (),
    objects: Objects = NO_OBJECTS,
    progress: Decoded | None = None,
) -> Trainer:
    """Rebuild a run as it was at its last checkpoint; hold its lock until training ends, or the lock is released.

    Args:
        epochs: total number of epochs, to train further.
        balance: strategies that replace those of the run.
        data: where the pictures are now.
        backend: continue with another backend, if this process has not chosen one yet.
        devices: continue on this many devices; on torch, these are the processes that torchrun started.
        data_changed: ``ok`` accepts pictures that have changed.
        on_nan: ``stop`` or ``rollback``.
        stop_when: a rule that replaces the run's, or ``none``.
        learning_rate: the new learning rate of both networks. It also cancels the halving by earlier rollbacks.
        ema: the new decay of the running mean of the generator's weights, or ``none``. An existing mean continues; a
            new one starts with the current weights.
        log: loggers that replace those of the run, or ``none``.
        snapshot_every: how often grids are saved from now on.
        plugins: plugin files.
        objects: the objects from Python that the run was started with; strategies in ``balance`` may be objects too.
        progress: called with (done, total) while pictures are decoded.

    Raises:
        UsageError: a change is invalid, or the run has trained ``epochs`` epochs already.
        GANForgeError: nothing is left to train, all checkpoints are damaged, the pictures have changed, another
            process is training this run, or it names plugin files that were never given on this machine.
    """
    if data_changed not in (None, "ok"):
        raise UsageError(f"invalid --data-changed {shown(data_changed)}: expected ok")
    read_manifest(run)  # before the lock, whose file would be made in what is no run directory
    _require_kinds(run)  # and before anything of it is changed
    lock = lock_run(run) if place().first else None  # the others write nothing
    try:
        manifest, saved = read_manifest(run), read_config(run)
        changes: dict[str, Any] = {
            "epochs": epochs,
            "balance": balance,
            "backend": backend,
            "data": data,
            "on_nan": on_nan,
        }
        changes |= {"stop_when": stop_when, "learning_rate": learning_rate, "ema": ema}
        changes |= {"snapshot_every": snapshot_every, "log": _named(log)}
        changes["devices"] = devices or (place().count if place().count > 1 else None)
        changes = {name: value for name, value in changes.items() if value is not None}
        if changes.get("balance") == saved.balance and objects.strategies:
            del changes["balance"]  # given back, and nothing new
        files = given(plugins)
        let_through = require(plugin_files(run, manifest, files))
        changes.setdefault("data", place_of_data(saved.data, manifest))
        remember(files)
        checkpoint = load_checkpoint(run) if has_checkpoints(run) else None
        if checkpoint is not None:
            _require_something_left(run, manifest, saved, checkpoint.step, epochs, stop_when)
        asked = {*manifest.get("given", WINNING), *(["learning_rate"] if learning_rate is not None else [])}
        # before there were optimizers to choose, nothing else could say them
        decide_backend(backend or saved.backend)  # before objects are made again, of Keras
        held = sum(array.nbytes for array in checkpoint.arrays.values()) if checkpoint else 0
        objects = given_back(run, manifest, objects, held, data is not None)
        choices = resolve(TrainConfig.of({**saved.model_dump(), **changes}), let_through, asked, objects)
        choices = with_recorded_options(choices, run, manifest)
        if "balance" not in changes:
            choices = _with_older_options(choices, manifest)
        meet(choices.backend.backend, choices.devices, choices.batch_size)
        images = load(choices, progress, range_of_run(manifest))
        # Before anything is built.
        steps_per_epoch = _check_data(images, choices.config, manifest, run, data_changed == "ok")
        kept_order = manifest.get("data", {}).get("order", "kept") == "kept"
        setup = replace(Setup.build(choices, images, steps_per_epoch, kept_order), origin=manifest.get("from"))
        stages = whole(manifest.get("stages", ()), manifest)
        if learning_rate is None:
            scale_learning_rate(setup, stages)
        recorder = Recorder(setup, run, lock) if lock else Silent(setup, run)
        if checkpoint is None:
            if choices.config.from_run is not None:
                Earlier.again(run.name, manifest).give(setup.engine, choices.config)
            _warn_anew(run)
            return Trainer(setup, Start(stages=stages, recorder=recorder))
        _warn(run, manifest, setup, checkpoint)
        _take_back(setup, checkpoint, anew="balance" in changes)
        start = Start(checkpoint.step, _seconds(checkpoint), stages, recorder, manifest.get("early_end"))
        return Trainer(setup, start)
    except BaseException:
        if lock:
            lock.release()
        raise


def _with_older_options(choices: Choices, manifest: Mapping[str, Any]) -> Choices:
    """Return the choices with strategies as they were before they got options that the run began without."""
    entries = [entry for entry in manifest.get("strategies") or () if isinstance(entry, dict)]
    recorded = {entry.get("name"): entry.get("options") for entry in entries}
    strategies = list(choices.strategies)
    for n, strategy in enumerate(strategies):
        if strategy.older and isinstance(had := recorded.get(strategy.name), dict):
            values = {name: had.get(name, value) for name, value in strategy.older.items()}
            values = {**strategy.options.model_dump(), **values}
            strategies[n] = type(strategy)(make_options(f"strategy '{strategy.name}'", strategy.Options, values))
    return replace(choices, strategies=tuple(strategies))


def _named(log: str | Sequence[str] | None) -> tuple[str, ...] | None:
    """Return the requested loggers: an empty list for ``none``, and None if nothing is requested."""
    texts = (log,) if isinstance(log, str) else tuple(log or ())
    return tuple(text for text in texts if text.strip() != "none") if texts else None


def _require_kinds(run: Path) -> None:
    """Refuse a run that contains a link, a file where a folder is expected, or a folder where a file is."""
    names = ("metrics.jsonl", "architecture.txt", "architecture.png", "discriminator.keras", *FINAL_FILES)
    files = [run / name for name in names]
    folders = [own(run, name) for name in ("snapshots", "checkpoints")]
    for folder in [path for path in folders if path.is_dir()]:
        files += folder.glob("*.png")
        folders += folder.glob("step_[0-9]*[0-9]")
    own(run, "metrics.jsonl")
    for path in [path for path in files if path.is_dir() and not path.is_symlink()]:
        raise GANForgeError(f"{path} is a folder; expected a file: move it away")
    for path in [path for path in folders if path.exists() and not path.is_dir()]:
        raise GANForgeError(f"{path} is not a folder; expected one: move it away")


def _warn_anew(run: Path) -> None:
    log.warning("%s ended before its first checkpoint; it starts again from the beginning", run.name)


def _warn(run: Path, manifest: dict[str, Any], setup: Setup, checkpoint: Checkpoint) -> None:
    """Print what will differ from before."""
    if manifest.get("draws", 1) != DRAWS and setup.settings.backend == "torch" == manifest["config"].get("backend"):
        log.warning(
            "%s was started by an older version, which drew random numbers differently: from step %s on, the results "
            "differ from those of that version",
            run.name,
            f"{checkpoint.step:,}",
        )
    for damaged in checkpoint.skipped:
        log.warning(
            "damaged checkpoint %s; continuing from an earlier one, of step %s", damaged, f"{checkpoint.step:,}"
        )


def _take_back(setup: Setup, checkpoint: Checkpoint, anew: bool) -> None:
    """Restore the state; ``anew``: the strategies' device state starts again, because they are new."""
    try:
        setup.engine.set_state(checkpoint.arrays, checkpoint.state, anew)
    except (MemoryError, GANForgeError):
        raise
    except Exception as error:  # a strategy may take anything from what it remembered
        raise GANForgeError(f"{checkpoint.path} cannot be restored: {reason(error)}") from error


def _seconds(checkpoint: Checkpoint) -> float:
    seconds = checkpoint.state.get("seconds", 0.0)
    return float(seconds) if isinstance(seconds, (int, float)) else 0.0


def _require_something_left(
    run: Path, manifest: dict[str, Any], saved: TrainConfig, step: int, epochs: int | None, stop_when: str | None
) -> None:
    """Refuse, before anything is read or built, to train to an epoch that the run has already reached.

    A run cannot be finished by shortening it: its schedules were planned for all of its epochs.
    """
    per_epoch = manifest.get("steps_per_epoch")
    if not isinstance(per_epoch, int) or per_epoch < 1 or saved.epochs is None:
        raise GANForgeError(f"{run / 'run.json'} is damaged: it has no steps_per_epoch, or no epochs")
    if step > saved.epochs * per_epoch:
        raise GANForgeError(
            f"{run / 'checkpoints'} is damaged: it has a checkpoint of step {step:,}, but {run.name} has only "
            f"{saved.epochs * per_epoch:,} steps"
        )
    why = ended_early(manifest)
    if why and stop_when in (None, saved.stop_when) and step >= manifest["progress"]["step"]:
        if _is_complete(run, manifest):
            raise GANForgeError(
                f"{run.name} has finished, because {why}; to train further: ganforge resume {run.name} "
                "--stop-when none"
            )
        return  # its pictures are still to be drawn
    done, into = divmod(step, per_epoch)
    wanted = saved.epochs if epochs is None else epochs
    if step < wanted * per_epoch:
        return
    if step >= saved.epochs * per_epoch:
        if wanted == saved.epochs and not _is_complete(run, manifest):
            return  # its pictures are still to be drawn
        if wanted >= done:
            raise GANForgeError(
                f"{run.name} has finished {'its only epoch' if done == 1 else f'all {done} epochs'}; to train "
                f"further: ganforge resume {run.name} --epochs {2 * done}"
            )
        way_out = f"to train further: ganforge resume {run.name} --epochs {2 * done}"
    else:
        way_out = f"ganforge resume {run.name} continues to epoch {saved.epochs}"
    trained = f"{done} epoch{'s' * (done != 1)}" + (" and a part of the next" if into else "")
    raise UsageError(f"invalid --epochs {wanted}: {run.name} has already trained {trained}; {way_out}")


def _is_complete(run: Path, manifest: dict[str, Any]) -> bool:
    """Say whether a run has finished with all its files; one killed while it wrote the last of them has not."""
    return manifest.get("state") == "finished" and all((run / name).is_file() for name in FINAL_FILES)


def _check_data(images: Images, config: TrainConfig, manifest: dict[str, Any], run: Path, accept: bool) -> int | None:
    """Refuse pictures that differ from the run's first ones, unless accepted; then an epoch keeps its steps."""
    before = manifest.get("data", {})
    if images.fingerprint == before.get("fingerprint"):
        return None
    if not accept:
        raise GANForgeError(
            f"the {len(images.array):,} pictures in {config.data} are not the {before.get('count', '?')} that "
            f"{run.name} was trained on; restore them, say where they are with --data, or continue with these: "
            "--data-changed ok"
        )
    classes = before.get("classes") or list(images.classes)
    if list(images.classes) != classes:
        now = ", ".join(images.classes) or "(none)"
        raise GANForgeError(
            f"the pictures in {config.data} have the classes {now}, but {run.name} was trained on "
            f"{', '.join(classes)}; sort them into subfolders with these names"
        )
    steps = manifest.get("steps_per_epoch")
    if not isinstance(steps, int) or steps < 1:
        raise GANForgeError(f"{run / 'run.json'} is damaged: it has no steps_per_epoch")
    log.warning("the pictures have changed since %s began; an epoch still has %s steps", run.name, f"{steps:,}")
    return steps
