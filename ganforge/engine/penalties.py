"""What is added to either network's loss: the loss's own penalty, and the strategies'."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from keras import ops

from ganforge.engine.context import Context
from ganforge.engine.door import Door, Metrics, as_scalar, described, result_of
from ganforge.engine.player import Player
from ganforge.engine.verdict import Verdict
from ganforge.errors import GANForgeError
from ganforge.plugin.calling import call_by_name
from ganforge.plugin.loss import Loss
from ganforge.plugin.options import Options


class Penalties:
    """The penalties of both networks.

    Args:
        every: for each strategy with lazy penalties, N: they are computed in every Nth step and multiplied by N.
            Source: Karras et al. 2020, "Analyzing and Improving the Image Quality of StyleGAN", appendix B.
    """

    def __init__(self, door: Door, generator: Player, loss: Loss, options: Options, every: Mapping[str, int]) -> None:
        self.door, self.generator, self.loss, self.options, self.every = door, generator, loss, options, every
        self._of_loss = call_by_name(loss.penalty) if loss.penalty else None

    def of_discriminator(
        self, real: Any, fakes: Any, verdicts: tuple[Verdict, Verdict], context: Context, measured: Metrics
    ) -> Metrics:
        """Return the scalars that are added to the discriminator's loss, by name; they are measured."""
        added = {}
        if self._of_loss is not None:
            stream = f"{self.loss.name}/penalty"
            given = self._given(real, fakes, verdicts, context, stream)
            penalty = self._of_loss(**given, random=context.random(stream), options=self.options)
            added[stream] = _scalar(
                f"loss '{self.loss.name}'", "penalty", result_of(self.loss.name, "penalty", penalty, measured, "loss")
            )
            measured[stream] = ops.stop_gradient(added[stream])
        for name, penalty in self._due("discriminator_penalty", context):
            stream = f"{name}/penalty"
            given = self._given(real, fakes, verdicts, context, stream)
            returned = penalty(**given, **context.given(name, stream))
            self._add(name, "discriminator_penalty", returned, stream, added, measured)
        return added

    def of_generator(self, fakes: Any, latents: Any, context: Context, measured: Metrics) -> Metrics:
        """Return the scalars that are added to the generator's loss; no gradient reaches the discriminator."""
        added: Metrics = {}
        for name, penalty in self._due("generator_penalty", context):
            stream = f"{name}/generator_penalty"
            discriminator, gradient = self.door.for_penalties(context, stream, real=False)
            returned = penalty(
                generator=lambda z: self._generate(z, context),
                discriminator=discriminator,
                latents=latents,
                fake=fakes,
                gradient=gradient,
                **context.given(name, stream),
            )
            self._add(name, "generator_penalty", returned, stream, added, measured)
        return added

    def _generate(self, latents: Any, context: Context) -> Any:
        return ops.cast(self.generator.leaving(self.generator.call_twice, context.inputs(latents)), "float32")

    def acts_on_generator(self, context: Context) -> bool:
        """Say whether ``of_generator`` would return anything."""
        return any(True for _ in self._due("generator_penalty", context))

    def _due(self, hook: str, context: Context) -> list[tuple[str, Callable[..., Any]]]:
        return [
            (name, hooks[hook])
            for name, hooks in self.door.hooks
            if hook in hooks and (name not in self.every or name in context.due)
        ]

    def _add(self, name: str, hook: str, returned: Any, stream: str, added: Metrics, measured: Metrics) -> None:
        scalar = _scalar(f"strategy '{name}'", hook, result_of(name, hook, returned, measured))
        measured[stream] = ops.stop_gradient(scalar)
        added[stream] = scalar * float(self.every[name]) if self.every.get(name, 1) != 1 else scalar

    def _given(
        self, real: Any, fakes: Any, verdicts: tuple[Verdict, Verdict], context: Context, stream: str
    ) -> dict[str, Any]:
        discriminator, gradient = self.door.for_penalties(context, stream, real=True)
        of_real, of_fakes = verdicts
        return {
            "discriminator": discriminator,
            "gradient": gradient,
            "real": real,
            "fake": fakes,
            "real_logits": of_real.logits,
            "fake_logits": of_fakes.logits,
            "real_features": of_real.features,
            "fake_features": of_fakes.features,
        }


def _scalar(who: str, what: str, value: Any) -> Any:
    scalar = as_scalar(value)
    if scalar is None:
        raise GANForgeError(f"{who}: {what} returned {described(value)}; expected a scalar, such as ops.mean(…)")
    return scalar
