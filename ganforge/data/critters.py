"""Cartoon cats and dogs drawn from known factors: data to train on without pictures of your own."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from ganforge.data.cache import ArrayWriter, building, cache_root, new_entry, open_entry, write_record
from ganforge.data.drawing import MARGIN, Colour, portrait
from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.dataset import KINDS, Images, describe
from ganforge.plugin.sizes import Size, sides, written_size

# Whatever changes the pictures changes this, and with it the fingerprint.
CRITTERS_VERSION = 1

COATS: dict[str, Colour] = {
    "ginger": (238, 150, 62),
    "grey": (150, 158, 174),
    "charcoal": (82, 80, 96),
    "cream": (250, 228, 182),
    "brown": (152, 98, 62),
    "white": (248, 248, 250),
}
BACKGROUNDS: dict[str, Colour] = {
    "sky": (150, 204, 244),
    "mint": (158, 222, 178),
    "rose": (250, 182, 194),
    "lilac": (200, 184, 242),
    "butter": (252, 226, 130),
}
NOTHING = np.array((255, 255, 255, 0), np.uint8)
# Every discrete factor and its values, in the order of the integers that ``draw_critters`` returns.
FACTORS: dict[str, tuple[str, ...]] = {
    "species": ("cat", "dog"),
    "coat": tuple(COATS),
    "ears": ("pointed", "floppy", "perky"),
    "pose": ("left", "front", "right"),
    "background": tuple(BACKGROUNDS),
}
# The continuous ones: (low, high). Scale is relative; x and y are parts of the picture's side.
JITTER: dict[str, tuple[float, float]] = {"scale": (0.94, 1.06), "x": (-0.025, 0.025), "y": (-0.025, 0.025)}


def draw_factors(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Draw the factors of ``count`` critters, a dict of arrays (count,).

    The discrete ones are int32 indices into ``FACTORS`` (cats always have pointed ears, dogs floppy or
    perky ones), the continuous ones float32 within ``JITTER``. The first n of a longer draw are a draw of n.
    """
    names = [*FACTORS, *JITTER]
    dice = np.random.default_rng(np.random.SeedSequence([seed, CRITTERS_VERSION])).random((count, len(names)))
    uniform = dict(zip(names, dice.T))
    factors = {name: (uniform[name] * len(FACTORS[name])).astype(np.int32) for name in FACTORS}
    factors["ears"] = np.where(factors["species"] == 0, 0, 1 + (uniform["ears"] >= 0.5)).astype(np.int32)
    for name, (low, high) in JITTER.items():
        factors[name] = (low + (high - low) * uniform[name]).astype(np.float32)
    return factors


def draw_critters(
    count: int, image_size: Size = 32, channels: int = 3, seed: int = 0
) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Return ``count`` pictures, uint8 (count, H, W, channels) in 0…255, and their factors.

    ``image_size`` is a side, or (height, width): a critter is as large as the shorter side, in the middle of the
    lower edge. With 4 channels, the background is transparent. The factors are those of ``draw_factors``. The same
    arguments give the same pictures with the same version of Pillow. Raises ``UsageError`` for an argument out of
    range.
    """
    if count < 1 or min(sides(image_size)) < 8 or channels not in KINDS:
        raise UsageError(
            f"invalid critters: count {count}, size {written_size(image_size)}, channels {channels}; expected count "
            "from 1, sides from 8 pixels, and 1, 3 or 4 channels"
        )
    factors = draw_factors(count, seed)
    return render_critters(factors, image_size, channels), factors


def render_critters(factors: dict[str, np.ndarray], image_size: Size = 32, channels: int = 3) -> np.ndarray:
    """Return the pictures of given factors, as ``draw_factors`` names them: uint8 (count, H, W, channels)."""
    pictures = np.empty((len(factors["species"]), *sides(image_size), channels), np.uint8)
    _draw(pictures, factors, None)
    return pictures


def _draw(pictures: np.ndarray, factors: dict[str, np.ndarray], progress: Callable[[int, int], None] | None) -> None:
    """Fill ``pictures``: each look is drawn large once, then moved, scaled and laid on its background."""
    count, height, width, channels = pictures.shape
    size = min(height, width)
    # Four times the picture is plenty for smooth edges, and large pictures need less.
    large = size * 4 if size <= 128 else max(512, size * 2)
    # What a picture that is not square shows beside the critter and above it, in the drawing's pixels, with room.
    beside, above = ((width - size) / 2 / size * large, (height - size) / size * large)
    room = math.ceil(beside / JITTER["scale"][0]), math.ceil(above / JITTER["scale"][0])
    done = 0
    looks = np.stack([factors[name] for name in ("species", "ears", "coat", "pose")], axis=1)
    for species, ears, coat, pose in itertools.product(
        *(range(len(FACTORS[n])) for n in ("species", "ears", "coat", "pose"))
    ):
        members = np.flatnonzero((looks == (species, ears, coat, pose)).all(axis=1))
        if not len(members):
            continue
        template = portrait(
            FACTORS["species"][species],
            FACTORS["ears"][ears],
            COATS[FACTORS["coat"][coat]],
            FACTORS["pose"][pose],
            large,
        ).convert("RGBa")  # premultiplied, so that resampling leaves no dark fringe, converted once
        template = _with_room(template, *room)
        for i in members:
            scale = float(factors["scale"][i])
            side = large / scale
            left = large * (MARGIN + 0.5 - float(factors["x"][i])) - side / 2
            top = large * (MARGIN + 0.5 - float(factors["y"][i])) - side / 2
            bounds = (left - beside / scale, top - above / scale, left + side + beside / scale, top + side)
            box = (bounds[0] + room[0], bounds[1] + room[1], bounds[2] + room[0], bounds[3] + room[1])
            critter = template.resize((width, height), Image.Resampling.BOX, box=box).convert("RGBA")
            if channels == 4:
                alone = np.asarray(critter)
                pictures[i] = np.where(alone[..., 3:] == 0, NOTHING, alone)
                continue
            picture = Image.new("RGBA", (width, height), tuple(BACKGROUNDS.values())[factors["background"][i]])
            picture.alpha_composite(critter)
            plain = picture.convert("RGB") if channels == 3 else picture.convert("RGB").convert("L")
            pictures[i] = np.asarray(plain).reshape(height, width, channels)
        done += len(members)
        if progress:
            progress(done, count)


def _with_room(template: Image.Image, beside: int, above: int) -> Image.Image:
    """Return a drawing with so many transparent pixels on either side, and so many above it."""
    if not beside and not above:
        return template
    larger = Image.new(template.mode, (template.width + 2 * beside, template.height + above))
    larger.paste(template, (beside, above))
    return larger


def load_critters(
    options: Any,
    image_size: Size = 32,
    channels: int = 3,
    limit: int | None = None,
    seed: int = 0,
    cache_dir: Path | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Images:
    """Return ``options.count`` critters (fewer with ``limit``), labelled cat and dog, drawn once and cached.

    Raises ``UsageError`` for a setting out of range.
    """
    count = options.count if limit is None else min(options.count, limit)
    if count < 2 or min(sides(image_size)) < 8 or channels not in KINDS:
        raise UsageError(
            f"invalid critters: count {count}, size {written_size(image_size)}, channels {channels}; expected count "
            "from 2, sides from 8 pixels, and 1, 3 or 4 channels"
        )
    settings = f"critters {CRITTERS_VERSION} {count} {written_size(image_size)} {channels} {seed}"
    fingerprint = hashlib.sha256(settings.encode()).hexdigest()
    root = cache_root(cache_dir)
    key = f"critters-{fingerprint[:32]}"
    factors = draw_factors(count, seed)
    entry = open_entry(root, key)
    if entry is None:
        with building(root, key):
            entry = open_entry(root, key)  # another process may have drawn them while this one waited
            if entry is None:
                pictures = np.empty((count, *sides(image_size), channels), np.uint8)
                _draw(pictures, factors, progress)
                with new_entry(root, key) as folder:
                    writer = ArrayWriter(folder, (*sides(image_size), channels))
                    for picture in pictures:
                        writer.write(picture)
                    writer.close()
                    write_record(folder, {"fingerprint": fingerprint})
                entry = open_entry(root, key)
    if entry is None:
        raise GANForgeError(f"the picture cache in '{root}' was removed while it was being written")
    return Images(
        array=entry[0],
        fingerprint=fingerprint,
        description=describe(count, "drawn cats and dogs", image_size, channels),
        found=count,
        labels=factors["species"],
        classes=FACTORS["species"],
    )
