"""What the two networks try to lower: the run's loss, on the logits of a batch."""

from __future__ import annotations

from typing import Any

from keras import ops

from ganforge.engine.context import Context
from ganforge.engine.door import Door
from ganforge.plugin.calling import call_by_name
from ganforge.plugin.loss import Loss
from ganforge.plugin.options import Options


class Objective:
    """A ``Loss`` with its options, told what the door tells.

    Logits are (B, 1) float32.
    """

    def __init__(self, loss: Loss, options: Options, door: Door) -> None:
        self.loss, self.options, self.door = loss, options, door
        self._of_discriminator, self._of_generator = call_by_name(loss.discriminator), call_by_name(loss.generator)
        self._penalty = call_by_name(loss.penalty) if loss.penalty else None

    def discriminator(self, real_logits: Any, fake_logits: Any, context: Context) -> Any:
        """Return the discriminator's loss, a scalar, without penalties."""
        return self._of_discriminator(
            real_logits=real_logits,
            fake_logits=fake_logits,
            real_labels=self.door.labels(True, real_logits.shape[0], context),
            fake_labels=self.door.labels(False, fake_logits.shape[0], context),
            options=self.options,
        )

    def generator(self, fake_logits: Any) -> Any:
        """Return the generator's loss, a scalar; its fakes are labelled real."""
        return self._of_generator(fake_logits=fake_logits, labels=ops.ones_like(fake_logits), options=self.options)

    def penalty(self, real: Any, fakes: Any, context: Context) -> dict[str, Any]:
        """Return the penalty that is part of the loss, by the name it is logged under, if it has one."""
        if self._penalty is None:
            return {}
        stream = f"{self.loss.name}/penalty"
        given = self.door.of_penalty(real, fakes, context, stream)
        return {stream: self._penalty(**given, options=self.options)}

    def metrics(self, real_logits: Any, fake_logits: Any) -> dict[str, Any]:
        """Return how well the discriminator tells both apart.

        Right or wrong is an image where the loss has a boundary, else a pair of a real one and the fake beside it.
        """
        if self.loss.boundary is None:
            margin = real_logits - fake_logits
            right = ops.cast(margin > 0, "float32")
        else:
            margin = real_logits - self.loss.boundary
            right = (ops.cast(margin > 0, "float32") + ops.cast(fake_logits < self.loss.boundary, "float32")) / 2
        return {
            "d_real": ops.mean(ops.sigmoid(real_logits)),
            "d_fake": ops.mean(ops.sigmoid(fake_logits)),
            "d_accuracy": ops.mean(right),
            "d_real_sign": ops.mean(ops.sign(margin)),
            "d_real_logit": ops.mean(real_logits),
            "d_fake_logit": ops.mean(fake_logits),
        }
