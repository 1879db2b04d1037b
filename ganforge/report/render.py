"""A page with its style, its script and its data inside it; and the curves it draws."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from ganforge.metrics.columns import LOGITS, PROBABILITIES, column, judged_in_pairs

POINTS = 300


def render(template: str, title: str, data: Any) -> str:
    """Return a page with its style, scripts and data inside it."""
    pages = resources.files("ganforge.report") / "page"
    # "</" would end the script element from within a text.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("</", "<\\/")
    parts = {
        "{{title}}": title.replace("&", "&amp;").replace("<", "&lt;"),
        "/*{{style}}*/": (pages / "style.css").read_text("utf-8"),
        "/*{{chart}}*/": (pages / "chart.js").read_text("utf-8"),
        "{{data}}": text,
    }
    html = (pages / template).read_text("utf-8")
    for mark, part in parts.items():
        html = html.replace(mark, part)
    return html


def curves(lines: Sequence[dict[str, Any]], points: int = POINTS) -> dict[str, list[float | None]]:
    """Return the curves by name, means over at most ``points`` equal parts; the x-axis is ``epoch``."""
    if not lines:
        return {}
    parts = np.array_split(np.arange(len(lines)), min(points, len(lines)))
    planned = sorted({k for k in lines[-1] if "/" in k and not k.endswith("/penalty")})
    result: dict[str, list[float | None]] = {}
    verdicts = LOGITS if judged_in_pairs(lines) else PROBABILITIES
    for name in ("epoch", "d_loss", "g_loss", *verdicts, "d_accuracy", *planned):
        values = column(lines, name)
        if np.isfinite(values).any():
            means = [_mean(values[part]) for part in parts]
            result[name] = [None if m is None else float(f"{m:.5g}") for m in means]
    return result


def _mean(values: np.ndarray) -> float | None:
    values = values[np.isfinite(values)]
    return float(values.mean()) if len(values) else None
