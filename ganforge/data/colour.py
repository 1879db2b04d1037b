"""Converting colours to sRGB from a file's embedded ICC profile or a PNG's gamma."""

from __future__ import annotations

import io
from functools import lru_cache
from typing import Literal

import numpy as np
from PIL import Image, ImageCms

# Differences of so few levels are rounding, or a shortened copy of sRGB: the picture stays as it is.
_SAME = 2
# lcms may not remember the last colour: threads share a transform.
_NO_CACHE = 0x0040
Applied = Literal["", "profile", "gamma"]


def to_srgb(image: Image.Image) -> tuple[Image.Image, Applied]:
    """Return an 8-bit picture in sRGB, its transparency kept, and what was applied to it.

    A profile that is sRGB itself, is damaged or has other channels than the picture changes nothing; nor does a gamma
    of 1/2.2, with which a PNG means sRGB. Gamma as in the PNG specification: light = sample^(1/gamma).
    """
    profile, gamma = image.info.get("icc_profile"), image.info.get("gamma")
    if isinstance(profile, bytes) and profile:
        plain, alpha = _apart(image)
        transform = _transform(profile, plain.mode)
        if transform is None:
            return image, ""
        grey = plain.mode == "L"
        plain = transform.apply(plain)
        return _together(plain.getchannel(0) if grey else plain, alpha), "profile"
    usual = not isinstance(gamma, float) or not 0.01 < gamma < 100 or abs(gamma * 2.2 - 1) < 0.05
    if usual or "srgb" in image.info or image.mode == "1":
        return image, ""
    assert isinstance(gamma, float)
    plain, alpha = _apart(image)
    return _together(plain.point(_curve(gamma) * len(plain.getbands())), alpha), "gamma"


def _apart(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """Return L, RGB, CMYK or LAB, and the transparency beside it."""
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return image.convert("RGB"), image.getchannel("A")
    return (image.convert("RGB") if image.mode in ("P", "YCbCr", "HSV", "RGBX") else image), None


def _together(plain: Image.Image, alpha: Image.Image | None) -> Image.Image:
    if alpha is not None:
        plain.putalpha(alpha)
    return plain


@lru_cache(64)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform | None:
    """Return what brings ``mode`` to sRGB; None where it would change nothing, or cannot be made."""
    samples = _samples(mode)
    if samples is None:
        return None
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        transform = ImageCms.buildTransform(
            source,
            ImageCms.createProfile("sRGB"),
            mode,
            "RGB",
            ImageCms.Intent.PERCEPTUAL,
            ImageCms.Flags(_NO_CACHE),
        )
        changed = np.asarray(transform.apply(samples), np.int16)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return None
    if mode in ("CMYK", "LAB"):
        return transform
    return transform if np.abs(changed - np.asarray(samples.convert("RGB"), np.int16)).max() > _SAME else None


def _samples(mode: str) -> Image.Image | None:
    """Return a picture of many colours, to try a transform on."""
    if mode == "L":
        return Image.fromarray(np.arange(256, dtype=np.uint8)[None])
    if mode not in ("RGB", "CMYK", "LAB"):
        return None
    levels = np.linspace(0, 255, 9).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(levels, levels, levels, indexing="ij"), -1).reshape(27, 27, 3)
    picture = Image.fromarray(grid)
    return picture if mode == "RGB" else Image.merge(mode, (*picture.split(), picture.getchannel(0))[: len(mode)])


@lru_cache(64)
def _curve(gamma: float) -> list[int]:
    """Return the sRGB level of each of 256 samples: IEC 61966-2-1 of sample^(1/gamma)."""
    light = (np.arange(256) / 255) ** (1 / gamma)
    encoded = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)
    return [int(level) for level in np.rint(255 * encoded)]
