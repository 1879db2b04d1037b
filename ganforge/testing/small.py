"""Small networks, the engine that trains them, and what it is given: quick to compile, the same each time."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import layers

from ganforge.engine.engine import Engine
from ganforge.engine.networks import dtype_policy, seeded
from ganforge.engine.plan import Planner
from ganforge.engine.randomness import Random, fixed_latents, step_key
from ganforge.engine.verdict import LOGITS
from ganforge.plugin.registry import Registry
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.types import Batch, Progress

Features = tuple[str, ...] | None

STEPS = 20
BATCH, LATENT, SIDE = 4, 8, 8
CLASSES = 3


# ------------------------------------------------------------------ training


@dataclasses.dataclass(frozen=True)
class Trained:
    """What training small networks gave: metrics by step, again from the same start, and again from the middle."""

    lines: list[dict[str, float]]
    again: list[dict[str, float]]
    resumed: list[dict[str, float]]
    unmoved: list[str]
    traces: dict[str, int]
    drifted: list[str]


class Batches:
    """Random pictures, uint8, a function of the step."""

    def __init__(self, side: int, labelled: bool = False) -> None:
        self.labelled = labelled
        self.pictures = np.random.default_rng(0).integers(0, 256, (2 * BATCH, side, side, 3), dtype=np.uint8)

    def iterate(self, start: int, stop: int) -> Any:
        for step in range(start, stop):
            yield step, self.extra(step, 0)

    def extra(self, step: int, k: int) -> Batch:
        first = (step + k) % (BATCH + 1)
        pictures = self.pictures[first : first + BATCH].copy()
        return Batch(pictures, _labels(BATCH) if self.labelled else None)


def small_networks(shape: tuple[int, ...] = (SIDE, SIDE, 3), features: Features = None) -> tuple[Any, Any]:
    """Return dense networks for pictures of 8 x 8, or other data: quick to compile.

    ``features``: None for logits alone, names for a dict of different features, an empty tuple for one tensor.
    """
    with seeded(3), dtype_policy("float32"):
        generator = keras.Sequential(
            [
                layers.Input((LATENT,)),
                layers.Dense(16, activation="relu"),
                layers.Dense(math.prod(shape), activation="tanh", dtype="float32"),
                layers.Reshape(shape),
            ]
        )
        inputs = layers.Input(shape)
        hidden = layers.LeakyReLU(0.2)(layers.Dense(16)(layers.Flatten()(inputs)))
        logits = layers.Dense(1, dtype="float32")(hidden)
        outputs: Any = logits
        if features is not None:
            more = {name: layers.Dense(16)(hidden) for name in features[1:]}
            outputs = {"logits": logits, "features": {features[0]: hidden, **more} if features else hidden}
        discriminator = keras.Model(inputs, outputs)
    return generator, discriminator


def small_engine(
    registry: Registry,
    strategies: Sequence[Strategy] = (),
    loss: Any = None,
    loss_options: Any = None,
    shape: tuple[int, ...] = (SIDE, SIDE, 3),
    features: Features = None,
    **more: Any,
) -> Engine:
    """Return an engine of small networks; it keeps a running mean where a strategy plans one's decay."""
    # Planned by instances of their own: what is under check must not notice.
    first = [Planner([type(s)(s.options)], 1.0).plan(Progress(0, STEPS, 0, 1), {}) for s in strategies]
    if any("ema_decay" in plan.shared for plan in first):
        more = {"ema": 0.9, **more}
    return Engine(
        *small_networks(shape, features),
        loss or registry.get("loss", "bce").value,
        loss_options=loss_options,
        strategies=strategies,
        **{"batch_size": BATCH, "latent_dim": LATENT, "learning_rate": 1e-3, "seed": 1, **more},
    )


def run(engine: Engine, start: int, stop: int, side: int = SIDE, total: int = STEPS) -> list[dict[str, float]]:
    """Train from one step to another, every step measured, and return the metrics."""
    lines = []
    batches = Batches(side, is_labelled(engine.generator))
    for step in engine.steps(batches, lambda s: Progress(s, total, s // 5, -(-total // 5)), start, stop):
        lines.append(step.read())
        engine.hear(step.progress.step + 1, lines[-1])
    return lines


def train(engine: Engine, side: int = SIDE) -> Trained:
    """Train twenty steps; then the same again from the start, and again from the state kept in the middle."""
    begun = kept_all(engine)
    first = run(engine, 0, STEPS // 2, side)
    middle = kept_all(engine)
    lines = first + run(engine, STEPS // 2, STEPS, side)
    ended = kept_all(engine)
    moved = moved_weights(engine, begun[0])
    unmoved = [variable.path for variable, did in moved if not did]
    engine.set_state(*begun)
    again = run(engine, 0, STEPS // 2, side)
    engine.set_state(*middle)
    resumed = run(engine, STEPS // 2, STEPS, side)
    last = kept_all(engine)[0]
    drifted = [name for name, array in ended[0].items() if not np.array_equal(array, last[name], equal_nan=True)]
    return Trained(lines, again, resumed, unmoved, dict(engine.adapter.traces), drifted)


def moved_weights(engine: Engine, begun: Mapping[str, np.ndarray]) -> list[tuple[Any, bool]]:
    """Return each trainable weight of both networks, and whether it is another one than when it all ``begun``."""
    now = kept_all(engine)[0]
    return [
        (variable, not np.array_equal(begun[name], now[name]))
        for name, variable in engine.variables()
        if variable.trainable and name.startswith(("generator/", "discriminator/"))
    ]


def kept(engine: Engine) -> dict[str, np.ndarray]:
    """Return every variable of an engine: weights, statistics, optimizers, states.

    Two engines of the same networks have the same names: layers, which a process numbers, are left out.
    """
    arrays = kept_all(engine)[0].items()
    ours = ("generator/", "discriminator/")
    names = {name: f"/{name.rpartition('/')[2]}" if name.startswith(ours) else "" for name, _ in arrays}
    return {"/".join(name.split("/")[:2]) + names[name]: array for name, array in arrays}


def one_update(engine: Engine, name: str, step: int = 0, side: int = SIDE) -> None:
    """Make one update of an engine on a batch, outside the loop."""
    plan = engine.planner.plan(Progress(step, STEPS, 0, 1), {})
    batch = Batches(side, is_labelled(engine.generator)).extra(step, 0)
    engine.update(name, engine.due(step))(batch, engine.planner.vector(plan), step_key(engine.seed, step, 0))


def kept_all(engine: Engine) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
    arrays, rest = engine.get_state()
    return {name: np.array(array) for name, array in arrays.items()}, json.loads(json.dumps(rest))


# ------------------------------------------------------------------ small helpers


def refill(model: Any, seed: int = 0, scale: float = 1.0) -> None:
    """Give a network weights that are the same on every backend: standard deviation scale / sqrt(fan-in)."""
    random = np.random.default_rng(seed)
    if "_as_built" not in model.__dict__:  # what is constant then is a bias, a scale, a running mean or variance
        model.__dict__["_as_built"] = [keras.ops.convert_to_numpy(v.value) for v in model.variables]
    for variable, old in zip(model.variables, model.__dict__["_as_built"]):
        if not keras.backend.is_float_dtype(variable.dtype):
            continue  # seeds
        noise = random.standard_normal(old.shape)
        if old.size and np.all(old == old.flat[0]):
            new = old + 0.1 * np.abs(noise) * (1 if old.flat[0] else np.sign(noise))
        else:
            new = noise * scale / np.sqrt(max(1, int(np.prod(old.shape[:-1]))))
        variable.assign(new.astype("float32"))


def outputs(model: Any, inputs: np.ndarray) -> np.ndarray:
    """Return a network's outputs in inference, float32 numpy."""
    given = keras.ops.convert_to_tensor(inputs)
    if is_labelled(model):
        given = [given, keras.ops.convert_to_tensor(_labels(len(inputs)))]
    result = model(given, training=False)
    if isinstance(result, Mapping):
        result = result[LOGITS]
    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.stop_gradient(result), "float32")))


def is_labelled(model: Any) -> bool:
    """Say whether a network takes class labels, as well as latents or pictures."""
    return bool(model.__dict__.get("_labelled", len(getattr(model, "inputs", None) or ()) > 1))


def _labels(count: int) -> np.ndarray:
    return (np.arange(count) % CLASSES).astype(np.int32)


def some_latents(count: int, latent_dim: int, seed: int = 0) -> np.ndarray:
    return fixed_latents(count, latent_dim, seed)


def some_pictures(count: int, side: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).uniform(-1, 1, (count, side, side, 3)).astype("float32")


def random_numbers(engine: Engine, stream: str = "check", key: Any = None) -> Random:
    """Return the random numbers that a traced hook gets, of a fixed key unless it is given."""
    key = step_key(1, 2, 3) if key is None else key
    if keras.backend.backend() == "torch":
        key = [int(word) for word in key]
    if keras.backend.backend() == "tensorflow":
        key = keras.ops.convert_to_tensor(key)
    return Random(engine.adapter, key, stream)


def tensors(scalars: Mapping[str, float]) -> dict[str, Any]:
    """Return what ``controls`` holds: 0-d float32 tensors."""
    return {name: keras.ops.convert_to_tensor(np.float32(value)) for name, value in scalars.items()}
