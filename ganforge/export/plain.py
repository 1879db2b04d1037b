"""A network made anew for computing alone: on the processor, in float32."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from ganforge.export.about import About

NARROW = ("float16", "bfloat16", "mixed_float16", "mixed_bfloat16")


@contextmanager
def in_float32(model: Any, about: About) -> Iterator[Any]:
    """Give a model of the same layers and weights that computes in float32 on the processor, while this lasts."""
    import keras

    config = widened(keras.saving.serialize_keras_object(model))
    with keras.device("cpu"):
        plain = keras.saving.deserialize_keras_object(config)
        if not plain.built or len(plain.weights) != len(model.weights):  # a class of one's own: built by its call
            inputs: list[Any] = [np.zeros((2, about.latent_dim), np.float32)]
            inputs += [np.zeros(2, np.int32)] if about.classes else []
            given = [keras.ops.convert_to_tensor(one) for one in inputs]
            plain(given if len(given) > 1 else given[0], training=False)
        plain.set_weights(weights_of(model))
        yield plain


def weights_of(model: Any) -> list[np.ndarray]:
    """Return a model's weights in their order, as types that every library knows: bfloat16 becomes float32."""
    import keras

    found = [keras.ops.convert_to_numpy(weight) for weight in model.weights]
    return [one if one.dtype.kind in "iub" or one.dtype == np.float64 else one.astype(np.float32) for one in found]


def widened(config: Any) -> Any:
    """Return a description of a model with float32 in place of every narrower type of its layers."""
    if isinstance(config, list):
        return [widened(one) for one in config]
    if not isinstance(config, dict):
        return config
    if config.get("class_name") == "DTypePolicy":
        inner = config.get("config")
        if isinstance(inner, dict) and inner.get("name") in NARROW:
            return {**config, "config": {**inner, "name": "float32"}}
    return {
        key: "float32" if key == "dtype" and isinstance(value, str) and value in NARROW else widened(value)
        for key, value in config.items()
    }
