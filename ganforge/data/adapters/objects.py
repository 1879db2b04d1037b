"""``ganforge.train(data=…)``: Python objects that hold pictures, as data sources.

An object's kind is found from its type's package and its methods, without importing any library.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np

from ganforge.data.adapters.arrays import array_table, homes, is_array, kind_of, to_array
from ganforge.data.adapters.filling import table_choice
from ganforge.data.adapters.hugging_face import hugging_face_choice
from ganforge.data.adapters.labels import classes_of
from ganforge.data.adapters.listed import Listed, listed_choice
from ganforge.data.adapters.streams import Stream, of_iterable, split, stream_choice
from ganforge.data.adapters.tf_data import tf_stream
from ganforge.data.adapters.torch_data import dataset_stream, is_loader, loader_stream
from ganforge.errors import UsageError
from ganforge.plugin.registry import Choice

EXPECTED = (
    "expected an array (N, H, W, C) or (N, D), a list of paths, a tf.data.Dataset, a torch Dataset or DataLoader, a "
    "Hugging Face dataset, or batches"
)


def source_of(data: Any, labels: Any = None) -> Choice:
    """Return pictures or vectors given as a Python object, as a data source.

    Args:
        data: an array (N, H, W), (N, H, W, C), (N, C, H, W) or, of floats, (N, D), of NumPy, torch, JAX or
            TensorFlow; a pair (pictures, labels) of them; a list of paths, or of (path, label); a
            ``tf.data.Dataset``; a torch ``Dataset`` or ``DataLoader``; a Hugging Face dataset; a Keras
            ``PyDataset``; any other iterable of batches, or a list of single pictures, with labels or without.
        labels: (N,) whole numbers or texts, or one-hot (N, K), beside an array or paths.

    Raises:
        UsageError: it is none of these, or does not go with labels.
        GANForgeError: its rows are neither pictures nor vectors, or there are fewer than two.
    """
    if isinstance(data, (str, os.PathLike)):
        raise UsageError(f"'{data}' is a path; {EXPECTED}")
    packages = homes(data)
    if "datasets" in packages and (hasattr(data, "features") or isinstance(data, Mapping)):
        return hugging_face_choice(data, labels)
    if isinstance(data, Mapping) or (isinstance(data, tuple) and len(data) == 2 and _pair(data)):
        data, own = split(data)
        labels = own if labels is None else labels
    if is_array(data):
        return _array(to_array(data), labels)
    if isinstance(data, (list, tuple)) and len(data) and (paths := _paths(data)) is not None:
        return _listed(paths[0], paths[1] if labels is None else labels)
    if labels is not None and isinstance(data, (list, tuple)) and not any(isinstance(one, tuple) for one in data):
        return stream_choice(of_iterable(_paired(data, labels), "list", "a list", length=len(data), singly=True))
    if labels is not None:
        raise UsageError(f"labels= applies to an array or a list; {kind_of(data)} must give (pictures, labels)")
    return stream_choice(_stream(data, packages))


def _stream(data: Any, packages: set[str]) -> Stream:
    if "tensorflow" in packages and hasattr(data, "as_numpy_iterator"):
        return tf_stream(data)
    if "torch" in packages and is_loader(data):
        return loader_stream(data)
    if "torch" in packages and (hasattr(data, "__getitem__") or hasattr(data, "__iter__")):
        return dataset_stream(data)
    if "keras" in packages and hasattr(data, "num_batches"):
        return _of_keras(data)
    if isinstance(data, (list, tuple)):
        return of_iterable(data, "list", "a list", length=len(data), listed=True)
    if hasattr(data, "__iter__") or hasattr(data, "__getitem__"):
        length = len(data) if hasattr(data, "__len__") else None
        return of_iterable(data, length=length)
    raise UsageError(f"data is {kind_of(data)}; {EXPECTED}")


def _of_keras(data: Any) -> Stream:
    """Return the stream of a Keras ``PyDataset``, which is indexed by batch; without a length it never ends."""
    count = data.num_batches

    def batches() -> Iterator[Any]:
        return (data[i] for i in (itertools.count() if count is None else range(count)))

    return Stream("keras", "a Keras PyDataset", batches, length=count, endless=count is None, singly=False)


def _pair(data: tuple[Any, Any]) -> bool:
    """Tell whether a tuple is a pair of pictures and labels, one for each."""
    first, second = data
    if not is_array(first) or len(first.shape) < 2:
        return False
    count = second.shape[0] if is_array(second) and len(second.shape) else len(second) if _sized(second) else -1
    return int(first.shape[0]) == count and (not is_array(second) or len(second.shape) <= 2)


def _sized(thing: Any) -> bool:
    return isinstance(thing, (list, tuple))


def _array(array: np.ndarray, labels: Any) -> Choice:
    if array.dtype.kind in "US" and array.ndim == 1:
        return _listed([str(one) for one in array], labels)
    if labels is not None:
        labels = to_array(labels) if is_array(labels) else np.asarray(labels)
        classes_of(labels, array.shape[0] if array.ndim else 0)  # what is wrong with them is said now
    return table_choice(array_table(array, labels))


def _paths(data: Any) -> tuple[list[str], Any] | None:
    """Return the paths in a list, and their labels; None if it holds something else."""
    if all(isinstance(one, (str, os.PathLike)) for one in data):
        return [os.fspath(one) for one in data], None
    pairs = all(
        isinstance(one, (tuple, list)) and len(one) == 2 and isinstance(one[0], (str, os.PathLike)) for one in data
    )
    return ([os.fspath(one[0]) for one in data], [one[1] for one in data]) if pairs else None


def _listed(paths: list[str], labels: Any) -> Choice:
    by_row = None if labels is None else classes_of(labels, len(paths)).by_row
    return listed_choice("paths", "a list of paths", Listed(paths, by_row), by_row)


def _paired(data: Any, labels: Any) -> list[tuple[Any, Any]]:
    known = np.asarray(labels)
    if len(known) != len(data):
        raise UsageError(f"there are {len(known):,} labels for {len(data):,} pictures; expected one per picture")
    return list(zip(data, known))
