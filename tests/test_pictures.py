"""Pictures as their authors meant them: deep greys, colour, transparency, frames, classes."""

from __future__ import annotations

import json
import os
import struct
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from ganforge import Run, train
from ganforge.data import decode, files
from ganforge.data.blank import blank
from ganforge.data.folder import load_folder
from ganforge.data.hints import hint
from ganforge.data.layout import arrange, draw, labelled
from ganforge.data.ranges import Values, choose_range
from ganforge.data.workers import aside
from ganforge.errors import GANForgeError
from ganforge.study.evaluate import held_out_images, training_images

RANDOM = np.random.default_rng(0)


@pytest.fixture
def load(tmp_path):
    def call(name="set", image_size=8, channels=1, **settings):
        return load_folder(
            tmp_path / name, image_size=image_size, channels=channels, cache_dir=tmp_path / "cache", **settings
        )

    return call


def tiff(values: np.ndarray, photometric: int = 1, order: str = "<") -> bytes:
    """A plain grey TIFF of any depth, 0 for white-is-zero."""
    height, width = values.shape
    kind = {"u": 1, "i": 2, "f": 3}[values.dtype.kind]
    data = values.astype(values.dtype.newbyteorder(order)).tobytes()
    tags = [(256, width), (257, height), (258, 8 * values.itemsize), (259, 1), (262, photometric), (273, 8)]
    tags += [(277, 1), (278, height), (279, len(data)), (339, kind)]
    head = struct.pack(order + "2sHI", b"II" if order == "<" else b"MM", 42, 8 + len(data))
    body = b"".join(struct.pack(order + "HHII", tag, 4, 1, value) for tag, value in tags)
    return head + data + struct.pack(order + "H", len(tags)) + body + bytes(4)


def put(path: Path, content) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        Image.fromarray(np.asarray(content)).save(path)
    return path


# ------------------------------------------------------------------ deep greys

uniform = RANDOM.random((4, 16, 16))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ((uniform * 4095).astype(np.uint16), (0, 4095)),
        ((uniform * 900).astype(np.uint16), (0, 1023)),
        ((uniform * 60000).astype(np.uint16), (0, 65535)),
        ((uniform * 2).astype(np.uint16), (0, 1)),  # a mask
        ((uniform * 4095).astype(np.int16), (0, 4095)),
        ((uniform * 2**31).astype(np.uint32) + 2**30, (0, 2**32 - 1)),
        (uniform.astype(np.float32), (0, 1)),
        ((uniform * 2 - 1).astype(np.float32), (-1, 1)),
        ((uniform * 1.03 - 0.01).astype(np.float32), (0, 1)),  # overshoots
        ((uniform * 255).astype(np.float32), (0, 255)),
        ((uniform * 2000 - 1000).astype(np.float32), "percentiles"),
        ((uniform * 2000 - 1000).astype(np.int16), "percentiles"),
        (RANDOM.standard_normal((4, 16, 16)).astype(np.float32), "percentiles"),
        ((uniform * 3).astype(np.float32), "percentiles"),  # of 0 to 255 they would be black
    ],
)
@pytest.mark.parametrize("white_is_zero", [False, True])
@pytest.mark.parametrize("order", "<>")
def test_one_range_for_the_whole_set(load, tmp_path, values, expected, white_is_zero, order):
    if values.dtype == np.uint32 and (order == ">" or white_is_zero):
        pytest.skip("Pillow reads none")
    dim = values.copy()
    dim[1] = values[1] // 2 if values.dtype.kind != "f" else values[1] / 2  # its own range would make it as light
    for i, one in enumerate(dim):
        put(tmp_path / "set" / f"{i}.tif", tiff(one, 1 - white_is_zero, order))
    images = load(image_size=16)
    low, high = images.range
    if expected == "percentiles":
        wanted = np.quantile(dim.astype(np.float64), (0.001, 0.999))
        assert np.abs([low, high] - wanted).max() < 0.01 * (wanted[1] - wanted[0])
    else:
        assert (low, high) == expected
    by_hand = np.clip((dim.astype(np.float64) - low) / (high - low), 0, 1) * 255
    by_hand = 255 - by_hand if white_is_zero else by_hand
    assert np.abs(images.array[..., 0] - by_hand).max() <= 0.51
    assert len(images.notes) == 1
    given = load(image_size=16, value_range=(low, high))
    assert given.fingerprint == images.fingerprint
    assert load(image_size=16, value_range=(low, high + 7)).fingerprint != images.fingerprint
    assert load(image_size=16, value_range=(low, high + 7)).range == (low, high + 7)


def test_999_of_1000_decide_and_pictures_of_8_bits_keep_theirs(load, tmp_path):
    values = np.linspace(0, 1, 10_000, dtype=np.float32)
    for over, expected in ((9, (0, 1)), (20, (0, 1023))):
        counted = Values().add(np.r_[values[over:], [1000] * over], floats=False)
        assert choose_range(counted) == expected
    put(tmp_path / "set" / "a.png", np.full((8, 8), 77, np.uint8))
    put(tmp_path / "set" / "b.png", np.full((8, 8), 1023, np.uint16))
    put(tmp_path / "set" / "c.tif", np.where(np.eye(8), np.nan, 512).astype(np.float32))
    images = load(value_range=(0, 1023))
    assert [int(picture.max()) for picture in images.array] == [77, 255, 128]
    put(tmp_path / "set" / "d.tif", np.full((8, 8), np.nan, np.float32))
    assert load().skipped == [("d.tif", "it holds not one finite number")]


def test_a_run_keeps_its_range_for_resuming_evaluating_and_held_out_pictures(tmp_path, caplog):
    for name, top in (("set", 4000), ("held", 500)):
        for i in range(4):
            put(tmp_path / name / f"{i}.png", (np.random.default_rng(i).random((8, 8)) * top).astype(np.uint16))
    tiny = {"image_size": 8, "channels": 1, "batch_size": 2, "runs_dir": str(tmp_path / "runs")}
    run = train("fcgan:hidden=4", data=str(tmp_path / "set"), epochs=1, **tiny)
    assert run.manifest["data"]["range"] == [0, 4095]
    assert run.manifest["data"]["notes"] == ["16-bit pictures: values 0 to 4,095 scaled to 0 to 255"]
    assert training_images(run).max() > 200
    held = np.asarray(Image.open(tmp_path / "held" / "0.png"), np.float64)
    assert np.abs(held_out_images(run, str(tmp_path / "held"))[0, ..., 0] - held * 255 / 4095).max() <= 0.51
    assert Run(run.path).resume(epochs=2).manifest["data"] == run.manifest["data"] | {"path": str(tmp_path / "set")}
    about = json.loads((run.path / "run.json").read_text())
    about["data"]["range"] = [9, 1]
    (run.path / "run.json").write_text(json.dumps(about))
    with pytest.raises(GANForgeError, match=r"run.json is damaged: invalid range"):
        Run(run.path).resume(epochs=3)


# ------------------------------------------------------------------ colour and transparency


def profile_with_red_and_green_changed() -> bytes:
    """An ICC profile of gamma 2.2 and sRGB's primaries (for D50), the first and the second in each other's place."""
    xyz = {b"gXYZ": (0.4360747, 0.2225045, 0.0139322), b"rXYZ": (0.3850649, 0.7168786, 0.0971045)}
    xyz |= {b"bXYZ": (0.1430804, 0.0606169, 0.7141733), b"wtpt": (0.9642, 1.0, 0.8249)}
    parts = {name: b"XYZ \0\0\0\0" + struct.pack(">3i", *(round(v * 65536) for v in of)) for name, of in xyz.items()}
    parts |= {
        name: b"curv\0\0\0\0" + struct.pack(">IHxx", 1, round(2.2 * 256)) for name in (b"rTRC", b"gTRC", b"bTRC")
    }
    parts |= {
        b"desc": b"desc\0\0\0\0" + struct.pack(">I", 5) + b"test\0" + bytes(78 + 1),
        b"cprt": b"text\0\0\0\0none\0\0\0\0",
    }
    table, body, at = struct.pack(">I", len(parts)), b"", 128 + 4 + 12 * len(parts)
    for name, part in parts.items():
        table += name + struct.pack(">II", at + len(body), len(part))
        body += part + bytes(-len(part) % 4)
    head = struct.pack(">I4sI4s4s4s", at + len(body), b"lcms", 0x02400000, b"mntr", b"RGB ", b"XYZ ") + bytes(12)
    head += b"acsp" + bytes(28) + struct.pack(">3i", 63190, 65536, 54061)
    return head + bytes(128 - len(head)) + table + body


def srgb(light: np.ndarray) -> np.ndarray:
    return 255 * np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055)


@pytest.mark.parametrize("form", ["RGB", "RGBA", "L"])
def test_profiles_and_gamma_are_brought_to_srgb(load, tmp_path, form):
    from PIL import ImageCms

    channels = {"RGB": 3, "RGBA": 4, "L": 1}[form]
    pixels = RANDOM.integers(20, 256, (8, 8, channels), dtype=np.uint8)
    pixels[..., 3:] = 255
    image = Image.fromarray(pixels.squeeze())
    own = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    linear, usual = PngImagePlugin.PngInfo(), PngImagePlugin.PngInfo()
    linear.add(b"gAMA", struct.pack(">I", 80_000))
    usual.add(b"gAMA", struct.pack(">I", 45_455))
    (tmp_path / "set").mkdir()
    image.save(tmp_path / "set" / "a.png")
    image.save(tmp_path / "set" / "b.png", icc_profile=own)
    image.save(tmp_path / "set" / "c.png", icc_profile=b"no profile")
    image.save(tmp_path / "set" / "d.png", pnginfo=usual)
    image.save(tmp_path / "set" / "e.png", pnginfo=linear)
    image.save(tmp_path / "set" / "f.png", icc_profile=profile_with_red_and_green_changed())
    images = load(channels=3)
    plain = np.broadcast_to(pixels[..., :3], (8, 8, 3))
    assert np.array_equal(images.array[:4], [plain] * 4)
    assert np.abs(images.array[4] - srgb((plain / 255) ** (1 / 0.8))).max() <= 1
    changed = srgb((plain / 255) ** 2.2)[..., [1, 0, 2]] if form != "L" else plain  # a profile of other channels
    assert np.abs(images.array[5] - changed).max() <= 2
    assert len(images.notes) == (1 if form == "L" else 2)


@pytest.mark.parametrize(("background", "under"), [("black", 0), ("white", 255), ("#ff8000", (255, 128, 0))])
def test_the_background_lies_under_and_around(load, tmp_path, background, under):
    pixels = np.full((4, 8, 4), (10, 60, 250, 255), np.uint8)
    pixels[:, 4:, 3] = 64
    for i in range(2):
        put(tmp_path / "set" / f"{i}.png", np.roll(pixels, i, 0))
    images = load(channels=3, fit="pad", background=background)
    under = np.broadcast_to(under, 3)
    assert np.array_equal(images.array[0, [0, 1, 6, 7]], np.broadcast_to(under, (4, 8, 3)))
    assert np.abs(images.array[0, 2:6, :3] - np.array((10, 60, 250))).max() <= 1 + 12
    mixed = (np.array((10, 60, 250)) * 64 + under * 191) / 255
    assert np.abs(images.array[0, 3, 6:] - mixed).max() <= 3
    put(tmp_path / "deep" / "0.png", np.full((4, 8), 4095, np.uint16))
    put(tmp_path / "deep" / "1.png", np.full((8, 4), 2048, np.uint16))
    grey = round(float(under @ (0.299, 0.587, 0.114)))
    deep = load("deep", fit="pad", background=background).array[..., 0]
    assert abs(int(deep[0, 0, 0]) - grey) <= 1
    assert deep[0, 3, 0] == 255
    assert abs(int(deep[1, 0, 0]) - grey) <= 1
    assert deep[1, 0, 4] == 128


def test_logos_that_vanish_and_blank_sets_are_said(load, tmp_path):
    pixels = np.full((8, 8, 4), 255, np.uint8)
    pixels[2:6, :, 3] = 0
    for i in range(3):
        put(tmp_path / "set" / f"{i}.png", pixels)
    (warning,) = load().warnings
    assert warning.startswith("3 of 3 pictures are transparent and become a single colour on white; try --background")
    assert load(background="black").warnings == ()
    assert len(blank(load().array)) == 1
    noise = RANDOM.integers(0, 256, (9, 8, 8, 1), dtype=np.uint8)
    assert blank(noise) == []
    assert blank(noise // 200) == ["all pictures are (nearly) black, so there is little to learn: check the files, "
                                   "--range, --background and --fit"]  # fmt: skip
    assert blank(np.where(np.arange(9)[:, None, None, None] < 3, 128, noise)) == []


# ------------------------------------------------------------------ frames, links, what is gone


def test_frames_are_counted_and_used_when_asked(load, tmp_path):
    (tmp_path / "set").mkdir()
    for name, count in (("a.gif", 5), ("b.tif", 3), ("c.png", 1)):
        frames = [Image.new("RGB", (8, 8), (40 * i, 0, 0)) for i in range(count)]
        frames[0].save(tmp_path / "set" / name, save_all=count > 1, append_images=frames[1:])
    first, every = load(channels=3), load(channels=3, frames="all")
    assert first.notes == ("2 files hold 8 frames, 2 used (--frames all uses them)",)
    assert every.notes == ("2 files hold 8 frames, 8 used",)
    assert first.array[:, 0, 0, 0].tolist() == [0, 0, 0]
    assert every.array[:, 0, 0, 0].tolist() == [0, 40, 80, 120, 160, 0, 40, 80, 0]
    few = load(channels=3, frames="all", limit=4)
    assert len(few) == 4
    assert len({first.fingerprint, every.fingerprint, few.fingerprint}) == 3


@pytest.mark.parametrize("form", ["gif", "tif"])
def test_frames_beyond_a_number_are_left_out_and_none_is_read_that_nobody_wants(form, load, tmp_path, monkeypatch):
    frames = [Image.new("RGB", (8, 8), (i, 0, 0)) for i in range(60)]
    (tmp_path / "set").mkdir()
    frames[0].save(tmp_path / "set" / f"a.{form}", save_all=True, append_images=frames[1:])
    frames[59].save(tmp_path / "set" / "b.png")
    read = []
    monkeypatch.setattr(
        "ganforge.data.decode._picture", lambda *of, before=decode._picture: read.append(1) or before(*of)
    )
    images = load(channels=3, frames="all", limit=20)
    assert (len(images), len(read)) == (20, 21)  # and b.png, ahead of its turn
    monkeypatch.setattr("ganforge.data.decode.MOST_FRAMES", 50)
    images = load(channels=3, frames="all", image_size=9)
    assert len(images) == 51
    assert images.notes == ("1 file holds 50 frames, 50 used",)


def test_links_that_lead_out_are_not_followed(load, tmp_path):
    for i in range(2):
        put(tmp_path / "set" / "in" / f"{i}.png", np.full((8, 8), i, np.uint8))
        put(tmp_path / "settings" / f"{i}.png", np.full((8, 8), 200, np.uint8))  # its name begins as the folder's
    (tmp_path / "set" / "out").symlink_to(tmp_path / "settings")
    (tmp_path / "set" / "one.png").symlink_to(tmp_path / "settings" / "0.png")
    (tmp_path / "set" / "same.png").symlink_to(tmp_path / "set" / "in" / "1.png")
    (tmp_path / "linked").symlink_to(tmp_path / "set")
    for name in ("set", "linked"):
        images = load(name)
        assert [int(picture.max()) for picture in images.array] == [0, 1, 1]
        assert {name for name, _ in images.skipped} == {"one.png", "out"}


def test_files_that_are_gone_stop_the_run(load, tmp_path, monkeypatch):
    for i in range(4):
        put(tmp_path / "set" / f"{i}.png", np.full((8, 8), i, np.uint8))
    read = files.read_file

    def gone(path, most, **more):
        if not more:  # a picture, and not what may stand beside them
            os.replace(path, f"{path}.txt")
        return read(path, most, **more)

    monkeypatch.setattr(files, "read_file", gone)
    with pytest.raises(GANForgeError, match=r"'0.png' in '.*' has disappeared since .* \(No such file"):
        load()


@pytest.mark.parametrize("where", ["listing", "reading"])
def test_a_stalled_disk_does_not_hold_an_interrupt(load, tmp_path, monkeypatch, where):
    import signal

    for i in range(4):
        put(tmp_path / "set" / f"{i}.png", np.full((8, 8), i, np.uint8))
    asked, answers, answered = threading.Event(), threading.Event(), []
    read = files.read_file

    def stalled(*given, **more):
        if more:  # what may stand beside the pictures is read at once
            return read(*given, **more)
        asked.set()
        answers.wait(60)
        answered.append(given)

    def interrupt():
        asked.wait(60)
        time.sleep(0.3)  # by then it is waited for
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(*((files.os, "scandir") if where == "listing" else (files, "read_file")), stalled)
    threading.Thread(target=interrupt, daemon=True).start()
    try:
        with pytest.raises(KeyboardInterrupt):
            load()
        assert answered == []
    finally:
        answers.set()
    assert aside(lambda: threading.current_thread().daemon)  # none is waited for at exit


# ------------------------------------------------------------------ classes


@pytest.mark.parametrize(
    ("names", "kept", "classes", "more"),
    [
        ("train/a/1 train/b/1 test/a/1 test/b/1", [0, 1], "a b", {"train": "train", "left": {"test": 2}}),
        ("z/Train/a/1 z/Train/b/1 z/val/b/1 z/test/2", [0, 1], "a b", {"left": {"test": 1, "val": 1}}),
        ("train/1 train/2 test/1", [0, 1], "", {"left": {"test": 1}}),
        ("train/a/1 train/b/1 test/c/1", [0, 1, 2], "train train test", {"train": ""}),
        ("train/1 bus/1 bus/2", [0, 1, 2], "train bus bus", {"left": {}}),
        ("a/1 a/2 a/3 b/1 b/2 x", [0, 1, 2, 3, 4], "a a a b b", {"strays": ["x"]}),
        ("a/1 b/1 x y", [0, 1, 2, 3], "", {"loose": 2}),
        ("a/1 b/1", [0, 1], "a b", {"empty": ["c"]}),
    ],
)
def test_layouts(names, kept, classes, more):
    found = arrange(names.split(), ["a", "c/"] if "empty" in more else [])
    assert found.kept == kept
    assert [name for name in found.classes if name] == classes.split()
    assert {name: getattr(found, name) for name in more} == more


def test_labels_of_the_stylegan_tools(load, tmp_path):
    for i in range(12):
        put(tmp_path / "set" / f"0000{i // 6}" / f"{i:02}.png", np.full((8, 8), i, np.uint8))
    plain = load()
    assert plain.classes == ("00000", "00001")
    labels = [[f"0000{i // 6}/{i:02}.png", (2, 10, 2)[i % 3]] for i in range(12)]
    put(tmp_path / "set" / "dataset.json", json.dumps({"labels": labels}).encode())
    images = load()
    assert images.classes == ("2", "10")
    assert images.labels.tolist() == [(0, 1, 0)[i % 3] for i in range(12)]
    put(tmp_path / "set" / "dataset.json", b'{"labels": null}')
    assert load().classes == ()
    assert load().fingerprint == plain.fingerprint != images.fingerprint
    for broken in (b"{", b'{"labels": [["a", [0, 1]]]}', b'{"labels": 7}', b"[" * 10_000):
        put(tmp_path / "set" / "dataset.json", broken)
        assert load().classes == ("00000", "00001")
        assert load().warnings[0].startswith("dataset.json is not used: ")


def test_a_limit_draws_from_every_class_and_changes_no_draw_that_did():
    for seed in range(20):
        before = np.random.default_rng(seed).permutation(103)[:10].tolist()
        classes = ["a"] * 100 + ["b", "c", "d"]
        drawn = draw(classes, 10, seed)
        assert sorted(drawn) == list(range(103))
        assert {classes[i] for i in drawn[:10]} == {*"abcd"}
        assert len(set(before) - set(drawn[:10])) <= 3
        assert draw(["a"] * 103, 10, seed)[:10] == sorted(before)
    assert labelled(["10", "9", "10"], numbered=True) == (["9", "10"], [1, 0, 1])


def test_what_is_empty_or_astray_is_said_and_good_pictures_beside_bad_folders_are_read(load, tmp_path):
    for i in range(5):
        for name in "ab":
            put(tmp_path / "set" / name / f"{i}.png", np.full((8, 8), i, np.uint8))
        put(tmp_path / "bad" / "a" / f"{i}.png", b"broken")
        put(tmp_path / "bad" / "b" / f"{i}.png", b"broken")
    put(tmp_path / "set" / "c" / "0.png", b"broken")
    put(tmp_path / "bad" / "good.png", np.full((8, 8), 1, np.uint8))
    put(tmp_path / "bad" / "good2.png", np.full((8, 8), 2, np.uint8))
    (tmp_path / "set" / "d").mkdir()
    assert load().warnings == tuple(f"class '{name}' has no readable picture and is left out" for name in "cd")
    assert len(load("bad")) == 2


@pytest.mark.parametrize(
    ("name", "content", "way_out"),
    [
        ("a.jpg", b"\0\0\0\x18ftypheic", "pip install pillow-heif"),
        ("a.HEIC", b"anything", "pip install pillow-heif"),
        ("a", bytes(128) + b"DICM", "pydicom"),
        ("a.jxl", b"\xff\x0a", "pillow-jxl-plugin"),
        ("a.cr2", b"II*\0\x10\0\0\0CR", "rawpy"),
        ("a.tif", b"II*\0\x10\0\0\0", "save it with 8 or 16 bits"),
        ("a.dng", b"II*\0\x10\0\0\0", "rawpy"),
        ("a.png", b"<?xml?><svg>", "save it as a PNG"),
        ("a.png", b"", "empty file"),
        ("a.png", b"junk", "not an image that Pillow can read"),
    ],
)
def test_reasons_hint_at_the_way_out(name, content, way_out):
    assert way_out in hint(name, content)
