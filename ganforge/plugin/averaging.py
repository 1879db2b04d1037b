"""How ``--ema`` is written: a decay, a half-life in thousands of pictures, or none."""

from __future__ import annotations

import math
import re
from typing import Any

from ganforge.errors import UsageError

ALONE = 0.999  # what --ema without a value stands for
EXPECTED = f"expected a decay such as {ALONE}, a half-life in thousands of pictures such as 500kimg, or none"


def parse_ema(value: Any) -> float:
    """Return 0 for none, a decay in (0, 1), or from 1 on a half-life in pictures: 500,000 for ``500kimg``.

    ``True`` is ``--ema`` without a value; ``False``, 0 and ``none`` are none.

    Raises:
        UsageError: it is nothing of these.
    """
    if isinstance(value, bool):
        return ALONE if value else 0.0
    text = str(value).strip().lower()
    if text == "none":
        return 0.0
    if match := re.fullmatch(r"([0-9]*\.?[0-9]+)\s*kimg", text):
        pictures = 1000 * float(match[1])
        if not 1 <= pictures < math.inf:
            raise UsageError(f"invalid --ema {value}: less than one picture; {EXPECTED}")
        return pictures
    try:
        decay = float(text)
    except ValueError:
        decay = math.nan
    if decay >= 1 and math.isfinite(decay):
        raise UsageError(
            f"invalid --ema {value}: not a decay below 1; {EXPECTED} ({value} pictures are {decay / 1000:g}kimg)"
        )
    if not 0 <= decay < 1:
        raise UsageError(f"invalid --ema {value}: {EXPECTED}")
    return decay


def written_ema(value: Any) -> float | str:
    """Return the same in the form that ``run.json`` keeps: 0.0, a decay, or a text such as ``500kimg``.

    Raises:
        UsageError: see ``parse_ema``.
    """
    number = parse_ema(value)
    return number if number < 1 else f"{number / 1000:.12g}kimg"
