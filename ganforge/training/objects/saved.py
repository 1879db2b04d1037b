"""Networks of plain Keras layers as a run keeps them: their configuration in ``networks.json``, without weights.

A run directory may come from anywhere, so the file is checked as ``generator.keras`` is before anything is built.
"""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

from ganforge.backend import quietly
from ganforge.errors import GANForgeError, reason
from ganforge.files import own, read_json, write_json
from ganforge.training.objects.networks import SIDES, Networks, described_model
from ganforge.training.saved_generator import looked_at, require_sizes

NAME = "networks.json"


def write_networks(networks: Networks, run: Path) -> None:
    """Write the networks' configuration, or nothing if one of them has a custom layer."""
    described = {side: described_model(getattr(networks, side)) for side in SIDES}
    if all(_is_plain(one) for one in described.values()):
        write_json(run / NAME, described)


def open_networks(run: Path, image_shape: tuple[int, ...], latent_dim: int, classes: int, held: int) -> Networks:
    """Return the networks of a run, with new weights; ``held``: the number of bytes of their saved weights.

    Raises:
        GANForgeError: the file is missing or damaged, or contains a layer that is not ordinary or has a wrong size.
    """
    import keras

    from ganforge.engine.keras_internals import safe_mode

    described = read_json(own(run, NAME))
    models = []
    try:
        with quietly(), safe_mode():
            for side, length in zip(SIDES, (latent_dim, None)):
                config = described.get(side)
                if not isinstance(config, dict) or any(looked_at(config)):
                    raise GANForgeError(f"it does not describe the {side} with ordinary Keras layers")
                config["compile_config"] = None
                require_sizes(copy.deepcopy(config), held, image_shape, length, classes)  # Keras takes it apart
                models.append(keras.saving.deserialize_keras_object(config, safe_mode=True))
        return Networks(*models)
    except GANForgeError as error:
        raise GANForgeError(f"{run / NAME} cannot be opened: {error}") from None
    except Exception as error:
        raise GANForgeError(f"{run / NAME} cannot be opened: {reason(error, kind=False)}") from error


def _is_plain(described: dict[str, Any] | None) -> bool:
    if described is None:
        return False
    try:
        return not any(looked_at(json.loads(json.dumps(described))))
    except GANForgeError:
        return False
