"""Colour pictures of 16 bits a channel, with all of their bits: Pillow alone keeps the upper eight.

Its decoders know each layout in two byte orders and keep one byte of each sample. Read in its own order a file gives
the upper bytes, read once more in the other order the lower ones.
"""

from __future__ import annotations

import contextlib
import io
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from PIL import ExifTags, Image

from ganforge.data.colour import Applied, to_srgb
from ganforge.data.ranges import to_bytes
from ganforge.data.settings import Range

_TOP = 65535
# Levels between the darkest and the lightest that nobody sees.
ONE_COLOUR = 8
_OTHER_ORDER = {"L": "B", "B": "L", "N": "B" if sys.byteorder == "little" else "L"}
_GREY_ALPHA = "LA;16B"
_BITS, _COMPRESSION, _OFFSETS, _LENGTHS, _PLANAR = 258, 259, 273, 279, 284
_JPEG2000 = re.compile(rb"\xff\x4f\xff\x51.{38}(.)", re.DOTALL)
_NETPBM = re.compile(rb"P([36])((?:\s|#[^\r\n]*[\r\n])+)(\d+)")
_SEPARATE = "a TIFF of 16 bits with separate colour planes; save it with its colours side by side, or as a PNG"


@dataclass(frozen=True)
class Planes:
    """Red, green and blue, float32 (H, W) in 0…65535, and the opacity in 0…1; ``times``: they are times it."""

    colours: list[np.ndarray]
    alpha: np.ndarray | None = None
    times: bool = False


@dataclass(frozen=True)
class Finish:
    """What is left to do once the set has its range: how a file says its colours are meant, as Pillow has it."""

    profile: bytes | None = None
    gamma: float | None = None
    srgb: bool = False

    @classmethod
    def of(cls, image: Image.Image) -> Finish:
        """Return that of a file."""
        profile, gamma = image.info.get("icc_profile"), image.info.get("gamma")
        return cls(
            _one(profile) if isinstance(profile, bytes) and profile else None,
            gamma if isinstance(gamma, float) else None,
            "srgb" in image.info,
        )

    def to_srgb(self, image: Image.Image) -> tuple[Image.Image, Applied]:
        """Bring 8-bit red, green and blue to sRGB, as if the file had held them."""
        image.info = {} if self.profile is None else {"icc_profile": self.profile}
        image.info |= {} if self.gamma is None else {"gamma": self.gamma}
        image.info |= {"srgb": 0} if self.srgb else {}
        return to_srgb(image)

    def pixels(
        self, values: np.ndarray, value_range: Range, background: tuple[int, int, int]
    ) -> tuple[np.ndarray, bool]:
        """Return float32 (H, W, 4), NaN where it is padded, as uint8 (H, W, 3) in sRGB on ``background``.

        And whether transparency made it one colour.
        """
        image, _ = self.to_srgb(Image.fromarray(to_bytes(values[..., :3], value_range, background=background)))
        padded = np.isnan(values[..., 3:])
        alpha = np.where(padded, 0.0, values[..., 3:])
        mixed = np.rint(alpha * np.asarray(image) + (1 - alpha) * np.asarray(background)).astype(np.uint8)
        own = mixed[~padded[..., 0]]
        return mixed, bool((alpha < 1)[~padded].any() and np.ptp(own, 0).max() <= ONE_COLOUR)

    def transparent(self, values: np.ndarray, value_range: Range, background: tuple[int, int, int]) -> np.ndarray:
        """Return the same as uint8 (H, W, 4) with its opacity; what nobody sees, and what pads, is ``background``."""
        image, _ = self.to_srgb(Image.fromarray(to_bytes(values[..., :3], value_range, background=background)))
        alpha = np.rint(255 * np.where(np.isnan(values[..., 3:]), 0.0, values[..., 3:])).astype(np.uint8)
        colours = np.where(alpha == 0, np.asarray(background, np.uint8), np.asarray(image))
        return np.concatenate([colours, alpha], -1)


@lru_cache(64)
def _one(profile: bytes) -> bytes:
    """Return the first of profiles that are equal: a set has thousands of copies of one."""
    return profile


def is_deep_colour(image: Image.Image, content: bytes) -> bool:
    """Tell whether a file that is open, and not read yet, holds colours (or grey and alpha) of more than 8 bits."""
    if image.mode not in ("RGB", "RGBA", "RGBX", "LA"):
        return False
    if image.format == "PPM":
        args = getattr(image, "tile", [(None, None, None, ())])[0][3]
        return isinstance(args, tuple) and isinstance(args[-1], int) and args[-1] > 255
    if image.format == "JPEG2000":  # SOC, SIZ and, after seven fields, the depth of the first channel less one
        found = _JPEG2000.search(content)
        return found is not None and found[1][0] & 0x7F > 7
    return _tag(image, _BITS, ())[:3] == (16, 16, 16) or any(";16" in raw for raw in _raws(image))


def read_planes(image: Image.Image, content: bytes, frame: int, factor: int = 1) -> Planes:
    """Return the channels of a picture that ``is_deep_colour``, turned as its EXIF says, ``factor`` times as small.

    ``image`` is at ``frame`` of the file whose bytes ``content`` are. Raises ``ValueError`` for a layout that cannot
    be read, and what Pillow's readers do.
    """
    if image.format == "PPM":
        return Planes([_reduced(one, factor) for one in _netpbm(content)])
    if _tag(image, _PLANAR, 1) == 2 and _tag(image, _COMPRESSION, 1) == 1:
        way = _orientation(image)
        return Planes([_turned(_reduced(one, factor), way) for one in _separate(image, content)])
    raws, clear = _raws(image), image.info.get("transparency")
    times = any(raw.startswith("RGBa") for raw in raws)
    _reorder(image, _as_they_are)
    image.load()
    low, way = _low(image, content, frame, raws), _orientation(image)
    grey_alpha = _GREY_ALPHA in raws and low is not None  # the four bytes of a pixel as they are: grey, opacity
    high = low if grey_alpha and low is not None else image

    def plane(i: int, k: int, factor: int = factor) -> np.ndarray:
        return _turned(_reduced(_whole(high, i, low, k), factor), way)

    if grey_alpha:
        return Planes([plane(0, 1)] * 3, plane(2, 3) / _TOP)
    bands = 3 if high.mode == "RGBX" else len(high.getbands())
    clear = clear if isinstance(clear, tuple) and len(clear) == bands == 3 else None
    if clear:  # one colour of a PNG that is not to be seen
        whole = [plane(i, i, 1) for i in range(3)]
        same = np.logical_and.reduce([one == level for one, level in zip(whole, clear)])
        return Planes([_reduced(one, factor) for one in whole], _reduced(1 - same.astype(np.float32), factor))
    planes = [plane(i, i) for i in range(bands)]
    if bands == 2:
        return Planes([planes[0]] * 3, planes[1] / _TOP)
    return Planes(planes[:3], planes[3] / _TOP, times) if bands == 4 else Planes(planes)


def _low(image: Image.Image, content: bytes, frame: int, raws: list[str]) -> Image.Image | None:
    """Return the lower bytes of a picture's samples as a picture; None where they are out of reach."""

    def other(raw: str) -> str:
        raw = _as_they_are(raw)
        return "RGBA" if raw == _GREY_ALPHA else raw[:-1] + _OTHER_ORDER[raw[-1]]

    if not all(raw[-4:-1] == ";16" for raw in raws) or (frame and image.format == "PNG"):
        return None  # a frame of an animation lies on those before it
    if image.mode == "LA":
        return None
    again = Image.open(io.BytesIO(content), formats=[image.format or ""])
    if frame:
        again.seek(frame)
    _reorder(again, other)
    again.load()
    return again if again.size == image.size and again.mode == image.mode else None


def _whole(high: Image.Image, i: int, low: Image.Image | None, k: int) -> np.ndarray:
    samples = np.array(high.getchannel(i), np.float32)
    if low is None:
        samples *= 255  # no more than any of the values that begin so, so that it is of their known range
        return samples
    samples *= 256  # in place: there may be 178 million
    samples += np.asarray(low.getchannel(k))
    return samples


def _reduced(samples: np.ndarray, factor: int) -> np.ndarray:
    return np.asarray(Image.fromarray(samples).reduce(factor)) if factor > 1 else samples


def _orientation(image: Image.Image) -> int:
    """Return how a picture is to be turned, as EXIF counts; after it was read, since some readers turn it."""
    with contextlib.suppress(Exception):  # damaged EXIF must not cost the picture
        return int(image.getexif().get(ExifTags.Base.Orientation, 1))
    return 1


def _turned(samples: np.ndarray, way: int) -> np.ndarray:
    """Turn (H, W) as ``ImageOps.exif_transpose`` does, without a copy of the whole picture."""
    samples = samples.T if way in (5, 7) else samples
    turns = {3: 2, 6: -1, 7: 2, 8: 1}.get(way, 0)
    samples = samples[:, ::-1] if way == 2 else samples[::-1] if way == 4 else samples
    return np.ascontiguousarray(np.rot90(samples, turns))


def _as_they_are(raw: str) -> str:
    """Return how samples are taken apart without being divided by their opacity."""
    return raw.replace("RGBa", "RGBA")


def _raws(image: Image.Image) -> list[str]:
    """Return how the samples of each part of a file are taken apart, in Pillow's names."""
    args = [tile[3] for tile in getattr(image, "tile", [])]
    return [raw for one in args if isinstance(raw := one[0] if isinstance(one, tuple) and one else one, str)]


def _reorder(image: Image.Image, change: Callable[[str], str]) -> None:
    opened: Any = image
    tiles = []
    for tile in opened.tile:
        args = (change(tile[3][0]), *tile[3][1:]) if isinstance(tile[3], tuple) else change(tile[3])
        tiles.append(tile._replace(args=args) if hasattr(tile, "_replace") else (*tile[:3], args))
    opened.tile = tiles


def _tag(image: Image.Image, number: int, otherwise: Any) -> Any:
    return getattr(image, "tag_v2", {}).get(number, otherwise)


def _netpbm(content: bytes) -> list[np.ndarray]:
    """Return the channels of a PPM, scaled by the white it names: it is read as a grey picture thrice as wide."""
    grey = {b"3": b"P2", b"6": b"P5"}
    wide = _NETPBM.sub(lambda m: grey[m[1]] + m[2] + str(3 * int(m[3])).encode(), content, count=1)
    with Image.open(io.BytesIO(wide), formats=["PPM"]) as image:
        values = np.asarray(image, np.float32)
    return [np.ascontiguousarray(values[:, i::3]) for i in range(3)]


def _separate(image: Image.Image, content: bytes) -> list[np.ndarray]:
    """Return the first three planes of an uncompressed TIFF that holds them one after the other."""
    offsets, lengths = _tag(image, _OFFSETS, ()), _tag(image, _LENGTHS, ())
    order = np.dtype("<u2" if content.startswith(b"II") else ">u2")
    held = b"".join(content[start : start + length] for start, length in zip(offsets, lengths))
    size = image.width * image.height
    if len(held) < 2 * 3 * size or len(offsets) != len(lengths):
        raise ValueError(_SEPARATE)
    values = np.frombuffer(held, order, 3 * size).reshape(3, image.height, image.width)
    return list(values.astype(np.float32))
