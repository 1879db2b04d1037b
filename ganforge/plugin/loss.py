"""What a loss plugin registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ganforge.plugin.options import Options


@dataclass(frozen=True)
class Loss:
    """An adversarial loss a run can use by name. Functions take only the arguments they name.

    Args:
        name: what ``--loss`` calls it.
        discriminator: ``(real_logits, fake_logits, real_labels, fake_labels, options) -> scalar``; logits and labels
            are (B, 1) float32, labels 1 for real and 0 for fake unless a strategy changed them.
        generator: ``(fake_logits, labels, options) -> scalar``; labels are 1.
        penalty: optional, like the hook ``discriminator_penalty``, with ``options`` as well; part of the loss.
        options: the ``Options`` subclass they receive.
        summary: one line for ``ganforge plugins``.
        one_stage: whether ``--step one-stage`` may use it: the discriminator's loss must have a slope at every fake,
            since the generator's gradient is made from it (a margin, as in hinge, has none beyond).
        boundary: the logit at which the discriminator is undecided: above it an image counts as real, below as fake.
            0 where the logit is a log-odds, 0.5 between least squares' targets; None where logits have no zero of
            their own, since the loss does not change when all of them rise alike: then the discriminator is right
            where a real image's logit is above that of the fake beside it.
        soft_labels: whether the loss can take labels between 0 and 1; ``label-noise`` smooths none otherwise.
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
