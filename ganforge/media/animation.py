"""Animations: GIF, WebP, APNG and MP4 by the file's name."""

from __future__ import annotations

import importlib.util
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import numpy as np

from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.files import replacing, require_file
from ganforge.media.grids import on_checkerboard, read_png

if TYPE_CHECKING:
    from PIL import Image

SUFFIXES = (".gif", ".webp", ".png", ".apng", ".mp4")
TRANSPARENT = (".webp", ".png", ".apng")
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
    """Make an animation of pictures (files, or uint8 (H, W, 1, 3 or 4)), whole or not at all.

    Transparency is kept by .webp and .png; in a .gif or .mp4 it is shown as a checkerboard.

    Args:
        labels: a caption for each frame, drawn in a bar below it, never on it.
        output: its suffix decides: .gif, .webp, .png or .apng, .mp4 (which needs the extra ``mp4``).
        fps: frames per second; ``hold``: seconds for which the last one stays; ``scale``: enlarges each pixel to a
            square of so many pixels a side.

    Raises:
        UsageError: the suffix or a number is invalid.
        GANForgeError: no frames, frames of different sizes, or a place that cannot be written.
    """
    require_animation(output, fps, scale, hold)
    suffix = output.suffix.lower()
    if not frames:
        raise GANForgeError("there are no frames to animate")
    reel = _Reel(frames, labels, scale, caption, keeps=suffix in TRANSPARENT)
    durations = [max(20, round(1000 / fps))] * len(frames)
    durations[-1] += round(1000 * hold)
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        with replacing(output) as file:
            _save(reel, durations, file, suffix, fps)
    except OSError as error:
        raise GANForgeError(f"{output} cannot be written: {reason(error, kind=False)}") from None


def require_animation(output: Path, fps: float = 8.0, scale: int = 1, hold: float = 2.0) -> None:
    """Raise what ``make_animation`` would, of its settings and its output, before there are any frames."""
    if output.suffix.lower() not in SUFFIXES:
        raise UsageError(f"invalid {output}: expected a name ending in .gif, .webp, .png or .mp4")
    if not (0 < fps < math.inf and scale >= 1 and 0 <= hold < math.inf):
        raise UsageError(
            f"invalid fps {fps:g}, scale {scale} or hold {hold:g}: expected fps above 0, scale from 1 and hold from 0"
        )
    if output.suffix.lower() == ".mp4" and importlib.util.find_spec("imageio_ffmpeg") is None:
        raise GANForgeError("an .mp4 needs the mp4 extra: pip install 'ganforge[mp4]'")
    require_file(output)


class _Reel:
    """The frames of an animation as they are shown, opened one at a time whenever they are asked for."""

    def __init__(
        self, frames: Sequence[Path | np.ndarray], labels: Sequence[str], scale: int, caption: bool, keeps: bool
    ) -> None:
        self.frames, self.labels, self.scale, self.caption, self.keeps = frames, labels, scale, caption, keeps

    def __len__(self) -> int:
        return len(self.frames)

    def __iter__(self) -> Iterator[Image.Image]:
        size = None
        for i, (frame, label) in enumerate(zip(self.frames, self.labels, strict=True)):
            picture = _open(frame, self.keeps)
            if size not in (None, picture.size):
                raise GANForgeError("the frames have different sizes; expected the same size for all")
            size = picture.size
            if self.scale > 1:
                picture = picture.resize((picture.width * self.scale, picture.height * self.scale), 0)
            yield _captioned(picture, label, (i + 1) / len(self)) if self.caption else picture


def _open(frame: Path | np.ndarray, keeps: bool) -> Image.Image:
    """Return a frame as RGB; or, where transparency is kept, as RGBA if it has any."""
    from PIL import Image

    array = frame if isinstance(frame, np.ndarray) else read_png(frame)
    if keeps and array.shape[-1] == 4:
        return Image.fromarray(array)
    array = on_checkerboard(array)
    return Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).convert("RGB")


def _captioned(picture: Image.Image, text: str, done: float) -> Image.Image:
    """Return the picture with a bar below: its caption, and a line that grows with training."""
    from PIL import Image, ImageDraw, ImageFont

    size = max(11, min(28, picture.width // 20))
    height, line = round(size * 1.9), max(2, size // 6)
    result = Image.new(picture.mode, (picture.width, picture.height + height), BAR)
    result.paste(picture, (0, 0))
    draw = ImageDraw.Draw(result)
    draw.rectangle((0, picture.height, picture.width, picture.height + line - 1), fill=QUIET)
    if long := round(picture.width * done):  # nothing yet of a long animation's first frames
        draw.rectangle((0, picture.height, long - 1, picture.height + line - 1), fill=ACCENT)
    middle = picture.height + line + (height - line) / 2
    draw.text((picture.width / 2, middle), text, fill=INK, font=ImageFont.load_default(size), anchor="mm")
    return result


def _save(reel: _Reel, durations: list[int], file: BinaryIO, suffix: str, fps: float) -> None:
    from ganforge.media.encoders import write_apng, write_gif, write_mp4, write_webp

    if suffix == ".mp4":
        write_mp4(reel, durations, fps, Path(file.name))
    elif suffix == ".gif":
        write_gif(reel, durations, _palette(reel), file)
    elif suffix == ".webp":
        write_webp(reel, durations, file)
    else:
        write_apng(reel, durations, file)


def _palette(reel: _Reel) -> Image.Image:
    """Return a picture with one palette of all frames' colours, so that nothing flickers from frame to frame."""
    from PIL import Image

    # The last frames matter most: each gives pixels, later ones more. 60,000 in all tell the colours as well as
    # every pixel would, in a second instead of many.
    random = np.random.default_rng(0)
    weights = np.linspace(0.2, 1.0, len(reel))
    samples = []
    for picture, share in zip(reel, np.ceil(60_000 * weights / weights.sum()).astype(int)):
        pixels = np.asarray(picture).reshape(-1, 3)
        samples.append(pixels[random.integers(0, len(pixels), share)])
    colours = np.concatenate([*samples, np.tile(np.array([BAR, INK, QUIET, ACCENT], np.uint8), (60, 1))])
    side = int(np.ceil(np.sqrt(len(colours))))
    colours = np.concatenate([colours, np.tile(colours[:1], (side * side - len(colours), 1))])
    sample = Image.fromarray(colours.reshape(side, side, 3).astype(np.uint8))
    return sample.quantize(256, method=Image.Quantize.MEDIANCUT, kmeans=2)
