"""A data source that was found rather than registered: a file or a Python object."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

from ganforge.plugin.dataset import DatasetSource, Images
from ganforge.plugin.options import Options
from ganforge.plugin.registry import Choice, Entry
from ganforge.plugin.sizes import LEAST, MOST, Size, size_of

# What is taken where the pictures have no size of their own that networks can make.
USUAL = 64


@dataclass(frozen=True)
class FoundSource(DatasetSource):
    """A source whose pictures are read like those of a folder.

    Besides the arguments of every source, its ``load`` may take ``fit``, ``background``, ``frames``, ``value_range``
    and ``strict`` by name. Its name is its kind, such as ``npy``; ``file``: it is a file, which a later process can
    open again by its path.
    """

    file: bool = False


def read_source(
    kind: str,
    read: Callable[..., Images],
    summary: str,
    *,
    options: type[Options] = Options,
    file: bool = False,
) -> FoundSource:
    """Return a source of encoded pictures: ``read`` takes the arguments of ``load_folder`` except the path."""

    def load(
        image_shape: tuple[int, ...] | None = None,
        image_size: Any = None,
        channels: int | None = None,
        limit: int | None = None,
        seed: int = 0,
        cache_dir: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
        fit: str = "crop",
        background: str = "white",
        frames: str = "first",
        value_range: tuple[float, float] | None = None,
        strict: bool = False,
    ) -> Images:
        size, channels = asked(image_shape, image_size, channels)
        how: dict[str, Any] = {"limit": limit, "seed": seed, "cache_dir": cache_dir, "progress": progress}
        how |= {"fit": fit, "background": background, "frames": frames, "value_range": value_range, "strict": strict}
        return read(image_size=size or USUAL, channels=channels or source.channels, **how)

    source = FoundSource(kind, load=load, options=options, summary=summary, image_size=USUAL, file=file)
    return source


def found(source: FoundSource, options: Options | None = None) -> Choice:
    """Return the choice of a source that was found."""
    try:
        version = metadata.version("ganforge")
    except metadata.PackageNotFoundError:
        version = "?"
    entry = Entry("dataset", source.name, source, "ganforge", version, "data")
    return Choice(entry, source.options() if options is None else options)


def asked(
    image_shape: tuple[int, ...] | None, image_size: Any, channels: int | None
) -> tuple[Size | None, int | None]:
    """Return the requested size, a side or (height, width), and channels of a source; None for its own."""
    if image_shape is None:
        return image_size, channels
    height, width, channels = image_shape
    return size_of(height, width), channels


def own_size(height: int, width: int) -> Size:
    """Return the pictures' own size, or, if networks cannot make it, a square near it of at most 64 pixels a side."""
    if min(height, width) >= LEAST and max(height, width) <= MOST:
        return size_of(height, width)
    return max(LEAST, min(USUAL, height, width))


def own_channels(channels: int) -> int:
    """Return 1 for grey, with or without transparency, 3 for colour, 4 for colour with transparency."""
    return {1: 1, 2: 1, 4: 4}.get(channels, 3)
