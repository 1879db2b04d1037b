"""The kernel distance between two sets of features."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

CLIP, LEAST, ROWS = 5.0, 4, 1024


def kid(real: np.ndarray, fake: np.ndarray) -> tuple[float, float | None]:
    """Return the unbiased squared MMD of two (N, D) sets of features, and its standard error (see ``mmd``).

    Every dimension is first divided by its deviation over ``real``, and ``real``'s mean taken off, since the kernel
    weighs features by their size; what is further out than 5 deviations counts as 5, or a cube of it
    would drown everything else. About 0, on either side, when both come from one distribution. That the mean
    and the deviations are those of finitely many pictures is part of the error, to first order.

    Source: Bińkowski et al. 2018, "Demystifying MMD GANs", section 4.
    """
    mean, deviation = real.mean(0, dtype=float), real.std(0, dtype=float)
    known = deviation > 1e-6
    far, other = ((x[:, known] - mean[known]) / deviation[known] for x in (real, fake))
    a, b = np.clip(far, -CLIP, CLIP), np.clip(other, -CLIP, CLIP)
    statistics = _compare(a, b)
    # How the estimate moves when the mean grows by one deviation, and when a deviation grows by the factor e.
    free = [(slope * (np.abs(x) < CLIP), x) for slope, x in zip(statistics.slopes, (a, b))]
    shift = -sum(slope.sum(0) for slope, _ in free)
    scale = -sum((slope * x).sum(0) for slope, x in free)
    return statistics.value, statistics.error(far @ shift + (far**2 - 1.0) @ scale / 2.0)


def mmd(a: np.ndarray, b: np.ndarray) -> tuple[float, float | None]:
    """Return the unbiased squared maximum mean discrepancy of (n, D) and (m, D), and its standard error.

    n and m are at least 2; the error is None when one is below 4. The kernel is the cubic one of Bińkowski et al.,
    k(x, y) = (x · y / D + 1)³. The estimate is mean k(a, a') + mean k(b, b') − 2 mean k(a, b), none with itself.

    The error is how far the estimate would scatter over other draws of as many. Its square is the variance of a
    U-statistic, 4 ζa / n + 4 ζb / m + 2 ζaa / (n (n − 1)) + 2 ζbb / (m (m − 1)) + 4 ζab / (n m). ζa is the variance
    of mean k(a, a') − mean k(a, b) over a: 0 between two sets of one distribution, where the rest decides.
    ζaa, ζbb and ζab are the variances of the kernel without what either picture alone explains.

    Sources: Gretton et al. 2012, equation 3 (estimate); Hoeffding 1948, section 5, and Sutherland et al. 2017,
    "Generative Models and Model Criticism via Optimized MMD", section 3 (variance); Székely & Rizzo 2014, section 3
    (ζaa without bias).
    """
    statistics = _compare(a, b, sloping=False)
    return statistics.value, statistics.error()


@dataclass(frozen=True)
class _Statistics:
    """Of the kernel in two sets and across: the sums of rows and of squares, and the estimate's slopes."""

    rows: tuple[np.ndarray, np.ndarray]
    squares: tuple[float, float]
    across: tuple[np.ndarray, np.ndarray]
    squares_across: float
    slopes: tuple[np.ndarray, np.ndarray]

    @property
    def value(self) -> float:
        n, m = map(len, self.rows)
        within = self.rows[0].sum() / (n * (n - 1)) + self.rows[1].sum() / (m * (m - 1))
        return float(within - 2.0 * self.across[0].sum() / (n * m))

    def error(self, beside: np.ndarray | float = 0.0) -> float | None:
        """Return the standard error; ``beside``, (n,): what else each of the first set does to the estimate."""
        n, m = map(len, self.rows)
        if min(n, m) < LEAST:
            return None
        aa, bb = (_interaction(rows, squares) for rows, squares in zip(self.rows, self.squares))
        total = self.across[0].sum()
        ab = self.squares_across - (self.across[0] ** 2).sum() / m - (self.across[1] ** 2).sum() / n
        ab = (ab + total**2 / (n * m)) / ((n - 1) * (m - 1))
        both = 2 * aa / (n * (n - 1)) + 2 * bb / (m * (m - 1)) + 4 * ab / (n * m)
        alone_a = np.var(2 * (self.rows[0] / (n - 1) - self.across[0] / m) + beside, ddof=1)
        alone_b = np.var(2 * (self.rows[1] / (m - 1) - self.across[1] / n), ddof=1)
        # Means over finitely many scatter too: that is no part of ζa and ζb.
        alone = (alone_a - 4 * (aa / (n - 1) + ab / m)) / n + (alone_b - 4 * (bb / (m - 1) + ab / n)) / m
        return float(np.sqrt(max(alone + both, both / 2, 0.0)))


def _compare(a: np.ndarray, b: np.ndarray, sloping: bool = True) -> _Statistics:
    """Return the statistics; without ``sloping`` their ``slopes`` are empty, which takes half of the time."""
    n, m = len(a), len(b)
    own_a, own_b, across = _sums(a, a, sloping, True), _sums(b, b, sloping, True), _sums(a, b, sloping)
    slopes = (
        2 * own_a.slopes[0] / (n * (n - 1)) - 2 * across.slopes[0] / (n * m),
        2 * own_b.slopes[0] / (m * (m - 1)) - 2 * across.slopes[1] / (n * m),
    )
    squares = own_a.squares, own_b.squares
    return _Statistics((own_a.rows, own_b.rows), squares, (across.rows, across.columns), across.squares, slopes)


class _Sums(NamedTuple):
    """Of k(a, b): the sums of rows, (n,), of columns, (m,), and of all squares; the row sums' gradient at a, (n, D),
    with b held, and the column sums' at b, (m, D), with a held."""

    rows: np.ndarray
    columns: np.ndarray
    squares: float
    slopes: tuple[np.ndarray, np.ndarray]


def _sums(a: np.ndarray, b: np.ndarray, sloping: bool, itself: bool = False) -> _Sums:
    """Return the sums. With ``itself`` the diagonal counts as 0; without ``sloping`` gradients have no rows."""
    rows, columns, squares = [], np.zeros(len(b)), 0.0
    slopes_a, slopes_b = [np.empty((0, a.shape[1]))], np.zeros(b.shape if sloping else (0, b.shape[1]))
    for start in range(0, len(a), ROWS):
        part = a[start : start + ROWS]
        kernel = part @ b.T / a.shape[1] + 1.0
        if itself:
            kernel[np.arange(len(kernel)), start + np.arange(len(kernel))] = 0.0
        if sloping:
            steep = 3.0 * kernel**2 / a.shape[1]
            slopes_a.append(steep @ b)
            slopes_b += 0.0 if itself else steep.T @ part  # of itself, both are the same
        kernel = kernel**3
        rows.append(kernel.sum(1))
        columns += kernel.sum(0)
        squares += float((kernel**2).sum())
    return _Sums(np.concatenate(rows), columns, squares, (np.concatenate(slopes_a), slopes_b))


def _interaction(rows: np.ndarray, squares: float) -> float:
    """Return the unbiased estimate of ζaa from the sums of rows, (n,), and of squares, without the diagonal."""
    n, total = len(rows), rows.sum()
    centred = squares - 2.0 * (rows**2).sum() / (n - 2) + total**2 / ((n - 1) * (n - 2))
    return float(centred / (n * (n - 3)))
