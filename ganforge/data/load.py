"""Loading ``--data``, pictures or vectors: a folder, zip or tar, a file of arrays, or a plugin's data source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ganforge.data.paths import is_packed_folder, is_path, is_url, parts_of
from ganforge.errors import GANForgeError, UsageError
from ganforge.files import at_home
from ganforge.plugin.calling import call_by_name
from ganforge.plugin.options import parse_spec
from ganforge.plugin.sizes import Size, sides

if TYPE_CHECKING:
    from ganforge.plugin.dataset import Images
    from ganforge.plugin.registry import Choice, Registry


def resolve_source(data: str, registry: Registry) -> Choice | None:
    """Return the data source that a ``--data`` text names, or None for a folder, zip or tar, or several of these.

    Raises:
        UsageError: there is no such source, or it has no such option.
        GANForgeError: a file of arrays is missing, damaged, or holds neither pictures nor vectors; or a store does
            not answer.
    """
    from ganforge.data.adapters import file_source

    if is_url(data):
        from ganforge.data.addresses import source_at

        return source_at(data)
    if parts_of(data):
        return None
    if is_packed_folder(data):
        from ganforge.data.packed import packed_choice

        return packed_choice(at_home(data))
    if (source := file_source(data)) is not None:
        return source
    if is_path(data):
        return None
    name = parse_spec(data).name
    try:
        registry.get("dataset", name)
    except UsageError as error:
        raise UsageError(f"{error} For your own pictures, give a folder: --data ./{name}") from None
    return registry.choose("dataset", data)


def whole_path(data: str, source: Choice | None) -> str | None:
    """Return the full path of the folder or file that ``data`` names, with its options; None if it is not a path."""
    from ganforge.data.adapters import place_of
    from ganforge.data.adapters.source import FoundSource
    from ganforge.data.stacked import placed

    if source is not None and (whole := placed(source.options)) is not None:
        return whole
    is_file = source is not None and isinstance(source.value, FoundSource) and source.value.file
    return place_of(data) if source is None or is_file else None


def load_images(
    data: str,
    source: Choice | None,
    *,
    image_size: Size | None,
    channels: int | None,
    fit: str = "crop",
    background: str = "white",
    frames: str = "first",
    value_range: tuple[float, float] | None = None,
    strict: bool = False,
    limit: int | None = None,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Images:
    """Return the pictures, uint8 (N, H, W, channels), decoded once and then mapped from the cache.

    If the source has vectors, return those: float32 (N, D), finite.

    Args:
        data: the folder, zip or tar, or several separated by commas, if ``source`` is None.
        image_size: a side, or (height, width); None, like ``channels``, for vectors.
        fit: how other shapes are brought to this one, ``crop``, ``stretch`` or ``pad``. A plugin's source applies
            this and the next three settings in its own way.
        background: the colour behind transparency and around padded pictures.
        frames: ``first`` or ``all`` frames of files with several.
        value_range: the values of black and white in pictures deeper than 8 bits; measured on the set if None.
        strict: raise an error at the first unreadable picture instead of skipping it.
        limit: use so many pictures, chosen by ``seed``.
        progress: called with (done, total) while they are decoded.

    Raises:
        UsageError: a source supports only square pictures, and another size is asked for.
        GANForgeError: they cannot be read, or a source returned neither the requested pictures nor vectors.
    """
    from ganforge.data.adapters.source import FoundSource
    from ganforge.data.folder import load_folder, load_several

    how: dict[str, Any] = {"image_size": image_size, "channels": channels, "limit": limit, "seed": seed}
    how["progress"] = progress
    if source is None or isinstance(source.value, FoundSource):
        how |= {"fit": fit, "background": background, "frames": frames, "value_range": value_range, "strict": strict}
    if source is None:
        assert image_size is not None  # only a source may do without
        if paths := parts_of(data):
            return load_several(paths, **how)
        return load_folder(at_home(data), **how)
    if image_size is not None:
        source.value.require_shape(image_size)
        how["image_shape"] = (*sides(image_size), channels)
    images: Images = call_by_name(source.value.load)(options=source.options, cache_dir=None, **how)
    if images.array.ndim == 2:
        return _vectors(images, source.name)
    # Of squares in grey or colour a source may always have given others than were asked for.
    if (isinstance(image_size, tuple) or channels == 4) and images.array.shape[1:] != how["image_shape"]:
        raise GANForgeError(
            f"data source '{source.name}' returned pictures of shape {images.array.shape[1:]}; expected "
            f"{how['image_shape']}: it does not support this --image-size or --channels"
        )
    return images


def _vectors(images: Images, name: str) -> Images:
    """Return a source's vectors as float32 (N, D)."""
    import numpy as np

    array = images.array
    if array.dtype.kind != "f" or not array.shape[1]:
        raise GANForgeError(
            f"data source '{name}' returned {array.dtype} {array.shape}; expected uint8 (N, H, W, C) or "
            "float32 (N, D)"
        )
    if not np.isfinite(array).all():
        raise GANForgeError(f"data source '{name}' returned vectors that are not finite")
    return images if array.dtype == np.float32 else replace(images, array=array.astype(np.float32))
