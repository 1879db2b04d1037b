"""Building the two networks and holding them to what an architecture promises."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from ganforge.architecture import Architecture
from ganforge.errors import GANForgeError, UsageError
from ganforge.options import Options


def build_networks(
    architecture: Architecture,
    image_shape: tuple[int, int, int],
    latent_dim: int,
    generator_options: Options,
    discriminator_options: Options,
    seed: int,
    precision: str = "float32",
    classes: int = 0,
) -> tuple[keras.Model, keras.Model]:
    """Return the generator and the discriminator, weights drawn from ``seed``.

    ``classes`` is how many there are, for a conditional architecture.

    Raises:
        GANForgeError: the architecture returned something else than it promises; says which and what came.
    """
    more = (classes,) if architecture.conditional else ()
    with seeded(seed), dtype_policy(precision):
        try:
            generator = architecture.generator(image_shape, latent_dim, generator_options, *more)
            discriminator = architecture.discriminator(image_shape, discriminator_options, *more)
        except UsageError:
            raise
        except Exception as error:
            raise GANForgeError(
                f"architecture '{architecture.name}' failed to build for {image_shape}: "
                f"{type(error).__name__}: {str(error).strip().splitlines()[0] if str(error) else ''}"
            ) from error
    _check(architecture, "generator", generator, (latent_dim,), tuple(image_shape))
    _check(architecture, "discriminator", discriminator, tuple(image_shape), (1,))
    return generator, discriminator


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Seed what Keras draws default seeds from, and give it back as it was.

    ``keras.utils.set_random_seed`` would do, but it changes the caller's state and imports TensorFlow (seconds).
    """
    before, numpy_before = random.getstate(), np.random.get_state()
    random.seed(seed)
    np.random.seed(seed % 2**32)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(numpy_before)


@contextmanager
def dtype_policy(name: str) -> Iterator[None]:
    """Set Keras's global dtype policy for a while."""
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_dtype_policy(before)


def _check(architecture: Architecture, role: str, model: Any, takes: tuple[int, ...], gives: tuple[int, ...]) -> None:
    name = architecture.name
    if not isinstance(model, keras.Model):
        raise GANForgeError(
            f"architecture '{name}': its {role} returned {type(model).__name__}; expected a keras.Model"
        )
    try:
        if architecture.conditional:
            output = tuple(model.compute_output_shape([(2, *takes), (2,)]))
        else:
            output = tuple(model.compute_output_shape((2, *takes)))
        if not model.built:
            model.build((None, *takes))
    except Exception as error:
        raise GANForgeError(
            f"architecture '{name}': its {role} does not take {takes}: {str(error).strip().splitlines()[0]}"
        ) from error
    if output != (2, *gives):
        raise GANForgeError(f"architecture '{name}': its {role} gives {output[1:]} from {takes}; expected {gives}")


def summarize(model: keras.Model) -> list[dict[str, Any]]:
    """Return a JSON-able list of a network's layers: name, kind, output_shape, parameters and a detail."""
    rows = []
    for layer in model.layers:
        if isinstance(layer, keras.layers.InputLayer):
            continue
        try:
            shape = list(layer.output.shape[1:])
        except Exception:
            shape = []
        rows.append(
            {
                "name": layer.name,
                "kind": layer.__class__.__name__,
                "output_shape": [int(n) if n is not None else None for n in shape],
                "parameters": int(layer.count_params()),
                "detail": _detail(layer),
            }
        )
    return rows


def _detail(layer: Any) -> str:
    parts = []
    kernel, strides = getattr(layer, "kernel_size", None), getattr(layer, "strides", None)
    if isinstance(kernel, tuple):
        parts.append("×".join(str(k) for k in kernel))
    if isinstance(strides, tuple) and max(strides) > 1:
        parts.append(f"stride {strides[0]}")
    activation = getattr(layer, "activation", None)
    if activation is not None and getattr(activation, "__name__", "linear") != "linear":
        parts.append(activation.__name__)
    if isinstance(getattr(layer, "rate", None), float):
        parts.append(f"{layer.rate:g}")
    if isinstance(getattr(layer, "negative_slope", None), float) and layer.negative_slope:
        parts.append(f"slope {layer.negative_slope:g}")
    return ", ".join(parts)
