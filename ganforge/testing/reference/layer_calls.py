"""Watching the layers of a network while it is called: which runs, in which mode, and what it gives."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from ganforge.engine.keras_internals import direct_layers


@dataclass(frozen=True)
class Call:
    """A finished call of a layer: its place in the network (``block/dense``), its mode if it has one, its output."""

    path: str
    layer: Any
    training: bool | None
    output: Any


class Watch:
    """The calls of all layers so far, inner before outer, and the places of those that run at the moment."""

    def __init__(self) -> None:
        self.calls: list[Call] = []
        self.running: list[str] = []

    @property
    def place(self) -> str:
        """The innermost layer that runs."""
        return self.running[-1] if self.running else ""

    def arrays(self) -> list[tuple[str, np.ndarray]]:
        """Return (place, output) of every call so far, as numpy; what is no number is left out."""
        found = []
        for call in self.calls:
            for tensor in keras.tree.flatten(call.output):
                if hasattr(tensor, "dtype") and hasattr(tensor, "shape"):
                    value = keras.ops.convert_to_numpy(keras.ops.cast(keras.ops.stop_gradient(tensor), "float32"))
                    found.append((call.path, np.array(value)))
        return found


@contextmanager
def watched(model: Any) -> Iterator[Watch]:
    """Note every call of a network's layers. They must be called eagerly: what they give is kept."""
    watch, patched = Watch(), []
    for path, layer in places(model):
        layer.__dict__["call"] = _noting(watch, path, layer)
        patched.append(layer)
    try:
        yield watch
    finally:
        for layer in patched:
            layer.__dict__.pop("call", None)


def places(model: Any) -> Iterator[tuple[str, Any]]:
    """Yield (place, layer) of all layers within a network, outer before inner, each once."""
    seen = {id(model)}

    def within(outer: Any, prefix: str) -> Iterator[tuple[str, Any]]:
        for layer in direct_layers(outer):
            if id(layer) in seen or isinstance(layer, keras.layers.InputLayer):
                continue
            seen.add(id(layer))
            if layer is getattr(outer, "_functional", None):  # a Sequential's own graph: the same layers
                yield from within(layer, prefix)
                continue
            yield prefix + layer.name, layer
            yield from within(layer, f"{prefix}{layer.name}/")

    return within(model, "")


def owner(model: Any, variable: Any) -> str:
    """Return the place of the innermost layer that a variable belongs to, or the network's name."""
    found: str = model.name
    for path, layer in places(model):
        if any(v is variable for v in layer.variables):
            found = path
    return found


def _noting(watch: Watch, path: str, layer: Any) -> Any:
    original = layer.call

    def call(*arguments: Any, **keywords: Any) -> Any:
        watch.running.append(path)
        output = original(*arguments, **keywords)
        watch.running.pop()
        watch.calls.append(Call(path, layer, keywords.get("training"), output))
        return output

    return call
