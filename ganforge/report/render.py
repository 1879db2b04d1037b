"""A page with its style, its script and its data inside it; and the curves it draws."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import re
from collections.abc import Sequence
from importlib import resources
from typing import Any

import numpy as np

from ganforge.metrics.columns import LOGITS, PROBABILITIES, column, judged_in_pairs
from ganforge.runs import metrics

POINTS = 300
MARK = re.compile(r"\{\{title\}\}|\{\{data\}\}|/\*\{\{(?:style|chart)\}\}\*/")
SCRIPT = re.compile(r"<script([^>]*)>(.*?)</script>", re.DOTALL)


def render(template: str, title: str, data: Any) -> str:
    """Return a page with its style, scripts and data inside it.

    Every mark is filled in one pass, so that no text can hold a mark that is filled after it. A policy lets the page
    run its own scripts alone, known by their SHA-256, and ask no one but its own server.
    """
    pages = resources.files("ganforge.report") / "page"
    read = {name: (pages / name).read_text("utf-8") for name in (template, "style.css", "chart.js")}
    safe = {
        "{{title}}": html.escape(title),
        "/*{{style}}*/": read["style.css"],
        "/*{{chart}}*/": read["chart.js"],
        "{{data}}": embedded(data),
    }
    page = MARK.sub(lambda mark: safe[mark[0]], read[template])
    scripts = [script for attributes, script in SCRIPT.findall(page) if "application/json" not in attributes]
    hashes = (base64.b64encode(hashlib.sha256(script.encode()).digest()).decode() for script in scripts)
    sources = " ".join(f"'sha256-{one}'" for one in hashes)
    policy = (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'"
    )
    tag = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
    return page.replace('<meta charset="utf-8">', f'<meta charset="utf-8">\n{tag}', 1)


def embedded(data: Any) -> str:
    """Return data as JSON that ends no script element and begins no comment in one; what is not finite is null."""
    text = json.dumps(finite(data), ensure_ascii=True, allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def finite(value: Any) -> Any:
    """Return a JSON-able value with null in place of every float that is not finite."""
    if isinstance(value, dict):
        return {name: finite(one) for name, one in value.items()}
    if isinstance(value, (list, tuple)):
        return [finite(one) for one in value]
    return metrics.finite(value)


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
