"""Loss curves."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np

from ganforge.files import replacing
from ganforge.metrics.columns import column, judged_in_pairs, names

# Blue and vermilion of Okabe & Ito's palette, which colour-blind readers tell apart.
DISCRIMINATOR, GENERATOR, QUIET = "#0072B2", "#D55E00", "#8a8a92"
# Parts of a long curve, each drawn from its lowest to its highest: several a pixel, and a hundredth of the memory.
PARTS = 5000


def plot_losses(metrics: Sequence[Mapping[str, Any]], path: Path, title: str = "") -> None:
    """Save a plot of the lines of ``metrics.jsonl`` as PNG, whole or not at all; see ``draw_losses``."""
    with replacing(path) as file:
        draw_losses(metrics, file, title)


def draw_losses(metrics: Sequence[Mapping[str, Any]], file: IO[bytes], title: str = "", dpi: int = 160) -> None:
    """Write a plot of logged lines as PNG: losses, D(real) and D(fake), and what the strategies planned.

    Where logits have no zero of their own, there are no probabilities: then the share of pairs that D gets right, and
    the mean logits.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    x = column(metrics, "epoch")
    label = "epoch"
    if np.isnan(x).all():
        x, label = column(metrics, "step"), "step"
    planned = [name for name in names(metrics) if _changes(metrics, name)]
    pairs = judged_in_pairs(metrics)
    heights = [3, 2, *([1.4] if pairs else []), *([1.2] if planned else [])]
    figure = Figure(figsize=(8, 5.2 + 1.2 * bool(planned) + 1.2 * pairs), dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots(len(heights), 1, sharex=True, height_ratios=heights)
    _lines(
        axes[0],
        x,
        metrics,
        {"d_loss": ("discriminator loss", DISCRIMINATOR), "g_loss": ("generator loss", GENERATOR)},
    )
    losses = np.concatenate([column(metrics, "d_loss"), column(metrics, "g_loss")])
    if np.isfinite(losses).any():
        low, high = np.nanpercentile(losses[np.isfinite(losses)], [0.2, 99.5])
        room = 0.06 * max(high - low, 0.1)
        axes[0].set_ylim(low - room, high + room)
    probabilities = {"d_real": ("D(real)", DISCRIMINATOR), "d_fake": ("D(fake)", GENERATOR)}
    logits = {"d_real_logit": ("logit of real", DISCRIMINATOR), "d_fake_logit": ("logit of fake", GENERATOR)}
    if pairs:
        _lines(axes[1], x, metrics, {"d_accuracy": ("pairs that D gets right", DISCRIMINATOR)})
        _lines(axes[2], x, metrics, logits)
    else:
        _lines(axes[1], x, metrics, probabilities)
    axes[1].axhline(0.5, color=QUIET, linewidth=1, linestyle="--", zorder=1)
    axes[1].set_ylim(0, 1)
    for i, name in enumerate(planned):
        axes[-1].plot(*_thinned(x, column(metrics, name)), linewidth=1.6, color=f"C{i + 2}", label=name)
    axes[-1].set_xlabel(label)
    for axis in axes:
        axis.grid(True, color="#ececf0", linewidth=0.8)
        axis.spines[["top", "right"]].set_visible(False)
        if axis.get_legend_handles_labels()[0]:
            # Above the panel, so that no curve ever hides behind it.
            axis.legend(loc="lower right", bbox_to_anchor=(1, 1), fontsize=8, frameon=False, ncols=2, borderaxespad=0)
    axes[0].set_title(title, fontsize=11, loc="left")
    figure.savefig(file, format="png")


def _changes(metrics: Sequence[Mapping[str, Any]], name: str) -> bool:
    if "/" not in name or name.endswith("/penalty"):
        return False
    values = column(metrics, name)
    return bool(np.nanmax(values, initial=-np.inf) > np.nanmin(values, initial=np.inf))


def _lines(axis: Any, x: np.ndarray, metrics: Sequence[Mapping[str, Any]], shown: dict[str, tuple[str, str]]) -> None:
    for name, (label, colour) in shown.items():
        y = column(metrics, name)
        if np.isnan(y).all():
            continue
        smooth = _smoothed(y)
        axis.plot(*_thinned(x, y), color=colour, alpha=0.22, linewidth=0.8)
        axis.plot(*_thinned(x, smooth), color=colour, linewidth=1.9, label=label)


def _thinned(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return a curve of at most ``2 * PARTS`` points that fills the same pixels; a part without a number is a gap."""
    if len(y) <= 2 * PARTS:
        return x, y
    edges = np.linspace(0, len(y), PARTS + 1).astype(np.int64)[:-1]
    known = np.isfinite(y)
    low = np.minimum.reduceat(np.where(known, y, np.inf), edges)
    high = np.maximum.reduceat(np.where(known, y, -np.inf), edges)
    ends = np.stack([low, high], 1).reshape(-1)
    return np.repeat(x[edges], 2), np.where(np.isfinite(ends), ends, np.nan)


def _smoothed(y: np.ndarray) -> np.ndarray:
    """Return the mean over a window of about a thirtieth of the run, narrower at both ends; gaps stay gaps."""
    half = max(0, len(y) // 60)
    known = np.isfinite(y)
    sums = np.concatenate([[0.0], np.cumsum(np.where(known, y, 0.0))])
    counts = np.concatenate([[0], np.cumsum(known)])
    index = np.arange(len(y))
    reach = np.minimum(half, np.minimum(index, len(y) - 1 - index))
    low, high = index - reach, index + reach + 1
    number = counts[high] - counts[low]
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.where(number > 0, (sums[high] - sums[low]) / number, np.nan)
