"""The base class of balancing strategies, and what a loss plugin is."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

from ganforge.plugin.options import Options as BaseOptions


class Strategy:
    """A way to keep the two networks in balance; subclass it and implement the hooks it needs.

    Class attributes: ``name`` (what ``--balance`` calls it), ``Options`` (its typed options) and optionally
    ``conflicts`` (names of strategies it cannot run beside). An instance lives as long as the run;
    ``self.options`` holds the validated options.
    """

    name: ClassVar[str] = ""
    Options: ClassVar[type[BaseOptions]] = BaseOptions
    conflicts: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: BaseOptions | None = None) -> None:
        self.options: Any = options if options is not None else type(self).Options()

    def get_state(self) -> dict[str, Any]:
        """Return whatever the strategy remembers as a JSON-able dict; saved with every checkpoint."""
        return {}

    def set_state(self, state: dict[str, Any]) -> None:
        """Take back what ``get_state`` returned."""


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
    options: type[BaseOptions] = BaseOptions
    summary: str = ""
    one_stage: bool = True
    boundary: float | None = 0.0
    soft_labels: bool = True
