"""Folders and zips of pictures: decoding, the cache, what is skipped, every error line, and batches."""

from __future__ import annotations

import io
import json
import os
import re
import threading
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import encoded

from ganforge.data import cache, decode, files, layout, reading
from ganforge.data.batches import Batches
from ganforge.data.folder import load_folder
from ganforge.errors import GANForgeError, UsageError

pytestmark = pytest.mark.quick

RED, GREEN, BLUE = (220, 30, 30), (30, 200, 60), (40, 60, 220)


@pytest.fixture
def photos(tmp_path) -> Path:
    path = tmp_path / "photos"
    path.mkdir()
    return path


@pytest.fixture
def load(tmp_path, photos):
    def call(path=photos, image_size=8, channels=3, **settings):
        given = {"cache_dir": tmp_path / "cache", **settings}
        return load_folder(path, image_size=image_size, channels=channels, **given)

    return call


def decoded(content: bytes, image_size: int, channels: int, fit: str, **more) -> np.ndarray:
    """The first picture in a file, as it is read."""
    (picture,) = decode.decode(content, decode.Reading(image_size, channels, fit, **more)).pictures
    return picture.pixels


def save(path: Path, colour=RED, size=(20, 20), mode="RGB", **settings) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).convert(mode).save(path, **settings)
    return path


def entries(root: Path) -> list[Path]:
    """The entries of a cache, without its lock files."""
    return [path for path in root.iterdir() if path.suffix != ".lock"]


def fill(root: Path, count: int) -> None:
    """Pictures whose colour tells which they are: grey level 5 * i."""
    for i in range(count):
        save(root / f"{i:03}.png", (5 * i,) * 3)


def levels(images) -> list[int]:
    return [int(value) // 5 for value in images.array[:, 0, 0, 0]]


# ------------------------------------------------------------------ decoding


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.bmp", "a.gif", "a.webp", "a.tif", "a.ppm", "picture"])
def test_formats(photos, load, name):
    save(photos / "b.png")
    save(photos / name, format="PNG" if name == "picture" else None)
    images = load()
    assert images.array.shape == (2, 8, 8, 3)
    assert images.array.dtype == np.uint8
    assert np.abs(images.array.astype(int) - RED).max() < 12
    assert images.skipped == []
    assert images.description == "2 images from photos (8x8, colour)"


@pytest.mark.parametrize(
    ("mode", "form", "expected"),
    [
        ("1", "PNG", (255, 255, 255)),
        ("L", "PNG", (151, 151, 151)),
        ("P", "PNG", (200, 140, 60)),
        ("CMYK", "JPEG", (200, 140, 60)),
        ("CMYK", "TIFF", (200, 140, 60)),
        ("YCbCr", "JPEG", (200, 140, 60)),
        ("LAB", "TIFF", (200, 140, 60)),
    ],
)
def test_modes(mode, form, expected):
    image = Image.new("RGB", (16, 16), (200, 140, 60))
    if mode == "LAB":
        from PIL import ImageCms

        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    else:
        image = image.convert(mode, dither=Image.Dither.NONE)
    content = encoded(image, format=form)
    assert Image.open(io.BytesIO(content)).mode in (mode, "RGB")
    colour = decoded(content, 8, 3, "crop")
    grey = decoded(content, 8, 1, "crop")
    tolerance = 26 if mode == "P" else 6
    assert np.abs(colour.astype(int) - expected).max() <= tolerance
    assert grey.shape == (8, 8, 1)
    assert np.abs(grey.astype(int) - 151).max() <= (104 if mode == "1" else tolerance)


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_transparency_lies_on_white(mode):
    image = Image.new("RGBA", (10, 10), (0, 0, 0, 0))
    image.paste((0, 0, 0, 255), (0, 0, 5, 10))
    picture = decoded(encoded(image.convert(mode), format="PNG"), 10, 3, "crop")
    assert picture[:, :3].max() <= 3
    assert picture[:, 7:].min() >= 252


def test_exif_orientation():
    image = Image.new("RGB", (20, 10), BLUE)
    image.paste(RED, (0, 0, 10, 10))
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: the left half comes to the top
    picture = decoded(encoded(image, format="JPEG", exif=exif, quality=95), 8, 3, "stretch").astype(int)
    assert np.abs(picture[0] - RED).max() < 25
    assert np.abs(picture[-1] - BLUE).max() < 25


def test_the_first_frame_of_an_animation():
    frames = [Image.new("RGB", (8, 8), colour) for colour in (GREEN, RED)]
    content = encoded(frames[0], format="GIF", save_all=True, append_images=frames[1:])
    assert np.abs(decoded(content, 4, 3, "crop").astype(int) - GREEN).max() < 6


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
def test_crop_cuts_the_sides_and_stretch_keeps_them(form):
    image = Image.new("RGB", (60, 20), GREEN)
    image.paste(RED, (0, 0, 20, 20))
    image.paste(BLUE, (40, 0, 60, 20))
    content = encoded(image, format=form)
    crop, stretch = (decoded(content, 12, 3, fit).astype(int) for fit in ("crop", "stretch"))
    assert np.abs(crop[:, 1:-1] - GREEN).max() < 40
    assert np.abs(stretch[:, 6] - GREEN).max() < 40
    assert np.abs(stretch[:, 1] - RED).max() < 40
    assert np.abs(stretch[:, 10] - BLUE).max() < 40


def test_too_many_pixels(monkeypatch):
    monkeypatch.setattr(decode, "MAX_PIXELS", 99)
    with pytest.raises(decode.Unreadable, match="10x10 pixels, more than 99"):
        decoded(encoded(Image.new("RGB", (10, 10)), format="PNG"), 4, 3, "crop")


def test_a_decompression_bomb_is_skipped(photos, load):
    fill(photos, 2)
    # A header that declares 60,000 x 60,000 pixels and has nothing behind it.
    (photos / "bomb.bmp").write_bytes(
        b"BM" + bytes(8) + (54).to_bytes(4, "little") + (40).to_bytes(4, "little")
        + (60000).to_bytes(4, "little") * 2 + b"\1\0\x18\0" + bytes(24)
    )  # fmt: skip
    assert load().skipped == [("bomb.bmp", "more than 178,956,970 pixels")]


# ------------------------------------------------------------------ finding and skipping


def test_nested_folders_and_labels(photos, load):
    for name in ("dog/1.png", "cat/deep/2.png", "cat/1.png"):
        save(photos / name, RED if name.startswith("dog") else GREEN)
    images = load()
    assert images.classes == ("cat", "dog")
    assert images.labels.dtype == np.int32
    assert images.labels.tolist() == [0, 0, 1]
    assert np.abs(images.array[2].astype(int) - RED).max() < 3
    save(photos / "loose.png")
    assert load().labels is None


def test_skipped_are_listed_with_the_reason(photos, load):
    fill(photos, 3)
    (photos / "sub").mkdir()
    (photos / "sub" / "a.jpg").write_bytes(b"no picture at all")
    (photos / "b.png").write_bytes(b"")
    (photos / "c.png").write_bytes((photos / "002.png").read_bytes()[:60])
    for name in ("notes.txt", ".hidden.png", ".DS_Store", "Thumbs.db", "__MACOSX/x.png", "old.zip"):
        (photos / name).parent.mkdir(exist_ok=True)
        (photos / name).write_bytes(b"beside the pictures")
    images = load()
    assert levels(images) == [0, 1, 2]
    assert images.found == 6
    skipped = dict(images.skipped)
    assert set(skipped) == {"b.png", "c.png", "sub/a.jpg"}
    assert skipped["b.png"] == "empty file"
    assert skipped["sub/a.jpg"] == "not an image that Pillow can read"
    assert skipped["c.png"]
    assert "\n" not in skipped["c.png"]
    assert load().skipped == images.skipped  # known from the cache too


def test_strict_names_the_first_unreadable_file(photos, load):
    fill(photos, 3)
    (photos / "001.png").write_bytes(b"broken")
    load()
    for _ in range(2):  # with and without a cache entry of the same files
        with pytest.raises(GANForgeError, match=r"cannot read '001.png' in '.*photos': not an image"):
            load(strict=True)


def test_a_loop_of_links_ends_and_nothing_is_read_twice(photos, load):
    fill(photos / "a", 2)
    (photos / "a" / "up").symlink_to(photos, target_is_directory=True)
    (photos / "again").symlink_to(photos / "a", target_is_directory=True)
    (photos / "nowhere.png").symlink_to(photos / "missing.png")
    images = load()
    assert images.found == 2
    assert images.skipped == [("nowhere.png", "a broken link")]
    assert [file.name for file in files.find_files(photos).files] == ["a/000.png", "a/001.png"]


def test_a_pipe_does_not_hang(photos, load):
    fill(photos, 2)
    os.mkfifo(photos / "pipe.png")
    assert len(load()) == 2


def test_a_large_file_is_not_read(photos, load, monkeypatch):
    fill(photos, 3)
    save(photos / "noise.bmp", size=(64, 64))
    monkeypatch.setattr(files, "MAX_BYTES", 5000)
    assert [reason for _, reason in load().skipped] == ["12,342 bytes, more than 5,000"]


def test_a_file_that_may_be_read_again_is_tried_again(photos, load, monkeypatch):
    fill(photos, 3)
    from ganforge.data import files

    read = files.read_file

    def refuse(path, *most, **more):
        if path.name == "001.png":
            raise PermissionError(13, "no")
        return read(path, *most, **more)

    with monkeypatch.context() as patch:
        patch.setattr(files, "read_file", refuse)
        assert load().skipped == [("001.png", "no permission to read")]
    assert load().skipped == []


# ------------------------------------------------------------------ zip


def test_zip_equals_folder(photos, load, tmp_path):
    save(photos / "cat/1.png", GREEN)
    save(photos / "dog/1.jpg", RED)
    with zipfile.ZipFile(tmp_path / "pets.zip", "w") as archive:
        for name in ("cat/1.png", "dog/1.jpg"):
            archive.write(photos / name, name)
        archive.writestr("__MACOSX/cat/._1.png", b"x")
        archive.writestr("inner.zip", b"x")
        archive.writestr("/absolute/evil.png", (photos / "cat/1.png").read_bytes())
    before = sorted(tmp_path.rglob("*"))
    images = load(tmp_path / "pets.zip", cache_dir=tmp_path / "cache")
    assert images.description == "3 images from pets.zip (8x8, colour)"
    assert [path for path in sorted(tmp_path.rglob("*")) if "cache" not in path.parts] == before
    assert np.array_equal(images.array[1:], load().array)


def test_the_same_pictures_have_one_fingerprint_wherever_they_are(photos, load, tmp_path):
    fill(photos / "a", 3)
    with zipfile.ZipFile(tmp_path / "moved.zip", "w") as archive:
        for path in sorted(photos.rglob("*.png")):
            archive.write(path, path.relative_to(photos))
    first = load()
    assert load(tmp_path / "moved.zip").fingerprint == first.fingerprint
    assert load(fit="stretch").fingerprint != first.fingerprint
    assert load(image_size=9).fingerprint != first.fingerprint
    save(photos / "a" / "001.png", RED)
    assert load().fingerprint != first.fingerprint


def test_one_folder_around_everything_in_a_zip_is_no_class(photos, load, tmp_path):
    for name in ("pets/cat/1.png", "pets/dog/1.png"):
        save(photos / name)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        for path in photos.rglob("*.png"):
            archive.write(path, path.relative_to(photos))
    assert load(tmp_path / "z.zip").classes == ("cat", "dog")


def test_damaged_encrypted_and_absurd_entries_are_skipped(photos, load, tmp_path, monkeypatch):
    path = tmp_path / "z.zip"
    picture = encoded(Image.new("RGB", (9, 9), RED), format="PNG")
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("a.png", "b.png", "damaged.png"):
            archive.writestr(name, picture)
        archive.writestr("huge.png", bytes(10_000), zipfile.ZIP_DEFLATED)
        archive.writestr("secret.png", picture)
        archive.infolist()[-1].flag_bits |= 1
    content = bytearray(path.read_bytes())
    content[content.index(b"damaged.png") + 11 + 40] ^= 0xFF
    path.write_bytes(content)
    monkeypatch.setattr(files, "MAX_BYTES", 9000)
    images = load(path)
    assert len(images) == 2
    skipped = dict(images.skipped)
    assert "CRC" in skipped["damaged.png"]
    assert skipped["huge.png"] == "declares 10,000 bytes, more than 9,000"
    assert skipped["secret.png"] == "encrypted"


# ------------------------------------------------------------------ cache and limit


def test_the_second_start_decodes_nothing(photos, load, monkeypatch):
    fill(photos, 5)
    seen: list[tuple[int, int]] = []
    first = load(progress=lambda *at: seen.append(at))
    assert seen[-1] == (5, 5)
    monkeypatch.setattr(reading, "decode", None)
    monkeypatch.setattr(Path, "read_bytes", None)
    seen.clear()
    second = load(progress=lambda *at: seen.append(at))
    assert seen == []
    assert isinstance(second.array, np.memmap)
    assert not second.array.flags.writeable
    assert np.array_equal(first.array, second.array)
    assert (first.fingerprint, first.found) == (second.fingerprint, second.found)


@pytest.mark.parametrize("change", ["touch", "add", "remove", "size", "channels", "fit"])
def test_any_change_decodes_again(photos, load, change):
    fill(photos, 4)
    load()
    settings = {}
    if change == "touch":
        os.utime(photos / "001.png", ns=(1, 1))
    elif change == "add":
        save(photos / "x.png")
    elif change == "remove":
        (photos / "003.png").unlink()
    else:
        settings = {"size": {"image_size": 6}, "channels": {"channels": 1}, "fit": {"fit": "stretch"}}[change]
    calls: list[tuple[int, int]] = []
    images = load(**settings, progress=lambda *at: calls.append(at))
    assert calls
    assert len(images) == {"add": 5, "remove": 3}.get(change, 4)


def test_limit_is_chosen_by_seed_before_decoding(photos, load, monkeypatch):
    fill(photos, 40)
    decoded: list[int] = []
    real = reading.decode
    monkeypatch.setattr(reading, "decode", lambda *args: decoded.append(1) or real(*args))
    few = load(limit=10, seed=1)
    assert len(decoded) == len(few) == 10
    assert few.found == 40
    assert levels(few) == sorted(set(levels(few)))
    assert levels(load(limit=10, seed=1)) == levels(few)
    assert len(decoded) == 10
    assert levels(load(limit=10, seed=2)) != levels(few)
    assert levels(load(limit=99)) == list(range(40))


def test_limit_is_topped_up_when_some_are_unreadable(photos, load):
    fill(photos, 40)
    for i in range(0, 40, 2):
        (photos / f"{i:03}.png").write_bytes(b"broken")
    images = load(limit=12)
    assert len(set(levels(images))) == 12
    assert images.skipped
    assert len(load(limit=30)) == 20


def test_a_damaged_cache_is_made_again(photos, load, tmp_path):
    fill(photos, 3)
    load()
    for name, content in ((cache.ABOUT, b"{"), (cache.ARRAY, b"\x93NUMPY"), (cache.ABOUT, b'{"count": 7}')):
        (entry,) = entries(tmp_path / "cache")
        (entry / name).write_bytes(content)
        assert levels(load()) == [0, 1, 2]


def test_a_failure_leaves_no_entry(photos, load, tmp_path):
    fill(photos, 1)
    (photos / "b.png").write_bytes(b"broken")
    with pytest.raises(GANForgeError):
        load()
    assert entries(tmp_path / "cache") == []


def test_the_slower_of_two_processes_takes_the_other_ones_entry(tmp_path):
    with cache.new_entry(tmp_path, "key") as slow:
        with cache.new_entry(tmp_path, "key") as quick:
            (quick / "quick").touch()
        (slow / "slow").touch()
    assert [path.name for path in tmp_path.iterdir()] == ["key"]
    assert (tmp_path / "key" / "quick").exists()


def test_many_pictures_keep_their_order(photos, load):
    for i in range(300):
        save(photos / f"{i:03}.png", (i % 256, i // 256, 0), size=(8, 8))
    array = load().array.astype(int)
    assert (array[:, 4, 4, 0] + 256 * array[:, 4, 4, 1]).tolist() == list(range(300))


def test_where_the_cache_is(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "env"))
    assert cache.cache_root() == tmp_path / "env"
    assert cache.cache_root(tmp_path / "argument") == tmp_path / "argument"
    monkeypatch.delenv("GANFORGE_CACHE_DIR")
    monkeypatch.setattr("platformdirs.user_cache_dir", lambda name: str(tmp_path / "user" / name))
    assert cache.cache_root() == tmp_path / "user" / "ganforge"


def test_without_a_writable_cache_a_temporary_one_serves(photos, load, tmp_path):
    fill(photos, 3)
    (tmp_path / "file").write_text("not a folder")
    images = load(cache_dir=tmp_path / "file" / "cache")
    assert levels(images) == [0, 1, 2]
    assert not images.array.filename.is_relative_to(tmp_path)


def test_a_full_disk_is_one_line(photos, load, monkeypatch):
    fill(photos, 3)

    def full(self, picture):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(cache.ArrayWriter, "write", full)
    with pytest.raises(GANForgeError, match=r"no space left for the picture cache in .*GANFORGE_CACHE_DIR"):
        load()


# ------------------------------------------------------------------ error lines


def test_a_missing_path_suggests_its_neighbour(photos, load):
    with pytest.raises(GANForgeError, match=r"there is no folder or zip '.*phots'\. Did you mean 'photos'\?"):
        load(photos.parent / "phots")
    with pytest.raises(GANForgeError, match=r"there is no folder or zip '/nowhere/at/all'\.$"):
        load("/nowhere/at/all")


def test_a_file_is_neither_folder_nor_zip(photos, load):
    with pytest.raises(GANForgeError, match="neither a folder nor a zip; expected a folder or zip of images"):
        load(save(photos / "a.png"))
    (photos / "a.zip").write_bytes(b"no zip")
    with pytest.raises(GANForgeError, match=r"neither a folder nor a zip \(damaged\?\)"):
        load(photos / "a.zip")


def test_nothing_to_read(photos, load):
    with pytest.raises(GANForgeError, match=r"photos' holds no image files$"):
        load()
    (photos / "notes.txt").write_text("hello")
    with pytest.raises(GANForgeError, match="holds no image files"):
        load()
    (photos / "a.png").write_bytes(b"broken")
    message = "'.*' holds no readable image; skipped the file 'a.png': not an image that Pillow can read"
    with pytest.raises(GANForgeError, match=message):
        load()
    save(photos / "b.png")
    with pytest.raises(GANForgeError, match=r"only one readable image \('b.png'\); training needs at least 2"):
        load()


def test_not_permitted(photos, load, monkeypatch):
    fill(photos / "open", 2)
    fill(photos / "shut", 2)
    scandir = os.scandir
    shut = {"shut"}

    def refuse(path):
        if Path(path).name in shut:
            raise PermissionError(13, "no")
        return scandir(path)

    monkeypatch.setattr(files.os, "scandir", refuse)
    assert load().skipped == [("shut/", "no permission to read")]
    with pytest.raises(GANForgeError, match="cannot read 'shut/'"):
        load(strict=True)
    shut.add("photos")
    with pytest.raises(GANForgeError, match=r"no permission to read '.*photos'"):
        load()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"image_size": 0}, "invalid image size 0:"),
        ({"channels": 2}, "invalid channels 2: expected one of 1 .grey., 3 .colour., 4 "),
        ({"fit": "zoom"}, "invalid fit 'zoom': expected crop, stretch or pad"),
        ({"frames": "last"}, "invalid frames 'last': expected first or all"),
        ({"background": "#12345"}, "invalid background '#12345': expected white, black or #rrggbb"),
        ({"value_range": (5, 5)}, "invalid --range .*: expected LOW,HIGH"),
        ({"limit": 1}, "invalid limit 1:"),
    ],
)
def test_settings_out_of_range(photos, load, wrong, message):
    fill(photos, 2)
    with pytest.raises(UsageError, match=message):
        load(**wrong)


# ------------------------------------------------------------------ batches


@pytest.fixture
def array() -> np.ndarray:
    return np.arange(23, dtype=np.uint8)[:, None, None, None].repeat(4, axis=1).repeat(4, axis=2)


def test_an_epoch_shows_every_image_at_most_once_and_each_has_its_order(array):
    batches = Batches(array, 5, seed=1)
    assert batches.steps_per_epoch == 4
    epochs = [np.concatenate([batches.indices(4 * epoch + i) for i in range(4)]) for epoch in range(30)]
    assert all(len(set(epoch)) == 20 for epoch in epochs)
    assert set(np.concatenate(epochs)) == set(range(23))
    assert not np.array_equal(epochs[0], epochs[1])
    whole = Batches(array, 23, seed=1)
    assert sorted(whole.indices(7)) == list(range(23))


def test_a_step_depends_on_seed_and_step_alone(array):
    forwards, backwards = Batches(array, 5, seed=1), Batches(array, 5, seed=1)
    there = [forwards.batch(step).images for step in range(12)]
    back = [backwards.batch(step).images for step in reversed(range(12))][::-1]
    assert np.array_equal(there, back)
    assert not np.array_equal(there[0], Batches(array, 5, seed=2).batch(0).images)
    assert there[0].shape == (5, 4, 4, 1)
    assert there[0].dtype == np.uint8
    assert there[0].flags.c_contiguous
    assert np.array_equal(there[3][:, 0, 0, 0], forwards.indices(3))


def test_extra_batches_are_stateless_and_independent(array):
    batches = Batches(array, 5, seed=1)
    extra = batches.extra(3, 0).images
    batches.batch(9)
    assert np.array_equal(extra, batches.extra(3, 0).images)
    assert all(len(set(batches.extra(step, 0).images[:, 0, 0, 0])) == 5 for step in range(20))
    others = [batches.batch(3), batches.extra(3, 1), batches.extra(4, 0), Batches(array, 5, 2).extra(3, 0)]
    assert not any(np.array_equal(extra, other.images) for other in others)


def test_batches_of_a_memory_map_are_plain_arrays(array, tmp_path):
    np.save(tmp_path / "a.npy", array)
    batch = Batches(np.load(tmp_path / "a.npy", mmap_mode="r"), 5, 0).batch(0).images
    assert type(batch) is np.ndarray
    assert batch.flags.writeable


def workers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "ganforge-batches"]


def test_iterate_is_in_order_and_resumes(array):
    batches = Batches(array, 5, seed=1)
    steps, pictures = zip(*batches.iterate(0, 11))
    assert steps == tuple(range(11))
    pictures = [batch.images for batch in pictures]
    assert np.array_equal(pictures, [batches.batch(step).images for step in range(11)])
    resumed = list(Batches(array, 5, seed=1).iterate(6, 11))
    assert np.array_equal([batch.images for _, batch in resumed], pictures[6:])
    assert list(batches.iterate(5, 5)) == []
    assert workers() == []


def test_iterate_works_ahead_but_not_further_than_asked(array, monkeypatch):
    batches = Batches(array, 5, seed=1, prefetch=2)
    made: list[int] = []
    reached = threading.Event()
    batch = batches.batch

    def record(step):
        made.append(step)
        if len(made) == 4:
            reached.set()
        return batch(step)

    monkeypatch.setattr(batches, "batch", record)
    steps = batches.iterate(0, 1000)
    next(steps)
    assert reached.wait(60)  # one taken, two ready, one waiting for room
    assert made == [0, 1, 2, 3]
    steps.close()
    assert len(made) < 10
    assert workers() == []


def test_an_error_in_the_thread_reaches_the_consumer(array, monkeypatch):
    batches = Batches(array, 5, seed=1)
    batch = batches.batch

    def fail(step):
        if step == 2:
            raise OSError("the disk went away")
        return batch(step)

    monkeypatch.setattr(batches, "batch", fail)
    seen = []
    with pytest.raises(OSError, match="the disk went away"):
        seen.extend(step for step, _ in batches.iterate(0, 9))
    assert workers() == []


def test_batch_sizes_that_cannot_be(array):
    message = "batch size 256 is larger than the number of pictures, 23; use --batch-size 23 or smaller"
    with pytest.raises(GANForgeError, match=message):
        Batches(array, 256, 0)
    with pytest.raises(UsageError, match="invalid batch size 0:"):
        Batches(array, 0, 0)


def test_the_notes_of_an_entry_are_plain_json(photos, load, tmp_path):
    fill(photos, 2)
    load()
    (entry,) = entries(tmp_path / "cache")
    assert json.loads((entry / cache.ABOUT).read_text())["count"] == 2


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads the process's memory from /proc")
def test_memory_does_not_grow_with_the_pictures_read(tmp_path):
    def resident() -> int:
        status = Path("/proc/self/status").read_text()
        return int(re.search(r"RssFile:\s+([0-9]+)", status)[1]) * 1024

    array = np.lib.format.open_memmap(tmp_path / "sparse.npy", "w+", np.uint8, (40_000, 64, 64, 3))
    del array
    batches = Batches(np.load(tmp_path / "sparse.npy", mmap_mode="r"), 64, seed=0)
    before, highest = resident(), 0
    for step in range(batches.steps_per_epoch):
        batches.batch(step)
        if step % 50 == 0:
            highest = max(highest, resident() - before)
    assert highest < 250e6, "480 MB were read"


# ------------------------------------------------------------------ by value


def test_labels_stay_with_their_pictures(array):
    labels = np.arange(23, dtype=np.int64) * 3 % 7
    batches = Batches(array, 5, seed=1, labels=labels)
    for images, found in (
        batches.batch(0),
        batches.batch(9),
        batches.extra(2, 1),
        next(iter(batches.iterate(3, 4)))[1],
    ):
        assert found.dtype == np.int32
        assert np.array_equal(found, images[:, 0, 0, 0].astype(int) * 3 % 7)


def test_an_epoch_longer_than_its_pictures_begins_its_order_again(array):
    batches = Batches(array, 5, seed=1, steps_per_epoch=6)
    first = [batches.indices(step).tolist() for step in range(12)]
    assert first[4:6] == first[:2]
    assert first[6:8] not in (first[:2], first[4:6])
    assert len({i for part in first[:4] for i in part}) == 20
    shorter = Batches(array, 5, seed=1, steps_per_epoch=2)
    assert [shorter.indices(step).tolist() for step in range(2)] == first[:2]
    # The next epoch has the order that it has in any run of this seed.
    assert shorter.indices(2).tolist() == first[6]


@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_exif_orientation(orientation):
    picture = np.random.default_rng(0).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    turned = {
        1: picture,
        2: picture[:, ::-1],
        3: picture[::-1, ::-1],
        4: picture[::-1],
        5: picture.transpose(1, 0, 2),
        6: np.rot90(picture, -1),
        7: np.rot90(picture, 2).transpose(1, 0, 2),
        8: np.rot90(picture),
    }[orientation]
    exif = Image.Exif()
    exif[0x0112] = orientation
    content = encoded(Image.fromarray(picture), format="PNG", exif=exif)
    assert np.array_equal(decoded(content, 12, 3, "crop"), turned)


def test_transparency_mixes_with_white_and_grey_is_luma():
    picture = np.zeros((4, 4, 4), np.uint8)
    picture[...] = (200, 100, 40, 64)
    over = np.array([200, 100, 40]) * 64 / 255 + 255 * (1 - 64 / 255)
    found = decoded(encoded(Image.fromarray(picture), format="PNG"), 4, 3, "crop")
    assert np.abs(found - over).max() <= 1
    opaque = encoded(Image.fromarray(np.ascontiguousarray(picture[..., :3])), format="PNG")
    assert decoded(opaque, 4, 3, "crop")[0, 0].tolist() == [200, 100, 40]
    assert decoded(opaque, 4, 1, "crop")[0, 0, 0] == round(0.299 * 200 + 0.587 * 100 + 0.114 * 40)


@pytest.mark.parametrize("upright", [False, True])
def test_the_middle_is_cut_out(upright):
    picture = np.random.default_rng(0).integers(0, 256, (10, 30, 3), dtype=np.uint8)
    picture = picture.transpose(1, 0, 2) if upright else picture
    content = encoded(Image.fromarray(np.ascontiguousarray(picture)), format="PNG")
    assert np.array_equal(decoded(content, 10, 3, "crop"), picture[10:20] if upright else picture[:, 10:20])


def test_a_huge_picture_is_reduced_to_the_same_and_keeps_its_orientation(monkeypatch):
    ramp = np.linspace(0, 255, 160)
    picture = np.stack([np.add.outer(ramp, ramp) / 2, np.broadcast_to(ramp, (160, 160)), np.zeros((160, 160))], 2)
    exif = Image.Exif()
    exif[0x0112] = 6
    content = encoded(Image.fromarray(picture.astype(np.uint8)), format="PNG", exif=exif)
    usual = decoded(content, 10, 3, "crop").astype(int)
    monkeypatch.setattr(decode, "LARGE_PIXELS", 100)
    reduced, sizes = decode._smaller, []
    monkeypatch.setattr(decode, "_smaller", lambda *a: (small := reduced(*a), sizes.append(small.size))[0])
    huge = decoded(content, 10, 3, "crop").astype(int)
    assert sizes == [(40, 40)]
    assert np.abs(huge - usual).max() <= 3
    assert huge[-1, 0, 1] > 240 > 15 > huge[0, 0, 1]  # the ramp to the right now runs down


def test_what_is_written_to_the_cache_is_read_back(tmp_path):
    pictures = np.random.default_rng(0).integers(0, 256, (11, 3, 5, 3), dtype=np.uint8)
    with cache.new_entry(tmp_path, "key") as made:
        writer = cache.ArrayWriter(made, (3, 5, 3))
        for picture in pictures:
            writer.write(picture[:, ::-1][:, ::-1])
        writer.close()
        cache.write_record(made, {"fingerprint": "x", "skipped": [("\udcff.png", "damaged")]})
    array, record = cache.open_entry(tmp_path, "key")
    assert np.array_equal(array, pictures)
    assert not array.flags.writeable
    assert (record.count, record.shape, record.fingerprint) == (11, (3, 5, 3), "x")
    assert record.skipped == (("\udcff.png", "damaged"),)
    assert record.checksums == (zlib.crc32(pictures.tobytes()),)


@pytest.mark.parametrize(
    "change", [{"count": 10}, {"version": 0}, {"checksums": [5]}, {"more": 1}, {"dtype": "int8"}, {}]
)
def test_an_entry_that_is_not_as_its_record_says_is_made_again(tmp_path, change):
    with cache.new_entry(tmp_path, "key") as made:
        writer = cache.ArrayWriter(made, (3, 5, 3))
        for i in range(11):
            writer.write(np.full((3, 5, 3), i, np.uint8))
        writer.close()
        cache.write_record(made, {})
    about = tmp_path / "key" / cache.ABOUT
    about.write_text(json.dumps(json.loads(about.read_text()) | change))
    entry = cache.open_entry(tmp_path, "key")
    assert (entry is None) == bool(change) == (not (tmp_path / "key").exists())


def test_a_limit_keeps_those_the_seed_draws_in_order_of_name(photos, load):
    fill(photos, 40)
    for seed in (0, 3):
        expected = sorted(np.random.default_rng(seed).permutation(40)[:9].tolist())
        assert levels(load(limit=9, seed=seed)) == expected


@pytest.mark.parametrize(
    ("names", "classes", "labels"),
    [
        (["b/1", "a/2", "b/3"], ["a", "b"], [1, 0, 1]),
        (["all/b/1", "all/a/x/2", "all/a/y/3"], ["a", "b"], [1, 0, 0]),
        (["a/1", "b/2", "3"], [], []),
        (["a/1", "a/2", "b/2", "b/3", "4"], ["a", "b"], [0, 0, 1, 1]),
        (["a/1", "a/2"], [], []),
        (["a/x/1", "a/y/2"], ["x", "y"], [0, 1]),
    ],
)
def test_folders_are_classes_below_what_all_share(names, classes, labels):
    found = layout.arrange(names).classes
    assert layout.labelled(found, numbered=False) == (classes, labels)
