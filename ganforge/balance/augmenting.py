"""What ``mirror``, ``diffaugment`` and ``ada`` share: differentiable changes of pictures (B, H, W, C) in [-1, 1]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras import ops

from ganforge import Random, UsageError


def need_pictures(name: str, config: Any) -> None:
    """Raise UsageError where a run's data are vectors, which have no left, no colour and no middle."""
    if len(config.image_shape) != 3:
        raise UsageError(f"strategy '{name}' changes pictures; expected a dataset of pictures, not of vectors")


def chosen(images: Any, random: Random, probability: Any) -> Any:
    """Return (B, 1, 1, 1), 1 for the pictures that are to be changed and 0 for the others."""
    return random.bernoulli((images.shape[0], 1, 1, 1), probability)


def per_picture(images: Any, numbers: Any) -> Any:
    """Return numbers (B,) as (B, 1, 1, 1)."""
    return ops.reshape(numbers, (images.shape[0], 1, 1, 1))


def coloured(images: Any, change: Callable[[Any], Any]) -> Any:
    """Return images with ``change`` of their colours; transparency, a fourth channel, stays as it is."""
    if images.shape[-1] != 4:
        return change(images)
    return ops.concatenate([change(images[..., :3]), images[..., 3:]], axis=3)


def sampled(images: Any, rows: Any, columns: Any) -> Any:
    """Return what images show at other places, reflected at the edges, by bilinear interpolation.

    ``rows`` and ``columns`` are (B, H, W) in pixels, 0 being the middle of the first one.
    """
    batch, height, width, channels = images.shape
    flat = ops.reshape(images, (batch, height * width, channels))
    rows, columns = reflected(rows, height), reflected(columns, width)
    top, left = ops.floor(rows), ops.floor(columns)
    down, right = rows - top, columns - left
    result = 0.0
    for row, by_row in ((top, 1.0 - down), (top + 1.0, down)):
        for column, by_column in ((left, 1.0 - right), (left + 1.0, right)):
            place = ops.minimum(row, height - 1.0) * width + ops.minimum(column, width - 1.0)
            index = ops.reshape(ops.cast(place, "int32"), (batch, height * width, 1))
            taken = ops.take_along_axis(flat, ops.repeat(index, channels, axis=2), axis=1)
            result = result + taken * ops.reshape(by_row * by_column, (batch, height * width, 1))
    return ops.reshape(result, (batch, height, width, channels))


def reflected(places: Any, size: int) -> Any:
    """Return places in [0, size - 1]: those beyond an edge are mirrored there, as often as need be."""
    if size == 1:
        return ops.zeros_like(places)
    span = float(size - 1)
    return span - ops.abs(ops.mod(places, 2.0 * span) - span)
