"""What the checks work on: a plugin with its options, small networks, and the engine that trains them."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import keras
import numpy as np

from ganforge.engine.engine import Engine
from ganforge.engine.networks import build_networks
from ganforge.errors import UsageError
from ganforge.plugin.calling import call_by_name, parameters
from ganforge.plugin.options import Options
from ganforge.plugin.registry import Choice, Registry, load_plugins
from ganforge.plugin.sizes import Size, sides
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.trust import given
from ganforge.testing.small import (
    BATCH,
    CLASSES,
    Features,
    Trained,
    _labels,
    kept_all,
    moved_weights,
    run,
    small_engine,
    some_latents,
    some_pictures,
    train,
)

SIZES = (16, 32, 64, 8, 28, 128)


def make_case(kind: str, text: str, plugins: Sequence[str], folder: Path, first: bool) -> Case:
    """Look a plugin up and validate its options; raises ``UsageError`` as the command line would."""
    registry = load_plugins(given(plugins))
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
        ours = [s for s in ours if not asks_for_features(getattr(s, "discriminator_penalty", None))]
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
        """The features of a discriminator that it asks for: those that it takes out of a dict, or one tensor."""
        askers = []
        if self.entry.kind == "loss":
            askers = [self.value.discriminator, self.value.generator, self.value.penalty]
        elif self.entry.kind == "strategy":
            askers = [getattr(self.strategy(), "discriminator_penalty", None)]
        asking = [f for f in askers if asks_for_features(f)]
        if not asking:
            return None
        seen, ones = AnyFeature(), keras.ops.ones((2, 1))
        given = dict.fromkeys(("real_logits", "fake_logits", "real_labels", "fake_labels", "real", "fake"), ones)
        for function in asking:
            with suppress(Exception):  # what takes a tensor fails on a dict
                call_by_name(function)(
                    **given, real_features=seen, fake_features=seen, options=self.options, controls=AnyFeature()
                )
        return tuple(seen)


def asks_for_features(function: Any) -> bool:
    """Tell whether a function names what a discriminator returns beside its logits."""
    return callable(function) and not {"real_features", "fake_features"}.isdisjoint(parameters(function))


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
        raise UsageError(f"it refuses all of the image sizes {', '.join(map(str, SIZES))}: {reasons[0]}")

    @property
    def latent_dim(self) -> int:
        return int(self.value.defaults.get("latent_dim", 100))

    def build(
        self, size: Size, channels: int = 3, options: Options | None = None, seed: int = 1, precision: str = "float32"
    ) -> tuple[Any, Any]:
        """Return the generator and the discriminator, held to their shapes; ``size``: a side, or (height, width)."""
        chosen = options or self.options
        shape = (*sides(size), channels)
        built = build_networks(self.value, shape, self.latent_dim, chosen, chosen, seed, precision, CLASSES)
        for model in built:
            model.__dict__["_labelled"] = self.value.conditional  # a model that is a class cannot be asked
        return built

    @cached_property
    def networks(self) -> tuple[Any, Any]:
        return self.build(self.size)

    def engine(
        self, strategies: Sequence[Strategy] = (), precision: str = "float32", loss: Choice | None = None
    ) -> Engine:
        generator, discriminator = self.build(self.size, precision=precision)
        return Engine(
            generator,
            discriminator,
            loss.value if loss else self.registry.get("loss", "bce").value,
            loss_options=loss.options if loss else None,
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

    @cached_property
    def unmoved(self) -> list[str]:
        """The weights that never move: with one loss and no strategy, nor with those that ``defaults`` names."""
        unmoved = self.training.unmoved
        if not unmoved or not self.value.balance:
            return unmoved
        balance = [self.registry.choose("strategy", text) for text in self.value.balance]
        loss = self.registry.choose("loss", self.value.defaults.get("loss", "bce"))
        engine = self.engine([choice.value(choice.options) for choice in balance], loss=loss)
        begun = kept_all(engine)[0]
        run(engine, 0, 3, self.size)
        # Built anew, a layer's name may carry another number: by position, then.
        both = [*self.trainee.generator.trainable_variables, *self.trainee.discriminator.trainable_variables]
        still = {v.path for v, (_, moved) in zip(both, moved_weights(engine, begun), strict=True) if not moved}
        return [path for path in unmoved if path in still]

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
