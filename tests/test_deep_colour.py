"""Colours of 16 bits a channel: read with all their bits, by the range of the set, and never black without a word."""

from __future__ import annotations

import base64
import struct
import zlib

import numpy as np
import pytest
from PIL import Image, ImageCms, ImageOps

from ganforge.data.folder import load_folder

SIZE = 16
RANDOM = np.random.default_rng(3)
# Twelve bits in sixteen: what Pillow keeps of these is 0 to 15 of 255, which is black.
TWELVE = (RANDOM.random((4, SIZE, SIZE, 4)) * 4095).astype(np.uint16)


@pytest.fixture
def load(tmp_path):
    def call(channels=3, **settings):
        return load_folder(
            tmp_path / "set", image_size=SIZE, channels=channels, cache_dir=tmp_path / "cache", **settings
        )

    return call


def png(values: np.ndarray, *chunks: tuple[bytes, bytes], interlaced: bool = False) -> bytes:
    """A PNG of uint16 (H, W, 2|3|4), with more chunks before its data."""
    height, width, channels = values.shape

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    def rows(part: np.ndarray) -> bytes:
        return b"".join(b"\0" + row.astype(">u2").tobytes() for row in part) if part.size else b""

    adam7 = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
    passes = [values[y::dy, x::dx] for x, y, dx, dy in adam7] if interlaced else [values]
    kind = {2: 4, 3: 2, 4: 6}[channels]
    head = struct.pack(">IIBBBBB", width, height, 16, kind, 0, 0, interlaced)
    parts = [(b"IHDR", head), *chunks, (b"IDAT", zlib.compress(b"".join(map(rows, passes)))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(
    values: np.ndarray, order: str = "<", packed: bool = False, separate: bool = False, extra=None, turned: int = 1
) -> bytes:
    """A TIFF of uint16 (H, W, 3|4); ``packed`` by deflate, with ``separate`` planes, ``extra`` as in ExtraSamples."""
    height, width, channels = values.shape
    planes = list(np.moveaxis(values, -1, 0)) if separate else [values]
    pack = zlib.compress if packed else bytes
    strips = [pack(plane.astype(order + "u2").tobytes()) for plane in planes]
    count = len(strips)
    lists = 8 + sum(map(len, strips))
    starts = [8 + sum(map(len, strips[:i])) for i in range(count)]
    pad = lists % 2
    lists += pad
    depth, where, lengths = lists, lists + 2 * channels, lists + 2 * channels + 4 * count
    tags = [(256, 4, 1, width), (257, 4, 1, height), (258, 3, channels, depth), (259, 4, 1, 8 if packed else 1)]
    tags += [
        (262, 4, 1, 2),
        (273, 4, count, where if count > 1 else starts[0]),
        (274, 4, 1, turned),
        (277, 4, 1, channels),
    ]
    tags += [(278, 4, 1, height), (279, 4, count, lengths if count > 1 else len(strips[0]))]
    tags += [(284, 4, 1, 2 if separate else 1)] + ([(338, 4, 1, extra)] if extra is not None else [])
    directory = lengths + 4 * count
    body = b"".join(strips) + bytes(pad) + struct.pack(order + "H" * channels, *[16] * channels)
    body += struct.pack(order + "I" * count, *starts) + struct.pack(order + "I" * count, *map(len, strips))
    listed = b"".join(struct.pack(order + "HHII", *tag) for tag in tags)
    return (
        struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, directory)
        + body
        + struct.pack(order + "H", len(tags))
        + listed
        + bytes(4)
    )


def ppm(values: np.ndarray, plain: bool = False) -> bytes:
    height, width, _ = values.shape
    head = f"P{3 if plain else 6}\n# {width} lies\n{width} {height}\n65535\n".encode()
    return head + (" ".join(map(str, values.reshape(-1))).encode() if plain else values.astype(">u2").tobytes())


def put(folder, name: str, contents) -> None:
    (folder / "set").mkdir(exist_ok=True)
    for i, content in enumerate(contents):
        (folder / "set" / f"{i}{name}").write_bytes(content)


FORMS = {
    "png": lambda v: png(v),
    "interlaced.png": lambda v: png(v, interlaced=True),
    "little.tif": lambda v: tiff(v),
    "big.tif": lambda v: tiff(v, ">"),
    "packed.tif": lambda v: tiff(v, packed=True),
    "packed-big.tif": lambda v: tiff(v, ">", packed=True),
    "separate.tif": lambda v: tiff(v, separate=True),
    "separate-big.tif": lambda v: tiff(v, ">", separate=True),
    "ppm": lambda v: ppm(v),
    "plain.ppm": lambda v: ppm(v, plain=True),
}


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("top", "scale"), [(4095, 1), (65535, 16)])
def test_colours_of_16_bits_are_read_by_the_range_of_the_set(form, top, scale, load, tmp_path):
    values = TWELVE[..., :3] * np.uint16(scale)
    values[1] //= 4  # a dim one stays so
    put(tmp_path, "." + form.replace(".", "-", form.count(".") - 1), [FORMS[form](one) for one in values])
    images = load()
    assert images.range == (0, top)
    assert images.notes == (f"16-bit pictures: values 0 to {top:,} scaled to 0 to 255",)
    by_hand = np.rint(values * (255 / top))
    assert np.abs(images.array.astype(float) - by_hand).max() <= 1
    grey = load(channels=1)
    luma = by_hand @ (0.299, 0.587, 0.114)
    assert np.abs(grey.array[..., 0] - luma).max() <= 2
    assert load(value_range=(0, 2 * top)).array.max() <= 128


# 16 × 16, red from left to right and green from top to bottom, 0 to 4,095 in 16 bits.
JPEG2000 = (
    "AAAADGpQICANCocKAAAAFGZ0eXBqcDIgAAAAAGpwMiAAAAAtanAyaAAAABZpaGRyAAAAEAAAABAAAw8HAAAAAAAPY29scgEAAAAA"
    "ABAAAAI8anAyY/9P/1EALwAAAAAAEAAAABAAAAAAAAAAAAAAABAAAAAQAAAAAAAAAAAAAw8BAQ8BAQ8BAf9SAAwAAAABAQEEBAAB"
    "/1wAB0CAiIiQ/2QAJQABQ3JlYXRlZCBieSBPcGVuSlBFRyB2ZXJzaW9uIDIuNS4w/5AACgAAAAABwQAB/5PP/DGgEVBUr4QKaOyW"
    "BUMoWli4EgW/vWz9JVShWVzDHSbLViymmkeqcfuD+N4Q/crmeYkA5JB13DNTRYCqFKfhE9IlWpan0saRIhxrskI/4pY/JSd8NkMY"
    "OjQLiXOpGfIlIUBmyc7nQDzcBW/A/lSAJ3Vmip8cpb26jzqvWzP8l0KQdPeib1EuYRjAjqYcrb4vmgRHj/PQ96rW8nhudnr7iJuv"
    "vb/WZ3sYQCANznMwkqe8Fe3qyy5r0cOkHUZrhu9VH8H+FMAndWaKnxylvbqPOq9bM/yXQpB096JvUS5hGMCOphytvi+aBEeP89D3"
    "qtbyeG52evuIm6+9v9Zwhk9g+wUJ7cCX7nnoe9VreTuG3vX3ETdfeJIUf8AH2i8APwFYAAFeNqGEcLKAIrvsJANyj+YUCYCafw6s"
    "AH89pjQv+VRYhLOyTC93lGQ+g4/4eH8TlkxPB5+5FsZ5y7u25qvAD8BOAH4CUAACcDahmcnugDfri7D0jM6PA5bFiH8+YqKvm4MC"
    "+jTlK6nWCdMf/B8TfNn98g3HwB+YVAH5hYA2oZnJ7oA3/d7nPmKir5uDAvr6Z5//2Q=="
)


def test_jpeg_2000_is_no_black_either(load, tmp_path):
    content = base64.b64decode(JPEG2000)
    put(tmp_path, ".jp2", [content, content])
    images = load()
    assert images.range == (0, 4095)
    slope = np.arange(SIZE) / (SIZE - 1) * 255
    assert np.abs(images.array[..., 0] - slope).max() <= 17  # sixteen levels are left of these
    assert np.abs(images.array[..., 1] - slope[:, None]).max() <= 17


def test_planes_that_are_packed_apart_are_nearly_as_good(load, tmp_path):
    """Of these the lower bytes are out of reach: no more than 1 in 256 of the range of the format is lost."""
    values = TWELVE[..., :3] * np.uint16(16)
    put(tmp_path, ".tif", [tiff(one, packed=True, separate=True) for one in values])
    images = load()
    assert images.range == (0, 65535)
    assert np.abs(images.array.astype(float) - values / 257).max() <= 2


@pytest.mark.parametrize("form", ["png", "tif", "associated.tif", "grey and alpha"])
def test_transparency_of_16_bits_lies_on_the_background(form, load, tmp_path):
    values, opacity = TWELVE[..., :3].copy(), (RANDOM.random((4, SIZE, SIZE, 1)) * 65535).astype(np.uint16)
    opacity[:, :4], opacity[:, 4:8] = 0, 65535
    values[:, :4] = 60_000  # not to be seen, and so of no say in the range
    if form == "grey and alpha":
        values[:] = values[..., :1]
    whole = np.concatenate([values, opacity], -1)
    if form == "associated.tif":
        times = np.rint(values * (opacity / 65535)).astype(np.uint16)
        contents = [tiff(one, extra=1) for one in np.concatenate([times, opacity], -1)]
    elif form == "tif":
        contents = [tiff(one, extra=2) for one in whole]
    else:
        contents = [png(one[..., 2:] if form == "grey and alpha" else one) for one in whole]
    put(tmp_path, ".tif" if "tif" in form else ".png", contents)
    images = load(background="#102030")
    part = opacity / 65535
    by_hand = part * np.clip(values / 4095, 0, 1) * 255 + (1 - part) * (16, 32, 48)
    assert images.range == (0, 4095)
    assert np.abs(images.array - by_hand).max() <= 2
    kept = load(channels=4, background="#102030").array
    expected = np.concatenate([np.clip(values / 4095, 0, 1) * 255, part * 255], -1)
    shown = opacity[..., 0] > 6000
    assert np.abs(kept[..., 3:] - expected[..., 3:]).max() <= 1
    assert np.abs(kept - expected)[shown].max() <= 3
    assert (kept[opacity[..., 0] == 0] == (16, 32, 48, 0)).all()


def test_a_colour_that_a_png_says_is_not_to_be_seen(load, tmp_path):
    values = TWELVE[..., :3].copy()
    values[:, :4] = (4000, 3, 77)
    put(tmp_path, ".png", [png(one, (b"tRNS", struct.pack(">3H", 4000, 3, 77))) for one in values])
    array = load(background="#102030").array
    assert (array[:, :4] == (16, 32, 48)).all()
    assert np.abs(array[:, 4:].astype(float) - values[:, 4:] / 4095 * 255).max() <= 1


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation(orientation, load, tmp_path):
    """As Pillow turns the same picture of 8 bits."""
    values = TWELVE[0, ..., :3] * np.uint16(16)
    exif = Image.Exif()
    exif[0x0112] = orientation
    shallow = Image.fromarray((values >> 8).astype(np.uint8))
    shallow.info["exif"] = exif.tobytes()
    put(tmp_path, ".png", [png(values, (b"eXIf", exif.tobytes()[6:]))])
    put(tmp_path, ".tif", [tiff(values, turned=orientation)])
    put(tmp_path, "-apart.tif", [tiff(values, separate=True, turned=orientation)])
    turned = np.asarray(ImageOps.exif_transpose(shallow))
    for one in load(value_range=(0, 65535)).array:
        assert np.abs(one.astype(float) - turned).max() <= 1


@pytest.mark.parametrize("fit", ["crop", "pad", "stretch"])
def test_turned_scaled_and_padded_as_8_bits_are(fit, load, tmp_path):
    y, x = np.mgrid[0:1:40j, 0:1:60j]  # smooth: 8 bits are cut off where an edge is overshot
    values = np.rint(np.stack([x, y, (x + y) / 2], -1) * 3500 + 300).astype(np.uint16)
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, content in (("a", png(values, (b"eXIf", exif.tobytes()[6:]))), ("b", png(values))):
        (tmp_path / "set").mkdir(exist_ok=True)
        (tmp_path / "set" / f"{name}.png").write_bytes(content)
    deep = load(fit=fit).array
    for name, turned in (("a", np.rot90(values, -1)), ("b", values)):
        shallow = Image.fromarray(np.rint(turned / 4095 * 255).astype(np.uint8))
        shallow.save(tmp_path / "set" / f"{name}.png")
    assert np.abs(deep.astype(float) - load(fit=fit).array).max() <= 2


def test_a_profile_and_a_gamma_hold_for_16_bits_too(load, tmp_path):
    values = TWELVE[..., :3] * np.uint16(16)
    linear = struct.pack(">I", 100_000)
    put(tmp_path, ".png", [png(one, (b"gAMA", linear)) for one in values])
    light = values / 65535
    srgb = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    images = load(value_range=(0, 65535))
    assert "4 pictures brought to sRGB by their gamma" in images.notes
    # The curve is applied to 8 bits: steep where it is dark.
    assert np.percentile(np.abs(images.array - srgb), 99) <= 4
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    packed = b"sRGB\0\0" + zlib.compress(lab)
    put(tmp_path, ".png", [png(one, (b"iCCP", packed)) for one in values])
    assert np.abs(load(value_range=(0, 65535)).array - values / 257).max() <= 1


def test_a_huge_one_is_reduced_to_the_same(load, tmp_path, monkeypatch):
    values = np.repeat(np.repeat(TWELVE[..., :3], 8, 1), 8, 2)
    put(tmp_path, ".png", [png(one) for one in values])
    whole = load().array
    monkeypatch.setattr("ganforge.data.decode.LARGE_PIXELS", 1000)
    (tmp_path / "set" / "0.png").touch()
    assert np.abs(load().array.astype(float) - whole).max() <= 24
    assert np.abs(load().array.astype(float) - whole).mean() <= 2


def test_damaged_ones_are_listed_with_a_reason(load, tmp_path):
    good = png(TWELVE[0, ..., :3])
    put(tmp_path, ".png", [good, png(TWELVE[1, ..., :3]), good[: len(good) // 2]])
    wrong = tiff(TWELVE[0, ..., :3], separate=True)
    (tmp_path / "set" / "z.tif").write_bytes(wrong[:900] + wrong[1100:])
    images = load()
    assert len(images.array) == 2
    assert [name for name, _ in images.skipped] == ["2.png", "z.tif"]
    assert all(reason and "\n" not in reason for _, reason in images.skipped)
