"""``mirror``: half of the pictures that the discriminator sees are flipped left to right."""

from __future__ import annotations

from typing import Any

from keras import ops

from ganforge import Strategy, hookimpl
from ganforge.balance.augmenting import chosen, need_pictures


class Mirror(Strategy):
    """Flips each picture that the discriminator sees, real or fake, left to right with probability 1/2.

    Wherever mirrored pictures are plausible, this doubles the set at no cost; the generator draws both kinds.

    Helps: faces, animals, landscapes, few pictures. Hurts: letters, digits, anything with a left and a right.

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
