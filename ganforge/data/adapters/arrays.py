"""Converting numbers from any library to NumPy, without importing a library to recognize its types."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.data.adapters.table import Rows, Table, digest_of
from ganforge.errors import GANForgeError, reason

_MODES = {"1": "L", "L": "L", "LA": "LA", "RGB": "RGB", "RGBA": "RGBA"}
WAY_OUT = "; for pictures, reshape them to (N, H, W, C)"


def homes(thing: Any) -> set[str]:
    """Return the packages of a value's type and its base classes."""
    return {kind.__module__.partition(".")[0] for kind in type(thing).__mro__}


def is_array(thing: Any) -> bool:
    """Tell whether a value is an array or tensor of NumPy, torch, JAX, TensorFlow, pandas or another library."""
    if isinstance(thing, np.ndarray):
        return True
    return hasattr(thing, "__array__") and hasattr(thing, "shape") and not is_picture(thing)


def is_picture(thing: Any) -> bool:
    """Tell whether a value is a Pillow image."""
    return "PIL" in homes(thing) and hasattr(thing, "mode") and hasattr(thing, "convert")


def to_array(thing: Any) -> np.ndarray:
    """Return an array, tensor, number or Pillow image as a NumPy array.

    Raises ``GANForgeError`` if it is none of these.
    """
    if isinstance(thing, np.ndarray):
        array = thing
    elif is_picture(thing):
        array = _pixels(thing)
    else:
        try:
            if "torch" in homes(thing):
                thing = thing.detach().cpu().resolve_conj()
                thing = thing.float() if str(thing.dtype) == "torch.bfloat16" else thing
            array = np.asarray(thing)
        except Exception as error:  # whatever a library raises where it has no array to give
            raise GANForgeError(f"{kind_of(thing)} is not an array of numbers: {reason(error)}") from None
    # bfloat16 and its like, which NumPy itself does not know.
    if array.dtype.kind == "V" and array.dtype.names is None and "float" in array.dtype.name:
        array = array.astype(np.float32)
    return array


def kind_of(thing: Any) -> str:
    """Return a description of a value for messages."""
    return f"a {type(thing).__module__.partition('.')[0]} {type(thing).__name__}".replace("a builtins ", "a ")


def _pixels(picture: Any) -> np.ndarray:
    if picture.mode.startswith(("I", "F")):
        return np.asarray(picture)
    mode = _MODES.get(picture.mode) or ("RGBA" if picture.has_transparency_data else "RGB")
    return np.asarray(picture if mode == picture.mode else picture.convert(mode))


def array_table(array: np.ndarray, labels: Any = None, kind: str = "array", name: str = "an array") -> Table:
    """Return an array (N, …) as a table."""
    known: list[str] = []

    def stamp() -> str:
        if not known:
            known.append(digest_of(array))
        return known[0]

    @contextmanager
    def rows(_: Path) -> Iterator[Rows]:
        yield array

    return Table(
        kind=kind,
        name=name,
        shape=tuple(array.shape),
        dtype=array.dtype,
        stamp=stamp,
        opened=rows,
        labels=lambda: labels,
        way_out=WAY_OUT,
    )
