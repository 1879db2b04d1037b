"""What does not go together, said when an engine is built and not when it trains."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras

from ganforge.engine.keras_internals import has_schedule
from ganforge.engine.player import Player
from ganforge.engine.verdict import FEATURES, LOGITS
from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.calling import implementation, parameters
from ganforge.plugin.loss import Loss
from ganforge.plugin.strategy import Strategy

ASKED = ("real_features", "fake_features")


def require_optimizer(optimizer: Any, owner: str) -> None:
    """Refuse what is no optimizer of Keras's, and one whose learning rate follows a schedule of its own."""
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise GANForgeError(f"{owner} is {type(optimizer).__name__}; expected a keras.optimizers.Optimizer")
    if has_schedule(optimizer):
        raise GANForgeError(
            f"{owner} has a learning-rate schedule inside; expected a number (and a strategy such as lr-decay)"
        )


def periods(strategies: Sequence[Strategy]) -> dict[str, int]:
    """Return in how many steps each lazy strategy's penalties are paid once.

    Raises:
        GANForgeError: not a whole number from 1.
    """
    found = {s.name: s.options.every for s in strategies if s.lazy and hasattr(s.options, "every")}
    for name, every in found.items():
        if isinstance(every, bool) or not isinstance(every, int) or every < 1:
            raise GANForgeError(
                f"strategy '{name}' is lazy with every={every!r}; expected a whole number from 1: "
                "declare it as every: int = Field(4, ge=1)"
            )
    return found


def require_features(loss: Loss, strategies: Sequence[Strategy], output: Any) -> None:
    """Refuse what asks for features of a discriminator that returns none."""
    if isinstance(output, Mapping) and output.get(FEATURES) is not None:
        return
    askers = {
        f"the loss '{loss.name}'": [loss.discriminator, loss.generator, *([loss.penalty] if loss.penalty else [])]
    }
    for strategy in strategies:
        penalty = implementation(strategy, "discriminator_penalty")
        askers[f"strategy '{strategy.name}'"] = [penalty] if penalty else []
    for who, functions in askers.items():
        for name in ASKED:
            if any(name in parameters(function) for function in functions):
                raise UsageError(
                    f"{who} asks for {name}, which this discriminator does not return; expected one that "
                    f"returns a dict with '{LOGITS}' and '{FEATURES}'"
                )


def require_one_stage(
    loss: Loss, strategies: Sequence[Strategy], discriminator: Player, apart: bool, output: Any
) -> None:
    """Refuse to train both networks from one pass where their gradients at a fake differ by more than a factor."""
    refused = "--step one-stage does not apply: "
    logits = output[LOGITS] if isinstance(output, Mapping) else output
    width = 1
    for size in logits.shape[1:]:
        width *= int(size)
    if loss.compares:
        raise UsageError(
            f"{refused}the generator's loss '{loss.name}' looks at real pictures too; expected another loss, such as "
            "bce, or --step two-stage"
        )
    if not loss.one_stage:
        raise UsageError(
            f"{refused}the loss '{loss.name}' has no slope at fakes beyond its margin; expected another loss, such "
            "as bce, or --step two-stage"
        )
    for strategy in strategies:
        if implementation(strategy, "generator_penalty"):
            raise UsageError(
                f"{refused}'{strategy.name}' adds to the generator's loss alone; leave it out of --balance, or "
                "choose --step two-stage"
            )
        # The generator's gradient is made from the discriminator's at a fake, whose loss alone it knows.
        penalty = implementation(strategy, "discriminator_penalty")
        if penalty and {"fake_logits", "fake_features"} & set(parameters(penalty)):
            raise UsageError(
                f"{refused}'{strategy.name}' adds a term of the fakes' logits to the discriminator's loss, which the "
                "generator's does not have; leave it out of --balance, or choose --step two-stage"
            )
    of_loss = {*parameters(loss.penalty)} & {"fake_logits", "fake_features"} if loss.penalty else set()
    if of_loss or "fake_features" in parameters(loss.discriminator):
        raise UsageError(
            f"{refused}the loss '{loss.name}' uses more of a fake than its logit, or uses that twice; expected "
            "another loss, such as bce, or --step two-stage"
        )
    if width > 1:
        raise UsageError(
            f"{refused}the discriminator gives {width} logits for a picture; expected one, or --step two-stage"
        )
    if apart:
        raise UsageError(
            f"{refused}the discriminator has batch statistics, so a fake's logit depends on the other pictures of "
            "the batch; expected one without batch normalization, or --step two-stage"
        )
    if discriminator.losses.sums:
        raise UsageError(
            f"{refused}layers of the discriminator add losses of their own for fakes, which the generator's loss "
            "does not have; expected one without, or --step two-stage"
        )
