"""What the checks work on: a plugin with its options, small networks, and the engine that trains them."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import layers

from ganforge.engine.engine import Engine
from ganforge.engine.networks import build_networks, dtype_policy, seeded
from ganforge.engine.plan import Planner
from ganforge.engine.randomness import Random, fixed_latents, step_key
from ganforge.engine.verdict import LOGITS
from ganforge.errors import UsageError
from ganforge.plugin.calling import call_by_name, parameters
from ganforge.plugin.options import Options
from ganforge.plugin.registry import Choice, Registry, load_plugins
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.types import Batch, Progress

Features = tuple[str, ...] | None

STEPS = 20
BATCH, LATENT, SIDE = 4, 8, 8
CLASSES = 3
SIZES = (16, 32, 64, 8, 28, 128)


def make_case(kind: str, text: str, plugins: Sequence[str], folder: Path, first: bool) -> Case:
    """Look a plugin up and validate its options; raises ``UsageError`` as the command line would."""
    registry = load_plugins(plugins)
    return (ArchitectureCase if kind == "architecture" else Case)(
        registry, registry.choose(kind, text), folder, first
    )


class Case:
    """A plugin under check.

    ``hopeless`` stops the checks that follow, ``sound`` being False those that build upon how it trains; ``facts`` go
    into the report.
    """

    def __init__(self, registry: Registry, choice: Choice, folder: Path, first: bool) -> None:
        self.registry, self.folder, self.first = registry, folder, first
        self.entry, self.options = choice.entry, choice.options
        self.value: Any = choice.value
        self.options_class: type[Options] = type(choice.options)
        self.facts: dict[str, Any] = {"package": choice.entry.package, "version": choice.entry.version}
        self.hopeless = False
        self.sound = True

    @property
    def owner(self) -> str:
        return f"{self.entry.kind} '{self.entry.name}'"

    def strategy(self, options: Options | None = None) -> Strategy:
        """Return a fresh instance of the strategy under check."""
        instance: Strategy = self.value(options or self.options)
        return instance

    def others(self) -> list[type[Strategy]]:
        """Return the strategies that come with GANForge and may stand beside the one under check."""
        ours = [e.value for e in self.registry.of("strategy") if e.package == "ganforge"]
        mine = getattr(self.value, "conflicts", ())
        return [s for s in ours if s.name not in (self.value.name, *mine) and self.value.name not in s.conflicts]

    @cached_property
    def idle_engine(self) -> Engine:
        """An engine that never trains, for its adapter."""
        return small_engine(self.registry)

    @cached_property
    def training(self) -> Trained:
        """Twenty steps with the plugin under check on small networks, and the same twenty again."""
        if self.entry.kind == "loss":
            return train(self.small(loss=self.value, loss_options=self.options))
        if self.entry.kind == "optimizer":
            return train(small_engine(self.registry, optimizers=(self.optimizer(), self.optimizer())))
        return train(self.small([self.strategy()]))

    def optimizer(self, options: Options | None = None) -> Any:
        """Return what the optimizer under check builds."""
        return call_by_name(self.value.build)(options=options or self.options)

    def small(self, strategies: Sequence[Strategy] = (), **more: Any) -> Engine:
        """Return an engine of small networks that have what the plugin under check asks for."""
        return small_engine(self.registry, strategies, features=self.features, **more)

    @cached_property
    def features(self) -> Features:
        """The features of a discriminator that it asks for: those that a loss names, or one tensor."""
        askers = [self.value.discriminator, self.value.generator] if self.entry.kind == "loss" else []
        hook = getattr(self.value, "discriminator_penalty", None) or getattr(self.value, "penalty", None)
        named = [name for f in (*askers, hook) if callable(f) for name in parameters(f)]
        if not {"real_features", "fake_features"} & set(named):
            return None
        seen = AnyFeature()
        if self.entry.kind == "loss":
            with suppress(Exception):  # what takes a tensor fails on a dict
                call_by_name(askers[0])(
                    **dict.fromkeys(
                        ("real_logits", "fake_logits", "real_labels", "fake_labels"), keras.ops.ones((2, 1))
                    ),
                    real_features=seen,
                    fake_features=seen,
                    options=self.options,
                )
        return tuple(seen)


class AnyFeature(dict[str, Any]):
    """Features that have whatever is asked of them, and remember it."""

    def __missing__(self, name: str) -> Any:
        self[name] = keras.ops.ones((2, 3))
        return self[name]


class ArchitectureCase(Case):
    """An architecture under check, at the first image size that it can do."""

    @cached_property
    def size(self) -> int:
        reasons = []
        for size in SIZES:
            try:
                self.build(size)
            except UsageError as error:
                reasons.append(str(error))
            else:
                return size
        raise UsageError(f"it refuses every image size of {', '.join(map(str, SIZES))}: {reasons[0]}")

    @property
    def latent_dim(self) -> int:
        return int(self.value.defaults.get("latent_dim", 100))

    def build(
        self, size: int, channels: int = 3, options: Options | None = None, seed: int = 1, precision: str = "float32"
    ) -> tuple[Any, Any]:
        """Return the generator and the discriminator, held to their shapes."""
        chosen = options or self.options
        shape = (size, size, channels)
        built = build_networks(self.value, shape, self.latent_dim, chosen, chosen, seed, precision, CLASSES)
        for model in built:
            model.__dict__["_labelled"] = self.value.conditional  # a model that is a class cannot be asked
        return built

    @cached_property
    def networks(self) -> tuple[Any, Any]:
        return self.build(self.size)

    def engine(self, strategies: Sequence[Strategy] = (), precision: str = "float32") -> Engine:
        generator, discriminator = self.build(self.size, precision=precision)
        loss = self.registry.get("loss", "bce").value
        return Engine(
            generator,
            discriminator,
            loss,
            strategies=strategies,
            batch_size=BATCH,
            latent_dim=self.latent_dim,
            learning_rate=1e-3,
            seed=1,
            frequencies=np.full(CLASSES, 1 / CLASSES) if self.value.conditional else None,
        )

    @cached_property
    def trainee(self) -> Engine:
        """The engine that ``training`` trains, kept for its compiled step."""
        return self.engine()

    @cached_property
    def training(self) -> Trained:
        return train(self.trainee, side=self.size)

    def sides(self) -> list[tuple[str, Any, list[np.ndarray]]]:
        """Return each network's name, the network, and inputs for it: latents or pictures, labels if it has any."""
        made = [some_latents(BATCH, self.latent_dim), some_pictures(BATCH, self.size)]
        more = [_labels(BATCH)] if self.value.conditional else []
        roles = ("generator", "discriminator")
        return [(role, model, [given, *more]) for role, model, given in zip(roles, self.networks, made)]

    def r1(self) -> Strategy:
        """Return the penalty whose gradient takes a second backward pass."""
        found: type[Strategy] = self.registry.get("strategy", "r1").value
        return found()


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

    ``features``: None for logits alone, names for a dict of features, an empty tuple for one tensor.
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
            outputs = {"logits": logits, "features": dict.fromkeys(features, hidden) if features else hidden}
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
    unmoved = [
        variable.path
        for name, variable in engine.variables()
        if variable.trainable and "optimizer" not in name and np.array_equal(begun[0][name], ended[0][name])
    ]
    engine.set_state(*begun)
    again = run(engine, 0, STEPS // 2, side)
    engine.set_state(*middle)
    resumed = run(engine, STEPS // 2, STEPS, side)
    last = kept_all(engine)[0]
    drifted = [name for name, array in ended[0].items() if not np.array_equal(array, last[name], equal_nan=True)]
    return Trained(lines, again, resumed, unmoved, dict(engine.adapter.traces), drifted)


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
