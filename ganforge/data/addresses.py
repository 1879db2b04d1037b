"""``--data ADDRESS`` to a data source, by what is there: a file, a packed set or a folder of pictures."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from pathlib import Path

from ganforge.data.adapters import file_source
from ganforge.data.adapters.opening import split_options
from ganforge.data.adapters.source import found, read_source
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
        raise UsageError(f"{url} is not a file of arrays or tables, so it has no options; leave :{options} out")
    if is_packed(store):
        return packed_choice(store)
    return _choice(store.name, partial(load_folder, Path(store.name), files=store.pictures()))


def _choice(name: str, read: Callable[..., Images]) -> Choice:
    return found(read_source("store", read, f"{name}: pictures in a store", file=True))
