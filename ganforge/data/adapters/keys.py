"""Choosing the pictures and the labels among the arrays of a file."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from ganforge.data.adapters.options import FileOptions
from ganforge.data.adapters.table import form_of
from ganforge.errors import GANForgeError, UsageError, closest

# Each with what its labels are called, in the order of how much the name says.
NAMES = (
    *(("images", "labels"), ("image", "label"), ("x_train", "y_train"), ("train_images", "train_labels")),
    *(("pictures", "labels"), ("x", "y"), ("data", "labels"), ("img", "label"), ("pixel_values", "labels")),
    *(("data", "target"), ("arr_0", "arr_1")),
)
LABELS = ("labels", "label", "y_train", "train_labels", "y", "target", "targets", "fine_label", "class", "classes")
_SHOWN = 6


class Held(NamedTuple):
    """Shape and type of an array in a file."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]


def choose_keys(name: str, arrays: Mapping[str, Held], options: FileOptions) -> tuple[str, str | None]:
    """Return the keys of the pictures and of the labels (None without labels): those given, or by name and shape.

    Raises:
        UsageError: there is no such key, or it is unclear which of several arrays are the pictures.
        GANForgeError: no array could be pictures.
    """
    for option in ("images", "labels"):
        asked = getattr(options, option)
        if asked is not None and asked not in arrays:
            raise UsageError(f"{name} has no '{asked}'; it holds {_listed(arrays)}.{closest(asked, arrays)}")
    images = options.images or _images(name, arrays, options)
    if options.labels is not None:
        return images, options.labels
    count, lower = arrays[images].shape[:1], {key.lower(): key for key in reversed(list(arrays))}
    usual = [labels for known, labels in NAMES if known == images.lower()]
    for known in (*usual, *LABELS):
        key = lower.get(known)
        if key is not None and key != images and _one_each(arrays[key], count):
            return images, key
    return images, None


def _one_each(held: Held, count: tuple[int, ...]) -> bool:
    return held.shape[:1] == count and held.shape[1:] in ((), (1,)) and held.dtype.kind in "buiSU"


def _images(name: str, arrays: Mapping[str, Held], options: FileOptions) -> str:
    able = {key: held for key, held in arrays.items() if key != options.labels and _fits(name, held, options)}
    if not able:
        if len(arrays) == 1:
            ((key, held),) = arrays.items()
            form_of(f"'{key}' in {name}", held.shape, held.dtype, options.shape)  # says what is wrong with it
        raise GANForgeError(f"{name} holds no pictures (N, H, W, C) and no vectors (N, D): {_listed(arrays)}")
    for known, _ in NAMES:
        for key in able:
            if key.lower() == known:
                return key
    pictures = [key for key, held in able.items() if len(held.shape) > 2]
    for some in (pictures, list(able)):
        if len(some) == 1:
            return some[0]
    raise UsageError(f"{name} holds {_listed(arrays)}; choose the pictures: {name}:images={next(iter(able))}")


def _fits(name: str, held: Held, options: FileOptions) -> bool:
    try:
        form_of(name, held.shape, held.dtype, options.shape)
    except GANForgeError:
        return False
    return True


def _listed(arrays: Mapping[str, Held]) -> str:
    some = [f"{key} {held.dtype} {held.shape}" for key, held in list(arrays.items())[:_SHOWN]]
    more = f" and {len(arrays) - _SHOWN:,} more" if len(arrays) > _SHOWN else ""
    return (", ".join(some) + more) or "nothing"
