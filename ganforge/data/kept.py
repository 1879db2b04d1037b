"""Numbers computed from pictures, kept beside the picture cache: what takes minutes is computed once."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np

from ganforge.data.cache import cache_root
from ganforge.files import write_atomic


def kept_rows(
    pictures: np.ndarray,
    what: str,
    width: int,
    compute: Callable[[np.ndarray], np.ndarray],
    cache_dir: Path | str | None = None,
) -> np.ndarray:
    """Return ``compute(pictures)``, float32 (N, width) of uint8 (N, H, W, C), from the cache where it is there.

    The entry's name is of ``what``, the computation and its version, and of the pixels themselves: it is right
    whichever pictures of a set were drawn, and whatever a source says of its fingerprint. A damaged entry is
    computed again; a full or read-only disk costs only that the next call computes again.
    """
    pixels = np.ascontiguousarray(pictures)
    key = hashlib.sha256(f"{pixels.dtype} {pixels.shape} ".encode())
    key.update(pixels.data)
    path = cache_root(cache_dir) / f"{what}-{key.hexdigest()[:32]}.npy"
    with suppress(OSError, ValueError, EOFError):
        rows: np.ndarray = np.load(path)
        if rows.shape == (len(pixels), width) and rows.dtype == np.float32:
            return rows
    rows = np.asarray(compute(pixels), np.float32)
    content = io.BytesIO()
    np.save(content, rows)
    with suppress(OSError):
        write_atomic(path, content.getvalue())
    return rows
