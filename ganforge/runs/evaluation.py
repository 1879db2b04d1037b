"""``evaluation.json``: the metrics of a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from ganforge.errors import GANForgeError
from ganforge.files import MIB, read_json
from ganforge.runs.typed import Evaluation, wrong

NAME, FORMAT = "evaluation.json", 1


def read_evaluation(run: Path) -> dict[str, Any] | None:
    """Return the results of ``ganforge evaluate``, or None; a damaged or newer file counts as missing."""
    try:
        value = read_json(run / NAME, 16 * MIB, links=False)
    except GANForgeError:
        return None
    good = isinstance(value, dict) and value.get("format") == FORMAT and wrong(Evaluation, value) is None
    return value if good else None
