"""FreezeD: the discriminator's first layers stay as they are while the rest learns.

Source: Mo, Cho and Shin 2020, "Freeze the Discriminator: a Simple Baseline for Fine-Tuning GANs",
`arXiv:2002.10964 <https://arxiv.org/abs/2002.10964>`_.
"""

from __future__ import annotations

import keras

from ganforge.errors import UsageError


def weighted_layers(model: keras.Model) -> list[keras.layers.Layer]:
    """Return a network's layers that have trainable weights, from its input on, with those of models inside it.

    A layer that contains others, such as a spectral normalization or a block, counts as one.
    """
    found: dict[int, keras.layers.Layer] = {}
    for layer in model.layers:
        inner = weighted_layers(layer) if isinstance(layer, keras.Model) else [layer]
        found.update((id(one), one) for one in inner if one.trainable_weights)
    return list(found.values())


def freeze(discriminator: keras.Model, count: int) -> tuple[list[str], list[keras.Variable]]:
    """Freeze the first ``count`` layers with weights, and return their names and all their variables.

    Their weights are no longer trainable, as in the paper's code: no gradient is taken at them, and the optimizer
    has no state for them. The layers are still called in training mode, with the statistics of the batch.

    Raises:
        UsageError: no layer would be left to learn.
    """
    if not count:
        return [], []
    layers = weighted_layers(discriminator)
    if count >= len(layers):
        raise UsageError(
            f"invalid --freeze-discriminator {count}: at least one of the discriminator's layers with weights must "
            f"learn; expected 0 to {len(layers) - 1}"
        )
    frozen: list[keras.Variable] = [v for layer in layers[:count] for v in layer.weights]
    for variable in frozen:
        variable.trainable = False
    return [str(layer.name) for layer in layers[:count]], frozen
