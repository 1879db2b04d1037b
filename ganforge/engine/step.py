"""The two updates of the paper, written once for every backend.

Source: Goodfellow et al. 2014, "Generative Adversarial Nets", algorithm 1, with the non-saturating generator loss.
``one_stage``: Shen et al. 2021, "Training Generative Adversarial Networks in One Stage" (CVPR).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from ganforge.engine.backends import Adapter
from ganforge.engine.ema import Average
from ganforge.engine.networks import output_shape
from ganforge.engine.plan import Planner
from ganforge.engine.randomness import Random
from ganforge.engine.traits import OwnLosses, observe
from ganforge.plugin.calling import call_by_name, strategy_hooks
from ganforge.plugin.loss import Loss
from ganforge.plugin.options import Options
from ganforge.plugin.strategy import Strategy

Objective = Callable[[Any], tuple[Any, tuple[dict[str, Any], tuple[Any, Any]]]]
# From the gradient at fakes to those of the generator's weights, and its own losses by their names.
Pull = Callable[[Any], tuple[Sequence[Any], dict[str, Any]]]


class Updates:
    """One discriminator update, one generator update, and both on the same fakes.

    ``real`` is uint8 (B, H, W, C), ``vector`` the planner's scalars and ``key`` two uint32 words. Every update
    returns a dict of 0-d float32 tensors. Conditional networks have int32 (B,) class labels as well, which follow
    ``real``: the fakes of an update are of the same classes. A generator's extra update has no real pictures; its
    classes are drawn as often as ``frequencies`` says.
    """

    def __init__(
        self,
        adapter: Adapter,
        generator: keras.Model,
        discriminator: keras.Model,
        optimizers: tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer],
        loss: Loss,
        loss_options: Options,
        strategies: Sequence[Strategy],
        planner: Planner,
        batch_size: int,
        latent_dim: int,
        average: Average | None = None,
        frequencies: Any = None,
        batch_statistics: bool = False,
    ) -> None:
        self.frequencies = frequencies
        self.classes: Any = None
        self.adapter, self.planner = adapter, planner
        self.generator, self.discriminator = generator, discriminator
        count, labels = (0, []) if frequencies is None else (len(frequencies), [()])
        image_shape = output_shape(generator, (latent_dim,), *labels)[1:]
        made = observe(adapter, generator, [(latent_dim,), *labels], batch_size, count, companions=False)
        judged = observe(adapter, discriminator, [image_shape, *labels], batch_size, count)
        self.make, self.judge = adapter.forward(generator, made), adapter.forward(discriminator, judged)
        self.judge_for_penalties = adapter.forward(discriminator, judged, differentiable_twice=True)
        self.generator_losses = OwnLosses(generator, made.sums)
        self.discriminator_losses = OwnLosses(discriminator, judged.sums)
        self.judges_apart = batch_statistics or judged.depends_on_batch
        self.generator_optimizer, self.discriminator_optimizer = optimizers
        self.average = average
        self.loss_name, self.loss_options, self.boundary = loss.name, loss_options, loss.boundary
        self.discriminator_loss, self.generator_loss = call_by_name(loss.discriminator), call_by_name(loss.generator)
        self.loss_penalty = call_by_name(loss.penalty) if loss.penalty else None
        self.hooks = [(strategy.name, strategy_hooks(strategy)) for strategy in strategies]
        self.batch_size, self.latent_dim = batch_size, latent_dim

    # ------------------------------------------------------------------ the updates

    def both(self, real: Any, *rest: Any) -> dict[str, Any]:
        """Make fakes once; the discriminator learns from them, then the generator from the same ones."""
        vector, key = self._begin(*rest)
        fakes, pull = self._make(key)
        metrics = self._learn_discriminator(as_images(real), ops.stop_gradient(fakes), vector, key)
        return metrics | self._learn_generator(fakes, pull, vector, key)

    def one_stage(self, real: Any, *rest: Any) -> dict[str, Any]:
        """Let both learn from one forward and one backward through the discriminator, at the same time.

        Each fake's logit depends on that fake alone, so the gradient of the discriminator's loss at fake i is
        a_i J_i with a_i = dL_D / dlogit_i, and the generator's is b_i J_i with b_i = dL_G / dlogit_i. The first
        times b_i / a_i is the second. The generator learns through the discriminator as it was *before* its update.
        """
        vector, key = self._begin(*rest)
        fakes, pull = self._make(key)
        objective = self._discriminator_objective(as_images(real), vector, key)
        variables = self.discriminator.trainable_variables
        (_, (metrics, logits)), gradients, (at_fakes,) = self.adapter.value_and_gradients(objective, variables, fakes)

        def of_discriminator(fake_logits: Any) -> Any:
            return self._discriminator_loss(logits[0], fake_logits, vector, key)

        a = self.adapter.gradient(of_discriminator, logits[1])
        b = self.adapter.gradient(self._generator_loss, logits[1])
        # What is floored moves nothing, and keeps 0 / 0 out where the discriminator is certain beyond float32.
        a = ops.where(ops.abs(a) < 1e-30, 1e-30, a)
        ratio = ops.reshape(b / a, (-1, *(1 for _ in range(len(fakes.shape) - 1))))
        self.adapter.apply(self.discriminator_optimizer, gradients, variables, vector[1])
        own = self._move_generator(pull, ops.stop_gradient(ratio) * at_fakes, vector)
        return metrics | {"g_loss": ops.stop_gradient(self._generator_loss(logits[1])), **own}

    def discriminator_only(self, real: Any, *rest: Any) -> dict[str, Any]:
        """Make an extra discriminator update, on fresh latents."""
        vector, key = self._begin(*rest)
        return self._learn_discriminator(as_images(real), ops.stop_gradient(self.fakes(key)), vector, key)

    def generator_only(self, vector: Any, key: Any) -> dict[str, Any]:
        """Make an extra generator update, on fresh latents."""
        self._begin(self._draw_classes(key), vector, key)
        fakes, pull = self._make(key)
        return self._learn_generator(fakes, pull, vector, key)

    def _begin(self, *rest: Any) -> tuple[Any, Any]:
        """Take the update's class labels, if its networks have any, and return (vector, key)."""
        *classes, vector, key = rest
        self.classes = classes[0] if classes else None
        return vector, key

    def _draw_classes(self, key: Any) -> Any:
        if self.frequencies is None:
            return None
        draw = Random(self.adapter, key, "classes").uniform((self.batch_size, 1))
        limits = ops.convert_to_tensor(np.cumsum(self.frequencies)[None, :-1].astype("float32"))
        return ops.sum(ops.cast(draw >= limits, "int32"), axis=1)

    def _of_classes(self, x: Any) -> Any:
        """Return what a network takes: ``x`` alone, or with the classes of its rows, which begin anew each batch."""
        if self.classes is None:
            return x
        rows = x.shape[0]
        if rows == self.batch_size:
            return [x, self.classes]
        return [x, ops.concatenate([self.classes] * -(-rows // self.batch_size))[:rows]]

    def _make(self, key: Any) -> tuple[Any, Pull]:
        """Return fakes and a function from the gradient at them to the generator's, with its own losses' as well."""

        def function() -> tuple[Any, ...]:
            fakes, own = self.fakes(key), self.generator_losses
            return (fakes, own.total(own.of_call())) if own else (fakes,)

        outputs, pull = self.adapter.pullback(function, self.generator.trainable_variables)

        def gradients(at_fakes: Any) -> tuple[Any, dict[str, Any]]:
            own = {"generator/losses": ops.stop_gradient(outputs[1])} if self.generator_losses else {}
            return pull((at_fakes, *(ops.ones(()) for _ in own))), own

        return outputs[0], gradients

    def _learn_discriminator(self, real: Any, fakes: Any, vector: Any, key: Any) -> dict[str, Any]:
        """Real 1, fake 0."""
        objective = self._discriminator_objective(real, vector, key)
        variables = self.discriminator.trainable_variables
        (_, (metrics, _)), gradients, _ = self.adapter.value_and_gradients(lambda: objective(fakes), variables)
        self.adapter.apply(self.discriminator_optimizer, gradients, variables, vector[1])
        return metrics

    def _learn_generator(self, fakes: Any, pull: Pull, vector: Any, key: Any) -> dict[str, Any]:
        """Fakes labelled 1, through the updated discriminator, frozen: only the gradient at the images is taken."""

        def objective(images: Any) -> tuple[Any, Any]:
            loss = self._generator_loss(self.discriminate(images, False, vector, key, "generator"))
            return loss, ops.stop_gradient(loss)

        (_, loss), _, (at_fakes,) = self.adapter.value_and_gradients(objective, [], fakes)
        return {"g_loss": loss, **self._move_generator(pull, at_fakes, vector)}

    def _move_generator(self, pull: Pull, at_fakes: Any, vector: Any) -> dict[str, Any]:
        gradients, own = pull(at_fakes)
        self.adapter.apply(self.generator_optimizer, gradients, self.generator.trainable_variables, vector[0])
        if self.average is not None:
            self.average.follow()
        return own

    # ------------------------------------------------------------------ what they are made of

    def _discriminator_objective(self, real: Any, vector: Any, key: Any) -> Objective:
        """Return ``fakes -> (loss with penalties, (metrics, (real logits, fake logits)))``."""

        def objective(fakes: Any) -> tuple[Any, tuple[dict[str, Any], tuple[Any, Any]]]:
            real_logits, fake_logits, own = self.logits(real, fakes, vector, key)
            loss = self._discriminator_loss(real_logits, fake_logits, vector, key)
            added = self._penalties(real, ops.stop_gradient(fakes), vector, key) | own
            real_logits, fake_logits = ops.stop_gradient(real_logits), ops.stop_gradient(fake_logits)
            metrics = {
                "d_loss": ops.stop_gradient(loss),
                "d_real": ops.mean(ops.sigmoid(real_logits)),
                "d_fake": ops.mean(ops.sigmoid(fake_logits)),
                **self._judged(real_logits, fake_logits),
                "d_real_logit": ops.mean(real_logits),
                "d_fake_logit": ops.mean(fake_logits),
                **{name: ops.stop_gradient(scalar) for name, scalar in added.items()},
            }
            return sum(added.values(), loss), (metrics, (real_logits, fake_logits))

        return objective

    def _judged(self, real_logits: Any, fake_logits: Any) -> dict[str, Any]:
        """Return how often the discriminator is right: of images where its loss has a boundary, else of pairs."""
        if self.boundary is None:
            margin = real_logits - fake_logits
            right = ops.cast(margin > 0, "float32")
        else:
            margin = real_logits - self.boundary
            right = (ops.cast(margin > 0, "float32") + ops.cast(fake_logits < self.boundary, "float32")) / 2
        return {"d_accuracy": ops.mean(right), "d_real_sign": ops.mean(ops.sign(margin))}

    def _discriminator_loss(self, real_logits: Any, fake_logits: Any, vector: Any, key: Any) -> Any:
        return self.discriminator_loss(
            real_logits=real_logits,
            fake_logits=fake_logits,
            real_labels=self.labels(True, vector, key),
            fake_labels=self.labels(False, vector, key),
            options=self.loss_options,
        )

    def _generator_loss(self, logits: Any) -> Any:
        return self.generator_loss(fake_logits=logits, labels=ops.ones_like(logits), options=self.loss_options)

    def fakes(self, key: Any) -> Any:
        """Return (B, H, W, C) float32 images in [-1, 1] from fresh latents."""
        latents = Random(self.adapter, key, "latents").normal((self.batch_size, self.latent_dim))
        return ops.cast(self.make(self._of_classes(latents)), "float32")

    def seen(self, images: Any, real: bool, vector: Any, key: Any, stream: str) -> Any:
        """Return what the discriminator sees instead of ``images``."""
        for name, hooks in self.hooks:
            if transform := hooks.get("discriminator_images"):
                images = transform(
                    images=images,
                    real=real,
                    controls=self.planner.controls(name, vector),
                    random=Random(self.adapter, key, f"{name}/images/{stream}/{real}"),
                )
        return images

    def discriminate(self, images: Any, real: bool, vector: Any, key: Any, stream: str) -> Any:
        """The one door to the discriminator: (B, H, W, C) in, (B, 1) float32 logits out."""
        return self._judge(self.seen(images, real, vector, key, stream))

    def logits(self, real: Any, fakes: Any, vector: Any, key: Any) -> tuple[Any, Any, dict[str, Any]]:
        """Return the logits of both and the discriminator's own losses, if it has any.

        Both are judged as one batch, unless a verdict depends on the pictures beside.
        """
        own = self.discriminator_losses
        real = self.seen(real, True, vector, key, "discriminator")
        fakes = self.seen(fakes, False, vector, key, "discriminator")
        if self.judges_apart:
            real_logits, added = self._judge(real), own.of_call()
            fake_logits, more = self._judge(fakes), own.of_call()
            calls = [added, more]
        else:
            logits = self._judge(ops.concatenate([real, fakes], axis=0))
            real_logits, fake_logits, calls = logits[: self.batch_size], logits[self.batch_size :], [own.of_call()]
        return real_logits, fake_logits, {"discriminator/losses": own.total(*calls)} if own else {}

    def _judge(self, images: Any) -> Any:
        return ops.cast(self.judge(self._of_classes(images)), "float32")

    def labels(self, real: bool, vector: Any, key: Any) -> Any:
        """Return what the discriminator is told: (B, 1), 1 for real and 0 for fake before the strategies."""
        shape = (self.batch_size, 1)
        labels = ops.ones(shape, "float32") if real else ops.zeros(shape, "float32")
        for name, hooks in self.hooks:
            if transform := hooks.get("discriminator_labels"):
                labels = transform(
                    labels=labels,
                    real=real,
                    controls=self.planner.controls(name, vector),
                    random=Random(self.adapter, key, f"{name}/labels/{real}"),
                )
        return labels

    def _penalties(self, real: Any, fakes: Any, vector: Any, key: Any) -> dict[str, Any]:
        """Return the scalars added to the discriminator's loss, by the name they are logged under."""

        def through(stream: str) -> Callable[[Any], Any]:
            def logits(images: Any) -> Any:
                seen = self.seen(images, True, vector, key, stream)
                return ops.cast(self.judge_for_penalties(self._of_classes(seen)), "float32")

            return logits

        penalties: dict[str, Any] = {}
        common = {"real": real, "fake": fakes, "gradient": self.adapter.gradient}
        if self.loss_penalty:
            stream = f"{self.loss_name}/penalty"
            penalties[stream] = self.loss_penalty(
                discriminator=through(stream),
                random=Random(self.adapter, key, stream),
                options=self.loss_options,
                **common,
            )
        for name, hooks in self.hooks:
            if penalty := hooks.get("discriminator_penalty"):
                stream = f"{name}/penalty"
                penalties[stream] = penalty(
                    discriminator=through(stream),
                    controls=self.planner.controls(name, vector),
                    random=Random(self.adapter, key, stream),
                    **common,
                )
        return penalties


def as_images(batch: Any) -> Any:
    """Return uint8 (B, H, W, C) as float32 in [-1, 1], on the device."""
    return ops.cast(batch, "float32") / 127.5 - 1.0
