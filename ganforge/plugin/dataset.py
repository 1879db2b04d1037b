"""A source of pictures, or of vectors, as a plugin registers it, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ganforge.errors import UsageError
from ganforge.plugin.options import Options
from ganforge.plugin.sizes import Size, spoken_size, written_size

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Images:
    """Pictures ready for training.

    ``array`` is uint8 (N, H, W, C) in 0…255; or, for vectors, float32 (N, D), which are passed to the networks
    unscaled. It is usually a read-only memory map, or, for sets over 64 MiB and packed sets, ``Shards``: several
    files that are indexed like one array. Index it; do not copy it whole. ``fingerprint`` is a hexadecimal string:
    the same pictures with the same settings give the same one, on any machine. ``skipped`` lists (relative path,
    reason) of what could not be read, ``found`` counts the files considered. ``labels`` is int32 (N,), indices into
    ``classes``, or None when the pictures are not sorted into classes. ``range`` holds the values of black and
    white in files deeper than 8 bits, None if there are none. ``notes`` say, one per line, how the pictures were
    changed; ``warnings`` say what to check before training.
    """

    array: np.ndarray
    fingerprint: str
    description: str
    skipped: list[tuple[str, str]] = field(default_factory=list)
    found: int = 0
    labels: np.ndarray | None = None
    classes: tuple[str, ...] = ()
    range: tuple[float, float] | None = None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def __len__(self) -> int:
        """The number of pictures."""
        return len(self.array)


KINDS = {1: "grey", 3: "colour", 4: "colour with transparency"}


def describe(count: int, what: str, image_size: Size, channels: int) -> str:
    """Return ``10,000 images from photos (64x64, colour)``; ``what`` is ``images from photos``."""
    return f"{count:,} {what} ({spoken_size(image_size)}, {kind_of(channels)})"


def kind_of(channels: int) -> str:
    """Return what pictures of so many channels are, in words."""
    return KINDS.get(channels, f"{channels} channels")


@dataclass(frozen=True)
class DatasetSource:
    """A source of pictures that a run can use by name.

    Args:
        name: what ``--data`` calls it.
        load: ``(options, image_shape, image_size, channels, limit, seed, cache_dir, progress) -> Images``; it takes
            only the arguments it names. Pictures are uint8 (N, H, W, C), vectors float32 (N, D). ``image_shape``
            is (H, W, C), since GANForge 0.2; ``image_size`` the side of a square. If it names ``image_size`` and
            not ``image_shape``, it is only asked for squares, and other sizes are refused.
        options: the ``Options`` subclass it receives.
        summary: one line for ``ganforge plugins``.
        image_size: pixels when ``--image-size`` is not given, a side or ``WIDTHxHEIGHT``; None for a source of
            vectors.
        channels: 1 (grey), 3 (colour) or 4 (colour with transparency) when ``--channels`` is not given.
    """

    name: str
    load: Callable[..., Images]
    options: type[Options] = Options
    summary: str = ""
    image_size: int | str | None = 64
    channels: int = 3

    def require_shape(self, image_size: Size) -> None:
        """Refuse a size that is no square where ``load`` knows squares alone. Raises ``UsageError``."""
        from ganforge.plugin.calling import parameters  # it loads numpy, which listing sources does not need

        names = parameters(self.load)
        if isinstance(image_size, tuple) and "image_size" in names and "image_shape" not in names:
            raise UsageError(
                f"--data {self.name} only gives square pictures; "
                f"expected --image-size {min(image_size)} or another side, not {written_size(image_size)}"
            )
