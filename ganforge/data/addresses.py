"""``--data ADDRESS`` to a data source, by what is there: a file, a packed set or a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from ganforge.data.adapters import file_source
from ganforge.data.adapters.opening import split_options
from ganforge.data.adapters.source import USUAL, FoundSource, asked, found
from ganforge.data.folder import load_folder
from ganforge.data.packed import packed_choice
from ganforge.data.remote import Store, is_packed, local_copy
from ganforge.errors import UsageError
from ganforge.plugin.dataset import Images
from ganforge.plugin.registry import Choice


def source_at(text: str) -> Choice:
    """Return what is at an address, with options where it is a file of arrays, as a data source.

    Raises:
        UsageError: it has no such option, or fsspec knows no such kind of address.
        GANForgeError: a store does not answer, or what it holds are no pictures.
    """
    url, options = split_options(text)
    store = Store(url)
    if store.is_file():
        path = local_copy(store)
        inner = file_source(str(path) + (f":{options}" if options else ""))
        return inner or _choice(store.name, partial(load_folder, path))
    if options:
        raise UsageError(f"{url} takes no options: it is no file of arrays or tables; leave :{options} out")
    if is_packed(store):
        return packed_choice(store)
    return _choice(store.name, partial(load_folder, Path(store.name), files=store.pictures()))


def _choice(name: str, read: Callable[..., Images]) -> Choice:
    def load(
        image_shape: tuple[int, ...] | None = None,
        image_size: Any = None,
        channels: int | None = None,
        limit: int | None = None,
        seed: int = 0,
        cache_dir: Path | None = None,
        progress: Callable[[int, int], None] | None = None,
        fit: str = "crop",
        background: str = "white",
        frames: str = "first",
        value_range: tuple[float, float] | None = None,
        strict: bool = False,
    ) -> Images:
        size, channels = asked(image_shape, image_size, channels)
        how: dict[str, Any] = {"limit": limit, "seed": seed, "cache_dir": cache_dir, "progress": progress}
        how |= {"fit": fit, "background": background, "frames": frames, "value_range": value_range, "strict": strict}
        return read(image_size=size or USUAL, channels=channels or source.channels, **how)

    source = FoundSource("store", load=load, summary=f"{name}: pictures in a store", image_size=USUAL, file=True)
    return found(source)
