"""Pictures found again by their fingerprint alone, in the cache, where what they were read from is gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ganforge.data.cache import ABOUT, cache_root, open_entry
from ganforge.data.record import notes
from ganforge.plugin.dataset import Images


def kept(fingerprint: str, description: str = "", cache_dir: Path | str | None = None) -> Images | None:
    """Return the pictures or vectors that were read before, mapped from the cache; None where they are not there.

    A run that was trained on an object of Python goes on without it. ``description`` is what was said of them.
    """
    root = cache_root(cache_dir)
    for about in sorted(root.glob(f"*/{ABOUT}")):
        try:
            if fingerprint not in about.read_text("utf-8"):
                continue
        except (OSError, ValueError):
            continue
        entry = open_entry(root, about.parent.name)
        if entry is None or not fingerprint or entry[1].fingerprint != fingerprint:
            continue
        array, record = entry
        return Images(
            array=array,
            fingerprint=fingerprint,
            description=description,
            skipped=[(name, why) for name, why in record.skipped],
            found=len(array),
            labels=np.asarray(record.labels, np.int32) if record.classes else None,
            classes=record.classes,
            range=record.range,
            notes=tuple(notes(record)),
        )
    return None
