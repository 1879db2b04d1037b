"""Latents: walking between them, drawing them towards the middle, keeping them in files."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ganforge.errors import GANForgeError, UsageError, closest, reason
from ganforge.files import read_file, replacing
from ganforge.memory import memory_left

SEEDS = 100_000  # as many as one command takes


def spherical(a: np.ndarray, b: np.ndarray, t: float) -> np.ndarray:
    """Return the point at ``t`` in [0, 1] on the great arc from ``a`` to ``b``, float32 (n,).

    slerp(a, b; t) = sin((1 - t) w) / sin w a + sin(t w) / sin w b, with w the angle between them: normal latents lie
    near a sphere, and a straight line would leave it. Source: White 2016, "Sampling Generative Networks".
    """
    cosine = np.dot(a, b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-12)
    angle = np.arccos(np.clip(cosine, -1.0, 1.0))
    sine = np.sin(angle)
    if sine < 1e-6:  # nearly parallel: the straight line is the arc
        return np.asarray((1.0 - t) * a + t * b, np.float32)
    return np.asarray(np.sin((1.0 - t) * angle) / sine * a + np.sin(t * angle) / sine * b, np.float32)


def truncated(latents: np.ndarray, truncation: float) -> np.ndarray:
    """Return latents scaled towards 0, ``truncation`` · z: 1 leaves them, 0 makes all of them the middle one.

    This is the truncation trick (Brock et al. 2019, "Large Scale GAN Training for High Fidelity Natural Image
    Synthesis", section 3.1: less variety for more of what is typical) by scaling instead of their drawing again of
    what lies beyond a threshold: a picture then keeps its seed, and changes steadily with the number.

    Raises:
        UsageError: ``truncation`` is not in [0, 1].
    """
    if not 0 <= truncation <= 1:
        raise UsageError(f"invalid --truncation {truncation:g}: expected a number from 0 to 1")
    return latents if truncation == 1 else np.asarray(latents * np.float32(truncation), np.float32)


def parse_seeds(text: str) -> list[int]:
    """Return the seeds that ``0-99`` or ``3,7,10-12`` names, in that order.

    Raises:
        UsageError: it names none, or too many.
    """
    seeds: list[int] = []
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]{1,18})(?:-([0-9]{1,18}))?\s*", part)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        if last < first:
            raise UsageError(f"invalid --seeds {text}: expected seeds such as 0-99, or 3,7,10-12")
        if len(seeds) + last - first >= SEEDS:
            raise UsageError(f"invalid --seeds {text}: expected at most {SEEDS:,} of them")
        seeds.extend(range(first, last + 1))
    return seeds


def labels_of(
    n: int, classes: Sequence[str], class_name: str | None, period: int | None, run: str
) -> list[np.ndarray]:
    """Return what a generator takes besides ``n`` latents: class labels where it is conditional, else nothing."""
    if not classes:
        if class_name is not None:
            raise UsageError(f"{run} knows no classes: its architecture takes no labels")
        return []
    if class_name is None:
        return [(np.arange(n) % (period or n) % len(classes)).astype(np.int32)]
    if class_name not in classes:
        raise UsageError(
            f"{run} has no class '{class_name}'; expected {', '.join(classes)}.{closest(class_name, classes)}"
        )
    return [np.full(n, classes.index(class_name), np.int32)]


def save_latents(latents: np.ndarray, path: Path) -> None:
    """Write latents, float32 (n, latent_dim), as ``.npy``. Raises ``GANForgeError`` where it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path) as file:
            np.save(file, np.asarray(latents, np.float32))
    except OSError as error:
        raise GANForgeError(f"{path} cannot be written: {reason(error, kind=False)}") from None


def read_latents(path: Path, latent_dim: int) -> np.ndarray:
    """Return the latents of a ``.npy`` file, float (n, latent_dim), as float32. Nothing is unpickled.

    What the file declares is compared with its length before any memory is taken.

    Raises:
        UsageError: it holds something else.
        GANForgeError: it cannot be read.
    """
    wanted = f"expected a .npy of floats, (n, {latent_dim})"
    try:
        content = read_file(path, memory_left() // 2)
    except FileNotFoundError:
        raise UsageError(f"invalid --latents {path}: there is no such file; {wanted}") from None
    except OSError as error:
        raise GANForgeError(f"{path} cannot be read: {reason(error, kind=False)}") from None
    file = io.BytesIO(content)
    try:
        version = np.lib.format.read_magic(file)
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = header(file)
    except Exception:  # whatever is no such file
        raise UsageError(f"invalid --latents {path}: this is not a .npy file; {wanted}") from None
    if dtype.kind != "f" or len(shape) != 2 or shape[0] < 1 or shape[1] != latent_dim:
        raise UsageError(f"invalid --latents {path}: it holds {dtype} {shape}; {wanted}")
    if len(content) - file.tell() != shape[0] * shape[1] * dtype.itemsize:
        raise UsageError(f"invalid --latents {path}: its length is not that of {dtype} {shape}; is it cut short?")
    flat = np.frombuffer(content, dtype, offset=file.tell())
    with np.errstate(over="ignore"):
        latents = flat.reshape(shape, order="F" if fortran else "C").astype(np.float32, order="C")
    if not np.isfinite(latents).all():
        raise UsageError(f"invalid --latents {path}: it holds values that are not finite 32-bit numbers")
    return latents
