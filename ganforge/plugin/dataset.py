"""A source of pictures, or of vectors, as a plugin registers it, and what it gives."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ganforge.plugin.options import Options

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class Images:
    """Pictures ready for training.

    ``array`` is uint8 (N, H, W, C) in 0…255, usually a read-only memory map; or, for data that are not pictures,
    float32 (N, D), which networks see unscaled. ``fingerprint`` is a hexadecimal
    string: the same pictures with the same settings give the same one, on any machine. ``skipped`` lists
    (relative path, reason) of what could not be read, ``found`` counts the files considered. ``labels`` is
    int32 (N,), indices into ``classes``, or None when the pictures are not sorted into classes. ``range`` is what
    was black and white in files deeper than 8 bits, None where there are none. ``notes`` say, a line each, what was
    done to the pictures, ``warnings`` what a person should look at before training.
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


def describe(count: int, what: str, image_size: int, channels: int) -> str:
    """Return ``10,000 images from photos (64x64, colour)``; ``what`` is ``images from photos``."""
    kind = "colour" if channels == 3 else "grey"
    return f"{count:,} {what} ({image_size}x{image_size}, {kind})"


@dataclass(frozen=True)
class DatasetSource:
    """A source of pictures that a run can use by name.

    Args:
        name: what ``--data`` calls it.
        load: ``(options, image_size, channels, limit, seed, cache_dir, progress) -> Images``; it takes only
            the arguments it names. Pictures are uint8 (N, image_size, image_size, channels), vectors float32 (N, D).
        options: the ``Options`` subclass it receives.
        summary: one line for ``ganforge plugins``.
        image_size: side in pixels when ``--image-size`` is not given; None for a source of vectors, which has none.
        channels: 1 (grey) or 3 (colour).
    """

    name: str
    load: Callable[..., Images]
    options: type[Options] = Options
    summary: str = ""
    image_size: int | None = 64
    channels: int = 3
