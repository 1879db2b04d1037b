"""The two networks as a table of text and as a drawing."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from ganforge.files import replacing

Layers = list[dict[str, Any]]
MAIN = ("Dense", "Conv", "SeparableConv", "DepthwiseConv", "UpSampling", "Embedding")
COLOURS = {"Dense": "#8da0cb", "Conv2DTranspose": "#66c2a5", "Conv": "#fc8d62", "UpSampling": "#a6d854"}


def architecture_text(networks: dict[str, Layers]) -> str:
    """Return layers, output shapes and parameters of both networks as aligned text."""
    parts = []
    for role, rows in networks.items():
        table = [("layer", "kind", "output", "parameters")]
        for row in rows:
            kind = row["kind"] + (f" ({row['detail']})" if row["detail"] else "")
            table.append((row["name"], kind, _shape(row["output_shape"]), f"{row['parameters']:,}"))
        widths = [max(len(line[i]) for line in table) for i in range(4)]
        lines = [
            "  ".join(cell.ljust(w) for cell, w in zip(line[:3], widths)) + "  " + line[3].rjust(widths[3])
            for line in table
        ]
        rule = "─" * len(lines[0])
        total = sum(row["parameters"] for row in rows)
        parts.append(
            "\n".join([role.capitalize(), rule, lines[0], rule, *lines[1:], rule, f"{total:,} parameters", ""])
        )
    return "\n".join(parts)


def _shape(shape: list[Any]) -> str:
    return " × ".join("?" if n is None else str(n) for n in shape)


def draw_architecture(networks: dict[str, Layers], path: Path, title: str = "") -> None:
    """Draw both networks as PNG: a slab a layer, tall for large maps and wide for many channels."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    rows = {role: _slabs(layers) for role, layers in networks.items()}
    longest = max((len(slabs) for slabs in rows.values()), default=1)
    figure = Figure(figsize=(max(7.0, 1.75 * longest + 1), 6.6), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    for axis, (role, slabs) in zip(figure.subplots(len(rows), 1, squeeze=False)[:, 0], rows.items()):
        total = sum(row["parameters"] for row in networks[role])
        axis.set_title(f"{role.capitalize()}: {total:,} parameters", loc="left", fontsize=11)
        _draw_row(axis, slabs, longest)
    if title:
        figure.suptitle(title, fontsize=12, x=0.02, ha="left")
    with replacing(path) as file:
        figure.savefig(file, format="png")


def _slabs(layers: Layers) -> list[dict[str, Any]]:
    """Return the layers worth a slab, the small ones after each gathered into its notes."""
    slabs: list[dict[str, Any]] = []
    for row in layers:
        if not slabs or row["kind"].startswith(MAIN):
            slabs.append({**row, "notes": []})
        else:
            names = {"BatchNormalization": "batch norm", "LeakyReLU": "leaky ReLU"}
            slabs[-1]["notes"].append(names.get(row["kind"], row["kind"]))
            if row["kind"] == "Reshape":
                slabs[-1]["output_shape"] = row["output_shape"]
    return slabs


def _draw_row(axis: Any, slabs: list[dict[str, Any]], longest: int) -> None:
    from matplotlib.patches import Polygon, Rectangle

    for i, slab in enumerate(slabs):
        shape = [n or 1 for n in slab["output_shape"]] or [1]
        flat = len(shape) < 3
        side, channels = (1.0, shape[-1]) if flat else (math.sqrt(shape[0] * shape[1]), shape[-1])
        height = 0.25 + 0.13 * math.log2(max(channels, 1)) if flat else 0.35 + 0.17 * math.log2(side)
        width = 0.13 if flat else 0.09 + 0.055 * math.log2(max(channels, 1))
        depth = 0.05 if flat else 0.22 * height
        colour = next((c for kind, c in COLOURS.items() if slab["kind"].startswith(kind)), "#b3b3b3")
        x, y = i * 1.6, -height / 2
        style: dict[str, Any] = {"facecolor": colour, "edgecolor": "#3c3c44", "linewidth": 0.8}
        axis.add_patch(Rectangle((x, y), width, height, **style))
        d = depth * 0.5
        axis.add_patch(
            Polygon(
                [(x, y + height), (x + d, y + height + d), (x + width + d, y + height + d), (x + width, y + height)],
                **style,
                alpha=0.75,
            )
        )
        axis.add_patch(
            Polygon(
                [(x + width, y), (x + width + d, y + d), (x + width + d, y + height + d), (x + width, y + height)],
                **style,
                alpha=0.55,
            )
        )
        middle = x + (width + d) / 2
        above = slab["kind"] + (f"\n{slab['detail']}" if slab["detail"] else "")
        axis.text(middle, 1.02, above, ha="center", va="bottom", fontsize=7.5, color="#2c2c34")
        below = _shape(slab["output_shape"]) + "".join(f"\n{note}" for note in slab["notes"])
        axis.text(middle, -0.88, below, ha="center", va="top", fontsize=7.5, color="#55555f", linespacing=1.25)
        if i:
            axis.annotate(
                "", (x - 0.12, 0), (x - 0.72, 0), arrowprops={"arrowstyle": "->", "color": "#9a9aa4", "lw": 1}
            )
    axis.set_xlim(-0.6, max(longest, 2) * 1.6 - 0.6)
    axis.set_ylim(-1.75, 1.45)
    axis.axis("off")
