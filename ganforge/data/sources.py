"""The built-in sources: critters and stacked (pictures), and gaussians (points in the plane)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pydantic import Field

from ganforge.data.gaussians import GaussianOptions, load_gaussians
from ganforge.data.stacked import StackedOptions, load_stacked
from ganforge.plugin.dataset import DatasetSource
from ganforge.plugin.hookspecs import hookimpl
from ganforge.plugin.options import Options
from ganforge.plugin.sizes import Size, size_of

if TYPE_CHECKING:
    from ganforge.plugin.dataset import Images


class CritterOptions(Options):
    """Options of ``--data critters``."""

    count: int = Field(4096, ge=2, description="how many pictures to draw")


def _critters(
    options: CritterOptions,
    image_size: Size,
    channels: int,
    limit: int | None,
    seed: int,
    cache_dir: Path | None,
    progress: Callable[[int, int], None] | None,
    image_shape: tuple[int, int, int] | None = None,
) -> Images:
    # Imported when drawn: listing plugins needs neither numpy nor Pillow.
    from ganforge.data.critters import load_critters

    if image_shape is not None:
        height, width, channels = image_shape
        image_size = size_of(height, width)
    return load_critters(options, image_size, channels, limit, seed, cache_dir, progress)


CRITTERS = DatasetSource(
    "critters",
    load=_critters,
    options=CritterOptions,
    summary="Cartoon cats and dogs, drawn from known factors of variation",
    image_size=32,
)
GAUSSIANS = DatasetSource(
    "gaussians",
    load=load_gaussians,
    options=GaussianOptions,
    summary="Points from a mixture of Gaussians with known modes: 8 on a ring or 25 on a grid",
    image_size=None,
)
STACKED = DatasetSource(
    "stacked",
    load=load_stacked,
    options=StackedOptions,
    summary="Three grey pictures stacked into a colour one, with known modes: 1,000 for ten classes",
    image_size=32,
)


@hookimpl
def register_datasets(register: Callable[[Any], None]) -> None:
    """Register the built-in sources like those of any plugin."""
    register(CRITTERS)
    register(GAUSSIANS)
    register(STACKED)
