"""Numbers computed from pictures, kept beside the picture cache because they take minutes to compute."""

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
    """Return ``compute(pictures)``, float32 (N, width) of uint8 (N, H, W, C), from the cache if it is there.

    The entry's name is a hash of ``what``, the computation and its version, and of the pixels themselves, so it is
    right whichever pictures of a set were drawn, and whatever a source's fingerprint is. A damaged entry is computed
    again; if the disk is full or read-only, the next call computes again.
    """
    pixels = np.ascontiguousarray(pictures)
    key = hashlib.sha256(f"{pixels.dtype} {pixels.shape} ".encode())
    key.update(pixels.data)
    name = f"{what}-{key.hexdigest()[:32]}"
    return kept_numbers(name, (len(pixels), width), lambda: compute(pixels), cache_dir)


def kept_numbers(
    name: str, shape: tuple[int, ...], compute: Callable[[], np.ndarray], cache_dir: Path | str | None = None
) -> np.ndarray:
    """Return ``compute()``, float32 of a shape, from the cache entry whose name states all that it depends on."""
    path = cache_root(cache_dir) / f"{name}.npy"
    with suppress(OSError, ValueError, EOFError):
        found: np.ndarray = np.load(path)
        if found.shape == shape and found.dtype == np.float32:
            return found
    found = np.asarray(compute(), np.float32)
    content = io.BytesIO()
    np.save(content, found)
    with suppress(OSError):
        write_atomic(path, content.getvalue())
    return found
