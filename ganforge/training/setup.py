"""A run from its settings to its last file: what the command line and the Python API both stand on.

This module joins the engine (which knows nothing of files) with data, run directories and pictures.
"""

from __future__ import annotations

import math
import os
import platform
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganforge import __version__
from ganforge.backend import choose_backend, decide_backend
from ganforge.data.batches import Batches
from ganforge.engine.randomness import DRAWS
from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.files import require_runs_dir
from ganforge.plugin.dataset import Images
from ganforge.plugin.options import Options, make_options, parse_spec
from ganforge.plugin.registry import Entry, Registry, load_plugins, strategy_hooks
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.trust import hashes, remember
from ganforge.plugin.types import Progress, RunConfig
from ganforge.plugin.validation import check_observers, check_strategy
from ganforge.training.config import TrainConfig, chosen
from ganforge.training.trainer import Outcome, Session

TYPICAL_STEPS = 2500


class Training:
    """Everything resolved and built, ready to run. Make one with ``new`` or ``resume``."""

    def __init__(
        self,
        config: TrainConfig,
        images: Images | None,
        progress: Any,
        run: Path | None = None,
        check: Callable[[Images], int | None] | None = None,
    ) -> None:
        self.run_directory = run
        self.lock: Any = None
        self.stages: list[dict[str, Any]] = []
        self.learning_rate_scale = 1.0
        self.backend_choice = decide_backend(config.backend)
        registry = load_plugins(config.plugins)
        self.warnings: list[str] = registry.warnings()
        self.config = config = config.model_copy(update={"backend": self.backend_choice.backend})
        self._resolve(registry)
        self._fill_in()
        self.images = images or load_images(self.config, self.source, self.source_options, progress)
        if not len(self.images.array):
            raise GANForgeError(f"there is not one image in {config.data}")
        # A resumed run looks at the pictures before anything is built, and may fix how many steps an epoch has.
        self._plan_length(check(self.images) if check else None)
        self._build()

    @classmethod
    def new(cls, config: TrainConfig, progress: Callable[[int, int], None] | None = None) -> Training:
        """Resolve the settings, read the data and build the networks; makes no run directory yet.

        ``progress(done, total)`` is called while images are decoded.

        Raises:
            UsageError: a name, option or value will not do.
            GANForgeError: the runs directory cannot be written, the data cannot be read, or the networks cannot be
                built.
        """
        require_runs_dir(Path(config.runs_dir))
        remember(config.plugins)
        return cls(config, None, progress)

    @classmethod
    def resume(cls, run: Path, epochs: int | None = None, **changes: Any) -> Training:
        """Build a run again as it was at its last checkpoint; hold its lock until it has run, or is released.

        Args:
            epochs: epochs in all, to train further.
            changes: ``balance`` (strategies instead of the run's), ``backend``, ``data`` (where the pictures are
                now), ``data_changed="ok"`` (accept others), ``on_nan``, ``plugins`` (files that a person gives), and
                ``progress`` as for ``new``.

        Raises:
            GANForgeError: nothing is left to train, all checkpoints are damaged, the pictures changed, another
                process trains this run, or it names plugin files that nobody gave on this machine.
        """
        from ganforge.training.resume import resume_training

        return resume_training(run, epochs=epochs, **changes)

    @classmethod
    def look_first(cls, config: TrainConfig) -> None:
        """Raise what ``new`` would, of names, options and the place of the pictures, before any are read.

        Raises:
            UsageError: a name or an option will not do.
            GANForgeError: a plugin file fails, or the pictures are not there.
        """
        choose_backend(None)
        self = cls.__new__(cls)
        self.config = config
        self._resolve(load_plugins(config.plugins))
        if self.source is None and not Path(config.data).expanduser().exists():
            raise GANForgeError(f"--data {config.data}: there is no such folder or zip")

    # ------------------------------------------------------------------ resolving

    def _resolve(self, registry: Registry) -> None:
        """Turn names into architecture, loss, strategies and data source, with their options."""
        config = self.config
        spec = parse_spec(config.arch)
        self.arch = registry.get("architecture", spec.name)
        self.arch_options = make_options(f"architecture '{spec.name}'", self.arch.value.options, spec.values)
        spec = parse_spec(config.loss)
        self.loss = registry.get("loss", spec.name)
        self.loss_options = make_options(f"loss '{spec.name}'", self.loss.value.options, spec.values)

        self.strategies: list[Strategy] = []
        self.strategy_entries: list[Entry] = []
        specs = [parse_spec(text) for text in config.balance if text.strip() != "none"]
        for spec in specs:
            entry = registry.get("strategy", spec.name)
            options = make_options(f"strategy '{spec.name}'", entry.value.Options, spec.values)
            self.strategy_entries.append(entry)
            self.strategies.append(_made(entry, options))
        _refuse_conflicts(self.strategies)
        self.observers: list[object] = [module for _, module in registry.observers]
        if config.log == "tensorboard":
            from ganforge.loggers.tensorboard import TensorBoard

            self.observers.append(TensorBoard())

        self.source, self.source_options = resolve_source(config.data, registry)

    def _fill_in(self) -> None:
        """Fill in what was left to be chosen: by the data source, then by the architecture."""
        config, source = self.config, self.source.value if self.source else None
        defaults = {
            "latent_dim": 100,
            "learning_rate": 2e-4,
            "beta_1": 0.5,
            "batch_size": 64,
            **self.arch.value.defaults,
            "image_size": source.image_size if source else 64,
            "channels": source.channels if source else 3,
        }
        missing = {name: value for name, value in defaults.items() if getattr(config, name) is None}
        self.config = config.model_copy(update=missing)

    def _plan_length(self, steps_per_epoch: int | None) -> None:
        config = self.config
        labels = self._labels() if self.arch.value.conditional else None
        self.batches = Batches(
            self.images.array, chosen(config.batch_size), config.seed, steps_per_epoch=steps_per_epoch, labels=labels
        )
        self.steps_per_epoch = self.batches.steps_per_epoch
        epochs = config.epochs or -(-TYPICAL_STEPS // self.steps_per_epoch)
        snapshot_every = config.snapshot_every or min(6, max(1, epochs // 20))
        self.config = config.model_copy(
            update={
                "epochs": epochs,
                "snapshot_every": snapshot_every,
                "checkpoint_every": config.checkpoint_every or f"{snapshot_every},10min",
            }
        )
        self.steps = epochs * self.steps_per_epoch
        self.start_step = 0
        self.seconds_before = 0.0

    def _labels(self) -> np.ndarray:
        """Return the pictures' class labels, for an architecture that takes them."""
        if self.images.labels is None or len(self.images.classes) < 2:
            raise UsageError(
                f"architecture '{self.arch.name}' takes class labels, and {self.config.data} has none; sort the "
                "pictures into subfolders, one for each class, or choose an architecture that takes none"
            )
        return np.asarray(self.images.labels)

    @property
    def classes(self) -> tuple[str, ...]:
        """The classes' names, for an architecture that takes labels; else none."""
        return self.images.classes if self.arch.value.conditional else ()

    def _build(self) -> None:
        from ganforge.engine.engine import Engine
        from ganforge.engine.networks import build_networks, summarize

        config = self.config
        side = chosen(config.image_size)
        self.image_shape = (side, side, int(chosen(config.channels)))
        settings = RunConfig(
            architecture=self.arch.name,
            image_shape=self.image_shape,
            latent_dim=chosen(config.latent_dim),
            batch_size=chosen(config.batch_size),
            epochs=chosen(config.epochs),
            learning_rate=chosen(config.learning_rate),
            generator_options=self.arch_options.model_dump(),
            discriminator_options=self.arch_options.model_dump(),
            loss=self.loss.name,
            loss_options=self.loss_options.model_dump(),
            soft_labels=self.loss.value.soft_labels,
        )
        arch, owner = self.arch.value, f"architecture '{self.arch.name}'"
        for strategy in self.strategies:
            if hook := strategy_hooks(strategy).get("configure_run"):
                returned = hook(config=settings)
                self._check_configured(settings, strategy.name, returned)
        self.loss_options = make_options(f"loss '{self.loss.name}'", self.loss.value.options, settings.loss_options)
        self.generator, self.discriminator = build_networks(
            arch,
            self.image_shape,
            chosen(config.latent_dim),
            make_options(owner, arch.options, settings.generator_options),
            make_options(owner, arch.options, settings.discriminator_options),
            config.seed,
            config.precision,
            len(self.classes),
        )
        self.networks = {
            "generator": summarize(self.generator),
            "discriminator": summarize(self.discriminator),
        }
        self.parameters = {
            "generator": int(self.generator.count_params()),
            "discriminator": int(self.discriminator.count_params()),
        }
        self.engine = Engine(
            self.generator,
            self.discriminator,
            self.loss.value,
            loss_options=self.loss_options,
            strategies=self.strategies,
            batch_size=chosen(config.batch_size),
            latent_dim=chosen(config.latent_dim),
            learning_rate=settings.learning_rate,
            beta_1=chosen(config.beta_1),
            seed=config.seed,
            frequencies=self._frequencies(),
            step=config.step,
            compile=config.compile,
            ema=config.ema,
            batch_statistics=arch.batch_statistics,
        )
        self.engine.planner.plan(self.progress(0), {})  # two strategies in conflict are refused here, not later

    def _check_configured(self, settings: RunConfig, strategy: str, returned: Any) -> None:
        """Hold what a strategy made of the configuration to what the architecture and the loss take."""
        who = f"strategy '{strategy}'"
        if returned is not None and returned is not settings:
            raise GANForgeError(f"{who}: configure_run returned something; expected it to change config itself")
        rate = settings.learning_rate
        if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 0 < rate < math.inf:
            raise GANForgeError(f"{who}: configure_run set learning_rate to {rate!r}; expected a number above 0")
        arch, loss = (self.arch.name, self.arch.value.options), (self.loss.name, self.loss.value.options)
        for field, (name, options) in {
            "generator_options": arch,
            "discriminator_options": arch,
            "loss_options": loss,
        }.items():
            values = getattr(settings, field)
            if not isinstance(values, dict):
                raise GANForgeError(f"{who}: configure_run set {field} to {type(values).__name__}; expected a dict")
            make_options(f"{who}, {field}: '{name}'", options, values)

    def _spread(self) -> dict[str, float]:
        """Return how different a hundred of the pictures are, which a collapsed generator's are not."""
        from ganforge.metrics.diversity import diversity

        order = np.random.default_rng(0).permutation(len(self.images.array))[:100]
        return diversity(np.asarray(self.images.array[np.sort(order)]))

    def _frequencies(self) -> np.ndarray | None:
        if not self.classes:
            return None
        return np.bincount(self._labels(), minlength=len(self.classes)) / len(self.images)

    def progress(self, step: int) -> Progress:
        """Return where the run is at ``step``, from 0."""
        return Progress(step, self.steps, step // self.steps_per_epoch, self.config.epochs or 0)

    def rescale_learning_rate(self, scale: float) -> None:
        """Train on with the learning rate times ``scale``, for both networks and under every strategy."""
        self.engine.planner.learning_rate *= scale / self.learning_rate_scale
        self.learning_rate_scale = scale

    def begin_stage(self, step: int, reason: str, **more: Any) -> None:
        """Note in ``stages`` from which step on the run is trained in another way than before, and why."""
        self.stages = [*self.stages, {"step": step, "reason": reason, **self._way(), **more}]

    def changes(self) -> str:
        """Say what differs from the last stage, such as ``epochs 250``; empty when nothing does."""
        if not self.stages:
            return "start"
        before, now = self.stages[-1], self._way()
        words = {"balance": f"balance {' + '.join(now['balance']) or 'none'}", "data": "other pictures"}
        return ", ".join(words.get(name, f"{name} {now[name]}") for name in now if before.get(name) != now[name])

    def _way(self) -> dict[str, Any]:
        return {
            "epochs": self.config.epochs,
            "balance": list(self.config.balance),
            "backend": self.config.backend,
            "data": self.images.fingerprint,
            "learning_rate_scale": self.learning_rate_scale,
        }

    def first_plan(self) -> dict[str, float]:
        """Return the first step's scalars by their names in ``metrics.jsonl``."""
        return self.engine.planner.plan(self.progress(self.start_step), {}).flat()

    # ------------------------------------------------------------------ running

    def run(self, observers: Sequence[object] = ()) -> Outcome:
        """Train to the end, or until Ctrl-C, and leave everything the run directory promises.

        Raises:
            UsageError: an observer would never be called.
            GANForgeError: the runs directory cannot be written, or a strategy misbehaved; what was trained is saved.
        """
        return Session(self, check_observers(observers)).run()

    def manifest(self) -> dict[str, Any]:
        """Return what ``run.json`` says at the start."""
        import keras

        backend = keras.backend.backend()
        library = __import__(backend)
        return {
            "format": 1,
            "state": "running",
            "seconds": self.seconds_before,
            "config": self.config.model_dump(mode="json"),
            "architecture": _entry(self.arch, self.arch_options),
            "loss": _entry(self.loss, self.loss_options),
            "strategies": [_entry(e, s.options) for e, s in zip(self.strategy_entries, self.strategies)],
            "plugins": hashes(self.config.plugins),
            "draws": DRAWS,
            "process": {"pid": os.getpid()},
            "stages": self.stages,
            "data": {
                "description": self.images.description,
                "fingerprint": self.images.fingerprint,
                "path": None if self.source else str(Path(self.config.data).expanduser().resolve()),
                "count": len(self.images.array),
                "classes": list(self.classes),
                "skipped": [list(item) for item in self.images.skipped],
                "spread": self._spread(),
            },
            "image_shape": list(self.image_shape),
            "steps_per_epoch": self.steps_per_epoch,
            "networks": self.networks,
            "parameters": self.parameters,
            "versions": {
                "ganforge": __version__,
                "keras": keras.__version__,
                "backend": backend,
                backend: library.__version__,
                "python": platform.python_version(),
                "numpy": np.__version__,
            },
        }


def resolve_source(data: str, registry: Registry) -> tuple[Entry | None, Options | None]:
    """Return the data source that ``--data`` names with its options, or two Nones for a folder or zip."""
    from ganforge.data.sources import is_path

    if is_path(data):
        return None, None
    spec = parse_spec(data)
    try:
        source = registry.get("dataset", spec.name)
    except UsageError as error:
        raise UsageError(f"{error} For your own pictures, give a folder: --data ./{spec.name}") from None
    return source, make_options(f"dataset '{spec.name}'", source.value.options, spec.values)


def load_images(config: TrainConfig, source: Entry | None, options: Options | None, progress: Any) -> Images:
    """Return the pictures of a configuration whose sizes are filled in."""
    from ganforge.data.folder import load_folder
    from ganforge.engine.step import named

    common = {"image_size": config.image_size, "channels": config.channels, "progress": progress}
    common |= {"limit": config.limit, "seed": config.seed}
    if source is not None:
        images: Images = named(source.value.load)(options=options, cache_dir=None, **common)
        return images
    return load_folder(Path(config.data).expanduser(), fit=config.fit, strict=config.strict, **common)


def _made(entry: Entry, options: Options) -> Strategy:
    """Return the strategy itself, whose hooks may have been set when it was made."""
    try:
        strategy: Strategy = entry.value(options)
    except Exception as error:
        raise GANForgeError(f"strategy '{entry.name}' cannot be made: {reason(error)}") from error
    check_strategy(strategy, f"strategy '{entry.name}'")
    return strategy


def _refuse_conflicts(strategies: Sequence[Strategy]) -> None:
    names = [strategy.name for strategy in strategies]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"--balance {name} is given twice; give it once, with all its options")
    for strategy in strategies:
        for other in strategy.conflicts:
            if other in names:
                raise UsageError(
                    f"'{strategy.name}' and '{other}' do the same thing in two ways; leave one out of --balance"
                )


def _entry(entry: Entry, options: Options | None) -> dict[str, Any]:
    values = options.model_dump(mode="json") if options is not None else {}
    return {"name": entry.name, "package": entry.package, "version": entry.version, "options": values}
