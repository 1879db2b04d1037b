"""A data source that was found rather than registered: a file, or an object of a Python program."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from ganforge.plugin.dataset import DatasetSource
from ganforge.plugin.options import Options
from ganforge.plugin.registry import Choice, Entry

# What is taken where the pictures have no size of their own that networks can make.
USUAL, _SMALLEST, _LARGEST = 64, 8, 1024


@dataclass(frozen=True)
class FoundSource(DatasetSource):
    """A source whose pictures are read as a folder's are.

    Beside what every source is given, its ``load`` takes ``fit``, ``background``, ``frames``, ``value_range`` and
    ``strict``, by name, where it names them. Its name is its kind, such as ``npy``.
    """


def found(source: FoundSource, options: Options | None = None) -> Choice:
    """Return the choice of a source that was found."""
    try:
        version = metadata.version("ganforge")
    except metadata.PackageNotFoundError:
        version = "?"
    entry = Entry("dataset", source.name, source, "ganforge", version, "data")
    return Choice(entry, source.options() if options is None else options)


def own_size(height: int, width: int) -> int:
    """Return the size of square pictures that networks can make, else one near it: at most 64 pixels a side."""
    if height == width and _SMALLEST <= height <= _LARGEST:
        return height
    return max(_SMALLEST, min(USUAL, height, width))


def own_channels(channels: int) -> int:
    """Return 1 for greys and 3 for colours, with transparency or without."""
    return 1 if channels <= 2 else 3
