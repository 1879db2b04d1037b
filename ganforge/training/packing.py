"""Pictures that are decoded once for many machines: ``ganforge pack``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ganforge.backend import decide_backend
from ganforge.data.adapters import source_of
from ganforge.data.load import load_images, resolve_source
from ganforge.data.packed import pack as write_packed
from ganforge.errors import UsageError, closest
from ganforge.plugin.registry import load_plugins
from ganforge.plugin.sizes import parse_size
from ganforge.training.config import TrainConfig, in_python

SETTINGS = ("image_size", "channels", "fit", "background", "range", "frames", "limit", "seed", "strict")
SHARD_MIB = 64


def pack(data: Any, target: str | Path, **settings: Any) -> dict[str, Any]:
    """Decode pictures once into a set of shards that any machine can open with ``data=``, like ``ganforge pack``.

    Args:
        data: the same as for ``train``: a path, several paths, a name, an array …
        target: a new folder, or an address in a store that fsspec knows.
        settings: ``image_size``, ``channels``, ``fit``, ``background``, ``range``, ``frames``, ``limit``, ``seed``
            and ``strict``, as for ``train``; ``shard_mib``, the size of one shard in MiB (64); ``progress``, called
            with (done, total).

    Returns:
        A dict: ``path``, ``description``, ``fingerprint``, ``count`` (pictures), ``skipped`` (files), ``shards``,
        ``bytes``.

    Raises:
        UsageError: a name or a setting is wrong.
        GANForgeError: the pictures cannot be read, or the set cannot be written.

    Examples:
        >>> ganforge.pack("photos", "set-64", image_size=64)  # doctest: +SKIP
    """
    with in_python():
        return packed(data, str(target), **settings)


def packed(
    data: Any,
    target: str,
    shard_mib: int = SHARD_MIB,
    progress: Callable[[int, int], None] | None = None,
    **settings: Any,
) -> dict[str, Any]:
    """Read pictures as a run would, write them as a packed set, and return what was written.

    Raises:
        UsageError: a setting is wrong, or has nothing to do with reading pictures.
        GANForgeError: the pictures cannot be read, or the set cannot be written.
    """
    if unknown := [name for name in settings if name not in SETTINGS]:
        raise UsageError(
            f"pack has no setting '{unknown[0]}'; expected {', '.join(SETTINGS)}.{closest(unknown[0], SETTINGS)}"
        )
    if not isinstance(shard_mib, int) or shard_mib < 1:
        raise UsageError(f"invalid --shard-mib {shard_mib}: expected 1 or more")
    if isinstance(data, (str, list)) and (isinstance(data, str) or all(isinstance(one, str) for one in data)):
        settings["data"], source = data, None
    else:
        source = source_of(data)
    config = TrainConfig.of(settings)
    if source is None:
        decide_backend(None)  # before plugins, which may import Keras
        source = resolve_source(config.data, load_plugins())
    own = 64 if source is None else source.value.image_size
    size = config.image_size if config.image_size is not None else own
    images = load_images(
        config.data,
        source,
        image_size=None if own is None else parse_size(size),
        channels=None if own is None else config.channels or (3 if source is None else source.value.channels),
        fit=config.fit,
        background=config.background,
        frames=config.frames,
        value_range=config.range,
        strict=config.strict,
        limit=config.limit,
        seed=config.seed,
        progress=progress,
    )
    shards, size_bytes = write_packed(images, target, shard_mib * 2**20, progress)
    return {
        "path": target,
        "description": images.description,
        "fingerprint": images.fingerprint,
        "count": len(images),
        "skipped": [list(item) for item in images.skipped],
        "shards": shards,
        "bytes": size_bytes,
    }
