"""What the two networks minimize: the run's loss of the discriminator's output for a batch."""

from __future__ import annotations

from typing import Any

from keras import ops

from ganforge.engine.context import Context
from ganforge.engine.door import Door, Metrics
from ganforge.engine.verdict import Verdict
from ganforge.plugin.calling import call_by_name, parameters
from ganforge.plugin.loss import Loss
from ganforge.plugin.options import Options


class Objective:
    """A ``Loss`` with its options, given the target labels that the door sets.

    Attributes:
        compares: the generator's loss looks at real pictures too, so that the zero of the logits has no meaning.
    """

    def __init__(self, loss: Loss, options: Options, door: Door) -> None:
        self.loss, self.options, self.door = loss, options, door
        self._of_discriminator, self._of_generator = call_by_name(loss.discriminator), call_by_name(loss.generator)
        self.compares = loss.compares
        self.looks_at_real = self.compares or "real_features" in parameters(loss.generator)
        self.boundary = None if self.compares else loss.boundary

    def discriminator(self, real: Verdict, fake: Verdict, context: Context, measured: Metrics | None = None) -> Any:
        """Return the discriminator's loss, a scalar, without penalties."""
        return self._of_discriminator(
            real_logits=real.logits,
            fake_logits=fake.logits,
            real_features=real.features,
            fake_features=fake.features,
            real_labels=self.door.labels(True, real.logits.shape[0], context, measured),
            fake_labels=self.door.labels(False, fake.logits.shape[0], context, measured),
            options=self.options,
        )

    def generator(self, fake: Verdict, real: Verdict | None = None) -> Any:
        """Return the generator's loss, a scalar; its fakes are labelled real.

        ``real`` is the updated discriminator's verdict on the step's real pictures, if the loss uses them.
        """
        return self._of_generator(
            fake_logits=fake.logits,
            fake_features=fake.features,
            real_logits=None if real is None else real.logits,
            real_features=None if real is None else real.features,
            labels=ops.ones((fake.logits.shape[0], 1), "float32"),
            options=self.options,
        )

    def metrics(self, real: Verdict, fake: Verdict) -> Metrics:
        """Return how well the discriminator tells real from fake, averaged over the rows and over K.

        Accuracy counts single images if the loss has a boundary, else pairs of a real image and the fake beside it.
        Sigmoids of logits are probabilities only if the loss takes logits one at a time.
        """
        if self.boundary is None:
            margin = real.logits - fake.logits
            right = ops.cast(margin > 0, "float32")
        else:
            margin = real.logits - self.boundary
            right = (ops.cast(margin > 0, "float32") + ops.cast(fake.logits < self.boundary, "float32")) / 2
        shares = {} if self.compares else {"d_real": real.logits, "d_fake": fake.logits}
        return {
            **{name: ops.mean(ops.sigmoid(logits)) for name, logits in shares.items()},
            "d_accuracy": ops.mean(right),
            "d_real_sign": ops.mean(ops.sign(margin)),
            "d_real_logit": ops.mean(real.logits),
            "d_fake_logit": ops.mean(fake.logits),
        }
