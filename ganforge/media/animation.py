"""Animations: GIF, WebP, APNG and MP4 by the file's name."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.files import replacing, require_file
from ganforge.media.grids import read_png

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".gif", ".webp", ".png", ".apng", ".mp4")
BAR, INK, QUIET, ACCENT = (250, 250, 250), (40, 40, 46), (224, 224, 230), (92, 107, 192)


def make_animation(
    frames: Sequence[Path | np.ndarray],
    labels: Sequence[str],
    output: Path,
    *,
    fps: float = 8.0,
    scale: int = 1,
    hold: float = 2.0,
    caption: bool = True,
) -> None:
    """Make an animation of pictures (files, or uint8 (H, W, 1 or 3)), whole or not at all.

    Args:
        labels: a caption for each frame, drawn in a bar below it, never on it.
        output: its suffix decides: .gif, .webp, .png or .apng, .mp4 (which needs the extra ``mp4``).
        fps: frames a second; ``hold``: seconds the last one stays; ``scale``: pixels a pixel.

    Raises:
        UsageError: the suffix or a number will not do.
        GANForgeError: no frames, frames of different sizes, or a place that cannot be written.
    """
    require_animation(output, fps, scale, hold)
    suffix = output.suffix.lower()
    if not frames:
        raise GANForgeError("there are no frames to animate")
    pictures = _open(frames)
    if any(picture.size != pictures[0].size for picture in pictures):
        raise GANForgeError("the frames are of different sizes; expected all alike")
    if scale > 1:
        pictures = [p.resize((p.width * scale, p.height * scale), 0) for p in pictures]
    if caption:
        done = [(i + 1) / len(pictures) for i in range(len(pictures))]
        pictures = [_captioned(p, label, d) for p, label, d in zip(pictures, labels, done)]
    durations = [max(20, round(1000 / fps))] * len(pictures)
    durations[-1] += round(1000 * hold)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as file:
            _save(pictures, durations, file, suffix, fps)
    except OSError as error:
        raise GANForgeError(f"{output} cannot be written: {reason(error, kind=False)}") from None


def require_animation(output: Path, fps: float = 8.0, scale: int = 1, hold: float = 2.0) -> None:
    """Raise what ``make_animation`` would, of its settings and its output, before there are any frames."""
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"{output} will not do; expected a name ending in .gif, .webp, .png or .mp4")
    if not (0 < fps < math.inf and scale >= 1 and 0 <= hold < math.inf):
        raise UsageError("fps must be above 0, scale a whole number from 1, and hold 0 seconds or more")
    if output.suffix.lower() == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise GANForgeError("an .mp4 needs the mp4 extra: pip install 'ganforge[mp4]'")
    require_file(output)


def _open(frames: Sequence[Path | np.ndarray]) -> list[Image.Image]:
    from PIL import Image

    pictures = []
    for frame in frames:
        array = frame if isinstance(frame, np.ndarray) else read_png(frame)
        pictures.append(Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).convert("RGB"))
    return pictures


def _captioned(picture: Image.Image, text: str, done: float) -> Image.Image:
    """Return the picture with a bar below: its caption, and a line that grows with training."""
    from PIL import Image, ImageDraw, ImageFont

    size = max(11, min(28, picture.width // 20))
    height, line = round(size * 1.9), max(2, size // 6)
    result = Image.new("RGB", (picture.width, picture.height + height), BAR)
    result.paste(picture, (0, 0))
    draw = ImageDraw.Draw(result)
    draw.rectangle((0, picture.height, picture.width, picture.height + line - 1), fill=QUIET)
    if long := round(picture.width * done):  # nothing yet of a long animation's first frames
        draw.rectangle((0, picture.height, long - 1, picture.height + line - 1), fill=ACCENT)
    middle = picture.height + line + (height - line) / 2
    draw.text((picture.width / 2, middle), text, fill=INK, font=ImageFont.load_default(size), anchor="mm")
    return result


def _save(pictures: list[Image.Image], durations: list[int], file: BinaryIO, suffix: str, fps: float) -> None:
    rest: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "duration": durations, "loop": 0}
    if suffix == ".mp4":
        _save_mp4(pictures, durations, Path(file.name), fps)
    elif suffix == ".gif":
        indexed = _one_palette(pictures)
        rest["append_images"] = indexed[1:]
        # Named as well as carried: otherwise Pillow writes the same palette again with every frame.
        palette = bytes(indexed[0].getpalette() or ())
        indexed[0].save(file, "gif", **rest, palette=palette, optimize=False, disposal=1)
    elif suffix == ".webp":
        pictures[0].save(file, "webp", **rest, lossless=True, method=2)
    else:
        pictures[0].save(file, "png", **rest)


def _one_palette(pictures: list[Image.Image]) -> list[Image.Image]:
    """Return the pictures in one palette of all their colours, so that nothing flickers from frame to frame."""
    from PIL import Image

    # The last frames matter most: each gives pixels, later ones more. 60,000 in all tell the colours as well as
    # every pixel would, in a second instead of many.
    random = np.random.default_rng(0)
    weights = np.linspace(0.2, 1.0, len(pictures))
    samples = []
    for picture, share in zip(pictures, np.ceil(60_000 * weights / weights.sum()).astype(int)):
        pixels = np.asarray(picture).reshape(-1, 3)
        samples.append(pixels[random.integers(0, len(pixels), share)])
    colours = np.concatenate([*samples, np.tile(np.array([BAR, INK, QUIET, ACCENT], np.uint8), (60, 1))])
    side = int(np.ceil(np.sqrt(len(colours))))
    colours = np.concatenate([colours, np.tile(colours[:1], (side * side - len(colours), 1))])
    sample = Image.fromarray(colours.reshape(side, side, 3).astype(np.uint8))
    palette = sample.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2)
    return [picture.quantize(palette=palette, dither=Image.Dither.NONE) for picture in pictures]


def _save_mp4(pictures: list[Image.Image], durations: list[int], path: Path, fps: float) -> None:
    import imageio.v3 as iio

    frames = []
    for picture, duration in zip(pictures, durations):
        frame = np.asarray(picture)
        # The codec wants even sides.
        frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
        frames += [frame] * max(1, round(duration * fps / 1000))
    iio.imwrite(
        path,
        np.stack(frames),
        plugin="FFMPEG",
        fps=fps,
        codec="libx264",
        pixelformat="yuv420p",
        macro_block_size=2,
        output_params=["-crf", "16"],
    )
