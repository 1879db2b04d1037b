"""What will be trained: settings, pictures, networks and the engine, resolved and built in one go."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ganforge.data.batches import Batches
from ganforge.data.blank import blank
from ganforge.data.load import load_images
from ganforge.errors import GANForgeError, UsageError, log
from ganforge.files import require_runs_dir
from ganforge.plugin.averaging import parse_ema
from ganforge.plugin.dataset import Images
from ganforge.plugin.options import make_options
from ganforge.plugin.registry import Choice
from ganforge.plugin.trust import PluginFile
from ganforge.plugin.types import Progress, RunConfig
from ganforge.processes import place
from ganforge.training.config import Settings, TrainConfig
from ganforge.training.configure import configure
from ganforge.training.devices import meet
from ganforge.training.earlier import Earlier, require_from
from ganforge.training.objects import NO_OBJECTS, Objects
from ganforge.training.optimizers import NetworkOptimizer, make_optimizers
from ganforge.training.resolve import Choices, fill_in, resolve
from ganforge.training.stopping import StopRule, check_rule, measures, signals

if TYPE_CHECKING:
    from ganforge.engine.engine import Engine
    from ganforge.engine.plan import Plan

Decoded = Callable[[int, int], None]  # told (done, total) while pictures are decoded


@dataclass(frozen=True)
class Setup:
    """What will be trained. It does not know about run directories, nor about the step at which training begins.

    ``optimizers`` (the generator's first) and ``loss`` are those chosen, as the strategies changed them. ``origin``
    is what ``run.json`` says about the run from whose weights this one starts.
    """

    settings: Settings
    choices: Choices
    images: Images
    batches: Batches
    engine: Engine
    optimizers: tuple[NetworkOptimizer, NetworkOptimizer]
    loss: Choice
    origin: Mapping[str, Any] | None = None

    @classmethod
    def new(
        cls,
        config: TrainConfig,
        progress: Decoded | None = None,
        *,
        plugins: Sequence[PluginFile] = (),
        objects: Objects = NO_OBJECTS,
    ) -> Setup:
        """Resolve the settings, read the pictures and build the networks of a new run.

        ``plugins`` are the trusted plugin files (``ganforge.plugin.trust``): those named by the settings are only
        text, and load nothing. ``objects`` came from Python instead of names.

        Raises:
            UsageError: a name, an option or a value is wrong.
            GANForgeError: the runs directory cannot be written, the pictures cannot be read, or the networks cannot
                be built.
        """
        require_runs_dir(Path(config.runs_dir))
        require_from(config)
        if config.from_run is None:
            choices = resolve(config, plugins, objects=objects)
            meet(choices.backend.backend, choices.devices, choices.batch_size)
            return cls.build(choices, load(choices, progress))
        earlier, asked = Earlier.of(config.from_run, Path(config.runs_dir)), config
        plugins = earlier.plugins(asked, plugins)
        choices = resolve(earlier.settings(asked, objects), plugins, objects=objects)
        meet(choices.backend.backend, choices.devices, choices.batch_size)
        setup = cls.build(earlier.with_networks(choices, asked), load(choices, progress))
        return replace(setup, origin=earlier.give(setup.engine, setup.settings))

    @classmethod
    def build(
        cls, choices: Choices, images: Images, steps_per_epoch: int | None = None, kept_order: bool | None = None
    ) -> Setup:
        """Build what will be trained on ``images``; an epoch is one pass over them unless its steps are given.

        ``kept_order`` is passed to ``Batches``.
        """
        labels = _labels(choices, images)
        array, size, seed, here = images.array, choices.batch_size, choices.config.seed, place()
        batches = Batches(
            array, size, seed, steps_per_epoch=steps_per_epoch, labels=labels, kept_order=kept_order
        ).part(here.rank, here.count)
        settings = fill_in(choices, batches.steps_per_epoch)
        run = configure(settings, choices, image_shape(images))
        owner = f"loss '{choices.loss.name}'"
        loss = replace(choices.loss, options=make_options(owner, choices.loss.value.options, run.loss_options))
        optimizers = make_optimizers(choices, settings, run.learning_rate)
        setup = cls(
            settings=settings,
            choices=choices,
            images=images,
            batches=batches,
            engine=_engine(settings, choices, run, loss, optimizers, classes=len(images.classes), labels=labels),
            optimizers=optimizers,
            loss=loss,
        )
        first = setup.first()  # two strategies in conflict are refused here, not later
        setup.engine.require_agreement(first)
        plan = first.flat()
        if settings.stop_when is not None:
            source, compares = choices.source, setup.engine.step.objective.compares
            measured = measures(len(setup.image_shape) == 1, source.options if source else None)
            names = [strategy.name for strategy in choices.strategies]
            check_rule(StopRule.parse(settings.stop_when), measured, [*signals(compares), *plan], names)
        return setup

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes if the architecture takes labels; else none."""
        return self.images.classes if self.choices.architecture.value.conditional else ()

    @property
    def image_shape(self) -> tuple[int, ...]:
        """(H, W, C) of the pictures, or (D,) of vectors."""
        return image_shape(self.images)

    @property
    def steps_per_epoch(self) -> int:
        """Steps per epoch."""
        return self.batches.steps_per_epoch

    @property
    def steps(self) -> int:
        """Steps of the whole run."""
        return self.settings.epochs * self.steps_per_epoch

    @cached_property
    def networks(self) -> dict[str, list[dict[str, Any]]]:
        """Both networks' layers, as ``run.json`` lists them."""
        from ganforge.engine.networks import summarize

        return {
            "generator": summarize(self.engine.generator),
            "discriminator": summarize(self.engine.discriminator),
        }

    @property
    def parameters(self) -> dict[str, int]:
        """The number of parameters of each network."""
        return {
            "generator": int(self.engine.generator.count_params()),
            "discriminator": int(self.engine.discriminator.count_params()),
        }

    def progress(self, step: int) -> Progress:
        """Return the progress at ``step``, from 0."""
        return Progress(step, self.steps, step // self.steps_per_epoch, self.settings.epochs)

    def first_plan(self) -> dict[str, float]:
        """Return the first step's scalars by their names in ``metrics.jsonl``."""
        return self.first().flat()

    def first(self) -> Plan:
        """Return the first step's plan, without changing the strategies' state."""
        before = [(strategy, deepcopy(strategy.get_state())) for strategy in self.choices.strategies]
        try:
            return self.engine.planner.plan(self.progress(0), {})
        finally:
            for strategy, state in before:
                strategy.set_state(state)


def load(choices: Choices, progress: Decoded | None = None, value_range: tuple[float, float] | None = None) -> Images:
    """Read the pictures and print warnings about them; ``value_range`` is that of a resumed run.

    Raises ``GANForgeError`` if they cannot be read or there are none.
    """
    config = choices.config
    images = load_images(
        config.data,
        choices.source,
        image_size=choices.image_size,
        channels=choices.channels,
        fit=config.fit,
        background=config.background,
        frames=config.frames,
        value_range=config.range or value_range,
        strict=config.strict,
        limit=config.limit if config.steps is None else config.steps * choices.batch_size,
        seed=config.seed,
        progress=progress,
    )
    if not len(images.array):
        raise GANForgeError(f"there are no pictures in {config.data}")
    if config.steps is not None and len(images.array) < config.steps * choices.batch_size:
        enough = len(images.array) // choices.batch_size
        raise GANForgeError(
            f"{config.data} ended after {len(images.array):,} pictures, enough for {enough:,} of {config.steps:,} "
            "steps; for data that end, give epochs=N instead of steps"
        )
    for line in (*images.warnings, *blank(images.array)):
        log.warning("%s", line)
    _warn_of_bounds(choices, images)
    return images


def image_shape(images: Images) -> tuple[int, ...]:
    """Return (H, W, C) of pictures, or (D,) of vectors."""
    return tuple(int(n) for n in images.array.shape[1:])


def _warn_of_bounds(choices: Choices, images: Images) -> None:
    """Warn if a generator cannot reach all of the data, since vectors are not scaled to the range of tanh."""
    if images.array.ndim != 2 or not choices.architecture.value.bounded:
        return
    low, high = float(images.array.min()), float(images.array.max())
    if low < -1 or high > 1:
        log.warning(
            "%s makes numbers in [-1, 1], but the data range from %.3g to %.3g; --arch mlp has no such bounds",
            choices.architecture.name,
            low,
            high,
        )


def _labels(choices: Choices, images: Images) -> np.ndarray | None:
    """Return the pictures' class labels if the architecture takes them."""
    if not choices.architecture.value.conditional:
        return None
    if images.labels is None or len(images.classes) < 2:
        raise UsageError(
            f"architecture '{choices.architecture.name}' needs class labels, but {choices.config.data} has none; "
            "sort the pictures into subfolders, one for each class, or choose an architecture without labels"
        )
    return np.asarray(images.labels)


def _engine(
    settings: Settings,
    choices: Choices,
    run: RunConfig,
    loss: Choice,
    optimizers: tuple[NetworkOptimizer, NetworkOptimizer],
    labels: np.ndarray | None,
    classes: int,
) -> Engine:
    """Build the networks and the engine that trains them."""
    from ganforge.engine.engine import Engine
    from ganforge.engine.networks import build_networks

    architecture, owner = choices.architecture.value, f"architecture '{choices.architecture.name}'"
    networks = choices.objects.networks
    generator, discriminator = build_networks(
        architecture,
        run.image_shape,
        settings.latent_dim,
        make_options(owner, architecture.options, run.generator_options),
        make_options(owner, architecture.options, run.discriminator_options),
        settings.seed,
        settings.precision,
        classes if labels is not None else 0,
    )
    if networks is not None:
        networks.refuse_answers(run.image_shape, settings.latent_dim)
    return Engine(
        generator,
        discriminator,
        loss.value,
        loss_options=loss.options,
        strategies=choices.strategies,
        batch_size=settings.batch_size,
        latent_dim=settings.latent_dim,
        learning_rate=(optimizers[0].learning_rate, optimizers[1].learning_rate),
        optimizers=(optimizers[0].optimizer, optimizers[1].optimizer),
        seed=settings.seed,
        frequencies=None if labels is None else np.bincount(labels, minlength=classes) / len(labels),
        step=settings.step,
        compile=settings.compile,
        ema=None if settings.ema is None else parse_ema(settings.ema),
        batch_statistics=architecture.batch_statistics,
        freeze_discriminator=settings.freeze_discriminator,
        devices=settings.devices,
    )
