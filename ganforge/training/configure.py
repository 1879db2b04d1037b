"""How strategies change a run before its networks exist: the hook ``configure_run``."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ganforge.errors import GANForgeError
from ganforge.plugin.calling import strategy_hooks
from ganforge.plugin.options import make_options
from ganforge.plugin.types import RunConfig
from ganforge.training.config import Settings
from ganforge.training.resolve import Choices


def configure(settings: Settings, choices: Choices, image_shape: tuple[int, ...]) -> RunConfig:
    """Return the run as its strategies changed it, each seeing the changes of those before it.

    Raises:
        UsageError: a strategy gave the architecture or the loss an option that it does not take.
        GANForgeError: a strategy failed, or set an invalid value.
    """
    run = RunConfig(
        architecture=choices.architecture.name,
        image_shape=image_shape,
        latent_dim=settings.latent_dim,
        batch_size=settings.batch_size,
        epochs=settings.epochs,
        learning_rate=settings.learning_rate,
        generator_options=choices.architecture.options.model_dump(),
        discriminator_options=choices.architecture.options.model_dump(),
        loss=choices.loss.name,
        loss_options=choices.loss.options.model_dump(),
        soft_labels=choices.loss.value.soft_labels,
        compares=choices.loss.value.compares,
    )
    for strategy in choices.strategies:
        if hook := strategy_hooks(strategy).get("configure_run"):
            returned = hook(config=run)
            _check(run, choices, f"strategy '{strategy.name}'", returned)
    return run


def _check(run: RunConfig, choices: Choices, who: str, returned: Any) -> None:
    """Check the run that a strategy changed against the options of the architecture and the loss."""
    if returned is not None and returned is not run:
        raise GANForgeError(f"{who}: configure_run returned a value; expected it to change config in place")
    rate = run.learning_rate
    if isinstance(rate, bool) or not isinstance(rate, (int, float, np.number)) or not 0 < rate < math.inf:
        raise GANForgeError(f"{who}: configure_run set learning_rate to {rate!r}; expected a number above 0")
    for field, choice in {
        "generator_options": choices.architecture,
        "discriminator_options": choices.architecture,
        "loss_options": choices.loss,
    }.items():
        values = getattr(run, field)
        if not isinstance(values, dict):
            raise GANForgeError(f"{who}: configure_run set {field} to {type(values).__name__}; expected a dict")
        make_options(f"{who}, {field}: '{choice.name}'", choice.value.options, values)
