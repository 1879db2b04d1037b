"""Animations written frame by frame: no more than two frames are in memory, however many there are.

Pillow keeps all frames of a GIF or an APNG until the last one is known. So these two are put together here, with
Pillow's compression: GIF89a (CompuServe 1990) and APNG (PNG, third edition, W3C 2025, section 11.3.2).
"""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import GifImagePlugin, Image, ImageChops

LONGEST = 65_535  # of both formats' units of time


def write_gif(frames: Iterable[Image.Image], durations: Sequence[int], palette: Image.Image, file: BinaryIO) -> None:
    """Write RGB frames, all of one size, in the 256 colours of ``palette``; durations in milliseconds."""
    colours = bytes(palette.getpalette() or ()).ljust(768, b"\0")
    before: Image.Image | None = None
    for frame, duration in zip(frames, durations, strict=True):
        now = frame.quantize(palette=palette, dither=Image.Dither.NONE)
        if before is None:
            file.write(b"GIF89a" + struct.pack("<HHBBB", *now.size, 0xF7, 0, 0) + colours)
            file.write(b"!\xff\x0bNETSCAPE2.0\x03\x01\0\0\0")  # again and again
        box = _changed(before, now)
        part = now.crop(box)
        time = min(duration, 10 * LONGEST)
        file.writelines(GifImagePlugin.getdata(part, box[:2], duration=time, disposal=1))
        before = now
    file.write(b";")


def write_apng(frames: Iterable[Image.Image], durations: Sequence[int], file: BinaryIO) -> None:
    """Write RGB or RGBA frames, all of one size, without loss; durations in milliseconds."""
    before: Image.Image | None = None
    number = 0
    for now, duration in zip(frames, durations, strict=True):
        box = _changed(before, now)
        chunks = list(_chunks(now.crop(box)))
        if before is None:
            file.write(b"\x89PNG\r\n\x1a\n")
            _put(file, b"IHDR", dict(chunks)[b"IHDR"])
            _put(file, b"acTL", struct.pack(">II", len(durations), 0))
        time = (duration, 1000) if duration <= LONGEST else (min(duration // 1000, LONGEST), 1)
        place = (box[2] - box[0], box[3] - box[1], *box[:2])
        _put(file, b"fcTL", struct.pack(">IIIIIHHBB", number, *place, *time, 0, 0))
        number += 1
        for name, data in chunks:
            if name == b"IDAT" and before is None:
                _put(file, b"IDAT", data)
            elif name == b"IDAT":
                _put(file, b"fdAT", struct.pack(">I", number) + data)
                number += 1
        before = now
    _put(file, b"IEND", b"")


def write_webp(frames: Iterable[Image.Image], durations: Sequence[int], file: BinaryIO) -> None:
    """Write RGB or RGBA frames, all of one size, without loss; durations in milliseconds."""
    reel = _Reel(frames, len(durations))
    timing = list(durations) if len(durations) > 1 else durations[0]
    reel.save(file, "webp", save_all=True, duration=timing, loop=0, lossless=True, method=2)


def write_mp4(frames: Iterable[Image.Image], durations: Sequence[int], fps: float, path: Path) -> None:
    """Write RGB frames, all of one size; an odd side gains a row or column, since the codec wants even ones."""
    import imageio.v2 as iio

    film: Any = iio.get_writer(
        path,
        format="FFMPEG",
        mode="I",
        fps=fps,
        codec="libx264",
        pixelformat="yuv420p",
        macro_block_size=2,
        output_params=["-crf", "16"],
    )
    with film:
        for picture, duration in zip(frames, durations, strict=True):
            frame = np.asarray(picture)
            frame = np.pad(frame, ((0, frame.shape[0] % 2), (0, frame.shape[1] % 2), (0, 0)), mode="edge")
            for _ in range(max(1, round(duration * fps / 1000))):
                film.append_data(frame)


class _Reel(Image.Image):
    """Many frames as one picture, as Pillow has those that it reads from a file: one at a time, in their order."""

    def __init__(self, frames: Iterable[Image.Image], count: int) -> None:
        super().__init__()
        self.coming, self.at, self.n_frames = iter(frames), 0, count
        self.__dict__.update(next(self.coming).copy().__dict__)

    def seek(self, frame: int) -> None:
        while self.at < frame:
            self.at += 1
            self.paste(next(self.coming))

    def tell(self) -> int:
        return self.at


def _changed(before: Image.Image | None, now: Image.Image) -> tuple[int, int, int, int]:
    """Return the box outside which nothing changed; of one pixel where nothing did, since no frame is empty."""
    if before is None:
        return (0, 0, *now.size)
    if now.mode == "P":  # of one palette: the indices tell
        before, now = (Image.fromarray(np.asarray(picture)) for picture in (before, now))
    return ImageChops.difference(before, now).getbbox(alpha_only=False) or (0, 0, 1, 1)


def _chunks(picture: Image.Image) -> Iterator[tuple[bytes, bytes]]:
    """Return the chunks of a picture's PNG."""
    file = io.BytesIO()
    picture.save(file, "png")
    content, at = file.getvalue(), 8
    while at < len(content):
        (size,) = struct.unpack_from(">I", content, at)
        yield content[at + 4 : at + 8], content[at + 8 : at + 8 + size]
        at += 12 + size


def _put(file: BinaryIO, name: bytes, data: bytes) -> None:
    file.write(struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)))
