"""A dataset from Hugging Face's ``datasets``: its pictures as they are stored, or its numbers."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ganforge.data.adapters.keys import LABELS
from ganforge.data.adapters.labels import classes_of
from ganforge.data.adapters.listed import Held, listed_choice
from ganforge.data.adapters.streams import Stream, stream_choice
from ganforge.data.decode import Unreadable
from ganforge.data.files import MAX_BYTES
from ganforge.errors import UsageError
from ganforge.files import read_file
from ganforge.plugin.registry import Choice

KIND, NAME = "huggingface", "a Hugging Face dataset"


def hugging_face_choice(data: Any, labels: Any = None) -> Choice:
    """Return a ``datasets.Dataset`` or ``IterableDataset`` as a data source.

    Raises:
        UsageError: it has several splits, or several columns of pictures.
    """
    if isinstance(data, Mapping):
        splits = ", ".join(map(str, data))
        first = next(iter(data), "train")
        raise UsageError(f"{NAME} has the splits {splits}; pass one of them, such as data['{first}']")
    features = dict(data.features or {})
    pictures = [name for name, feature in features.items() if type(feature).__name__ == "Image"]
    if len(pictures) > 1:
        raise UsageError(
            f"{NAME} has the picture columns {', '.join(pictures)}; keep one: "
            f"data.select_columns(['{pictures[0]}', …])"
        )
    label = next((known for known in LABELS if known in features), None)
    names = tuple(getattr(features.get(label), "names", None) or ()) if label else ()
    if pictures and hasattr(data, "__len__"):
        if labels is None and label is not None:
            labels = data[label]
        return _encoded(data, pictures[0], features[pictures[0]], labels, names)
    formatted = data if pictures or not hasattr(data, "with_format") else data.with_format("numpy")
    length = len(data) if hasattr(data, "__len__") else None
    if labels is not None:
        raise UsageError(
            f"labels= applies to an array, a list or pictures; {NAME} of numbers needs a column named label"
        )
    return stream_choice(Stream(KIND, NAME, lambda: iter(formatted), length, True, classes=names))


def _encoded(data: Any, column: str, feature: Any, labels: Any, names: tuple[str, ...]) -> Choice:
    stored = data.select_columns([column]).cast_column(column, type(feature)(decode=False))
    lock = threading.Lock()

    def row(index: int) -> bytes:
        with lock:
            value = stored[index][column]
        content, path = value.get("bytes"), value.get("path")
        if content is None and path:
            content = read_file(Path(path), MAX_BYTES)
        if not isinstance(content, bytes):
            raise Unreadable("there are no bytes for it")
        return content

    count = len(data)
    by_row = None if labels is None else classes_of(list(labels), count, names).by_row
    stamp = f"{getattr(data, '_fingerprint', '')} {count} {column}"
    return listed_choice(KIND, NAME, Held(count, stamp, row, by_row), by_row)
