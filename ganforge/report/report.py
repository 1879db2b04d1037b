"""One self-contained HTML file about several runs, without a network connection or a framework."""

from __future__ import annotations

import base64
import hashlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ganforge import __version__
from ganforge.diagnosis.evidence import gather
from ganforge.diagnosis.rules import diagnose
from ganforge.errors import GANForgeError, reason
from ganforge.files import write_atomic
from ganforge.report.render import curves, render
from ganforge.runs import list_snapshots
from ganforge.runs.origin import in_words
from ganforge.study.findings import findings
from ganforge.study.mattered import shown, told
from ganforge.study.medians import has_seeds, medians
from ganforge.study.summary import Summary, columns_of, measured_apart

SHOWN, COLUMNS_OF_GRID = 36, 6
MOST_FRAMES = 720  # of all runs: a page of many runs stays one that opens


def write_report(
    summaries: Sequence[Summary], path: Path, title: str, frames: int = 12, searches: Sequence[dict[str, Any]] = ()
) -> None:
    """Write the report, whole or not at all, with at most ``frames`` grids of each run.

    ``searches`` are the records of the studies' searches (``ganforge.study.mattered.searched``).

    Raises:
        GANForgeError: the file cannot be written.
    """
    html = render("report.html", title=title, data=report_data(summaries, title, frames, searches))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, html.encode())
    except OSError as error:
        raise GANForgeError(f"{path} cannot be written: {reason(error, kind=False)}") from None


def report_data(
    summaries: Sequence[Summary], title: str, frames: int = 12, searches: Sequence[dict[str, Any]] = ()
) -> dict[str, Any]:
    """Return everything the page shows, JSON-able."""
    columns = columns_of(summaries)
    frames = min(frames, max(2, MOST_FRAMES // max(1, len(summaries))))
    diagrams: dict[str, dict[str, Any]] = {}
    runs = []
    for summary in summaries:
        config = summary.manifest["config"]
        found = diagnose(gather(summary.run))
        runs.append(
            {
                "name": summary.label,
                "id": summary.run.name,
                "state": summary.manifest["state"],
                "arch": config["arch"],
                "balance": summary.balance,
                "loss": config["loss"],
                "seed": config["seed"],
                "epochs": summary.manifest["progress"]["epoch"],
                "numbers": {column.key: column.get(summary) for column in columns},
                "texts": {column.key: column.text(column.get(summary)) for column in columns},
                "curves": curves(summary.lines),
                "frames": _frames(summary.run, summary.manifest["image_shape"], frames),
                "diagram": _diagram(summary, diagrams),
                "diagnoses": [{"title": f.title, "numbers": f.numbers, "why": f.why} for f in found],
            }
        )
    began = {s.label: in_words(s.manifest["from"]) for s in summaries if s.manifest.get("from")}
    return {
        "title": title,
        "version": __version__,
        "data": trained_on(summaries),
        "columns": [{"key": c.key, "title": c.title, "better": c.better} for c in columns],
        "findings": [*(sentence for search in searches for sentence in told(search)), *findings(summaries)],
        "searches": [shown(search) for search in searches],
        "medians": _medians(summaries),
        "runs": runs,
        "diagrams": list(diagrams.values()),
        "notes": [*(f"{name} started from {'; '.join(lines)}." for name, lines in began.items()), *_notes(summaries)],
    }


def _medians(summaries: Sequence[Summary]) -> list[dict[str, Any]]:
    """Return a table for each set of data, of runs that differ in the seed alone; none where no runs do."""
    if not has_seeds(summaries):
        return []
    found = medians(summaries)
    tables = [(data, *found.table(data, "{}")) for data in found.data]
    return [{"data": data, "head": head, "rows": rows} for data, head, rows in tables]


def trained_on(summaries: Sequence[Summary], most: int = 3) -> str:
    """Return what the runs were trained on, in the order in which it comes up."""
    known = list(dict.fromkeys(summary.manifest["data"]["description"] for summary in summaries))
    more = len(known) - most
    return "; ".join(known[:most]) + (f"; and {more} other set{'s' * (more > 1)} of pictures" if more > 0 else "")


def _frames(run: Path, shape: Sequence[int], count: int) -> list[dict[str, Any]]:
    """Return some of the grids, the first and last among them, as pictures of 36 latents inside the page.

    Of vectors, the scatter plots as they are.
    """
    from ganforge.media.grids import cells, make_grid, read_png

    snapshots = list_snapshots(run)
    chosen = np.unique(np.linspace(0, len(snapshots) - 1, min(count, len(snapshots))).round().astype(int))
    result = []
    for i in chosen:
        grid = snapshots[i]
        epoch, path = grid
        pictures = read_png(path) if len(shape) == 1 else make_grid(cells(path, shape)[:SHOWN], COLUMNS_OF_GRID, 1)
        result.append({"epoch": round(epoch, 4), "title": grid.title, "src": _inline(pictures)})
    return result


def _inline(picture: np.ndarray, lossless: bool = False) -> str:
    from PIL import Image

    from ganforge.media.grids import on_checkerboard

    buffer, picture = io.BytesIO(), on_checkerboard(picture)
    image = Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).convert("RGB")
    image.save(buffer, "webp", quality=85, lossless=lossless)
    return "data:image/webp;base64," + base64.b64encode(buffer.getvalue()).decode()


def _diagram(summary: Summary, diagrams: dict[str, dict[str, Any]]) -> int | None:
    """Return the place of a run's diagram among those of the page; runs of one architecture share it."""
    from ganforge.media.grids import read_png

    path = summary.run / "architecture.png"
    if not path.is_file():
        return None
    # Layers' names carry counters of the process that built them.
    layers = {
        role: [[row["kind"], row["output_shape"], row["parameters"], row["detail"]] for row in rows]
        for role, rows in summary.manifest["networks"].items()
    }
    key = hashlib.sha256(json.dumps(layers, sort_keys=True).encode()).hexdigest()
    if key not in diagrams:
        drawn = read_png(path)
        diagrams[key] = {"arch": summary.manifest["config"]["arch"], "src": _inline(drawn, lossless=True)}
    return list(diagrams).index(key)


def _notes(summaries: Sequence[Summary]) -> list[str]:
    """Return what a reader must know to read the numbers."""
    measured = [s.evaluation for s in summaries if s.evaluation and {"swd", "kid"} <= s.evaluation.keys()]
    if not measured:
        return ["No run has been evaluated yet. Next: ganforge evaluate RUN."]
    first = measured[0]
    tone = first.get("tone", {})  # not measured by older versions
    floors = [
        ("SWD", first["swd"]["floor"], ".1f"),
        ("tone", tone.get("floor"), ".1f"),
        ("KID", first["kid"]["floor"], ".3f"),
    ]
    real = "held-out" if first.get("reference", {}).get("held_out") else "training"
    if "imagenet" in first and first["imagenet"]["floor"]:
        floors.append(("FD", first["imagenet"]["floor"]["fd"], ".1f"))
    known = " and ".join(f"{name} {value:{form}}" for name, value, form in floors if value is not None)
    notes = [
        f"SWD{', tone' * bool(tone)} and KID compare {min(first['samples'], first['real']):,} generated pictures "
        f"with as many {real} pictures{f'; real against real: {known}' * bool(known)}. KID uses "
        f"{first['kid']['features']}, a fixed network with random weights: it compares these runs with each other, "
        "but not with published numbers.",
        "Loss gap, D accuracy and balance cover the second half of each run. In balance: D accuracy of 55 % to 90 %.",
    ]
    if apart := measured_apart(summaries):
        notes.append(apart)
    if len(measured) < len(summaries):
        count = len(summaries) - len(measured)
        notes.append(f"{count} of {len(summaries)} runs {'is' if count == 1 else 'are'} not evaluated.")
    return notes
