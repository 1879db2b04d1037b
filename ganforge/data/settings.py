"""Parsing settings for reading pictures; nothing heavy is imported for them."""

from __future__ import annotations

import math
import re

from ganforge.errors import UsageError

Range = tuple[float, float]


def parse_range(text: object) -> Range:
    """Return ``LOW,HIGH``, or a pair of numbers, as numbers. Raises ``UsageError``."""
    parts = text.split(",") if isinstance(text, str) else list(text) if isinstance(text, (list, tuple)) else []
    try:
        low, high = (float(part) for part in parts)
    except (TypeError, ValueError):
        low = high = math.nan
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise UsageError(f"invalid --range {text}: expected LOW,HIGH, two numbers, the lower first, such as 0,4095")
    return low, high


def parse_background(text: str) -> tuple[int, int, int]:
    """Return ``white``, ``black`` or ``#rrggbb`` as red, green and blue. Raises ``UsageError``."""
    text = {"white": "#ffffff", "black": "#000000"}.get(text.lower(), text)
    if not re.fullmatch("#[0-9a-fA-F]{6}", text):
        raise UsageError(f"invalid background '{text}': expected white, black or #rrggbb")
    red, green, blue = bytes.fromhex(text[1:])
    return red, green, blue
