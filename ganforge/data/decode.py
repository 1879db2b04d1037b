"""One encoded picture to one uint8 array."""

from __future__ import annotations

import contextlib
import io
import threading
from functools import cache

import numpy as np
from PIL import ExifTags, Image, ImageCms, ImageOps, UnidentifiedImageError

from ganforge.errors import reason

# Where Pillow itself raises; a picture beyond it is more likely an attack on memory than a photograph.
MAX_PIXELS = 178_956_970
# Larger pictures are decoded one at a time and made smaller before anything else: up to 1.5 GB each, never together.
LARGE_PIXELS = 2**25
LARGE = threading.RLock()
# EPS is a program, which Pillow hands to Ghostscript; WMF goes to the system. No picture may start a program.
NOT_OPENED = ("EPS", "WMF")


class Unreadable(Exception):
    """A picture cannot be used; the message is the reason in a few words."""


def decode(content: bytes, image_size: int, channels: int, fit: str) -> np.ndarray:
    """Return the picture in ``content`` as uint8 (image_size, image_size, channels) in 0…255.

    The first frame of an animation, turned as its EXIF orientation says, transparency over white, 16 bits
    brought to 8. ``fit`` is ``crop`` (shorter side scaled, centre cut out) or ``stretch``.

    Raises ``Unreadable``.
    """
    try:
        with Image.open(io.BytesIO(content), formats=_formats()) as image:
            width, height = image.size
            if width * height > MAX_PIXELS:
                raise Unreadable(f"{width}x{height} pixels, more than {MAX_PIXELS:,}")
            # JPEG can decode at 1/2, 1/4 or 1/8 for a fraction of the work; twice the target keeps it sharp.
            image.draft(None, (2 * image_size, 2 * image_size))
            if image.width * image.height > LARGE_PIXELS:
                with LARGE:
                    picture = _plain(_upright(_smaller(image, image_size)), channels)
            else:
                picture = _plain(_upright(image), channels)
            size = (image_size, image_size)
            if fit == "crop":
                picture = ImageOps.fit(picture, size, Image.Resampling.LANCZOS)
            else:
                picture = picture.resize(size, Image.Resampling.LANCZOS)
    except Unreadable:
        raise
    except Image.DecompressionBombError:
        raise Unreadable(f"more than {MAX_PIXELS:,} pixels") from None
    except UnidentifiedImageError:
        raise Unreadable(_what(content)) from None
    except Exception as error:  # Pillow's readers raise nearly anything on damaged files
        raise Unreadable(reason(error, kind=False)) from error
    return np.asarray(picture, dtype=np.uint8).reshape(image_size, image_size, channels)


@cache
def _formats() -> list[str]:
    """Return every format Pillow reads by itself, in the order it tries them."""
    Image.init()
    return [name for name in Image.ID if name not in NOT_OPENED]


def _what(content: bytes) -> str:
    if not content:
        return "empty file"
    if content.startswith((b"%!PS", b"\xc5\xd0\xd3\xc6")):
        return "an EPS file, which is a program; save it as a PNG"
    return "not an image that Pillow reads"


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


def _plain(image: Image.Image, channels: int) -> Image.Image:
    """Bring any of Pillow's modes to L or RGB."""
    if image.mode.startswith(("I", "F")):
        image = _eight_bits(image)
    elif image.mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, lab, srgb, outputMode="RGB") or image
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    if channels == 1:
        # Only a few modes convert to L directly and well (CMYK and palettes do not).
        return image.convert("L") if image.mode in ("1", "L", "RGB") else image.convert("RGB").convert("L")
    return image.convert("RGB")


def _eight_bits(image: Image.Image) -> Image.Image:
    """Bring 16-bit, 32-bit and floating-point grey to 8 bits, by its range and never by its contrast."""
    values = np.nan_to_num(np.asarray(image).astype(np.float64))
    if image.mode == "F":
        # Two conventions are in use: 0…1 and 0…255.
        values = values * 255.0 if values.max() <= 1.0 else values
    else:
        top = 65535.0 if values.max() <= 65535.0 else 2.0**31 - 1
        values = values * (255.0 / top)
    return Image.fromarray(np.clip(np.rint(values), 0, 255).astype(np.uint8))
