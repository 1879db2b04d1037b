"""The sliced Wasserstein distance between two sets of pictures, on each level of their Laplacian pyramids."""

from __future__ import annotations

import numpy as np

from ganforge.metrics.transparency import visible

SMALLEST, PATCH, PATCHES, PROJECTIONS = 16, 7, 32, 128
_KERNEL = np.array([1, 4, 6, 4, 1], np.float32) / 16


def swd(real: np.ndarray, fake: np.ndarray, seed: int = 0) -> dict[str, float]:
    """Return the distance at each level of the pyramid, by its shorter side ("64", "32", "16"), and their "mean".

    Both are uint8 (N, H, W, C) of one shape but for N; the smaller N counts. Times 1,000, as the paper reports it.
    0 is identical; two halves of one set give what so many pictures can resolve.

    Of pictures with transparency colours count by their opacity. Each picture becomes a Laplacian pyramid down to 16
    pixels; from each level 32 patches of 7 × 7 are drawn, normalized by each channel's mean and deviation over the
    set, and compared by ``sliced_wasserstein``. The paper takes 128 patches of 16,384 pictures; fewer make it quick,
    and a number comparable only with others of the same number of pictures. The normalization takes out brightness,
    contrast and colour cast of the whole set: those are seen by ``tone``.

    Source: Karras et al. 2018, "Progressive Growing of GANs", section 5; the distance, Rabin et al. 2011.
    """
    count = min(len(real), len(fake))
    # The same patches from both, and the same ones whatever came before.
    levels = [_descriptors(images[:count], np.random.default_rng(seed)) for images in (real, fake)]
    random = np.random.default_rng([seed, 1])
    result = {
        str(side): 1000.0 * sliced_wasserstein(_normalized(a), _normalized(levels[1][side]), random)
        for side, a in levels[0].items()
    }
    return {**result, "mean": float(np.mean(list(result.values())))}


def sliced_wasserstein(
    a: np.ndarray, b: np.ndarray, random: np.random.Generator, projections: int = PROJECTIONS
) -> float:
    """Return the mean over random directions of the distance W₁ between the projections of two (N, D) clouds.

    In one dimension W₁ of two equally large sets is the mean difference of what is sorted.
    """
    directions = random.standard_normal((a.shape[1], projections)).astype(np.float32)
    directions /= np.linalg.norm(directions, axis=0)
    distances = []
    for part in np.array_split(directions, max(1, projections // 32), axis=1):
        ordered = [np.sort(cloud @ part, axis=0) for cloud in (a, b)]
        distances.append(np.abs(ordered[0] - ordered[1]).mean(0))
    return float(np.concatenate(distances).mean())


def laplacian_pyramid(images: np.ndarray, smallest: int = SMALLEST) -> list[np.ndarray]:
    """Return the levels of float32 (N, H, W, C), the finest first; the last is the smallest picture itself.

    Each further level is half as large; it ends at ``smallest`` pixels, or at an odd side. Level k is what is lost
    between k and k + 1, so that going back up adds to the picture exactly. Source: Burt & Adelson 1983.
    """
    levels, current = [], images
    while min(current.shape[1:3]) // 2 >= smallest and not (current.shape[1] % 2 or current.shape[2] % 2):
        below = down(current)
        levels.append(current - up(below))
        current = below
    return [*levels, current]


def down(images: np.ndarray) -> np.ndarray:
    """Blur with the binomial kernel (1, 4, 6, 4, 1) / 16 in both directions and take every second pixel."""
    return _blur(images, 1.0)[:, ::2, ::2]


def up(images: np.ndarray) -> np.ndarray:
    """Put every pixel on every second place of a grid twice as large and blur, times four."""
    count, height, width, channels = images.shape
    wide = np.zeros((count, 2 * height, 2 * width, channels), np.float32)
    wide[:, ::2, ::2] = images
    return _blur(wide, 2.0)


def _blur(images: np.ndarray, gain: float) -> np.ndarray:
    for axis in (1, 2):
        size = images.shape[axis]
        padding = [(2, 2) if i == axis else (0, 0) for i in range(4)]
        padded = np.pad(images, padding, mode="reflect")
        parts = (k * gain * np.take(padded, range(i, i + size), axis) for i, k in enumerate(_KERNEL))
        images = sum(parts, np.zeros((), np.float32))
    return images


def _descriptors(images: np.ndarray, random: np.random.Generator) -> dict[int, np.ndarray]:
    """Return each level's patches by its side, (N · PATCHES, PATCH, PATCH, C)."""
    found: dict[int, list[np.ndarray]] = {}
    for start in range(0, len(images), 256):
        part = visible(images[start : start + 256]).astype(np.float32)
        for level in laplacian_pyramid(part):
            count, height, width, _ = level.shape
            size = min(PATCH, height, width)
            y = random.integers(0, height - size + 1, (count, PATCHES, 1, 1))
            x = random.integers(0, width - size + 1, (count, PATCHES, 1, 1))
            rows, columns = y + np.arange(size)[:, None], x + np.arange(size)
            patches = level[np.arange(count)[:, None, None, None], rows, columns]
            found.setdefault(min(height, width), []).append(patches.reshape(-1, *patches.shape[2:]))
    return {side: np.concatenate(parts) for side, parts in found.items()}


def _normalized(patches: np.ndarray) -> np.ndarray:
    # In double: millions of numbers added one by one in single precision lose three digits.
    mean, deviation = patches.mean((0, 1, 2), dtype=float), patches.std((0, 1, 2), dtype=float)
    return np.asarray((patches - mean) / np.maximum(deviation, 1e-6), np.float32).reshape(len(patches), -1)
