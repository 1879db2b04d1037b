"""Building the two networks and holding them to what an architecture promises."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import keras
import numpy as np

from ganforge.engine.verdict import FEATURES, LOGITS
from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.plugin.architecture import Architecture
from ganforge.plugin.options import Options


def build_networks(
    architecture: Architecture,
    image_shape: tuple[int, ...],
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
            hint = "" if len(image_shape) > 1 else "; for vectors instead of pictures, use --arch mlp"
            raise GANForgeError(
                f"architecture '{architecture.name}' failed to build for {image_shape}: {reason(error)}{hint}"
            ) from error
        # Within the seed: a class of one's own draws its weights when it is called first.
        _check(architecture, "generator", generator, (latent_dim,), tuple(image_shape))
        _check(architecture, "discriminator", discriminator, tuple(image_shape), (1,))
    return generator, discriminator


def output_shape(model: keras.Model, *takes: tuple[int, ...]) -> tuple[int, ...]:
    """Return the shape of the one tensor that a network makes of a batch of two; see ``output_spec``."""
    return tuple(output_spec(model, *takes).shape)


def output_spec(model: keras.Model, *takes: tuple[int, ...]) -> Any:
    """Return what a network makes of a batch of two, in its structure: what has a shape; builds it if need be.

    ``takes`` are the shapes of its inputs without the batch, ``()`` for class labels.
    """
    shapes = [(2, *shape) for shape in takes]
    types = ["float32" if shape[1:] else "int32" for shape in shapes]
    # A graph knows it; a class of one's own has to be called.
    if type(model).call.__module__.startswith("keras."):
        if not model.built:
            model.build(shapes[0] if len(shapes) == 1 else shapes)
        symbols = [keras.KerasTensor(shape, dtype) for shape, dtype in zip(shapes, types)]
        return model.compute_output_spec(symbols[0] if len(symbols) == 1 else symbols)
    inputs = [keras.ops.convert_to_tensor(np.zeros(shape, dtype)) for shape, dtype in zip(shapes, types)]
    return model(inputs[0] if len(inputs) == 1 else inputs, training=False)


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
        output = output_spec(model, takes, *([()] if architecture.conditional else []))
    except Exception as error:
        raise GANForgeError(f"architecture '{name}': its {role} does not take {takes}: {reason(error)}") from error
    if role == "discriminator":
        _check_verdict(name, output, takes)
        return
    shape = tuple(getattr(output, "shape", ()))
    if shape != (2, *gives):
        got = shape[1:] if shape else type(output).__name__
        raise GANForgeError(f"architecture '{name}': its {role} gives {got} from {takes}; expected {gives}")


def _check_verdict(name: str, output: Any, takes: tuple[int, ...]) -> None:
    """Hold what a discriminator returns to logits of any shape, or a dict of them and of features."""
    logits = output.get(LOGITS) if isinstance(output, Mapping) else output
    known = not isinstance(output, Mapping) or set(output) <= {LOGITS, FEATURES}
    shape = tuple(getattr(logits, "shape", ()))
    if known and len(shape) > 1 and shape[0] == 2 and all(shape[1:]):
        return
    if isinstance(output, Mapping):
        got = f"a dict of {', '.join(map(str, output)) or 'nothing'}"
    else:
        got = str(shape[1:]) if shape else type(output).__name__
    raise GANForgeError(
        f"architecture '{name}': its discriminator gives {got} from {takes}; expected logits, such as (1,), or a "
        f"dict of '{LOGITS}' and '{FEATURES}'"
    )


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
