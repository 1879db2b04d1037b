"""Stacks of grey pictures, whose modes can be counted: ``--data stacked:source=…``.

Three pictures of a set with K classes, drawn independently, become the red, green and blue channels of one picture.
It belongs to one of K³ known modes: 1,000 with digits. Source: Metz et al. 2017, "Unrolled Generative Adversarial
Networks", and Srivastava et al. 2017, "VEEGAN", with MNIST.
"""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.dataset import Images, describe
from ganforge.plugin.options import Options, parse_spec
from ganforge.plugin.sizes import Size, sides, size_of

if TYPE_CHECKING:
    import numpy as np

    from ganforge.data.greys import Part

# Whatever changes the stacks changes this, and with it the fingerprint.
VERSION = 1
_BLOCK = 256


class StackedOptions(Options):
    """Options of ``--data stacked``."""

    source: str = Field("digits", description="digits, fashion-mnist, or a labelled folder or file of pictures")
    count: int = Field(25_600, ge=2, description="how many stacks to draw")
    part: Literal["train", "held-out"] = Field(
        "train", description="held-out: from the fifth of the source, or its test files, never used for training"
    )
    rare: float = Field(1.0, gt=0, le=1, description="probability of the first class, relative to each other class")
    images: str | None = Field(None, description="if the source is a file: the key or column that holds the pictures")
    labels: str | None = Field(
        None, description="if the source is a file: the key, column or file that holds the labels"
    )


def load_stacked(
    options: StackedOptions,
    image_size: Size = 32,
    channels: int = 3,
    limit: int | None = None,
    seed: int = 0,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
    image_shape: tuple[int, int, int] | None = None,
) -> Images:
    """Return ``options.count`` stacks (fewer with ``limit``), uint8 (N, H, W, channels), drawn once and cached.

    With 1 channel they are the grey pictures themselves. Labels are modes: with three classes a, b and c of K,
    ``(a K + b) K + c``. A function of the source's pictures, the options and ``seed``.

    Raises:
        UsageError: there is no such source, or 4 channels are asked for.
        GANForgeError: the source cannot be read, has no labels, or does not have 2 to 30 classes.
    """
    import numpy as np

    from ganforge.data.greys import greys

    if image_shape is not None:
        height, width, channels = image_shape
        image_size = size_of(height, width)
    if channels not in (1, 3):
        raise UsageError(f"--data stacked has no pictures with {channels} channels; expected --channels 3 or 1")
    found = greys(options.source, image_size, cache_dir, progress, images=options.images, labels=options.labels)
    part = found.train if options.part == "train" else found.held_out
    count = options.count if limit is None else min(options.count, limit)
    picks = picked(part, count, channels, [seed, options.part == "held-out"], options.rare)
    settings: list[Any] = [VERSION, found.fingerprint, options.part, count, *sides(image_size), channels, seed]
    settings += [options.rare] if options.rare < 1 else []
    fingerprint = hashlib.sha256(json.dumps(settings).encode()).hexdigest()
    return Images(
        array=_cached(fingerprint, part, picks, cache_dir, progress),
        fingerprint=fingerprint,
        description=describe(
            count, f"{'stacks' if channels == 3 else 'pictures'} of {found.name}", image_size, channels
        ),
        found=count,
        labels=modes_of(part.labels[picks], len(found.classes)).astype(np.int32),
        classes=tuple("-".join(names) for names in itertools.product(found.classes, repeat=channels)),
    )


def picked(part: Part, count: int, channels: int, seed: list[int], rare: float = 1.0) -> np.ndarray:
    """Return which of a part's pictures are in each stack, int64 (count, channels).

    All are equally likely, except those of the first class if it is ``rare``.
    """
    import numpy as np

    random = np.random.Generator(np.random.Philox(np.random.SeedSequence([*map(int, seed), 0x57AC])))
    if rare < 1:
        weights = np.where(part.labels == 0, rare, 1.0)
        return random.choice(len(weights), (count, channels), p=weights / weights.sum())
    return random.integers(0, len(part.labels), (count, channels))


def modes_of(classes: np.ndarray, of: int) -> np.ndarray:
    """Return the mode of each row of classes, (N, C) below ``of``: they are its digits in base ``of``, int64 (N,)."""
    import numpy as np

    return np.asarray(classes, np.int64) @ (of ** np.arange(classes.shape[1])[::-1])


def _cached(
    fingerprint: str,
    part: Part,
    picks: np.ndarray,
    cache_dir: Path | None,
    progress: Callable[[int, int], None] | None,
) -> np.ndarray:
    from ganforge.data.cache import ArrayWriter, building, cache_root, new_entry, open_entry, write_record

    root, key = cache_root(cache_dir), f"stacked-{fingerprint[:32]}"
    entry = open_entry(root, key)
    if entry is None:
        with building(root, key):
            entry = open_entry(root, key)  # another process may have drawn them while this one waited
            if entry is None:
                with new_entry(root, key) as folder:
                    writer = ArrayWriter(folder, (*part.array.shape[1:3], picks.shape[1]))
                    for start in range(0, len(picks), _BLOCK):
                        for stack in part.stacks(picks[start : start + _BLOCK]):
                            writer.write(stack)
                        if progress:
                            progress(min(start + _BLOCK, len(picks)), len(picks))
                    writer.close()
                    write_record(folder, {"fingerprint": fingerprint})
                entry = open_entry(root, key)
    if entry is None:
        raise GANForgeError(f"the picture cache in '{root}' was removed while it was being written")
    return entry[0]


def placed(options: Any) -> str | None:
    """Return a ``--data`` text of options of stacks, with the whole path of the source; None where it has no path."""
    from ganforge.data.adapters import place_of
    from ganforge.data.greys import NAMES

    if not isinstance(options, StackedOptions) or options.source in NAMES:
        return None
    values = options.model_dump(exclude_unset=True) | {"source": place_of(options.source)}
    return "stacked:" + ",".join(f"{key}={value}" for key, value in values.items() if value is not None)


def inner_path(text: str) -> str:
    """Return the path of the source in a ``--data`` text of stacks; any other text as it is."""
    return str(parse_spec(text).values.get("source", text)) if text.startswith("stacked:") else text
