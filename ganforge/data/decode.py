"""One encoded file to its pictures: uint8, or float32 where the set decides which values are black and white."""

from __future__ import annotations

import contextlib
import io
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Literal

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, TiffImagePlugin, UnidentifiedImageError

from ganforge.data.colour import Applied, to_srgb
from ganforge.data.deep import ONE_COLOUR, Finish, Planes, is_deep_colour, read_planes
from ganforge.data.hints import hint, use_readers
from ganforge.data.ranges import Values
from ganforge.data.settings import parse_background
from ganforge.errors import reason
from ganforge.plugin.sizes import Size, sides

# Where Pillow itself raises; a picture beyond it is more likely an attack on memory than a photograph.
MAX_PIXELS = 178_956_970
# Larger pictures are decoded one at a time and made smaller before anything else: up to 1.5 GB each (3 of 16-bit
# colours), never together.
LARGE_PIXELS = 2**25
LARGE = threading.RLock()
# EPS is a program, which Pillow hands to Ghostscript; WMF goes to the system. No picture may start a program.
NOT_OPENED = ("EPS", "WMF")
# What holds frames or pages. Of others, further "frames" are previews, sizes or layers of the one picture.
FRAMED = frozenset(("GIF", "PNG", "WEBP", "TIFF", "AVIF", "FLI", "DCX"))
# To find the frames of a file takes time with each, and a small file may hold a million; those after are left out.
MOST_FRAMES = 100_000
FITS = ("crop", "stretch", "pad")
_WHITE_IS_ZERO, _PHOTOMETRIC, _SUBFILE, _BITS, _SAMPLES = 0, 262, 254, 258, 339
# Greys that Pillow can unpack, though its table has them for another byte order or black-is-zero alone.
_MORE_TIFF = {
    (b"MM", 0, (1,), 1, (16,), ()): ("I;16B", "I;16B"),
    (b"II", 0, (2,), 1, (16,), ()): ("I", "I;16S"),
    (b"MM", 0, (2,), 1, (16,), ()): ("I", "I;16BS"),
    (b"II", 0, (1,), 1, (12,), ()): ("I;16", "I;12"),
}


class Unreadable(Exception):
    """A picture cannot be used; the message is the reason in a few words."""


@dataclass(frozen=True)
class Reading:
    """How pictures are read. ``fit``: ``crop`` (shorter side scaled, centre cut out), ``stretch`` or ``pad``.

    ``image_size`` is a side, or (height, width). ``background`` lies under transparency, and around pictures that are
    padded; with 4 channels it is the colour of what is fully transparent, as what pads is. ``frames``: ``first`` or
    ``all``.
    """

    image_size: Size
    channels: int = 3
    fit: str = "crop"
    background: str = "white"
    frames: str = "first"

    @property
    def shape(self) -> tuple[int, int, int]:
        """(H, W, C) of a picture."""
        return *sides(self.image_size), self.channels

    @property
    def longer(self) -> int:
        """The longer side in pixels."""
        return max(sides(self.image_size))

    @property
    def colour(self) -> tuple[int, int, int]:
        """The background's red, green and blue, 0…255."""
        return parse_background(self.background)

    @property
    def levels(self) -> tuple[int, ...]:
        """The background by channel; with transparency, it is transparent."""
        return {1: (_luma(self.colour),), 3: self.colour}.get(self.channels, (*self.colour, 0))


def _luma(colour: tuple[int, int, int]) -> int:
    grey = Image.new("RGB", (1, 1), colour).convert("L").getpixel((0, 0))
    assert isinstance(grey, int)
    return grey


@dataclass(frozen=True)
class Picture:
    """A picture as it was read.

    ``pixels``: uint8 (H, W, C) in 0…255; of ``values`` that are deeper than 8 bits float32, NaN where it is padded,
    and ``inverted`` where the lowest is white. ``depth`` says in words how deep. Where such values are colours, they
    are (H, W, 4) with the opacity in 0…1, and ``finish`` is what is left to do. ``one_colour``: its transparency was,
    and with the background under it nothing is to be seen.
    """

    pixels: np.ndarray
    depth: Literal["", "16-bit", "32-bit", "float"] = ""
    inverted: bool = False
    values: Values | None = None
    colour: Applied = ""
    one_colour: bool = False
    finish: Finish | None = None


@dataclass(frozen=True)
class Decoded:
    """The pictures that a file gave, and how many frames it holds."""

    pictures: list[Picture] = field(default_factory=list)
    frames: int = 1
    format: str = ""


def decode(content: bytes, reading: Reading, name: str = "", start: int = 0, most: int = 1) -> Decoded:
    """Return the picture in ``content``, turned as its EXIF orientation says and in sRGB; 8 bits by their bits.

    Or, with ``reading.frames`` of ``all``, at most ``most`` frames from ``start`` on. ``name`` serves the reason
    where it cannot be read.

    Raises ``Unreadable``.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_formats()) as image:
            kind, frames = image.format or "", _frames(image)
            chosen = frames[start : start + most] if reading.frames == "all" else [0]
            pictures = []
            for number in chosen:
                if number or start:
                    image.seek(number)
                pictures.append(_picture(image, reading, content, number))
            return Decoded(pictures, len(frames), kind)
    except Unreadable:
        raise
    except Image.DecompressionBombError:
        raise Unreadable(f"more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise Unreadable(hint(name, content)) from None
    except Exception as error:  # Pillow's readers raise nearly anything on damaged files
        raise Unreadable(reason(error, kind=False)) from error


@cache
def _formats() -> list[str]:
    """Return every format Pillow reads by itself, in the order it tries them."""
    Image.init()
    use_readers()
    for key, modes in _MORE_TIFF.items():
        TiffImagePlugin.OPEN_INFO.setdefault(key, modes)
    return [name for name in Image.ID if name not in NOT_OPENED]


def _frames(image: Image.Image) -> Sequence[int]:
    """Return the numbers of the frames that are pictures of their own; smaller copies and masks in a TIFF are not."""
    if image.format not in FRAMED:
        return [0]
    if isinstance(image, TiffImagePlugin.TiffImageFile):
        return _pages(image)
    try:
        return range(min(getattr(image, "n_frames", 1), MOST_FRAMES))
    except Exception:  # what comes after the damage is lost, what came before is not
        return [0]


def _pages(image: TiffImagePlugin.TiffImageFile) -> list[int]:
    own = []
    with contextlib.suppress(Exception):  # as above; EOFError is the end
        for number in range(MOST_FRAMES):
            image.seek(number)
            if not int(image.tag_v2.get(_SUBFILE, 0)) & 5:
                own.append(number)
    image.seek(0)
    return own or [0]


def _picture(image: Image.Image, reading: Reading, content: bytes, frame: int) -> Picture:
    width, height = image.size
    if width * height > MAX_PIXELS:
        raise Unreadable(f"{width}x{height} pixels, more than {MAX_PIXELS:,}")
    if is_deep_colour(image, content):
        large = width * height > LARGE_PIXELS
        with LARGE if large else contextlib.nullcontext():
            factor = max(1, min(image.size) // (4 * reading.longer)) if large else 1
            return _deep_colour(image, read_planes(image, content, frame, factor), reading)
    # JPEG can decode at 1/2, 1/4 or 1/8 for a fraction of the work; twice the target keeps it sharp.
    image.draft(None, (2 * reading.longer, 2 * reading.longer))
    if image.width * image.height > LARGE_PIXELS:
        with LARGE:
            return _fitted(image, _upright(_smaller(image, reading.longer)), reading)
    return _fitted(image, _upright(image), reading)


def _smaller(image: Image.Image, image_size: int) -> Image.Image:
    """Return a huge picture at a fraction of its size, still four times the target, EXIF orientation kept."""
    exif = image.getexif()
    if image.mode in ("P", "1"):
        image = image.convert("RGBA" if image.has_transparency_data else "RGB" if image.mode == "P" else "L")
    elif image.mode.startswith("I;"):
        image = image.convert("I")
    factor = max(1, min(image.size) // (4 * image_size))
    smaller = image.reduce(factor) if factor > 1 else image
    smaller.getexif()[ExifTags.Base.Orientation] = exif.get(ExifTags.Base.Orientation, 1)
    return smaller


def _upright(image: Image.Image) -> Image.Image:
    with contextlib.suppress(Exception):  # damaged EXIF must not cost the picture
        return ImageOps.exif_transpose(image)
    return image


def _fitted(file: Image.Image, image: Image.Image, reading: Reading) -> Picture:
    """Bring any of Pillow's modes to L, RGB, RGBA or floats, and to the size that is asked for."""
    if image.mode.startswith(("I", "F")):
        tags = getattr(file, "tag_v2", {})
        floats = image.mode == "F"
        values = _finite(image, unsigned=tags.get(_BITS) == (32,) and tags.get(_SAMPLES, (1,)) == (1,))
        sized = np.asarray(_sized(Image.fromarray(values), reading, float("nan")), np.float32)
        return Picture(
            pixels=np.broadcast_to(sized[..., None], reading.shape),
            depth="float" if floats else "16-bit" if _sixteen(file) else "32-bit",
            inverted=tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO,
            values=Values().add(values, floats),
        )
    image, colour = to_srgb(image)
    plain, one_colour = _plain(image, reading)
    background = reading.levels if len(reading.levels) > 1 else reading.levels[0]
    pixels = np.asarray(_sized(plain, reading, background), np.uint8).reshape(reading.shape)
    if reading.channels == 4:
        # What nobody sees is the same in all files: some keep a colour there, and resampling makes it black.
        pixels = np.where(pixels[..., 3:] == 0, np.asarray(reading.levels, np.uint8), pixels)
    return Picture(pixels, colour=colour, one_colour=one_colour)


def _deep_colour(file: Image.Image, planes: Planes, reading: Reading) -> Picture:
    """Bring 16-bit colours to the size that is asked for; how light they are is known when the whole set is."""
    alpha = np.ones_like(planes.colours[0]) if planes.alpha is None else planes.alpha
    seen = alpha > 0
    values = Values()
    for one in planes.colours:
        # What is hidden says nothing of the set, and what is mixed with its opacity less than it seems.
        shown = one[seen] / alpha[seen] if planes.times else one[seen]
        values = values.add(shown, floats=False) if shown.size else values
    nothing = float("nan")
    opacity = np.asarray(_sized(Image.fromarray(alpha), reading, nothing), np.float32)
    # Mixed by their opacity: a colour that is not to be seen must not run into the edges of one that is.
    mixed = [one if planes.alpha is None or planes.times else one * alpha for one in planes.colours]
    sized = [np.asarray(_sized(Image.fromarray(one), reading, nothing), np.float32) for one in mixed]
    whole = [one / np.where(opacity > 1e-4, opacity, 1) for one in sized] if planes.alpha is not None else sized
    finish = Finish.of(file)
    _, colour = finish.to_srgb(Image.new("RGB", (1, 1)))
    return Picture(
        pixels=np.stack([*whole, np.clip(opacity, 0, 1)], -1),
        depth="16-bit",
        values=values,
        colour=colour,
        finish=finish,
    )


def _sixteen(file: Image.Image) -> bool:
    """Tell whether whole numbers are of 16 bits at most: signed ones and some formats come as 32."""
    bits = getattr(file, "tag_v2", {}).get(_BITS)
    return bits[0] <= 16 if bits else file.mode.startswith("I;") or file.format in ("PNG", "PPM", "JPEG2000")


def _finite(image: Image.Image, unsigned: bool) -> np.ndarray:
    """Return the values as float32 (H, W); what is no finite number takes the end of the others it is nearest to."""
    raw = np.asarray(image)
    values = (raw.view(np.uint32) if unsigned and raw.dtype == np.int32 else raw).astype(np.float32)
    known = np.isfinite(values)
    if known.all():
        return values
    if not known.any():
        raise Unreadable("it holds not one finite number")
    low, high = float(values[known].min()), float(values[known].max())
    finite: np.ndarray = np.nan_to_num(values, nan=low, posinf=high, neginf=low)
    return finite


def _sized(image: Image.Image, reading: Reading, background: float | tuple[int, ...]) -> Image.Image:
    height, width = sides(reading.image_size)
    size = (width, height)
    if reading.fit == "crop":
        return ImageOps.fit(image, size, Image.Resampling.LANCZOS)
    if reading.fit == "stretch":
        return image.resize(size, Image.Resampling.LANCZOS)
    whole = ImageOps.contain(image, size, Image.Resampling.LANCZOS)
    padded = Image.new(whole.mode, size, background)
    padded.paste(whole, (round((size[0] - whole.width) / 2), round((size[1] - whole.height) / 2)))
    return padded


def _plain(image: Image.Image, reading: Reading) -> tuple[Image.Image, bool]:
    """Bring 8-bit modes to L, RGB or RGBA, and tell whether transparency made it one colour."""
    one_colour = False
    if image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        if reading.channels == 4:
            return image, False
        image = Image.alpha_composite(Image.new("RGBA", image.size, reading.colour), image)
        one_colour = bool(np.ptp(np.asarray(image)[..., :3], (0, 1)).max() <= ONE_COLOUR)
    if reading.channels == 1:
        # Only a few modes convert to L directly and well (CMYK and palettes do not).
        grey = image.convert("L") if image.mode in ("1", "L", "RGB") else image.convert("RGB").convert("L")
        return grey, one_colour
    plain = image.convert("RGB")
    return plain.convert("RGBA") if reading.channels == 4 else plain, one_colour


def fitted(pixels: np.ndarray, reading: Reading) -> Picture:
    """Return one picture, uint8 (H, W, C), as ``decode`` would give it of a file without a profile.

    C is 1 (grey), 2 (grey and alpha), 3 (red, green, blue) or 4 (and alpha).
    """
    image = Image.fromarray(np.ascontiguousarray(pixels[..., 0] if pixels.shape[2] == 1 else pixels, np.uint8))
    return _fitted(image, image, reading)
