"""Whether processes that share a batch reckon as one would with all of it: measured, before a step is made.

The mean over processes of what each makes of its rows is that of the whole batch only where nothing looks at other
rows, or does so by way of ``Ranks.moments``. A layer that measures how alike the pictures of a batch are, a loss of
batch means, a strategy that mixes pictures: all of them show here, whoever wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from operator import itemgetter
from typing import Any

import keras
import numpy as np

from ganforge.engine.randomness import step_key
from ganforge.engine.step import AdversarialStep
from ganforge.engine.traits import perturbed
from ganforge.errors import UsageError
from ganforge.plugin.types import Batch

Values = Sequence[tuple[Any, np.ndarray]]
ROWS = 4  # of each process; few, so that one holds those of all
# How far apart both may be, as a part of what is compared: rounding, which in bfloat16 is coarse.
CLOSE, CLOSE_IN_BFLOAT16 = 1e-4, 3e-2


def require_agreement(
    step: AdversarialStep, variables: Sequence[Any], vector: Any, due: frozenset[str], image_shape: tuple[int, ...]
) -> None:
    """Compare both losses on a made-up batch, made by each process alone and by all together; change nothing.

    Weights are perturbed as in ``ganforge.engine.traits``: what begins at 0 hides nothing. ``variables`` are all that
    an update changes, ``vector`` a plan's scalars, ``due`` the strategies whose penalties are lazy.

    Raises:
        UsageError: they differ; it says by what.
    """
    held = [(variable, np.array(keras.ops.convert_to_numpy(variable.value))) for variable in variables]
    random, models = np.random.default_rng(0), (step.generator.model, step.discriminator.model)
    noisy = {id(v): perturbed(v, random) for model in models for v in model.trainable_variables}
    begun = [(variable, noisy.get(id(variable), value)) for variable, value in held]
    try:
        alone, together = _measured(step, begun, vector, due, image_shape)
        if not all(np.isfinite(list(alone.values()))):  # too much of a change for these weights
            alone, together = _measured(step, held, vector, due, image_shape)
    finally:
        _assign(held)
    precise = all(layer.compute_dtype == "float32" for model in models for layer in model.layers)
    if culprit := differing(alone, together, CLOSE if precise else CLOSE_IN_BFLOAT16):
        raise UsageError(
            f"--devices {step.adapter.team.count} does not apply on torch: {culprit} at all the pictures of a batch "
            "together, and each device has only a part of them (only batch normalization can be used so); expected "
            "--backend jax, or one device"
        )


def _assign(values: Values) -> None:
    for variable, value in values:
        variable.assign(value)


def differing(alone: Mapping[str, float], together: Mapping[str, float], close: float) -> str:
    """Say what looks at a whole batch, the first cause there is; nothing where the two agree."""
    words = {
        "generator": "the generator looks",
        "discriminator": "the discriminator, or what it is shown, looks",
        "d_logits": "the discriminator's loss looks",
        "g_logits": "the generator's loss looks",
        "d_loss": "the discriminator's loss looks",
        "g_loss": "the generator's loss looks",
    }
    penalties = [name for name in alone if name.rpartition("/")[2] in ("penalty", "generator_penalty", "losses")]
    for name in (*words, *penalties, "d_total", "g_total"):
        if name in alone and abs(alone[name] - together[name]) > close * (abs(alone[name]) + 0.1):
            return words.get(name, f"'{name}' looks" if "/" in name else "a penalty looks")
    return ""


def _measured(
    step: AdversarialStep, begun: Values, vector: Any, due: frozenset[str], image_shape: tuple[int, ...]
) -> tuple[dict[str, float], dict[str, float]]:
    """Return what each process makes of a whole batch by itself, and what all make of it together."""
    adapter, team = step.adapter, step.adapter.team

    def losses(batch: Batch, vector: Any, key: Any) -> dict[str, Any]:
        metrics = step.losses(batch, vector, key, due=due)
        return dict(zip(metrics, adapter.averaged([keras.ops.cast(m, "float32") for m in metrics.values()])))

    update, own = adapter.compile(losses, "a trial"), step.batch_size

    def measured(batch: Batch, alone: bool) -> dict[str, float]:
        _assign(begun)  # a call may assign to them: batch statistics, singular vectors
        step.batch_size = len(batch.images)
        try:
            with team.trial(step.batch_size, alone):
                return {name: float(value) for name, value in update(batch, vector, step_key(0, 0, 0)).items()}
        finally:
            step.batch_size = own

    # Of two sizes, so that it shows which random numbers are a batch's.
    measured(_batch(image_shape, step.frequencies, (ROWS + 1) * team.count), alone=True)
    whole = _batch(image_shape, step.frequencies, ROWS * team.count)
    part = whole.map(itemgetter(slice(ROWS * team.rank, ROWS * (team.rank + 1))))
    return measured(whole, alone=True), measured(part, alone=False)


def _batch(image_shape: tuple[int, ...], frequencies: np.ndarray | None, count: int) -> Batch:
    """Return made-up pictures, of which some have more contrast than others."""
    random = np.random.default_rng(1)
    contrast = random.uniform(0.2, 1, (count, *(1 for _ in image_shape)))
    images = (contrast * random.uniform(-1, 1, (count, *image_shape))).astype("float32")
    if frequencies is None:
        return Batch(images)
    return Batch(images, random.choice(len(frequencies), count, p=frequencies).astype("int32"))
