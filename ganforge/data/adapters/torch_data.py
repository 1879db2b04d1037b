"""A torch ``Dataset`` or ``DataLoader``."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ganforge.data.adapters.streams import Stream


def is_loader(data: Any) -> bool:
    """Tell whether a thing of torch's is a ``DataLoader``."""
    return all(hasattr(data, name) for name in ("dataset", "batch_size", "collate_fn", "__iter__"))


def loader_stream(data: Any) -> Stream:
    """Return the stream of a ``DataLoader``: its batches, or, where it drops the last one, its data set's items.

    Which pictures are dropped depends on the shuffling, and would be others each time.
    """
    usual = getattr(data.collate_fn, "__name__", "") == "default_collate"
    sampled = type(data.sampler).__name__ in ("SequentialSampler", "RandomSampler")
    if getattr(data, "drop_last", False) and usual and sampled and hasattr(data.dataset, "__getitem__"):
        return dataset_stream(data.dataset, "torch-loader", "a torch DataLoader")
    return Stream(
        kind="torch-loader",
        name="a torch DataLoader",
        iterate=lambda: iter(data),
        length=_length(data),
        singly=data.batch_size is None and getattr(data, "batch_sampler", None) is None,
        classes=_class_names(data),
    )


def dataset_stream(data: Any, kind: str = "torch-dataset", name: str = "a torch Dataset") -> Stream:
    """Return the stream of a ``Dataset``, asked for by index, or of an ``IterableDataset``."""
    length = _length(data)

    def by_index() -> Iterator[Any]:
        return (data[i] for i in range(length or 0))

    indexed = length is not None and not hasattr(data, "__iter__")
    return Stream(
        kind=kind,
        name=name,
        iterate=by_index if indexed else lambda: iter(data),
        length=length,
        singly=True,
        classes=_class_names(data),
    )


def _length(data: Any) -> int | None:
    try:
        return len(data)
    except (TypeError, NotImplementedError):
        return None


def _class_names(data: Any) -> tuple[str, ...]:
    """Return the names that a data set gives its classes, as torchvision's do, also below a subset or a loader."""
    for _ in range(8):
        names = getattr(data, "classes", None)
        if isinstance(names, (list, tuple)) and names and all(isinstance(name, str) for name in names):
            return tuple(names)
        data = getattr(data, "dataset", None)
        if data is None:
            break
    return ()
