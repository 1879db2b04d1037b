"""What a loss plugin registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganforge.plugin.calling import parameters
from ganforge.plugin.options import Options


@dataclass(frozen=True)
class Loss:
    """An adversarial loss that a run can use by name. Functions take only the arguments they name.

    Args:
        name: what ``--loss`` calls it.
        discriminator: ``(real_logits, fake_logits, real_labels, fake_labels, options) -> scalar``; logits are (B, K)
            float32, K = 1 for most architectures, and labels (B, 1), 1 for real and 0 for fake unless a strategy
            changed them. It may name ``real_features`` and ``fake_features``, if the discriminator returns them.
        generator: ``(fake_logits, labels, options) -> scalar``; labels are 1. It may name ``real_logits``, the
            updated discriminator's logits on this step's real images, without a gradient; and features as above.
        penalty: optional, like the hook ``discriminator_penalty``, with ``options`` as well; part of the loss.
        options: the ``Options`` subclass they receive.
        summary: one line for ``ganforge plugins``.
        one_stage: whether ``--step one-stage`` may use it: the discriminator's loss must have a slope at every
            fake, since the generator's gradient is computed from it (beyond a margin, as in hinge, the slope is
            0).
        boundary: the logit at which the discriminator is undecided: above it an image counts as real, below as
            fake. 0 if the logit is a log-odds, 0.5 between the targets of least squares; None if logits have no
            zero of their own, because the loss does not change when a constant is added to all of them: the
            discriminator is then right if a real image's logit is above that of the fake paired with it.
        soft_labels: whether the loss accepts labels between 0 and 1; otherwise ``label-noise`` cannot smooth them.
    """

    name: str
    discriminator: Callable[..., Any]
    generator: Callable[..., Any]
    penalty: Callable[..., Any] | None = None
    options: type[Options] = Options
    summary: str = ""
    one_stage: bool = True
    boundary: float | None = 0.0
    soft_labels: bool = True

    @property
    def compares(self) -> bool:
        """Whether the generator's loss looks at real logits too.

        Then logits have no zero of their own: what counts is which of a real and a fake one is larger.
        """
        return "real_logits" in parameters(self.generator)
