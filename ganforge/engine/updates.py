"""The two updates of the paper, written once for every backend.

Source: Goodfellow et al. 2014, "Generative Adversarial Nets", algorithm 1, with the non-saturating generator loss.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import keras
from keras import ops

from ganforge.engine.controls import Planner
from ganforge.engine.randomness import Random
from ganforge.options import Options
from ganforge.plugins import strategy_hooks
from ganforge.strategy import Loss, Strategy


class Updates:
    """One discriminator update, one generator update, and both on the same fakes.

    ``real`` is uint8 (B, H, W, C), ``vector`` the planner's scalars and ``key`` two uint32 words. Every update
    returns a dict of 0-d float32 tensors.
    """

    def __init__(
        self,
        adapter: Any,
        generator: keras.Model,
        discriminator: keras.Model,
        optimizers: tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer],
        loss: Loss,
        loss_options: Options,
        strategies: Sequence[Strategy],
        planner: Planner,
        batch_size: int,
        latent_dim: int,
    ) -> None:
        self.adapter, self.planner = adapter, planner
        self.generator, self.discriminator = generator, discriminator
        self.generator_optimizer, self.discriminator_optimizer = optimizers
        self.loss_name, self.loss_options = loss.name, loss_options
        self.discriminator_loss, self.generator_loss = named(loss.discriminator), named(loss.generator)
        self.loss_penalty = named(loss.penalty) if loss.penalty else None
        self.hooks = [(strategy.name, strategy_hooks(strategy)) for strategy in strategies]
        self.batch_size, self.latent_dim = batch_size, latent_dim
        self.batch_statistics = has_batch_statistics(discriminator)

    # ------------------------------------------------------------------ the updates

    def both(self, real: Any, vector: Any, key: Any) -> dict[str, Any]:
        """Make fakes once; the discriminator learns from them, then the generator from the same ones."""
        fakes, pull = self.adapter.pullback(lambda: self.fakes(key), self.generator.trainable_variables)
        metrics = self._learn_discriminator(as_images(real), ops.stop_gradient(fakes), vector, key)
        return metrics | self._learn_generator(fakes, pull, vector, key)

    def discriminator_only(self, real: Any, vector: Any, key: Any) -> dict[str, Any]:
        """Make an extra discriminator update, on fresh latents."""
        return self._learn_discriminator(as_images(real), ops.stop_gradient(self.fakes(key)), vector, key)

    def generator_only(self, vector: Any, key: Any) -> dict[str, Any]:
        """Make an extra generator update, on fresh latents."""
        fakes, pull = self.adapter.pullback(lambda: self.fakes(key), self.generator.trainable_variables)
        return self._learn_generator(fakes, pull, vector, key)

    def _learn_discriminator(self, real: Any, fakes: Any, vector: Any, key: Any) -> dict[str, Any]:
        """Real 1, fake 0."""

        def objective() -> tuple[Any, dict[str, Any]]:
            real_logits, fake_logits = self.logits(real, fakes, vector, key)
            loss = self.discriminator_loss(
                real_logits=real_logits,
                fake_logits=fake_logits,
                real_labels=self.labels(True, vector, key),
                fake_labels=self.labels(False, vector, key),
                options=self.loss_options,
            )
            penalties = self._penalties(real, fakes, vector, key)
            correct = ops.cast(real_logits > 0, "float32") + ops.cast(fake_logits < 0, "float32")
            metrics = {
                "d_loss": ops.stop_gradient(loss),
                "d_real": ops.mean(ops.sigmoid(ops.stop_gradient(real_logits))),
                "d_fake": ops.mean(ops.sigmoid(ops.stop_gradient(fake_logits))),
                "d_accuracy": ops.mean(correct) / 2,
                **{name: ops.stop_gradient(penalty) for name, penalty in penalties.items()},
            }
            return sum(penalties.values(), loss), metrics

        variables = self.discriminator.trainable_variables
        (_, metrics), gradients = self.adapter.value_and_gradients(objective, variables)
        self.discriminator_optimizer.learning_rate = vector[1]
        self.discriminator_optimizer.apply(gradients, variables)
        return metrics

    def _learn_generator(self, fakes: Any, pull: Callable, vector: Any, key: Any) -> dict[str, Any]:
        """Fakes labelled 1, through the updated discriminator, frozen: only the gradient at the images is taken."""

        def objective(images: Any) -> tuple[Any, dict[str, Any]]:
            logits = self.discriminate(images, False, vector, key, "generator")
            loss = self.generator_loss(fake_logits=logits, labels=ops.ones_like(logits), options=self.loss_options)
            return loss, {"g_loss": ops.stop_gradient(loss)}

        (_, metrics), gradient = self.adapter.value_and_gradient_at(objective, fakes)
        variables = self.generator.trainable_variables
        gradients = pull(gradient)
        self.generator_optimizer.learning_rate = vector[0]
        self.generator_optimizer.apply(gradients, variables)
        return metrics

    # ------------------------------------------------------------------ what they are made of

    def fakes(self, key: Any) -> Any:
        """Return (B, H, W, C) float32 images in [-1, 1] from fresh latents."""
        latents = Random(self.adapter, key, "latents").normal((self.batch_size, self.latent_dim))
        return ops.cast(self.generator(latents, training=True), "float32")

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

    def logits(self, real: Any, fakes: Any, vector: Any, key: Any) -> tuple[Any, Any]:
        """Return the logits of both; as one batch unless batch statistics would mix real and fake."""
        real = self.seen(real, True, vector, key, "discriminator")
        fakes = self.seen(fakes, False, vector, key, "discriminator")
        if self.batch_statistics:
            return self._judge(real), self._judge(fakes)
        logits = self._judge(ops.concatenate([real, fakes], axis=0))
        return logits[: self.batch_size], logits[self.batch_size :]

    def _judge(self, images: Any) -> Any:
        return ops.cast(self.discriminator(images, training=True), "float32")

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
            return lambda images: self.discriminate(images, True, vector, key, stream)

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


def named(function: Callable) -> Callable:
    """Return ``function`` taking any keywords and passing on only those it names."""
    parameters = inspect.signature(function).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return function
    names = {p.name for p in parameters}
    return lambda **keywords: function(**{k: v for k, v in keywords.items() if k in names})


def has_batch_statistics(model: keras.Model) -> bool:
    """Say whether a network normalises over the batch, so that real and fake must go through apart."""
    return any(
        isinstance(layer, keras.layers.BatchNormalization) or layer.__class__.__name__.startswith("BatchNorm")
        for layer in model._flatten_layers()
    )
