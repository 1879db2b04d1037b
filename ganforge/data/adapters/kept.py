"""Pictures found in the cache by their fingerprint alone, after their source is gone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ganforge.data.cache import ABOUT, cache_root, open_entry
from ganforge.data.record import notes
from ganforge.plugin.dataset import Images


def kept(fingerprint: str, description: str = "", cache_dir: Path | str | None = None) -> Images | None:
    """Return pictures or vectors that were read before, mapped from the cache; None if they are not there.

    This lets a run that was trained on a Python object continue without it. ``description`` is that of the data.
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
