"""The engine: networks, optimizers and the compiled updates, and the loop over steps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any

import keras
import numpy as np

from ganforge.engine.after import After
from ganforge.engine.agreement import require_agreement
from ganforge.engine.backends import make_adapter
from ganforge.engine.door import Door
from ganforge.engine.ema import EMA
from ganforge.engine.freezing import freeze
from ganforge.engine.networks import output_shape, output_spec
from ganforge.engine.objective import Objective
from ganforge.engine.optimizing import adam
from ganforge.engine.penalties import Penalties
from ganforge.engine.plan import Plan, Planner, absent_scalars
from ganforge.engine.player import Player
from ganforge.engine.randomness import step_key
from ganforge.engine.refusals import periods, require_features, require_one_stage, require_optimizer
from ganforge.engine.state import DeviceState
from ganforge.engine.step import AdversarialStep
from ganforge.errors import GANForgeError
from ganforge.plugin.calling import strategy_hooks
from ganforge.plugin.loss import Loss
from ganforge.plugin.options import Options
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.types import Progress


@dataclass
class Step:
    """A finished step: its plan, and its metrics still on the device until ``read`` is called."""

    progress: Progress
    plan: Plan
    device_metrics: dict[str, Any]

    def read(self) -> dict[str, float]:
        """Return the metrics as numbers. This waits for the device: call it on logged steps only."""
        return {name: float(value) for name, value in self.device_metrics.items()}


class Engine:
    """Trains a generator and a discriminator against each other.

    Args:
        generator: (B, latent_dim) -> (B, H, W, C), pictures in [-1, 1], or (B, D).
        discriminator: (B, H, W, C) -> logits, (B, K) or of more axes, or a dict of ``logits`` and ``features``.
        strategies: in the order they compose.
        frequencies: how often each class is, for networks that take class labels, float (classes,), with sum 1.
        batch_size: real images a step; as many fakes are made.
        learning_rate: of both networks, before the strategies' multipliers, or one for each, the generator's first.
        beta_1: Adam's, where ``optimizers`` are not given.
        optimizers: the generator's and the discriminator's own Keras optimizer.
        ema: a running mean of the generator's weights, which pictures are then drawn from: its decay below 1, or
            from 1 on its half-life in pictures; None for none.
        compile: compile the step; None is the backend's own choice (JAX and TensorFlow do, torch does not).
        step: ``two-stage``, the paper's, or ``one-stage``: both networks from one pass through the discriminator.
        batch_statistics: the discriminator's logit for one picture depends on those beside it, so that real and fake
            must be judged apart. This is measured too, so that it is needed only where a measurement cannot see it.
        freeze_discriminator: how many of its first layers with weights stay as they are.
        devices: how many share each batch. On torch each is a process of its own (see ``ganforge.processes``), which
            is given its rows alone; on JAX this one has them all.

    Raises:
        UsageError: ``one-stage`` does not apply to these networks, this loss or these strategies; or something asks
            for features that the discriminator does not return; or the devices do not.
    """

    def __init__(
        self,
        generator: keras.Model,
        discriminator: keras.Model,
        loss: Loss,
        *,
        loss_options: Options | None = None,
        strategies: Sequence[Strategy] = (),
        batch_size: int = 64,
        latent_dim: int = 100,
        learning_rate: float | tuple[float, float] = 2e-4,
        beta_1: float = 0.5,
        optimizers: tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer] | None = None,
        seed: int = 0,
        frequencies: np.ndarray | None = None,
        step: str = "two-stage",
        compile: bool | None = None,
        ema: float | None = None,
        batch_statistics: bool = False,
        freeze_discriminator: int = 0,
        devices: int = 1,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        # Before any is frozen: what an optimizer's state in another run is of.
        self.learned = [list(model.trainable_variables) for model in (generator, discriminator)]
        self.frozen, kept = freeze(discriminator, freeze_discriminator)
        self.strategies, self.seed, self.batch_size = list(strategies), seed, batch_size
        rates = learning_rate if isinstance(learning_rate, tuple) else (learning_rate, learning_rate)
        self.optimizers = optimizers or (adam(rates[0], beta_1), adam(rates[1], beta_1))
        for optimizer, model in zip(self.optimizers, (generator, discriminator)):
            require_optimizer(optimizer, f"the optimizer of {model.name}")
            optimizer.build(model.trainable_variables)
        one_stage = step == "one-stage"
        absent = absent_scalars(self.optimizers, ema is not None)
        self.planner = Planner(strategies, rates, absent, one_stage)
        self.signals: dict[str, float] = {}
        self.kept: dict[str, Any] = {}
        self.ema = _ema(generator, ema, _some_inputs(latent_dim, frequencies), batch_size)
        count, labels = (0, []) if frequencies is None else (len(frequencies), [()])
        self.image_shape = image_shape = output_shape(generator, (latent_dim,), *labels)[1:]
        self.state = DeviceState(
            strategies,
            lambda: {
                "image_shape": image_shape,
                "batch_size": batch_size,
                "generator_weights": _arrays(generator),
                "discriminator_weights": _arrays(discriminator),
            },
        )
        self.adapter = make_adapter([v for _, v in self.variables()], compile, devices, batch_size)
        own = batch_size // self.adapter.team.count  # rows of this process

        def player(side: str, model: Any, optimizer: Any, first: tuple[int, ...], companions: bool) -> Player:
            return Player(side, self.adapter, model, optimizer, [first, *labels], own, count, companions)

        made = player("generator", generator, self.optimizers[0], (latent_dim,), companions=False)
        judged = player("discriminator", discriminator, self.optimizers[1], image_shape, companions=True)
        judged.keep(kept)
        self.judges_apart = batch_statistics or judged.depends_on_batch
        hooks = [(s.name, strategy_hooks(s)) for s in strategies]
        door = Door(judged, hooks, self.judges_apart)
        options = loss_options if loss_options is not None else loss.options()
        objective = Objective(loss, options, door)
        # Every step is no other step: then nothing is lazy.
        self.every = {name: every for name, every in periods(strategies).items() if every > 1}
        output = output_spec(discriminator, image_shape, *labels)
        require_features(loss, strategies, output)
        if one_stage:
            require_one_stage(loss, strategies, judged, self.judges_apart, output)
        self.step = AdversarialStep(
            self.adapter,
            self.planner,
            made,
            judged,
            door,
            objective,
            Penalties(door, made, loss, options, self.every),
            After(hooks, self.state, made, judged),
            own,
            latent_dim,
            self.ema,
            frequencies,
        )
        self.main = self.step.one_stage if one_stage else self.step.two_stage
        self._compiled: dict[tuple[str, frozenset[str], frozenset[str]], Callable[..., Any]] = {}
        self.generate: Callable[..., np.ndarray] = self.adapter.inference(generator)

    @contextmanager
    def showing(self) -> Iterator[None]:
        """Have the generator's Keras variables hold, for a while, the weights that pictures are drawn from."""
        self.adapter.sync_to_keras()
        with self.ema.worn() if self.ema else nullcontext():
            yield

    def steps(
        self, batches: Any, progress: Callable[[int], Progress], start: int, stop: int
    ) -> Generator[Step, None, None]:
        """Yield each finished step from ``start`` up to ``stop``: the loop of the paper's algorithm 1.

        ``batches`` gives batches of real images: ``iterate(start, stop)`` a step's, ``extra(step, k)`` an extra
        update's.
        """
        for step, batch in batches.iterate(start, stop):
            plan = self.planner.plan(progress(step), self.signals)
            vector, parts = self.planner.vector(plan), (self.due(step), plan.resting)
            for k in range(1, plan.counts["discriminator_steps"]):
                extra = batches.extra(step, k)
                self.update("discriminator_only", *parts)(extra, vector, step_key(self.seed, step, 2 * k))
            metrics = self.update(_main(plan), *parts)(batch, vector, step_key(self.seed, step, 0))
            for k in range(1, plan.counts["generator_steps"]):
                key = step_key(self.seed, step, 2 * k + 1)
                if self.step.objective.looks_at_real:
                    self.update("generator_beside", *parts)(batch, vector, key)
                else:
                    self.update("generator_only", *parts)(vector, key)
            self.kept = {**self.kept, **metrics}  # what this step did not measure keeps its last value
            yield Step(progress(step), plan, self.kept)

    def hear(self, step: int, metrics: Mapping[str, float]) -> None:
        """Take what was measured once ``step`` steps were done: the strategies' next plans are told of it."""
        self.signals = {**metrics, "step": step}

    def due(self, step: int) -> frozenset[str]:
        """Return the strategies whose lazy penalties are paid in a step."""
        return frozenset(name for name, every in self.every.items() if step % every == 0)

    def update(
        self, name: str, due: frozenset[str] = frozenset(), resting: frozenset[str] = frozenset()
    ) -> Callable[..., dict[str, Any]]:
        """Return a compiled update, made when it is first asked for: one for each combination that occurs."""
        parts = (name, due, resting)
        if parts not in self._compiled:
            updates: dict[str, Callable[..., dict[str, Any]]] = {
                "both": self.main,
                "discriminator_main": self.step.discriminator_main,
                "generator_main": self.step.generator_main,
                "discriminator_only": self.step.discriminator_extra,
                "generator_only": self.step.generator_extra,
                "generator_beside": self.step.generator_beside,
            }
            called = "+".join([name, *sorted(due), *(f"{side} at rest" for side in sorted(resting))])
            self._compiled[parts] = self.adapter.compile(partial(updates[name], due=due, resting=resting), called)
        return self._compiled[parts]

    # ------------------------------------------------------------------ several processes

    def require_agreement(self, plan: Plan) -> None:
        """Refuse to share batches where that would not be training on one device; ``plan`` is that of some step.

        Raises:
            UsageError: something looks at the whole batch.
        """
        if self.adapter.team.count > 1:
            variables, due = [v for _, v in self.variables()], frozenset(self.every)
            require_agreement(self.step, variables, self.planner.vector(plan), due, self.image_shape)

    def share(self) -> None:
        """Give all processes the first one's state."""
        if self.adapter.team.count > 1:
            self.adapter.team.give(variable for _, variable in self.variables())

    # ------------------------------------------------------------------ state

    def variables(self) -> list[tuple[str, Any]]:
        """Return every variable training changes with a stable name: networks, batch statistics, seeds, Adam's."""
        owners = {
            "generator": self.generator,
            "discriminator": self.discriminator,
            "generator_optimizer": self.optimizers[0],
            "discriminator_optimizer": self.optimizers[1],
            **({"generator_average": self.ema} if self.ema else {}),
        }
        held = {owner: holder.variables for owner, holder in owners.items()} | self.state.holders()
        return [
            (f"{owner}/{i:03d}/{variable.path}", variable)
            for owner, variables in held.items()
            for i, variable in enumerate(variables)
        ]

    def get_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return all that decides how training goes on: arrays by name, and a JSON-able rest."""
        self.adapter.sync_to_keras()
        arrays = {name: keras.ops.convert_to_numpy(variable.value) for name, variable in self.variables()}
        rest = {"signals": self.signals, "strategies": {s.name: s.get_state() for s in self.strategies}}
        # Floats of 32 bits, which JSON keeps to the last.
        return arrays, {**rest, "kept": {name: float(value) for name, value in self.kept.items()}}

    def set_state(self, arrays: Mapping[str, np.ndarray], rest: Mapping[str, Any], anew: bool = False) -> None:
        """Take back what ``get_state`` returned; ``anew``: strategies' device state begins again.

        Where it was made without a mean of the generator's weights, that begins with the weights.

        Raises:
            GANForgeError: it was made by other networks or optimizers.
        """
        # Layer paths may carry a process-wide counter, so a variable is known by owner and position.
        stored = {_position(name): array for name, array in arrays.items()}
        begun = {id(v) for variables in self.state.holders().values() for v in variables} if anew else set()
        averaged = any(name.startswith("generator_average/") for name in stored)
        if self.ema and not averaged:
            begun |= {id(v) for v in self.ema.variables}
        for name, variable in self.variables():
            if id(variable) in begun:
                continue
            array = stored.get(_position(name))
            if array is None or tuple(array.shape) != tuple(variable.shape):
                got = "is missing" if array is None else f"has the shape {tuple(array.shape)}"
                raise GANForgeError(
                    f"the checkpoint does not fit these networks and optimizers: {name} {got}, expected "
                    f"{tuple(variable.shape)}"
                )
            if not _same_kind(str(array.dtype), keras.backend.standardize_dtype(variable.dtype)):
                raise GANForgeError(
                    f"the checkpoint does not fit these networks and optimizers: {name} is {array.dtype}, expected "
                    f"{variable.dtype}"
                )
            variable.assign(array)
        if anew:
            self.state.begin_anew()
        if self.ema and not averaged:
            self.ema.begin_anew()
        self.adapter.sync_from_keras()
        self.signals = dict(rest.get("signals", {}))
        # What strategies measured that act no longer is nothing of this run's any more.
        kept = rest.get("kept", {})
        self.kept = {name: value for name, value in kept.items() if not anew or "/" not in name}
        for strategy in self.strategies:
            strategy.set_state(rest.get("strategies", {}).get(strategy.name, {}))


def _some_inputs(latent_dim: int, frequencies: np.ndarray | None, count: int = 8, size: int = 64) -> list[Any]:
    """Return some batches of what the generator takes, always the same."""
    random = np.random.default_rng(0)
    latents = random.standard_normal((count, size, latent_dim), dtype=np.float32)
    if frequencies is None:
        return list(latents)
    classes = random.choice(len(frequencies), (count, size), p=frequencies).astype(np.int32)
    return [list(pair) for pair in zip(latents, classes)]


def _main(plan: Plan) -> str:
    """Return the update that a step is made of: a network that makes none in this step stays as it is."""
    if not plan.resting:
        return "both"
    return "discriminator_main" if "generator" in plan.resting else "generator_main"


def _ema(generator: keras.Model, ema: float | None, batches: Sequence[Any], batch_size: int) -> EMA | None:
    if ema is None:
        return None
    return EMA(generator, ema if ema < 1 else None, batches, ema if ema >= 1 else None, batch_size)


def _arrays(model: keras.Model) -> list[np.ndarray]:
    return [np.array(keras.ops.convert_to_numpy(v.value)) for v in model.trainable_variables]


def _same_kind(one: str, other: str) -> bool:
    """Say whether two types hold the same numbers; those of whole ones (a seed's) differ from backend to backend."""
    whole = ("int", "uint")
    return one == other or (one.startswith(whole) and other.startswith(whole))


def _position(name: str) -> str:
    return "/".join(name.split("/")[:2])
