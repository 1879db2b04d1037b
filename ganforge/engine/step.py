"""One step of training: the two updates of the paper, written once for every backend.

Source: Goodfellow et al. 2014, "Generative Adversarial Nets", algorithm 1, with the non-saturating generator loss.
``one_stage``: Shen et al. 2021, "Training Generative Adversarial Networks in One Stage" (CVPR).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from keras import ops

from ganforge.engine.adapter import Adapter
from ganforge.engine.context import Context
from ganforge.engine.door import Door
from ganforge.engine.ema import EMA
from ganforge.engine.objective import Objective
from ganforge.engine.plan import Planner
from ganforge.engine.player import Player
from ganforge.plugin.types import Batch

# From the gradient at fakes to those of the generator's weights, and its own losses by their names.
Backward = Callable[[Any], tuple[Sequence[Any], dict[str, Any]]]


class AdversarialStep:
    """Both networks' updates, together or apart.

    Each update takes tensors and returns a dict of 0-d float32 tensors. ``batch`` has uint8 images (B, H, W, C),
    ``vector`` the planner's scalars and ``key`` two uint32 words. Conditional networks have class labels as well: the
    fakes of an update are of the classes of its batch. A generator's extra update has no batch; its classes are drawn
    as often as ``frequencies`` says.
    """

    def __init__(
        self,
        adapter: Adapter,
        planner: Planner,
        generator: Player,
        discriminator: Player,
        door: Door,
        objective: Objective,
        batch_size: int,
        latent_dim: int,
        ema: EMA | None = None,
        frequencies: np.ndarray | None = None,
    ) -> None:
        self.adapter, self.planner, self.ema = adapter, planner, ema
        self.generator, self.discriminator, self.door, self.objective = generator, discriminator, door, objective
        self.batch_size, self.latent_dim, self.frequencies = batch_size, latent_dim, frequencies

    # ------------------------------------------------------------------ the updates

    def two_stage(self, batch: Batch, vector: Any, key: Any) -> dict[str, Any]:
        """Make fakes once; the discriminator learns from them, then the generator from the same ones."""
        context = Context(self.adapter, self.planner, vector, key, batch.labels)
        fakes, backward = self._generate(context)
        metrics = self._learn_discriminator(as_images(batch.images), ops.stop_gradient(fakes), context)
        return {**metrics, **self._learn_generator(fakes, backward, context)}

    def one_stage(self, batch: Batch, vector: Any, key: Any) -> dict[str, Any]:
        """Let both learn from one forward and one backward through the discriminator, at the same time.

        Each fake's logit depends on that fake alone, so the gradient of the discriminator's loss at fake i is
        a_i J_i with a_i = dL_D / dlogit_i, and the generator's is b_i J_i with b_i = dL_G / dlogit_i. The first
        times b_i / a_i is the second. The generator learns through the discriminator as it was *before* its update.
        """
        context = Context(self.adapter, self.planner, vector, key, batch.labels)
        fakes, backward = self._generate(context)
        loss = self._discriminator_loss(as_images(batch.images), context)
        (_, (metrics, logits)), gradients, (at_fakes,) = self.adapter.value_and_gradients(
            loss, self.discriminator.weights, fakes
        )

        def of_discriminator(fake_logits: Any) -> Any:
            return self.objective.discriminator(logits[0], fake_logits, context)

        a = self.adapter.gradient(of_discriminator, logits[1])
        b = self.adapter.gradient(self.objective.generator, logits[1])
        # What is floored moves nothing, and keeps 0 / 0 out where the discriminator is certain beyond float32.
        a = ops.where(ops.abs(a) < 1e-30, 1e-30, a)
        ratio = ops.reshape(b / a, (-1, *(1 for _ in range(len(fakes.shape) - 1))))
        self.discriminator.learn(gradients, context)
        own = self._move_generator(backward, ops.stop_gradient(ratio) * at_fakes, context)
        return {**metrics, "g_loss": ops.stop_gradient(self.objective.generator(logits[1])), **own}

    def discriminator_alone(self, batch: Batch, vector: Any, key: Any) -> dict[str, Any]:
        """Make an extra discriminator update, on fresh latents."""
        context = Context(self.adapter, self.planner, vector, key, batch.labels)
        return self._learn_discriminator(as_images(batch.images), ops.stop_gradient(self.generate(context)), context)

    def generator_alone(self, vector: Any, key: Any) -> dict[str, Any]:
        """Make an extra generator update, on fresh latents."""
        context = Context(self.adapter, self.planner, vector, key, self._draw_classes(key))
        fakes, backward = self._generate(context)
        return self._learn_generator(fakes, backward, context)

    # ------------------------------------------------------------------ the discriminator: real 1, fake 0

    def _learn_discriminator(self, real: Any, fakes: Any, context: Context) -> dict[str, Any]:
        loss, weights = self._discriminator_loss(real, context), self.discriminator.weights
        (_, aux), gradients, _ = self.adapter.value_and_gradients(lambda: loss(fakes), weights)
        self.discriminator.learn(gradients, context)
        metrics: dict[str, Any] = aux[0]
        return metrics

    def _discriminator_loss(self, real: Any, context: Context) -> Callable[[Any], tuple[Any, Any]]:
        """Return ``fakes -> (loss with penalties, (metrics, (real logits, fake logits)))``."""

        def function(fakes: Any) -> tuple[Any, tuple[dict[str, Any], tuple[Any, Any]]]:
            real_logits, fake_logits, own = self.door.discriminate_both(real, fakes, context)
            loss = self.objective.discriminator(real_logits, fake_logits, context)
            apart = ops.stop_gradient(fakes)
            added = self.objective.penalty(real, apart, context) | self.door.penalties(real, apart, context) | own
            logits = ops.stop_gradient(real_logits), ops.stop_gradient(fake_logits)
            metrics = {"d_loss": ops.stop_gradient(loss), **self.objective.metrics(*logits)}
            metrics |= {name: ops.stop_gradient(scalar) for name, scalar in added.items()}
            return sum(added.values(), loss), (metrics, logits)

        return function

    # ------------------------------------------------------------------ the generator: fakes labelled 1

    def _learn_generator(self, fakes: Any, backward: Backward, context: Context) -> dict[str, Any]:
        """Learn through the updated discriminator, frozen: only the gradient at the images is taken."""

        def function(images: Any) -> tuple[Any, Any]:
            loss = self.objective.generator(self.door.discriminate(images, False, context, "generator"))
            return loss, ops.stop_gradient(loss)

        (_, loss), _, (at_fakes,) = self.adapter.value_and_gradients(function, [], fakes)
        return {"g_loss": loss, **self._move_generator(backward, at_fakes, context)}

    def _move_generator(self, backward: Backward, at_fakes: Any, context: Context) -> dict[str, Any]:
        gradients, own = backward(at_fakes)
        self.generator.learn(gradients, context)
        if self.ema is not None:
            self.ema.follow()
        return own

    def generate(self, context: Context) -> Any:
        """Return (B, H, W, C) float32 images in [-1, 1] from fresh latents."""
        latents = context.random("latents").normal((self.batch_size, self.latent_dim))
        return ops.cast(self.generator.call(context.inputs(latents)), "float32")

    def _generate(self, context: Context) -> tuple[Any, Backward]:
        """Return fakes and a function from the gradient at them to the generator's, with its own losses' as well."""

        def function() -> tuple[Any, ...]:
            fakes, own = self.generate(context), self.generator.losses
            return (fakes, own.total(own.of_call())) if own else (fakes,)

        outputs, back = self.adapter.vjp(function, self.generator.weights)

        def backward(at_fakes: Any) -> tuple[Any, dict[str, Any]]:
            own = {"generator/losses": ops.stop_gradient(outputs[1])} if self.generator.losses else {}
            return back((at_fakes, *(ops.ones(()) for _ in own))), own

        return outputs[0], backward

    def _draw_classes(self, key: Any) -> Any:
        if self.frequencies is None:
            return None
        draw = Context(self.adapter, self.planner, None, key).random("classes").uniform((self.batch_size, 1))
        limits = ops.convert_to_tensor(np.cumsum(self.frequencies)[None, :-1].astype("float32"))
        return ops.sum(ops.cast(draw >= limits, "int32"), axis=1)


def as_images(batch: Any) -> Any:
    """Return uint8 (B, H, W, C) as float32 in [-1, 1], on the device."""
    return ops.cast(batch, "float32") / 127.5 - 1.0
