"""Bad picture files by the thousand, and what becomes of them.

``python -m tests.hostile --count 20000 --seed 7`` makes that many in a folder, reads them as a training would, and
reports: every file must be read or listed with its reason in one line, in bounded memory and time.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import random
import resource
import struct
import sys
import tempfile
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

sys.path.insert(0, str(Path(__file__).parent))  # however this file is run
from support import encoded

SEEDS = {
    "png": {"format": "PNG"},
    "jpg": {"format": "JPEG", "quality": 80},
    "gif": {"format": "GIF"},
    "webp": {"format": "WEBP"},
    "bmp": {"format": "BMP"},
    "tif": {"format": "TIFF"},
    "lzw.tif": {"format": "TIFF", "compression": "tiff_lzw"},
    "ppm": {"format": "PPM"},
    "tga": {"format": "TGA"},
    "pcx": {"format": "PCX"},
    "ico": {"format": "ICO"},
    "dds": {"format": "DDS"},
    "sgi": {"format": "SGI"},
    "jp2": {"format": "JPEG2000"},
    "avif": {"format": "AVIF"},
}
MODES = ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "I;16", "I", "F", "PA")
ODD_NAMES = [
    "line\nend.png", "\x1b[2Jclears.png", "-rf.png", "--help.jpg", "a b  c.png", "quote'\".png", "back\\slash.png",
    "%s%n.png", "猫🐈.png", "\u202egnp.exe.png", "[bold]rich[/bold].png", "{braces}.png", "tab\t.png",
    "x" * 200 + ".png", "$(touch x).png", ";ls;.png", "*.png", "..png", "con.png", "é\u0301.png",
]  # fmt: skip


def picture(chance: random.Random, size: tuple[int, int] = (24, 20)) -> Image.Image:
    return Image.fromarray(np.frombuffer(chance.randbytes(size[0] * size[1] * 3), np.uint8).reshape(*size[::-1], 3))


def chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int, height: int, *more: bytes, depth: int = 8, colour: int = 0, data: bytes = b"") -> bytes:
    """A PNG that says what it likes about itself."""
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + b"".join(more) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def bombs() -> dict[str, bytes]:
    """Small files that declare, or hold, very much."""
    zeros = zlib.compress(bytes(50_000_000), 9)
    side = 9000  # 81 million pixels in 10 kB, which is allowed and takes its time
    compressor = zlib.compressobj(9)
    rows = b"".join(compressor.compress(bytes(1 + side // 8)) for _ in range(side)) + compressor.flush()
    bmp = b"BM" + bytes(8) + struct.pack("<IIiiHH", 54, 40, 60000, 60000, 1, 24) + bytes(24)
    return {
        "declares.png": png(60000, 60000, data=zlib.compress(b"x")),
        "most.png": png(2**31 - 1, 2**31 - 1),
        "declares.bmp": bmp,
        "declares.gif": b"GIF89a" + struct.pack("<HHBBB", 65535, 65535, 0x80, 0, 0) + bytes(6) + b"\x2c" + bytes(9),
        "declares.ppm": b"P6 99999 99999 255\n" + b"x" * 99,
        "declares.pgm": b"P5 " + b"9" * 30 + b" 1 255\n",
        "text.png": png(4, 4, chunk(b"zTXt", b"a\0\0" + zeros), data=zlib.compress(bytes(20))),
        "profile.png": png(4, 4, chunk(b"iCCP", b"a\0\0" + zeros), data=zlib.compress(bytes(20))),
        "swells.png": png(4, 4, data=zeros),
        "large.png": png(side, side, depth=1, data=rows),
    }


def bad_file(kind: str, chance: random.Random) -> tuple[str, bytes]:
    """Return a suffix and the content of one bad, or at least odd, file."""
    suffix = chance.choice(list(SEEDS))
    good = encoded(picture(chance), **SEEDS[suffix])
    if kind == "truncated":
        return suffix, good[: chance.randrange(len(good))]
    if kind == "flipped":
        content = bytearray(good)
        for _ in range(chance.randint(1, 24)):
            # The first bytes decide most, so half the flips fall there.
            place = chance.randrange(min(64, len(content)) if chance.random() < 0.5 else len(content))
            content[place] ^= 1 << chance.randrange(8)
        return suffix, bytes(content)
    if kind == "spliced":
        other = encoded(picture(chance), **SEEDS[chance.choice(list(SEEDS))])
        return suffix, good[: chance.randrange(len(good))] + other[chance.randrange(len(other)) :]
    if kind == "wrong suffix":
        return chance.choice(list(SEEDS)), good
    if kind == "no picture":
        texts = [
            b"",
            b"\0",
            bytes(5000),
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            b"<svg></svg>",
            b"PK\3\4",
        ]
        texts += [b"%PDF-1.7", b"\x7fELF", b"MZ", b"#!/bin/sh\nexit 1\n", chance.randbytes(chance.randint(1, 999))]
        return suffix, chance.choice(texts)
    if kind == "magic":
        return suffix, good[: chance.randint(2, 16)] + chance.randbytes(chance.randint(0, 400))
    if kind == "shape":
        size = chance.choice([(1, 1), (1, 4000), (4000, 1), (2, 3), (1, 2), (3000, 7)])
        return "png", encoded(picture(chance, size), format="PNG")
    if kind == "mode":
        mode = chance.choice(MODES)
        image = Image.new(mode, (12, 9)) if mode in ("I;16", "PA") else picture(chance, (12, 9)).convert(mode)
        return "tif", encoded(
            image.convert("RGBA") if mode == "PA" else image, format="TIFF" if mode != "LA" else "PNG"
        )
    if kind == "palette":
        image = picture(chance, (16, 16)).quantize(16)
        return "png", encoded(image, format="PNG", transparency=chance.choice([0, 15, b"\0\x80\xff"]))
    if kind == "animated":
        frames = [picture(chance, (9, 9)) for _ in range(3)]
        form = chance.choice(["GIF", "PNG", "WEBP", "TIFF"])
        return form.lower(), encoded(frames[0], format=form, save_all=True, append_images=frames[1:])
    if kind == "turned":
        exif = Image.Exif()
        exif[0x0112] = chance.choice([1, 2, 3, 4, 5, 6, 7, 8, 0, 9, 65535])
        content = encoded(picture(chance), format="JPEG", exif=exif)
        return "jpg", content if chance.random() < 0.5 else content.replace(b"Exif\0\0", b"Exif\0\0" + b"\xff" * 3)
    raise ValueError(kind)


KINDS = (
    "truncated", "flipped", "spliced", "wrong suffix", "no picture", "magic",
    "shape", "mode", "palette", "animated", "turned",
)  # fmt: skip


def make(folder: Path, count: int, seed: int) -> int:
    """Make ``count`` bad files below ``folder`` and return how many a reader has to account for."""
    chance = random.Random(seed)
    files: list[tuple[bytes, bytes]] = [(os.fsencode(name), content) for name, content in bombs().items()]
    for name in ODD_NAMES:
        files.append((os.fsencode(name), encoded(picture(chance), format="PNG")))
    files += [(b"not\xff\xfeutf8.png", encoded(picture(chance), format="PNG")), (b"\xff.jpg", b"broken")]
    for i in range(count - len(files) - 3):
        suffix, content = bad_file(KINDS[i % len(KINDS)], chance)
        files.append((f"d{i % 7}/{i:06}.{suffix}".encode(), content))
    for name, content in files:
        path = os.path.join(os.fsencode(folder), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(content)
    # Neither pictures nor files: links that go round, lead nowhere or to a device, a pipe, a folder named like one.
    (folder / "round").symlink_to(folder)
    (folder / "self.png").symlink_to("self.png")
    (folder / "nowhere.png").symlink_to("missing.png")
    (folder / "zeros.png").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe.png")
    (folder / "folder.png").mkdir()
    ignored = 1  # "..png" begins with a dot, as hidden files do
    return len(files) - ignored + 3  # the links to themselves, to nowhere and out of the folder are named


def hostile_zip(path: Path, entries: int) -> None:
    """A zip that would write outside, with a zip in it, odd names and ``entries`` entries."""
    content = encoded(Image.new("RGB", (9, 9), "red"), format="PNG")
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as archive:
        archive.writestr("inner.png", content)
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("../up.png", "/absolute.png", "..\\windows.png", "a/../../b.png", "C:\\c.png", "ok.png"):
            archive.writestr(name, content)
        archive.writestr("nested.zip", inner.getvalue())
        archive.writestr("swells.png", bytes(3_000_000), zipfile.ZIP_DEFLATED)
        for i in range(entries - 8):
            archive.writestr(f"{i % 100}/{i}.png", b"" if i % 2 else b"broken")


def read(path: Path, accounted: int, cache: Path) -> dict[str, object]:
    """Read the pictures as a training does and say how it went."""
    from ganforge.data.folder import load_folder

    # The more cores, the more pictures are held at once; and other processes lengthen no processor time.
    os.cpu_count = lambda: 2
    before, begun = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss, time.process_time()
    images = load_folder(path, image_size=16, cache_dir=cache)
    unclear = [name for name, reason in images.skipped if not reason.strip() or not reason.isprintable()]
    return {
        "files": accounted,
        "handled": len(images.array) + len(images.skipped) - len(unclear),
        "read": len(images.array),
        "skipped": len(images.skipped),
        "unclear": unclear[:5],
        "seconds": round(time.process_time() - begun, 1),
        "megabytes": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--zip", type=int, default=0, metavar="ENTRIES", help="a zip of so many entries instead")
    flags = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="ganforge-hostile-") as name:
        place = Path(name)
        (place / "bad").mkdir()
        if flags.zip:
            hostile_zip(place / "bad.zip", flags.zip)
            print(json.dumps(read(place / "bad.zip", flags.zip - 1, place / "cache")))  # the zip in it is no picture
        else:
            accounted = make(place / "bad", flags.count, flags.seed)
            print(json.dumps(read(place / "bad", accounted, place / "cache")))


if __name__ == "__main__":
    main()
