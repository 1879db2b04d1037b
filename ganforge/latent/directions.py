"""Directions of the latent space in which pictures change most, computed from a generator without labels.

Source: Shen & Zhou 2021, "Closed-Form Factorization of Latent Semantics in GANs" (SeFa).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

# Of a generator that takes its latents in no way known here: latents that are looked around, and how far.
LOOKS, STEP = 8, 0.05


@dataclass(frozen=True)
class Directions:
    """Directions of length 1, ``vectors`` float32 (k, latent_dim), the strongest first.

    ``shares`` is the share of each in the total change: its eigenvalue divided by the sum of all. ``layers`` are the
    layers whose weights were used; none if the directions come from the pictures themselves.
    """

    vectors: np.ndarray
    shares: np.ndarray
    layers: tuple[str, ...]


def directions(model: Any, draw: Callable[[np.ndarray], np.ndarray], latent_dim: int, count: int) -> Directions:
    """Return the first ``count`` directions of a generator, or all if there are fewer.

    The first layers compute A z + b. The directions are the eigenvectors of AᵀA with the largest eigenvalues, in
    which the outputs change most (equations 4 to 6 of the paper). The latents may be reshaped or scaled before that,
    concatenated with an embedding of classes, or passed to several layers, whose matrices are then stacked. For other
    generators, AᵀA is replaced by the mean of JᵀJ over a few latents, where J is the Jacobian of ``draw``, which maps
    (n, latent_dim) to pictures as floats (Ramesh, Choi & LeCun 2018, "A Spectral Regularizer for Unsupervised
    Disentanglement").

    The sign of a direction has no meaning; it is chosen so that the largest component is positive.
    """
    found = weights_of(model, latent_dim)
    square = sum((a.T @ a for a in found.values()), np.zeros((latent_dim, latent_dim)))
    if not found or not square.any():
        found, square = {}, _of_pictures(draw, latent_dim)
    values, vectors = np.linalg.eigh(square)
    values, vectors = np.maximum(values[::-1], 0), vectors.T[::-1]
    vectors = vectors * np.sign(np.take_along_axis(vectors, np.abs(vectors).argmax(1)[:, None], 1))
    shares = values / max(float(values.sum()), 1e-30)
    return Directions(vectors[:count].astype(np.float32), shares[:count], tuple(found))


def weights_of(model: Any, latent_dim: int) -> dict[str, np.ndarray]:
    """Return the matrices A, float64 (outputs, latent_dim), of the layers that take the latent, by their names.

    None where one of them is of another kind than a dense layer, or a transposed convolution of a single pixel.
    """
    from ganforge.engine.keras_internals import graph_of, is_graph

    graph = graph_of(model)
    if not is_graph(graph) or not graph.inputs:
        return {}
    found: dict[str, np.ndarray] = {}
    carried = {id(graph.inputs[0]): np.arange(latent_dim)}
    return found if _follow(graph, carried, latent_dim, found) else {}


def _follow(graph: Any, carried: dict[int, np.ndarray], latent_dim: int, found: dict[str, np.ndarray]) -> bool:
    """Go along with what carries the latent to the first layers with weights; false where one is not known.

    ``carried`` says, of a tensor, which number of the latent is at each place of it, -1 where none is.
    """
    from ganforge.engine.keras_internals import graph_of, is_graph, nodes

    for node in nodes(graph):
        given = [carried.get(id(tensor)) for tensor in node.input_tensors]
        if all(places is None for places in given):
            continue
        operation, first = node.operation, given[0]
        inner = graph_of(operation)
        if is_graph(inner):
            inside = {id(at): places for at, places in zip(inner.inputs, given) if places is not None}
            if not _follow(inner, inside, latent_dim, found) or not getattr(operation, "weights", ()):
                return False
        elif getattr(operation, "weights", ()):
            if len(given) != 1 or first is None or (matrix := _matrix(operation, node, first, latent_dim)) is None:
                return False
            found[_free(str(operation.name), found)] = matrix
        else:
            places = _passed(node, given)
            if places is None:
                return False
            carried[id(node.outputs[0])] = places
    return True


def _passed(node: Any, given: list[np.ndarray | None]) -> np.ndarray | None:
    """Return where the latent is behind an operation without weights; None where it is not known."""
    out, shapes = tuple(node.outputs[0].shape[1:]), [tuple(tensor.shape[1:]) for tensor in node.input_tensors]
    first, kind = given[0], type(node.operation).__name__
    if kind == "Concatenate" and all(len(shape) == 1 for shape in shapes):
        parts = [np.full(shape[0], -1) if at is None else at for shape, at in zip(shapes, given)]
        return np.concatenate(parts)
    if len(given) == 1 and first is not None and np.prod(out) == np.prod(shapes[0]):
        return first  # reshaped, scaled or normalized
    return None


def _matrix(layer: Any, node: Any, places: np.ndarray, latent_dim: int) -> np.ndarray | None:
    """Return a layer's matrix A, (outputs, latent_dim), what is not the latent left out; None where it has none."""
    import keras

    own = layer.layer if isinstance(layer, keras.layers.SpectralNormalization) else layer
    shape = tuple(node.input_tensors[0].shape[1:])
    if type(own) is keras.layers.Dense and shape[-1] == len(places):
        kernel = _numbers(own.kernel)  # (inputs, outputs)
    elif type(own) is keras.layers.Conv2DTranspose and shape == (1, 1, len(places)):
        kernel = np.moveaxis(_numbers(own.kernel), 3, 0).reshape(len(places), -1)  # (h, w, outputs, inputs)
    else:
        return None
    matrix = np.zeros((kernel.shape[1], latent_dim))
    for row, place in enumerate(places):
        if place >= 0:
            matrix[:, place] += kernel[row]
    return matrix


def _numbers(variable: Any) -> np.ndarray:
    import keras

    return np.asarray(keras.ops.convert_to_numpy(keras.ops.cast(variable, "float32")), np.float64)


def _free(name: str, taken: Mapping[str, Any]) -> str:
    return name if name not in taken else f"{name} ({len(taken)})"


def _of_pictures(draw: Callable[[np.ndarray], np.ndarray], latent_dim: int) -> np.ndarray:
    """Return the mean of JᵀJ over a few latents, by differences to both sides."""
    random, square = np.random.default_rng(0), np.zeros((latent_dim, latent_dim))
    for latent in random.standard_normal((LOOKS, latent_dim), dtype=np.float32):
        around = latent + STEP * np.concatenate([np.eye(latent_dim), -np.eye(latent_dim)]).astype(np.float32)
        made = draw(around.astype(np.float32)).reshape(2 * latent_dim, -1).astype(np.float64)
        change = (made[:latent_dim] - made[latent_dim:]) / (2 * STEP)
        square += change @ change.T / LOOKS
    return square
