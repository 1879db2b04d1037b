"""The one door to the discriminator: every image passes it, real or fake, in either network's update."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from keras import ops

from ganforge.engine.context import Context
from ganforge.engine.player import Player

Hooks = Sequence[tuple[str, Mapping[str, Callable[..., Any]]]]


class Door:
    """What the discriminator sees and is told, what it says, and what its penalties are: the strategies' hooks.

    Args:
        hooks: of each strategy by name, in the order in which they compose.
        apart: whether real and fake are judged apart, since a verdict depends on the pictures beside.
    """

    def __init__(self, discriminator: Player, hooks: Hooks, apart: bool) -> None:
        self.discriminator, self.hooks, self.apart = discriminator, hooks, apart

    def transform_images(self, images: Any, real: bool, context: Context, stream: str) -> Any:
        """Return what the discriminator sees instead of ``images``."""
        for name, hooks in self.hooks:
            if transform := hooks.get("discriminator_images"):
                images = transform(
                    images=images,
                    real=real,
                    controls=context.controls(name),
                    random=context.random(f"{name}/images/{stream}/{real}"),
                )
        return images

    def discriminate(self, images: Any, real: bool, context: Context, stream: str) -> Any:
        """Return the logits of images, (B, 1) float32."""
        return self._logits(self.transform_images(images, real, context, stream), context)

    def discriminate_both(self, real: Any, fakes: Any, context: Context) -> tuple[Any, Any, dict[str, Any]]:
        """Return the logits of both and the discriminator's own losses, if it has any.

        Both are judged as one batch, which is cheaper, unless a verdict depends on the pictures beside.
        """
        own = self.discriminator.losses
        real = self.transform_images(real, True, context, "discriminator")
        fakes = self.transform_images(fakes, False, context, "discriminator")
        if self.apart:
            real_logits, added = self._logits(real, context), own.of_call()
            fake_logits, more = self._logits(fakes, context), own.of_call()
            calls = [added, more]
        else:
            logits, count = self._logits(ops.concatenate([real, fakes], axis=0), context), real.shape[0]
            real_logits, fake_logits, calls = logits[:count], logits[count:], [own.of_call()]
        return real_logits, fake_logits, {"discriminator/losses": own.total(*calls)} if own else {}

    def labels(self, real: bool, count: int, context: Context) -> Any:
        """Return what the discriminator is told: (count, 1), 1 for real and 0 for fake before the strategies."""
        labels = ops.ones((count, 1), "float32") if real else ops.zeros((count, 1), "float32")
        for name, hooks in self.hooks:
            if transform := hooks.get("discriminator_labels"):
                labels = transform(
                    labels=labels,
                    real=real,
                    controls=context.controls(name),
                    random=context.random(f"{name}/labels/{real}"),
                )
        return labels

    def penalties(self, real: Any, fakes: Any, context: Context) -> dict[str, Any]:
        """Return the scalars that strategies add to the discriminator's loss, by the name they are logged under."""
        penalties = {}
        for name, hooks in self.hooks:
            if penalty := hooks.get("discriminator_penalty"):
                stream = f"{name}/penalty"
                penalties[stream] = penalty(
                    **self.of_penalty(real, fakes, context, stream), controls=context.controls(name)
                )
        return penalties

    def of_penalty(self, real: Any, fakes: Any, context: Context, stream: str) -> dict[str, Any]:
        """Return what every penalty on the discriminator is given."""

        def discriminator(images: Any) -> Any:
            seen = self.transform_images(images, True, context, stream)
            return ops.cast(self.discriminator.call_twice(context.inputs(seen)), "float32")

        return {
            "discriminator": discriminator,
            "real": real,
            "fake": fakes,
            "random": context.random(stream),
            "gradient": context.adapter.gradient,
        }

    def _logits(self, images: Any, context: Context) -> Any:
        return ops.cast(self.discriminator.call(context.inputs(images)), "float32")
