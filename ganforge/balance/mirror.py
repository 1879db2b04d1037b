"""``mirror``: every second picture the discriminator sees is turned left to right."""

from __future__ import annotations

from typing import Any

from keras import ops

from ganforge import Strategy, hookimpl
from ganforge.balance.augmenting import chosen, need_pictures


class Mirror(Strategy):
    """Flips each picture, real or fake, with probability 1/2, left to right.

    Where a mirrored picture could be a picture too, this doubles the set at no cost; the generator draws both kinds.

    Helps: faces, animals, landscapes, few pictures. Hurts: letters, digits, and whatever has a left and a right.

    Source: Karras et al. 2020, "Training Generative Adversarial Networks with Limited Data", where it is called
    x-flips.
    """

    name = "mirror"

    @hookimpl
    def configure_run(self, config: Any) -> None:
        need_pictures(self.name, config)

    @hookimpl
    def discriminator_images(self, images: Any, random: Any) -> Any:
        return ops.where(chosen(images, random, 0.5) > 0.5, ops.flip(images, axis=2), images)
