"""What a run costs: parameters and floating-point operations, from the layers that ``run.json`` lists."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any


def flops(layers: Sequence[dict[str, Any]], takes: Sequence[int]) -> tuple[int, list[str]]:
    """Return the operations of one picture's forward pass, and the kinds of layers that could not be counted.

    A multiplication and an addition are two. Only products with weights count: dense 2 · in · out; convolution
    2 · k² · c_in · c_out at each pixel it gives; transposed convolution, at each pixel it takes. Normalization and
    activations are small beside them and left out. ``takes`` is the network's input shape without the batch.

    Source: Dumoulin & Visin 2016, chapters 2 and 4.
    """
    total, unknown, shape = 0, [], list(takes)
    for layer in layers:
        kind, gives = layer["kind"], [n or 1 for n in layer["output_shape"]]
        if kind == "Dense":
            total += 2 * shape[-1] * math.prod(gives)
        elif kind in ("Conv2D", "Conv2DTranspose"):
            kernel = re.search(r"(\d+)×(\d+)", layer["detail"])
            area = int(kernel[1]) * int(kernel[2]) if kernel else 1
            pixels = math.prod((gives if kind == "Conv2D" else shape)[:2])
            total += 2 * area * shape[-1] * gives[-1] * pixels
        elif layer["parameters"] and "Norm" not in kind:
            unknown.append(kind)
        shape = gives or shape
    return total, sorted(set(unknown))


def cost(manifest: dict[str, Any]) -> dict[str, Any]:
    """Return parameters, ``flops`` of a forward pass for one picture, those of training, seconds and peak memory.

    ``training_flops`` of a picture is 3 G + 8 D: a backward pass costs about two forward ones; D sees a real and a
    fake, forward and back, then G's fake once more, of which only the gradient at the picture is taken. Extra updates
    are not in it. ``peak_memory`` is in bytes, of the whole process, where the run recorded it.
    """
    networks, config = manifest["networks"], manifest["config"]
    takes = {"generator": [config["latent_dim"]], "discriminator": manifest["image_shape"]}
    counted = {role: flops(networks[role], takes[role]) for role in takes}
    result: dict[str, Any] = {
        "parameters": dict(manifest["parameters"]),
        "flops": {role: number for role, (number, _) in counted.items()},
        "training_flops": 3 * counted["generator"][0] + 8 * counted["discriminator"][0],
        "not_counted": sorted({kind for _, kinds in counted.values() for kind in kinds}),
        "seconds": manifest.get("seconds"),
    }
    if manifest.get("peak_memory"):
        result["peak_memory"] = manifest["peak_memory"]
    return result
