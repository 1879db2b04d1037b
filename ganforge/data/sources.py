"""The embedded sources: critters, which are pictures, and gaussians, which are points in the plane."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ganforge.plugin.dataset import DatasetSource
from ganforge.plugin.hookspecs import hookimpl
from ganforge.plugin.options import Options

if TYPE_CHECKING:
    from ganforge.plugin.dataset import Images


class CritterOptions(Options):
    """Options of ``--data critters``."""

    count: int = Field(4096, ge=2, description="how many pictures to draw")


def _critters(
    options: CritterOptions,
    image_size: int,
    channels: int,
    limit: int | None,
    seed: int,
    cache_dir: Path | None,
    progress: Callable[[int, int], None] | None,
) -> Images:
    # Imported when drawn: listing plugins needs neither numpy nor Pillow.
    from ganforge.data.critters import load_critters

    return load_critters(options, image_size, channels, limit, seed, cache_dir, progress)


class GaussianOptions(Options):
    """Options of ``--data gaussians``; what is not given is that of the literature."""

    kind: Literal["ring", "grid"] = Field("grid", description="how the modes lie")
    n: int | None = Field(None, ge=1, le=10_000, description="how many modes; ring 8, grid 25, unless given")
    sigma: float | None = Field(
        None,
        gt=0,
        allow_inf_nan=False,
        description="deviation of a mode; ring 0.01, grid 0.05, unless given",
    )
    radius: float | None = Field(None, gt=0, allow_inf_nan=False, description="of the ring; 1 unless given")
    spacing: float | None = Field(
        None, gt=0, allow_inf_nan=False, description="of the grid, from mode to mode; 2 unless given"
    )
    count: int = Field(25_600, ge=2, description="how many points to draw")


def _gaussians(options: GaussianOptions, limit: int | None, seed: int) -> Images:
    from ganforge.data.gaussians import load_gaussians

    return load_gaussians(options, limit, seed)


CRITTERS = DatasetSource(
    "critters",
    load=_critters,
    options=CritterOptions,
    summary="Cartoon cats and dogs drawn from known factors",
    image_size=32,
)
GAUSSIANS = DatasetSource(
    "gaussians",
    load=_gaussians,
    options=GaussianOptions,
    summary="Points of a mixture of Gaussians, to count modes on: 8 on a ring or 25 on a grid",
    image_size=None,
)


@hookimpl
def register_datasets(register: Callable[[Any], None]) -> None:
    """Register the embedded sources by the road that any plugin takes."""
    register(CRITTERS)
    register(GAUSSIANS)
