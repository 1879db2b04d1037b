"""Whether processes that share a batch reckon as one would with all of it: measured, before a step is made.

The mean over processes of what each makes of its rows is that of the whole batch only where nothing looks at other
rows, or does so by way of ``Ranks.moments``. A layer that measures how alike the pictures of a batch are, a loss of
batch means, a strategy that mixes pictures: all of them show here, whoever wrote them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from ganforge.engine.randomness import step_key
from ganforge.engine.traits import perturbed
from ganforge.errors import UsageError
from ganforge.plugin.types import Batch

if TYPE_CHECKING:
    from ganforge.engine.engine import Engine
    from ganforge.engine.plan import Plan

ROWS = 4  # of each process; few, so that one holds those of all
# How far apart both may be, as a part of what is compared: rounding, which in bfloat16 is coarse.
CLOSE, CLOSE_IN_BFLOAT16 = 1e-3, 3e-2


def require_agreement(engine: Engine, plan: Plan) -> None:
    """Compare both losses on a made-up batch, made by each process alone and by all together; change nothing.

    Weights are perturbed as in ``ganforge.engine.traits``: what begins at 0 hides nothing.

    Raises:
        UsageError: they differ; it says by what.
    """
    held = [(variable, np.array(keras.ops.convert_to_numpy(variable.value))) for _, variable in engine.variables()]
    random = np.random.default_rng(0)
    for model in (engine.generator, engine.discriminator):
        for variable in model.trainable_variables:
            variable.assign(perturbed(variable, random))
    try:
        alone, together = _measured(engine, plan)
        if not all(np.isfinite(list(alone.values()))):  # too much of a change for these weights
            for variable, value in held:
                variable.assign(value)
            alone, together = _measured(engine, plan)
    finally:
        for variable, value in held:
            variable.assign(value)
    precise = all(layer.compute_dtype == "float32" for layer in (*engine.generator.layers, *engine.discriminator.layers))
    if culprit := differing(alone, together, CLOSE if precise else CLOSE_IN_BFLOAT16):
        raise UsageError(
            f"--devices {engine.adapter.team.count} does not apply on torch: {culprit} at all the pictures of a batch "
            "at once, which each device has only a part of (batch normalization alone may); expected --backend jax, "
            "or one device"
        )


def differing(alone: Mapping[str, float], together: Mapping[str, float], close: float) -> str:
    """Say what looks at a whole batch, the first cause there is; nothing where the two agree."""
    words = {
        "generator": "the generator looks",
        "discriminator": "the discriminator, or what it is shown, looks",
        "d_loss": "the discriminator's loss looks",
        "g_loss": "the generator's loss looks",
    }
    penalties = [name for name in alone if name.rpartition("/")[2] in ("penalty", "generator_penalty", "losses")]
    for name in (*words, *penalties, "d_total", "g_total"):
        if name in alone and abs(alone[name] - together[name]) > close * (abs(alone[name]) + 1e-3):
            return words.get(name, f"'{name}' looks" if "/" in name else "a penalty looks")
    return ""


def _measured(engine: Engine, plan: Plan) -> tuple[dict[str, float], dict[str, float]]:
    """Return what each process makes of a whole batch by itself, and what all make of it together."""
    step, team = engine.step, engine.adapter.team
    vector, key = engine.planner.vector(plan), step_key(0, 0, 0)
    own, results = step.batch_size, []
    update = engine.adapter.compile(lambda *given: _losses(engine, *given), "a trial")
    for rows, first, last in ((0, 0, ROWS * team.count), (ROWS, ROWS * team.rank, ROWS * (team.rank + 1))):
        step.batch_size = last - first
        try:
            with team.trial(rows):
                measured = update(_batch(engine, ROWS * team.count, first, last), vector, key)
        finally:
            step.batch_size = own
        results.append({name: float(value) for name, value in measured.items()})
    return results[0], results[1]


def _losses(engine: Engine, batch: Batch, vector: Any, key: Any) -> dict[str, Any]:
    metrics = engine.step.losses(batch, vector, key, due=frozenset(engine.every))
    return dict(zip(metrics, engine.adapter.averaged([keras.ops.cast(m, "float32") for m in metrics.values()])))


def _batch(engine: Engine, count: int, first: int, last: int) -> Batch:
    """Return rows of a made-up batch, as different from each other as pictures may be."""
    random = np.random.default_rng(1)
    shape = engine.image_shape
    images = (random.uniform(-1, 1, (count, *shape)) * random.uniform(0.2, 1, (count, *(1 for _ in shape)))).astype(
        "float32"
    )
    labels = None
    if engine.step.frequencies is not None:
        labels = random.choice(len(engine.step.frequencies), count, p=engine.step.frequencies).astype("int32")
    return Batch(images, labels).map(lambda rows: rows[first:last])
