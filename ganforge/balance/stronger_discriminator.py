"""``stronger-discriminator``: a wider or deeper discriminator; the generator does not change."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from ganforge import Options as BaseOptions
from ganforge import Strategy, UsageError, hookimpl


class StrongerDiscriminator(Strategy):
    """Widens or deepens the discriminator before the networks are built.

    It multiplies the architecture's option ``discriminator_width`` or ``discriminator_hidden`` by ``width``, and adds
    ``depth`` to ``discriminator_layers`` or to the number of layers in ``discriminator_hidden``. The architecture
    needs options of these names.

    Helps: if D(real) and D(fake) stay near 0.5 while pictures are poor. Hurts: if the discriminator already wins;
    steps take longer.

    Source: Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image Synthesis" (width).
    """

    name = "stronger-discriminator"

    class Options(BaseOptions):
        width: float = Field(2.0, gt=0, le=16, description="multiplies the discriminator's channels or units")
        depth: int = Field(0, ge=0, le=4, description="layers added to the discriminator")

    @hookimpl
    def configure_run(self, config: Any) -> None:
        options, o = config.discriminator_options, self.options
        if "discriminator_hidden" in options:
            hidden = tuple(max(1, round(units * o.width)) for units in options["discriminator_hidden"])
            options["discriminator_hidden"] = hidden[:1] * o.depth + hidden
            return
        width = options.get("discriminator_width", 0)
        if width is None:  # as wide as the generator
            width = options.get("width")
        if not width:
            raise UsageError(
                f"architecture '{config.architecture}' does not say how to make its discriminator stronger: it has "
                "no option discriminator_width or discriminator_hidden"
            )
        options["discriminator_width"] = max(1, round(width * o.width))
        if o.depth:
            if "discriminator_layers" not in options:
                raise UsageError(
                    f"architecture '{config.architecture}' has no option discriminator_layers for depth="
                )
            options["discriminator_layers"] = (options["discriminator_layers"] or 3) + o.depth
