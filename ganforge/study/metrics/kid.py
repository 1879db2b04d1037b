"""The kernel distance between two sets of features."""

from __future__ import annotations

import numpy as np

PARTS, CLIP = 8, 5.0


def kid(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    """Return the unbiased squared MMD of two (N, D) sets of features, and its standard error.

    Every dimension is first divided by its deviation over ``real``, and ``real``'s mean taken off, since the kernel
    weighs features by their size; what is further out than 5 deviations counts as 5, or a cube of it
    would drown everything else. Unbiased: about 0, on either side, when both come from one distribution. The error
    is that of the mean over 8 disjoint parts (0 where there are too few for parts of 2).

    Source: Bińkowski et al. 2018, "Demystifying MMD GANs", section 4.
    """
    mean, deviation = real.mean(0), real.std(0)
    known = deviation > 1e-6
    real, fake = (
        np.clip((x[:, known].astype(float) - mean[known]) / deviation[known], -CLIP, CLIP) for x in (real, fake)
    )
    parts = zip(np.array_split(real, PARTS), np.array_split(fake, PARTS))
    values = [mmd(a, b) for a, b in parts] if min(len(real), len(fake)) >= 2 * PARTS else [0.0]
    return mmd(real, fake), float(np.std(values) / np.sqrt(len(values)))


def mmd(a: np.ndarray, b: np.ndarray) -> float:
    """Return the unbiased estimate of the squared maximum mean discrepancy of two (N, D) sets, N at least 2.

    The kernel is the cubic one of the source, k(x, y) = (x · y / D + 1)³. Source: Gretton et al. 2012, equation 3.
    """
    dimension = a.shape[1]
    kernel = [(x @ y.T / dimension + 1.0) ** 3 for x, y in ((a, a), (b, b), (a, b))]
    n, m = len(a), len(b)
    within = (kernel[0].sum() - np.trace(kernel[0])) / (n * (n - 1))
    within += (kernel[1].sum() - np.trace(kernel[1])) / (m * (m - 1))
    return float(within - 2.0 * kernel[2].mean())
