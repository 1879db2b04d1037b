"""Snapshots of data that are not pictures: generated points over the density of the real ones."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ganforge.files import replacing

BINS, SIDE, ROOM = 320, 640, 0.12
INK = "#D55E00"  # vermilion of Okabe & Ito's palette, on greys


@dataclass(frozen=True)
class Backdrop:
    """Where the real points lie: the axes' limits ``low`` and ``high``, float (2,), and the density, (BINS, BINS).

    Of vectors the first two coordinates are shown; of single numbers the second limit is that of their density, and
    ``density`` their histogram, (BINS,).
    """

    low: np.ndarray
    high: np.ndarray
    density: np.ndarray


def backdrop(real: np.ndarray) -> Backdrop:
    """Return the backdrop of real vectors, float (N, D): all but the outermost thousandth, and some room around."""
    shown = np.asarray(real[:, :2], np.float64)
    low, high = np.quantile(shown, [0.0005, 0.9995], axis=0)
    span = np.maximum(high - low, 1e-6)
    if shown.shape[1] == 2:
        span[:] = span.max()  # one scale for both, so that a ring is round
    middle, half = (low + high) / 2, span * (0.5 + ROOM)
    low, high = middle - half, middle + half
    if shown.shape[1] == 1:
        counts, _ = np.histogram(shown[:, 0], BINS, (low[0], high[0]), density=True)
        return Backdrop(np.append(low, 0.0), np.append(high, 1.3 * max(counts.max(), 1e-12)), counts)
    counts, _, _ = np.histogram2d(shown[:, 0], shown[:, 1], BINS, [(low[0], high[0]), (low[1], high[1])])
    return Backdrop(low, high, counts)


def save_scatter(points: np.ndarray, behind: Backdrop, path: Path) -> None:
    """Save generated vectors, float (N, D), over the real ones' density as PNG, always of one size.

    Points outside the axes are marked on the edge where they lie beyond it, so that none is lost.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(SIDE / 100, SIDE / 100), dpi=100)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0.08, 0.06, 0.9, 0.9))
    (left, bottom), (right, top) = behind.low, behind.high
    shown = np.nan_to_num(np.asarray(points[:, :2], np.float64), posinf=1e30, neginf=-1e30)
    if shown.shape[1] == 1:
        edges = np.linspace(left, right, BINS + 1)
        axes.fill_between(edges[:-1], behind.density, step="post", color="#c9c9d1", linewidth=0)
        counts, _ = np.histogram(np.clip(shown[:, 0], left, right), edges[::4], density=True)
        axes.step(edges[:-1:4], np.minimum(counts, top), where="post", color=INK, linewidth=1.4)
    else:
        density = np.sqrt(behind.density.T)  # thin modes beside dense ones stay visible
        axes.imshow(
            density,
            extent=(left, right, bottom, top),
            origin="lower",
            cmap="Greys",
            vmax=1.15 * max(density.max(), 1e-12),
            interpolation="nearest",
            aspect="auto",
        )
        inside = np.clip(shown, behind.low, behind.high)
        beyond = (inside != shown).any(1)
        axes.scatter(inside[~beyond, 0], inside[~beyond, 1], s=5, color=INK, alpha=0.55, linewidths=0)
        edge = inside[beyond]
        axes.scatter(edge[:, 0], edge[:, 1], s=16, color=INK, alpha=0.55, linewidths=0.7, marker="x", clip_on=False)
    axes.set_xlim(left, right)
    axes.set_ylim(bottom, top)
    axes.tick_params(labelsize=8, colors="#6a6a72")
    axes.spines[["top", "right"]].set_visible(False)
    with replacing(path) as file:
        figure.savefig(file, format="png")
