"""The engine: networks, optimizers and the compiled updates, and the loop over steps."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ganforge.engine.backends import make_adapter
from ganforge.engine.door import Door
from ganforge.engine.ema import EMA
from ganforge.engine.networks import output_shape
from ganforge.engine.objective import Objective
from ganforge.engine.plan import Plan, Planner
from ganforge.engine.player import Player
from ganforge.engine.randomness import step_key
from ganforge.engine.step import AdversarialStep
from ganforge.errors import GANForgeError, UsageError
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
        generator: (B, latent_dim) -> (B, H, W, C) in [-1, 1].
        discriminator: (B, H, W, C) -> (B, 1) logits.
        strategies: in the order they compose.
        frequencies: how often each class is, for networks that take class labels, float (classes,), with sum 1.
        batch_size: real images a step; as many fakes are made.
        learning_rate: Adam's, for both networks, before the strategies' multipliers.
        ema: decay of a running mean of the generator's weights, which pictures are then drawn from; None for none.
        compile: compile the step; None is the backend's own choice (JAX and TensorFlow do, torch does not).
        step: ``two-stage``, the paper's, or ``one-stage``: both networks from one pass through the discriminator.
        batch_statistics: the discriminator's logit for one picture depends on those beside it, so that real and fake
            must be judged apart. This is measured too, so that it is needed only where a measurement cannot see it.

    Raises:
        UsageError: ``one-stage`` with a discriminator whose logits depend on the pictures beside or whose layers add
            losses, or with a loss that has no slope at some fakes.
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
        learning_rate: float = 2e-4,
        beta_1: float = 0.5,
        seed: int = 0,
        frequencies: np.ndarray | None = None,
        step: str = "two-stage",
        compile: bool | None = None,
        ema: float | None = None,
        batch_statistics: bool = False,
    ) -> None:
        self.generator, self.discriminator = generator, discriminator
        self.strategies, self.seed, self.batch_size = list(strategies), seed, batch_size
        self.planner = Planner(strategies, learning_rate)
        self.optimizers = tuple(
            keras.optimizers.Adam(learning_rate, beta_1=beta_1, beta_2=0.999, epsilon=1e-8) for _ in range(2)
        )
        for optimizer, model in zip(self.optimizers, (generator, discriminator)):
            optimizer.build(model.trainable_variables)
        self.signals: dict[str, float] = {}
        self.ema = EMA(generator, ema, _some_inputs(latent_dim, frequencies)) if ema else None
        self.adapter = make_adapter([v for _, v in self.variables()], compile)
        count, labels = (0, []) if frequencies is None else (len(frequencies), [()])
        image_shape = output_shape(generator, (latent_dim,), *labels)[1:]
        takes = [(latent_dim,), *labels], [image_shape, *labels]
        made = Player(self.adapter, generator, self.optimizers[0], takes[0], batch_size, count, 0, companions=False)
        judged = Player(self.adapter, discriminator, self.optimizers[1], takes[1], batch_size, count, 1)
        self.judges_apart = batch_statistics or judged.depends_on_batch
        door = Door(judged, [(s.name, strategy_hooks(s)) for s in strategies], self.judges_apart)
        objective = Objective(loss, loss_options if loss_options is not None else loss.options(), door)
        self.step = AdversarialStep(
            *(self.adapter, self.planner, made, judged, door, objective, batch_size, latent_dim),
            *(self.ema, frequencies),
        )
        if step == "one-stage":
            _require_one_stage(loss, judged, self.judges_apart)
        main = self.step.one_stage if step == "one-stage" else self.step.two_stage
        self.update_both = self.adapter.compile(main, "both")
        self.update_discriminator = self.adapter.compile(self.step.discriminator_alone, "discriminator_only")
        self.update_generator = self.adapter.compile(self.step.generator_alone, "generator_only")
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
        for step, real in batches.iterate(start, stop):
            plan = self.planner.plan(progress(step), self.signals)
            vector = self.planner.vector(plan)
            for k in range(1, plan.counts["discriminator_steps"]):
                self.update_discriminator(batches.extra(step, k), vector, step_key(self.seed, step, 2 * k))
            metrics = self.update_both(real, vector, step_key(self.seed, step, 0))
            for k in range(1, plan.counts["generator_steps"]):
                self.update_generator(vector, step_key(self.seed, step, 2 * k + 1))
            yield Step(progress(step), plan, metrics)

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
        return [
            (f"{owner}/{i:03d}/{variable.path}", variable)
            for owner, holder in owners.items()
            for i, variable in enumerate(holder.variables)
        ]

    def get_state(self) -> tuple[dict[str, np.ndarray], dict[str, Any]]:
        """Return all that decides how training goes on: arrays by name, and a JSON-able rest."""
        self.adapter.sync_to_keras()
        arrays = {name: keras.ops.convert_to_numpy(variable.value) for name, variable in self.variables()}
        return arrays, {
            "signals": self.signals,
            "strategies": {s.name: s.get_state() for s in self.strategies},
        }

    def set_state(self, arrays: Mapping[str, np.ndarray], rest: Mapping[str, Any]) -> None:
        """Take back what ``get_state`` returned.

        Raises:
            GANForgeError: it was made by other networks.
        """
        # Layer paths may carry a process-wide counter, so a variable is known by owner and position.
        stored = {_position(name): array for name, array in arrays.items()}
        for name, variable in self.variables():
            array = stored.get(_position(name))
            if array is None or tuple(array.shape) != tuple(variable.shape):
                got = "is missing" if array is None else f"has the shape {tuple(array.shape)}"
                raise GANForgeError(
                    f"the checkpoint does not fit these networks: {name} {got}, expected {tuple(variable.shape)}"
                )
            variable.assign(array)
        self.adapter.sync_from_keras()
        self.signals = dict(rest.get("signals", {}))
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


def _require_one_stage(loss: Loss, discriminator: Player, apart: bool) -> None:
    refused = "--step one-stage does not apply: "
    if not loss.one_stage:
        raise UsageError(
            f"{refused}the loss '{loss.name}' has no slope at fakes beyond its margin; expected another loss, such "
            "as bce, or --step two-stage"
        )
    if apart:
        raise UsageError(
            f"{refused}the discriminator has batch statistics, so that a fake's logit depends on the pictures beside "
            "it; expected one without batch normalization, or --step two-stage"
        )
    if discriminator.losses.sums:
        raise UsageError(
            f"{refused}layers of the discriminator add losses of their own at the fakes, which are no part of the "
            "generator's; expected one without, or --step two-stage"
        )


def _position(name: str) -> str:
    return "/".join(name.split("/")[:2])
