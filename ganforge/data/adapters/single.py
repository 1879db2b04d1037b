"""Files of one array each, ``.npy`` and idx, whose labels lie in another file beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ganforge.data.adapters.beside import beside
from ganforge.data.adapters.idx import idx_table, read_idx, usual_labels
from ganforge.data.adapters.npy import ANY_SIZE, MAGIC, mapped, npy_table, read_held
from ganforge.data.adapters.options import FileOptions
from ganforge.data.adapters.table import Table
from ganforge.errors import UsageError
from ganforge.files import opened


def npy_file(path: Path, options: FileOptions) -> Table:
    """Return the table in a .npy file; ``labels`` names the file of the labels."""
    return _labelled(npy_table, path, options, None)


def idx_file(path: Path, options: FileOptions) -> Table:
    """Return the table in an idx file; without ``labels``, the file that MNIST has beside it is taken."""
    return _labelled(idx_table, path, options, usual_labels(path))


def _labelled(
    table: Callable[[Path, FileOptions], Table], path: Path, options: FileOptions, usual: Path | None
) -> Table:
    if options.images is not None:
        raise UsageError(f"{path.name} holds a single array without keys; leave images={options.images} out")
    labels = usual if options.labels is None else beside(path, options.labels)

    def read() -> Any:
        return None if labels is None else read_labels(labels)

    return replace(table(path, options), labels=read)


def read_labels(path: Path) -> np.ndarray:
    """Return the labels in a .npy or idx file. Raises ``GANForgeError``."""
    with opened(path, ANY_SIZE) as file:
        start = file.read(len(MAGIC))
    if start != MAGIC:
        return read_idx(path)
    read_held(path)
    return np.asarray(mapped(path, path.name))
