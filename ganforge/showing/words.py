"""Numbers in words, on a terminal and in a notebook alike."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console


def console(stderr: bool = False) -> Console:
    """Return a console; output to a pipe has 100 columns and no colours.

    Texts may be untrusted, so control characters in them are replaced by a mark.
    """
    import os

    from rich.console import Console
    from rich.segment import Segment

    from ganforge.errors import clean

    class Clean(Console):
        def render(self, *args: Any, **how: Any) -> Iterator[Segment]:
            for segment in super().render(*args, **how):
                yield segment if segment.control else segment._replace(text=clean(segment.text))

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else 100
    return Clean(stderr=stderr, width=width, highlight=False, soft_wrap=False)


def duration(seconds: float) -> str:
    """Return seconds in words: ``42 s``, ``3 min 20 s``, ``2 h 5 min``."""
    seconds = round(seconds)
    if seconds < 100:
        return f"{seconds} s"
    minutes, rest = divmod(seconds, 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def short(value: float | None, digits: int = 3) -> str:
    """Return a number as text, or a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def standing(metrics: Mapping[str, float], digits: int = 2) -> list[str]:
    """Return the losses and verdicts as short texts; what was not measured, or has no meaning, is left out.

    D(real) and D(fake) are probabilities. If a logit of 0 has no meaning, there are none: the texts then give the
    discriminator accuracy over pairs and the mean logits.
    """
    parts = [("D", "d_loss", digits), ("G", "g_loss", digits)]
    in_pairs = "d_real_logit" in metrics and "d_real" not in metrics
    parts += [("D accuracy", "d_accuracy", 2)] if in_pairs else [("D(real)", "d_real", 2), ("D(fake)", "d_fake", 2)]
    said = [f"{label} {metrics[name]:.{n}f}" for label, name, n in parts if name in metrics]
    if in_pairs:
        said.append(f"logits {metrics['d_real_logit']:.2f} / {metrics['d_fake_logit']:.2f}")
    return said
