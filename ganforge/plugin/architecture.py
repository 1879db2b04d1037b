"""What an architecture plugin registers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from ganforge.plugin.options import Options

Kinds = type | tuple[type, ...]
# What ``defaults`` may set, and of what kind each is.
NUMBERS: dict[str, Kinds] = {
    "latent_dim": int,
    "batch_size": int,
    "learning_rate": (int, float),
    "beta_1": (int, float),
}
DEFAULTS: dict[str, Kinds] = {
    **NUMBERS,
    "image_size": (int, str),
    "loss": str,
    "balance": (str, list, tuple),
    "ema": (bool, int, float, str),
    "optimizer": str,
}


@dataclass(frozen=True)
class Architecture:
    """A pair of networks that a run can use by name.

    Args:
        name: what ``--arch`` calls it.
        generator: ``(image_shape, latent_dim, options) -> keras.Model`` mapping (B, latent_dim) standard-normal
            latents to (B, H, W, C) images in [-1, 1]; or to (B, D), if the data are vectors.
        discriminator: ``(image_shape, options) -> keras.Model`` mapping (B, H, W, C) in [-1, 1] to (B, 1) logits.
        options: the ``Options`` subclass both receive.
        summary: one line for ``ganforge plugins``.
        defaults: recommended training settings, used if the user gives none. Known keys: ``latent_dim``,
            ``learning_rate``, ``beta_1``, ``batch_size``; and since version 2 ``image_size``, ``loss``, ``balance``
            (one ``NAME:key=value,…`` or a list of them), ``ema`` and ``optimizer``, written like their flags.
        conditional: the networks also take class labels. Both functions then get ``classes``, the number of
            classes, as a last argument, and the models map [(B, latent_dim), (B,) int32] to images and
            [(B, H, W, C), (B,) int32] to logits; labels are 0 … classes - 1. Since hook API version 1.
        batch_statistics: a picture's logit depends on the other pictures in the batch (batch normalization,
            minibatch standard deviation): real and fake are then judged separately. This is measured when a run
            starts; set it if the measurement may miss it.
        bounded: the generator's output stays in [-1, 1]. False if it ends without tanh: pictures are clipped when
            they are drawn, never in training, and vectors may have any value. Since hook API version 2.
    """

    name: str
    generator: Callable[..., Any]
    discriminator: Callable[..., Any]
    options: type[Options] = Options
    summary: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    conditional: bool = False
    batch_statistics: bool = False
    bounded: bool = True

    @property
    def balance(self) -> tuple[str, ...]:
        """The strategies that ``defaults`` recommend, ``NAME:key=value,…`` each."""
        texts = self.defaults.get("balance") or ()
        return tuple(text for text in ((texts,) if isinstance(texts, str) else texts) if text.strip() != "none")
