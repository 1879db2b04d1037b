"""What a data source is held to. It is tried with few pictures: ``limit`` is 12."""

from __future__ import annotations

from typing import Any

import numpy as np

from ganforge.errors import UsageError, reason
from ganforge.plugin.calling import call_by_name
from ganforge.plugin.sizes import Size, sides, spoken_size
from ganforge.testing.checks.common import candidates, changed
from ganforge.testing.framework import Advice, Nonconformity, Skip, check

LIMIT = 12


def load(
    case: Any, size: Size = 16, channels: int = 3, seed: int = 0, options: Any = None, limit: int = LIMIT
) -> Any:
    """Return the source's pictures, as a run would ask for them."""
    case.value.require_shape(size)
    return call_by_name(case.value.load)(
        options=options or case.options,
        image_size=size,
        image_shape=(*sides(size), channels),
        channels=channels,
        limit=limit,
        seed=seed,
        cache_dir=case.folder,
        progress=lambda *_: None,
    )


@check("dataset")
def gives_pictures(case: Any) -> None:
    """uint8 (N, side, side, channels), for several sizes; or vectors, float32 (N, D)."""
    from ganforge.plugin.dataset import Images

    case.hopeless = True
    for size, channels in ((16, 3), (32, 3), (16, 1)):
        images = load(case, size, channels)
        if not isinstance(images, Images):
            raise Nonconformity(f"load returned {type(images).__name__}", "return ganforge.Images(array=…, …)")
        if images.array.ndim == 2:
            _hold_to_vectors(images.array)
            continue
        expected = (len(images), size, size, channels)
        if images.array.dtype != np.uint8 or tuple(images.array.shape) != expected:
            raise Nonconformity(
                f"asked for {size}x{size} with {channels} channel(s), array is {images.array.dtype} "
                f"{tuple(images.array.shape)}",
                "give uint8 of the shape (N, image_size, image_size, channels), or vectors, float32 (N, D)",
            )
        if len(images) < 2:
            raise Nonconformity("load returned fewer than 2 pictures", "return at least 2")
    case.hopeless = False
    case.facts["pictures"] = len(load(case))


@check("dataset")
def gives_other_shapes(case: Any) -> None:
    """Non-square and transparent pictures, or a refusal."""
    if load(case).array.ndim == 2:
        raise Skip("its data are not pictures")
    for size, channels in (((16, 24), 3), ((24, 16), 1), (16, 4)):
        where = f"{spoken_size(size)} with {channels} channel(s)"
        try:
            shape = tuple(load(case, size, channels).array.shape[1:])
        except UsageError:
            continue
        except Exception as error:
            raise Advice(f"asked for {where}: {reason(error, kind=False)}; support it, or raise UsageError") from None
        if shape != (*sides(size), channels):
            raise Advice(f"asked for {where}, pictures are {shape}; use image_shape, or raise ganforge.UsageError")


def _hold_to_vectors(array: np.ndarray) -> None:
    if len(array) < 2 or array.dtype != np.float32 or not array.shape[1] or not np.isfinite(array).all():
        raise Nonconformity(
            f"the vectors are {array.dtype} {array.shape}, or not finite",
            "give at least 2, float32 of the shape (N, D), each number finite",
        )


@check("dataset")
def heeds_the_limit(case: Any) -> None:
    """No more than ``limit`` pictures."""
    if len(load(case, limit=6)) > 6:
        raise Nonconformity(
            "--limit 6 gave more pictures",
            "let load take the argument `limit`, and return at most so many",
        )


@check("dataset")
def uses_the_whole_range(case: Any) -> None:
    """Values from 0 to 255, and pictures that differ."""
    array = np.asarray(load(case).array)
    if array.ndim == 4 and array.max() <= 1:
        raise Nonconformity(
            "no value is above 1, as if pictures were floats in [0, 1]", "multiply by 255 before making uint8 of them"
        )
    if (array == array[:1]).all():
        raise Nonconformity("all pictures are the same", "use the picture's own number or `seed` when making it")


@check("dataset")
def repeats(case: Any) -> None:
    """The same settings give the same pictures and fingerprint.

    Other pictures have another fingerprint.
    """
    first, second = load(case), load(case)
    if not np.array_equal(first.array, second.array) or first.fingerprint != second.fingerprint:
        raise Nonconformity(
            "the same settings gave different pictures or a different fingerprint the second time",
            "draw from numpy.random.default_rng(seed), and compute the fingerprint from everything "
            "that determines the pictures",
        )
    others = [load(case, 32), load(case, channels=1), load(case, limit=6), load(case, seed=1)]
    for name, value in ((n, getattr(case.options, n)) for n in case.options_class.model_fields):
        others += [
            load(case, options=changed(case, name, v)) for v in candidates(case.options_class, name, value)[:1]
        ]
    for other in others:
        same = np.array_equal(first.array, other.array)
        if not same and other.fingerprint == first.fingerprint:
            raise Nonconformity(
                "different pictures have the same fingerprint; a resumed run would not notice that its data changed",
                "compute the fingerprint from the pictures: hashlib.sha256(array.tobytes()).hexdigest()",
            )


@check("dataset")
def describes_what_it_found(case: Any) -> None:
    """A description, fingerprint, count, and labels that fit."""
    images = load(case)
    if not images.description or "\n" in images.description:
        raise Nonconformity("the description is not one line", "say what there is, such as '2,000 discs (32x32)'")
    try:
        int(images.fingerprint, 16)
    except ValueError:
        raise Nonconformity(
            f"the fingerprint '{images.fingerprint[:20]}' is not hexadecimal", "use hashlib.sha256(…).hexdigest()"
        ) from None
    if images.found < len(images):
        raise Nonconformity(
            f"found={images.found} is less than the {len(images)} pictures",
            "count what was considered: found=len(array)",
        )
    if images.labels is not None:
        labels = np.asarray(images.labels)
        if labels.shape != (len(images),) or labels.dtype.kind != "i" or labels.min() < 0:
            raise Nonconformity(f"labels are {labels.dtype} {labels.shape}", "give int32 (N,), indices into classes")
        if labels.max() >= len(images.classes):
            raise Nonconformity("a label is beyond the classes", "name every class in classes=(…)")


@check("dataset")
def trains(case: Any) -> None:
    """Small networks train on it."""
    from ganforge.data.batches import Batches
    from ganforge.plugin.types import Progress
    from ganforge.testing.small import BATCH, SIDE, small_engine

    array = load(case, SIDE).array
    batches, engine = Batches(array, BATCH, seed=0), small_engine(case.registry, shape=array.shape[1:])
    lines = [step.read() for step in engine.steps(batches, lambda s: Progress(s, 5, 0, 1), 0, 5)]
    if not np.isfinite([list(line.values()) for line in lines]).all():
        raise Nonconformity("the losses are not finite", "look at the pictures: ganforge train --data … --dry-run")
