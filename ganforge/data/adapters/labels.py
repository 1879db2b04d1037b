"""Labels of any kind to classes: whole numbers, texts, truth values, or one-hot rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ganforge.errors import UsageError


@dataclass(frozen=True)
class Labels:
    """The class of each row by name, and the order of the classes."""

    names: tuple[str, ...]
    index: np.ndarray

    @property
    def by_row(self) -> list[str]:
        """The class of each row by name."""
        return [self.names[i] for i in self.index.tolist()]

    def of(self, chosen: np.ndarray | None) -> Labels:
        """Return the labels of some rows, without unused classes; none if only one class is left."""
        if not self.names:
            return self
        index = self.index if chosen is None else self.index[chosen]
        used = np.unique(index)
        if len(used) < 2:
            return Labels((), np.empty(0, np.int32))
        return Labels(tuple(self.names[i] for i in used), np.searchsorted(used, index).astype(np.int32))


def classes_of(labels: Any, count: int, names: Sequence[str] = ()) -> Labels:
    """Return the classes in ``labels``, one a row: (N,) or (N, 1) of whole numbers or texts, or one-hot (N, K).

    Numbers are ordered by size and texts by name; ``names`` are those of the numbers 0, 1, …

    Raises:
        UsageError: their number is not ``count``, or they are not classes.
    """
    array = np.asarray(labels)
    if array.dtype == object and all(isinstance(one, (str, bytes)) for one in array.flat):
        array = np.asarray([one.decode("utf-8", "replace") if isinstance(one, bytes) else one for one in array.flat])
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim == 2 and _one_hot(array):
        array = array.argmax(1)
    if array.ndim != 1:
        raise UsageError(f"labels are {array.dtype} {array.shape}; expected one per picture, (N,), or one-hot (N, K)")
    if len(array) != count:
        raise UsageError(f"there are {len(array):,} labels for {count:,} pictures; expected one per picture")
    if array.dtype.kind == "S":
        array = np.char.decode(array, "utf-8", "replace")
    if array.dtype.kind == "f" and np.isfinite(array).all() and (array == np.rint(array)).all():
        array = array.astype(np.int64)
    if array.dtype.kind not in "buiU":
        raise UsageError(f"labels are {array.dtype}; expected whole numbers or texts, one per picture")
    values, index = np.unique(array, return_inverse=True)
    numbers = array.dtype.kind in "ui"
    if numbers and names and (values[0] < 0 or values[-1] >= len(names)):
        outside = values[0] if values[0] < 0 else values[-1]
        raise UsageError(
            f"label {outside} has no name among the {len(names)} classes; expected 0 to {len(names) - 1}"
        )
    words = [names[int(value)] if numbers and names else str(value) for value in values]
    return Labels(tuple(words), index.reshape(-1).astype(np.int32))


def _one_hot(array: np.ndarray) -> bool:
    return array.dtype.kind in "buif" and bool(((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all())
