"""Each network's optimizer, and its settings: from a flag, its options, or the run's defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ganforge import __version__
from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.plugin.options import make_options
from ganforge.plugin.registry import Choice
from ganforge.training.config import Settings
from ganforge.training.resolve import WINNING, Choices, option_given

if TYPE_CHECKING:
    import keras


@dataclass(frozen=True)
class NetworkOptimizer:
    """One network's optimizer: where it comes from, its effective options, and its learning rate.

    The rate is that before the strategies' multipliers. ``chosen`` is false for the default Adam.
    """

    name: str
    package: str
    version: str
    options: dict[str, Any]
    learning_rate: float
    optimizer: keras.optimizers.Optimizer
    chosen: bool = True

    @property
    def record(self) -> dict[str, Any]:
        """Its entry in ``run.json``."""
        about = {"name": self.name, "package": self.package, "version": self.version, "options": self.options}
        return {**about, "learning_rate": self.learning_rate}


def make_optimizers(
    choices: Choices, settings: Settings, learning_rate: float
) -> tuple[NetworkOptimizer, NetworkOptimizer]:
    """Return the generator's and the discriminator's optimizer.

    A flag takes precedence over an option, and an option over the architecture's default. A setting for which an
    optimizer has no option is its own, unless a flag was given. ``learning_rate`` is the run's after its strategies:
    if they changed it, a network's own rate changes by the same factor.

    Raises:
        UsageError: ``--beta-1`` was given and no optimizer has it, or the run's value is invalid for an option.
        GANForgeError: an optimizer cannot be created, is not a Keras optimizer, was used before, or has a schedule.
    """
    first, second = (_made(choice, choices, settings, learning_rate) for choice in choices.optimizers)
    if first.optimizer is second.optimizer:
        raise GANForgeError(
            f"optimizer '{first.name}': build returned one object for both networks; expected a new one each time"
        )
    if "beta_1" in choices.given and not any(hasattr(one.optimizer, "beta_1") for one in (first, second)):
        raise UsageError(f"--beta-1 does not apply: the optimizer '{first.name}' has no beta_1; leave it out")
    return first, second


def _made(choice: Choice | None, choices: Choices, settings: Settings, learning_rate: float) -> NetworkOptimizer:
    scale = learning_rate / settings.learning_rate
    if choice is None:
        from ganforge.engine.optimizing import adam

        optimizer = adam(learning_rate, settings.beta_1)
        options = {"learning_rate": learning_rate, "beta_1": settings.beta_1}
        options |= {"beta_2": optimizer.beta_2, "epsilon": optimizer.epsilon}
        return NetworkOptimizer("adam", "ganforge", __version__, options, learning_rate, optimizer, chosen=False)
    owner, fields = f"optimizer '{choice.name}'", choice.value.options.model_fields
    values = choice.options.model_dump(exclude_unset=True)
    for name in WINNING & set(fields):
        if name in choices.given or option_given(choice.options, name) is None:
            values[name] = getattr(settings, name)
    filled = make_options(owner, choice.value.options, values)
    optimizer = _built(choice, filled, owner)
    if "beta_1" in choices.given and hasattr(optimizer, "beta_1"):
        optimizer.beta_1 = settings.beta_1
    if "learning_rate" in fields:
        own = float(values["learning_rate"])
    elif "learning_rate" in choices.given:
        own = settings.learning_rate
    else:
        own = float(optimizer.learning_rate)
    rate = own if scale == 1 else learning_rate if own == settings.learning_rate else own * scale
    entry = choice.entry
    options = filled.model_dump(mode="json")
    return NetworkOptimizer(entry.name, entry.package, entry.version, options, rate, optimizer)


def _built(choice: Choice, options: Any, owner: str) -> keras.optimizers.Optimizer:
    from ganforge.engine.refusals import require_optimizer

    try:
        optimizer = choice.value.build(options)
    except GANForgeError:
        raise
    except Exception as error:
        raise GANForgeError(f"{owner} cannot be created: {reason(error)}") from error
    require_optimizer(optimizer, owner)
    if optimizer.built:
        raise GANForgeError(f"{owner}: build returned one that is already in use; expected a new one each time")
    made: keras.optimizers.Optimizer = optimizer
    return made
