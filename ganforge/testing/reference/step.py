"""One step of the engine, and the same step worked out with plain Keras: what each network's weights are moved by.

The step is the paper's, with the non-saturating loss (Goodfellow et al. 2014, algorithm 1): -E log D(x) -
E log(1 - D(G(z))) for the discriminator, -E log D(G(z)) for the generator, each with its network's own losses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from ganforge.engine.engine import Engine
from ganforge.engine.keras_internals import adam_moments, adds_losses
from ganforge.engine.verdict import LOGITS
from ganforge.plugin.types import Progress
from ganforge.testing.reference import plain_keras
from ganforge.testing.reference.comparison import KEY, restored, same_numbers, total
from ganforge.testing.reference.layer_calls import places
from ganforge.testing.small import BATCH, Batches, is_labelled, random_numbers, refill


@dataclass(frozen=True)
class Step:
    """Of each network ("generator", "discriminator"): its gradients, its own losses, its variables afterwards."""

    gradients: dict[str, list[np.ndarray]]
    losses: dict[str, float]
    values: dict[str, list[np.ndarray]]


def engines_step(engine: Engine, side: int) -> Step:
    """Let the engine make one step, at a learning rate of 0, from the weights that its networks have.

    The gradients are read from Adam's first moments, which after one step from 0 hold (1 - beta_1) times them. The
    networks are given back as they were.
    """
    for _, model, optimizer in _both(engine):
        trained = model.trainable_variables
        for variable in (*(v for moments in adam_moments(optimizer, trained) for v in moments), optimizer.iterations):
            variable.assign(np.zeros(variable.shape, variable.dtype))
    engine.adapter.sync_from_keras()
    begun = {name: array.copy() for name, array in engine.get_state()[0].items()}
    real = Batches(side, is_labelled(engine.generator)).extra(0, 0)
    vector = np.array(engine.planner.vector(engine.planner.plan(Progress(0, 1, 0, 1), {})))
    vector[:2] = 0.0
    metrics = engine.update("both")(real, vector, KEY)
    engine.adapter.sync_to_keras()
    gradients, values = {}, {}
    for name, model, optimizer in _both(engine):
        first, _ = adam_moments(optimizer, model.trainable_variables)
        gradients[name] = [_numpy(moment) / (1.0 - optimizer.beta_1) for moment in first]
        values[name] = [_numpy(v) for v in model.variables]
    losses = {name: float(metrics.get(f"{name}/losses", 0.0)) for name in gradients}
    engine.set_state(begun, engine.get_state()[1])
    return Step(gradients, losses, values)


def plain_step(engine: Engine, side: int, latent_dim: int) -> Step:
    """Work the same step out: at a learning rate of 0, weights change by what calls assign and by constraints alone.

    The discriminator judges real and fake as the engine does, together or apart; of losses that its layers add, those
    that are means over the batch then count by their mean, those that are sums by their sum.
    """
    generator, discriminator = engine.generator, engine.discriminator
    real, labels = Batches(side, is_labelled(generator)).extra(0, 0)
    classes = [] if labels is None else [labels]
    pictures = real.astype("float32") / np.float32(127.5) - np.float32(1.0)
    latents = random_numbers(engine, "latents", KEY).normal((BATCH, latent_dim))
    made_from = [_numpy(latents), *classes]
    with restored(generator), restored(discriminator):
        begun = [_numpy(v) for v in generator.variables]
        with same_numbers(engine.adapter):
            fakes = plain_keras.differentiate(generator, made_from, lambda output, _: ops.sum(output)).output
            at_weights, of_discriminator = _judged(engine, pictures, fakes, classes)
            _constrain(discriminator)
            fooled = plain_keras.differentiate(discriminator, [fakes, *classes], lambda out, _: _mean(-_float(out)))
            values = {"discriminator": [_numpy(v) for v in discriminator.variables]}
        for variable, value in zip(generator.variables, begun):
            variable.assign(value)
        with same_numbers(engine.adapter):  # the same call once more, now that the gradient at the fakes is known
            weights = ops.convert_to_tensor(fooled.at_input)
            made = plain_keras.differentiate(
                generator, made_from, lambda output, losses: ops.sum(_float(output) * weights) + total(losses)
            )
        _constrain(generator)
        values["generator"] = [_numpy(v) for v in generator.variables]
    gradients = {"generator": made.at_weights, "discriminator": at_weights}
    return Step(gradients, {"generator": sum(made.losses), "discriminator": of_discriminator}, values)


def free(model: Any) -> None:
    """Give a network weights that no constraint leaves as they are."""
    refill(model)
    random = np.random.default_rng(4)
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            variable.assign(3.0 * random.standard_normal(variable.shape).astype("float32"))


def own_loss(engine: Engine, model: Any, inputs: Sequence[np.ndarray]) -> str:
    """Return the first layer of a network that adds a loss or regularizes a weight, or the network's name."""
    with restored(model), same_numbers(engine.adapter):
        model(inputs[0] if len(inputs) == 1 else list(inputs), training=True)
        for path, layer in places(model):
            if adds_losses(layer):
                return path
    return str(model.name)


def _judged(engine: Engine, real: np.ndarray, fakes: np.ndarray, classes: Sequence[np.ndarray]) -> tuple[Any, ...]:
    """Return the gradients of the discriminator's loss, and its own losses in one number."""
    discriminator = engine.discriminator
    regularizers = sum(v.regularizer is not None for v in discriminator.trainable_variables)
    if not engine.judges_apart:
        both = [np.concatenate([real, fakes]), *(np.concatenate([c, c]) for c in classes)]
        found = plain_keras.differentiate(
            discriminator,
            both,
            lambda out, losses: _mean(-_float(out)[:BATCH]) + _mean(_float(out)[BATCH:]) + total(losses),
        )
        return found.at_weights, sum(found.losses)
    shares = _shares(engine, real, classes)
    at_weights: list[np.ndarray] = [np.zeros(v.shape, "float32") for v in discriminator.trainable_variables]
    own = 0.0
    for pictures, sign in ((real, -1.0), (fakes, 1.0)):

        def scalar(output: Any, losses: Sequence[Any], sign: float = sign) -> Any:
            added, of_weights = _split(losses, regularizers)
            shared = [loss * share for loss, share in zip(added, shares)]
            return _mean(sign * _float(output)) + total(shared) + 0.5 * total(of_weights)

        found = plain_keras.differentiate(discriminator, [pictures, *classes], scalar)
        at_weights = [a + b for a, b in zip(at_weights, found.at_weights)]
        added, of_weights = _split(found.losses, regularizers)
        own += sum(loss * share for loss, share in zip(added, shares)) + 0.5 * sum(of_weights)
    return at_weights, own


def _shares(engine: Engine, real: np.ndarray, classes: Sequence[np.ndarray]) -> list[float]:
    """Return by what each added loss of one of two calls counts: 1 if it is a sum over the batch, 1/2 if a mean."""
    found = []
    for times in (1, 2):
        with restored(engine.discriminator), same_numbers(engine.adapter):
            given = [np.concatenate([x] * times) for x in (real, *classes)]
            losses = plain_keras.differentiate(
                engine.discriminator, given, lambda out, _: ops.sum(_float(out))
            ).losses
        found.append(losses)
    return [1.0 if abs(twice) > 1.5 * abs(once) else 0.5 for once, twice in zip(*found)]


def _split(losses: Sequence[Any], regularizers: int) -> tuple[Sequence[Any], Sequence[Any]]:
    """Part what a call added from the regularizers of weights, which Keras puts last."""
    border = len(losses) - regularizers
    return losses[:border], losses[border:]


def _constrain(model: Any) -> None:
    for variable in model.trainable_variables:
        if variable.constraint is not None:
            variable.assign(variable.constraint(variable.value))


def _both(engine: Engine) -> list[tuple[str, Any, Any]]:
    return [
        ("generator", engine.generator, engine.optimizers[0]),
        ("discriminator", engine.discriminator, engine.optimizers[1]),
    ]


def _mean(x: Any) -> Any:
    return ops.mean(ops.softplus(x))


def _float(x: Any) -> Any:
    """Return pictures, or logits where a discriminator gives features beside them, as float32."""
    return ops.cast(x[LOGITS] if isinstance(x, Mapping) else x, "float32")


def _numpy(tensor: Any) -> np.ndarray:
    return np.array(ops.convert_to_numpy(ops.stop_gradient(ops.convert_to_tensor(tensor))))
