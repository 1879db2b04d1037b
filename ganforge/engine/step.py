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
from ganforge.engine.after import After
from ganforge.engine.context import Context
from ganforge.engine.door import Door, Metrics
from ganforge.engine.ema import EMA
from ganforge.engine.objective import Objective
from ganforge.engine.penalties import Penalties
from ganforge.engine.plan import Planner
from ganforge.engine.player import Player
from ganforge.engine.verdict import Verdict
from ganforge.plugin.types import Batch

# From the gradient at fakes to those of the generator's weights, and its own losses by their names.
Backward = Callable[[Any], tuple[Sequence[Any], Metrics]]
NONE: frozenset[str] = frozenset()


class AdversarialStep:
    """Both networks' updates, together or apart.

    Each update takes tensors and returns a dict of 0-d float32 tensors. ``batch`` has uint8 images (B, H, W, C),
    ``vector`` the planner's scalars and ``key`` two uint32 words. Conditional networks have class labels as well: the
    fakes of an update are of the classes of its batch. A generator's extra update has no batch; its classes are drawn
    as often as ``frequencies`` says. ``parts`` are what makes it another compiled step: which lazy penalties are
    ``due``, and which network is ``resting`` (see ``Context``).
    """

    def __init__(
        self,
        adapter: Adapter,
        planner: Planner,
        generator: Player,
        discriminator: Player,
        door: Door,
        objective: Objective,
        penalties: Penalties,
        after: After,
        batch_size: int,
        latent_dim: int,
        ema: EMA | None = None,
        frequencies: np.ndarray | None = None,
    ) -> None:
        self.adapter, self.planner, self.ema = adapter, planner, ema
        self.generator, self.discriminator, self.door, self.objective = generator, discriminator, door, objective
        self.penalties, self.after = penalties, after
        self.batch_size, self.latent_dim, self.frequencies = batch_size, latent_dim, frequencies

    # ------------------------------------------------------------------ a step's main update

    def two_stage(self, batch: Batch, vector: Any, key: Any, **parts: frozenset[str]) -> Metrics:
        """Make fakes once; the discriminator learns from them, then the generator from the same ones."""
        context = self._context(vector, key, batch.labels, **parts)
        fakes, backward = self._generate(context)
        metrics = self._learn_discriminator(as_images(batch.images), ops.stop_gradient(fakes), context)
        metrics = {**metrics, **self._learn_generator(fakes, backward, context, batch)}
        return self._end(metrics, context)

    def one_stage(self, batch: Batch, vector: Any, key: Any, **parts: frozenset[str]) -> Metrics:
        """Let both learn from one forward and one backward through the discriminator, at the same time.

        Each fake's logit depends on that fake alone, so the gradient of the discriminator's loss at fake i is
        a_i J_i with a_i = dL_D / dlogit_i, and the generator's is b_i J_i with b_i = dL_G / dlogit_i. The first
        times b_i / a_i is the second. The generator learns through the discriminator as it was *before* its update.
        """
        context = self._context(vector, key, batch.labels, **parts)
        fakes, backward = self._generate(context)
        loss = self._discriminator_loss(as_images(batch.images), context)
        (_, (metrics, verdicts)), gradients, (at_fakes,) = self.adapter.value_and_gradients(
            loss, self.discriminator.weights, fakes
        )

        def of_discriminator(fake_logits: Any) -> Any:
            return self.objective.discriminator(verdicts[0], verdicts[1]._replace(logits=fake_logits), context)

        def of_generator(fake_logits: Any) -> Any:
            return self.objective.generator(verdicts[1]._replace(logits=fake_logits))

        a = self.adapter.gradient(of_discriminator, verdicts[1].logits)
        b = self.adapter.gradient(of_generator, verdicts[1].logits)
        # Below the floor there is no gradient, and no 0 / 0 where the discriminator is certain beyond float32.
        a = ops.where(ops.abs(a) < 1e-30, 1e-30, a)
        ratio = ops.reshape(b / a, (-1, *(1 for _ in range(len(fakes.shape) - 1))))
        self.discriminator.learn(gradients, context)
        own = self._move_generator(backward, ops.stop_gradient(ratio) * at_fakes, context)
        g_loss = ops.stop_gradient(self.objective.generator(verdicts[1]))
        return self._end({**metrics, "g_loss": g_loss, **own}, context)

    def discriminator_main(self, batch: Batch, vector: Any, key: Any, **parts: frozenset[str]) -> Metrics:
        """Let the discriminator alone learn, in a step without an update of the generator."""
        context = self._context(vector, key, batch.labels, **parts)
        fakes = ops.stop_gradient(self.generate(context))
        metrics = self._learn_discriminator(as_images(batch.images), fakes, context)
        return self._end(metrics, context, moved_generator=False)

    def generator_main(self, batch: Batch, vector: Any, key: Any, **parts: frozenset[str]) -> Metrics:
        """Let the generator alone learn, in a step without an update of the discriminator."""
        context = self._context(vector, key, batch.labels, **parts)
        fakes, backward = self._generate(context)
        return self._end(self._learn_generator(fakes, backward, context, batch), context)

    # ------------------------------------------------------------------ extra updates, on fresh latents

    def discriminator_extra(self, batch: Batch, vector: Any, key: Any, **parts: frozenset[str]) -> Metrics:
        """Make an extra discriminator update, on real pictures of its own."""
        context = self._context(vector, key, batch.labels, **parts)
        fakes = ops.stop_gradient(self.generate(context))
        return self._learn_discriminator(as_images(batch.images), fakes, context)

    def generator_extra(self, vector: Any, key: Any, **parts: frozenset[str]) -> Metrics:
        """Make an extra generator update."""
        context = self._context(vector, key, self._draw_classes(key), **parts)
        return self._extra(context, None)

    def generator_beside(self, batch: Batch, vector: Any, key: Any, **parts: frozenset[str]) -> Metrics:
        """Make an extra generator update whose loss looks at the step's real pictures, of their classes."""
        return self._extra(self._context(vector, key, batch.labels, **parts), batch)

    def _extra(self, context: Context, batch: Batch | None) -> Metrics:
        fakes, backward = self._generate(context)
        metrics = self._learn_generator(fakes, backward, context, batch)
        self._follow(context)
        return metrics

    # ------------------------------------------------------------------ the discriminator: real 1, fake 0

    def _learn_discriminator(self, real: Any, fakes: Any, context: Context) -> Metrics:
        loss, weights = self._discriminator_loss(real, context), self.discriminator.weights
        (_, aux), gradients, _ = self.adapter.value_and_gradients(lambda: loss(fakes), weights)
        self.discriminator.learn(gradients, context)
        metrics: Metrics = aux[0]
        return metrics

    def _discriminator_loss(self, real: Any, context: Context) -> Callable[[Any], tuple[Any, Any]]:
        """Return ``fakes -> (loss with penalties, (metrics, verdicts on real and fake))``."""

        def function(fakes: Any) -> tuple[Any, tuple[Metrics, tuple[Verdict, Verdict]]]:
            measured: Metrics = {}
            of_real, of_fakes, own = self.door.discriminate_both(real, fakes, context, measured)
            loss, pair = self.objective.discriminator(of_real, of_fakes, context, measured), (of_real, of_fakes)
            added = self.penalties.of_discriminator(real, ops.stop_gradient(fakes), pair, context, measured) | own
            held = of_real.held(), of_fakes.held()
            metrics = {"d_loss": ops.stop_gradient(loss), **self.objective.metrics(*held), **measured}
            metrics |= {name: ops.stop_gradient(scalar) for name, scalar in own.items()}
            return sum(added.values(), loss), (metrics, held)

        return function

    # ------------------------------------------------------------------ the generator: fakes labelled 1

    def _learn_generator(self, fakes: Any, backward: Backward, context: Context, batch: Batch | None) -> Metrics:
        """Learn through the updated discriminator, frozen: only the gradient at the images is taken.

        A penalty on the generator may call it anew; then there are gradients at its weights too.
        """
        weights = self.generator.weights if self.penalties.acts_on_generator(context) else []
        loss = self._generator_loss(context, batch)
        (_, metrics), direct, (at_fakes,) = self.adapter.value_and_gradients(loss, weights, fakes)
        return {**metrics, **self._move_generator(backward, at_fakes, context, direct)}

    def _generator_loss(self, context: Context, batch: Batch | None) -> Callable[[Any], tuple[Any, Metrics]]:
        """Return ``fakes -> (loss with penalties, metrics)``."""
        real, acts = self._verdict_on_real(batch, context), self.penalties.acts_on_generator(context)

        def function(images: Any) -> tuple[Any, Metrics]:
            measured: Metrics = {}
            fake = self.door.discriminate(images, False, context, "generator", measured)
            loss = self.objective.generator(fake, real)
            added = self.penalties.of_generator(images, self._latents(context), context, measured) if acts else {}
            return sum(added.values(), loss), {"g_loss": ops.stop_gradient(loss), **measured}

        return function

    # ------------------------------------------------------------------ both losses, and nobody learns

    def losses(self, batch: Batch, vector: Any, key: Any, **parts: frozenset[str]) -> Metrics:
        """Return what both networks would lower, and of what: means over a batch, if all is well on several devices.

        Besides the metrics of an update: ``generator``, the mean square of its pictures, ``discriminator``, that of
        its logits, ``d_total`` and ``g_total``, both losses with all penalties, and ``d_logits`` and ``g_logits``,
        those of logits that lie far apart.
        """
        context = self._context(vector, key, batch.labels, **parts)
        fakes = ops.stop_gradient(self._generate(context)[0])
        of_both = self._discriminator_loss(as_images(batch.images), context)
        (d_total, (of_discriminator, verdicts)), *_ = self.adapter.value_and_gradients(of_both, [], fakes)
        of_fakes = self._generator_loss(context, batch)
        (g_total, of_generator), *_ = self.adapter.value_and_gradients(of_fakes, [], fakes)
        squares = [ops.mean(ops.square(verdict.logits)) for verdict in verdicts]
        random = context.random("logits")
        real, fake = (v._replace(logits=3.0 * random.normal(ops.shape(v.logits))) for v in verdicts)
        return {
            "generator": ops.mean(ops.square(fakes)),
            "discriminator": sum(squares[1:], squares[0]),
            **of_discriminator,
            **of_generator,
            "d_total": ops.stop_gradient(d_total),
            "g_total": ops.stop_gradient(g_total),
            "d_logits": self.objective.discriminator(real, fake, context),
            "g_logits": self.objective.generator(fake, real),
        }

    def _verdict_on_real(self, batch: Batch | None, context: Context) -> Verdict | None:
        if batch is None or not self.objective.looks_at_real:
            return None
        return self.door.discriminate(as_images(batch.images), True, context, "generator").held()

    def _move_generator(
        self, backward: Backward, at_fakes: Any, context: Context, direct: Sequence[Any] = ()
    ) -> Metrics:
        gradients, own = backward(at_fakes)
        if direct:
            gradients = [one + other for one, other in zip(gradients, direct, strict=True)]
        self.generator.learn(gradients, context)
        return own

    def generate(self, context: Context) -> Any:
        """Return (B, H, W, C) float32 images in [-1, 1] from fresh latents."""
        return ops.cast(self.generator.run(context.inputs(self._latents(context)), context), "float32")

    def _latents(self, context: Context) -> Any:
        return context.random("latents").normal((self.batch_size, self.latent_dim))

    def _generate(self, context: Context) -> tuple[Any, Backward]:
        """Return fakes and a function from the gradient at them to the generator's, with its own losses' as well."""

        def function() -> tuple[Any, ...]:
            fakes, own = self.generate(context), self.generator.losses
            return (fakes, own.total(own.of_call())) if own else (fakes,)

        outputs, back = self.adapter.vjp(function, self.generator.weights)

        def backward(at_fakes: Any) -> tuple[Any, Metrics]:
            own = {"generator/losses": ops.stop_gradient(outputs[1])} if self.generator.losses else {}
            return back((at_fakes, *(ops.ones(()) for _ in own))), own

        return outputs[0], backward

    # ------------------------------------------------------------------ around the updates

    def _context(
        self, vector: Any, key: Any, classes: Any, due: frozenset[str] = NONE, resting: frozenset[str] = NONE
    ) -> Context:
        return Context(self.adapter, self.planner, vector, key, classes, self.after.state.read(), due, resting)

    def _end(self, metrics: Metrics, context: Context, moved_generator: bool = True) -> Metrics:
        """End a step's main update: device state, what strategies make of the weights, and their running mean."""
        metrics = self.after.run(self._averaged(metrics), context)
        if moved_generator:
            self._follow(context)
        return metrics

    def _averaged(self, metrics: Metrics) -> Metrics:
        """Return metrics of the whole batch, where several processes share it: what strategies steer by."""
        if self.adapter.team.count == 1:
            return metrics
        return dict(zip(metrics, self.adapter.averaged([ops.cast(one, "float32") for one in metrics.values()])))

    def _follow(self, context: Context) -> None:
        if self.ema is not None:
            self.ema.follow(context.shared().get("ema_decay"))

    def _draw_classes(self, key: Any) -> Any:
        if self.frequencies is None:
            return None
        draw = Context(self.adapter, self.planner, None, key).random("classes").uniform((self.batch_size, 1))
        limits = ops.convert_to_tensor(np.cumsum(self.frequencies)[None, :-1].astype("float32"))
        return ops.sum(ops.cast(draw >= limits, "int32"), axis=1)


def as_images(batch: Any) -> Any:
    """Return uint8 pictures as float32 in [-1, 1], on the device; what is no whole number passes as it is."""
    scaled = ops.cast(batch, "float32")
    return scaled / 127.5 - 1.0 if "int" in str(batch.dtype) else scaled
