"""Packed sets: in a folder, in a store with copies on this disk; and what else lies in a store."""

from __future__ import annotations

import io
import os
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import ganforge
from ganforge.cli.group import cli
from ganforge.data.adapters import is_there, place_of
from ganforge.data.batches import Batches
from ganforge.data.load import load_images, resolve_source, whole_path
from ganforge.data.shards import Shards
from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.registry import Registry

pytestmark = pytest.mark.quick

fsspec = pytest.importorskip("fsspec")


@pytest.fixture
def store(tmp_path, monkeypatch):
    """A store in memory, and a cache of its own."""
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))
    system = fsspec.filesystem("memory")
    system.store.clear()
    yield system
    system.store.clear()


@pytest.fixture
def photos(tmp_path) -> Path:
    random = np.random.default_rng(0)
    for i in range(60):
        path = tmp_path / "photos" / "ab"[i % 2] / f"{i:02}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(random.integers(0, 256, (128, 128, 3), dtype=np.uint8)).save(path, compress_level=0)
    return tmp_path / "photos"


def read(text: str, **how):
    source = resolve_source(text, Registry())
    return load_images(text, source, **{"image_size": 128, "channels": 3, **how})


def test_a_packed_set_is_the_set_it_was_made_of_in_a_folder_and_in_a_store(store, photos, tmp_path):
    made = load_images(str(photos), None, image_size=128, channels=3)
    said = ganforge.pack(str(photos), tmp_path / "set", image_size=128, shard_mib=1)
    assert (said["count"], said["shards"], said["fingerprint"]) == (60, 4, made.fingerprint), "of 16 pictures"
    shutil.rmtree(photos)
    store.put(str(tmp_path / "set"), "/bucket/set", recursive=True)
    for text in (str(tmp_path / "set"), "memory://bucket/set"):
        images = read(text)
        assert isinstance(images.array, Shards)
        assert np.array_equal(images.array[:], made.array)
        assert np.array_equal(images.labels, made.labels)
        assert (images.fingerprint, images.classes) == (made.fingerprint, ("a", "b"))
        assert np.array_equal(
            Batches(images.array, 7, 3).batch(11).images, Batches(made.array, 7, 3).batch(11).images
        )
        part = read(text, limit=11, seed=5)
        assert len(part.array) == len(part.labels) == 11
        assert set(part.labels.tolist()) == {0, 1}
        rows = [int(np.flatnonzero((made.array == one).all((1, 2, 3)))[0]) for one in part.array[:]]
        assert rows == sorted(set(rows))
        assert np.array_equal(part.labels, made.labels[rows])
        assert part.fingerprint not in (made.fingerprint, read(text, limit=11, seed=6).fingerprint)
        with pytest.raises(UsageError, match="packed with --image-size 128 and --channels 3; expected these"):
            read(text, image_size=64)
        assert is_there(text)
        assert whole_path(text, resolve_source(text, Registry())) == text == place_of(text)


def test_only_the_shards_in_use_are_copied_and_no_more_than_there_is_room_for(store, photos, tmp_path, monkeypatch):
    ganforge.pack(str(photos), "memory://bucket/set", image_size=128, shard_mib=1)
    monkeypatch.setenv("GANFORGE_COPIES_MIB", "2")
    made = load_images(str(photos), None, image_size=128, channels=3).array
    array = read("memory://bucket/set").array
    (folder,) = (tmp_path / "cache" / "copies").iterdir()

    def copies():
        return sorted(path.stem for path in folder.glob("images-*.npy"))

    assert copies() == []
    assert np.array_equal(array[17], made[17])
    assert copies() == ["images-00001"]
    for index, held in ((3, ["images-00000", "images-00001"]), (50, ["images-00000", "images-00003"])):
        assert np.array_equal(array[index], made[index])
        assert copies() == held
    assert np.array_equal(array[:], made), "whatever has to go for it"
    assert len(copies()) <= 2
    store.rm("/bucket/set", recursive=True)
    kept = int(copies()[0][-1])
    assert np.array_equal(array[16 * kept], made[16 * kept]), "from its copy"
    with pytest.raises(GANForgeError, match="there is nothing at memory://bucket/set/images-0000"):
        array[:]


def test_a_shard_that_is_damaged_in_the_store_is_refused_and_a_damaged_copy_is_made_again(store, photos, tmp_path):
    ganforge.pack(str(photos), "memory://bucket/set", image_size=128, shard_mib=1)
    made = load_images(str(photos), None, image_size=128, channels=3).array
    assert np.array_equal(read("memory://bucket/set").array[5], made[5])
    (folder,) = (tmp_path / "cache" / "copies").iterdir()
    os.truncate(folder / "images-00000.npy", 5000)
    assert np.array_equal(read("memory://bucket/set").array[5], made[5])
    content = bytearray(store.cat_file("/bucket/set/images-00002.npy"))
    content[-1] ^= 1
    store.pipe_file("/bucket/set/images-00002.npy", bytes(content))
    array = read("memory://bucket/set").array
    assert np.array_equal(array[:32], made[:32])
    with pytest.raises(GANForgeError, match=r"'images-00002\.npy' is damaged in memory://bucket/set"):
        array[32]
    assert not (folder / "images-00002.npy").exists()
    store.pipe_file("/bucket/set/about.json", b"{}")
    with pytest.raises(GANForgeError, match=r"is not a packed set, or its about\.json is damaged"):
        read("memory://bucket/set")


def test_files_and_folders_of_pictures_in_a_store(store, photos, tmp_path):
    made = load_images(str(photos), None, image_size=128, channels=3)
    store.put(str(photos), "/bucket/photos", recursive=True)
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as file:
        for path in sorted(photos.rglob("*.png")):
            file.write(path, path.relative_to(photos).as_posix())
    store.pipe_file("/bucket/photos.zip", packed.getvalue())
    np.savez(tmp_path / "x.npz", a=np.asarray(made.array), b=made.labels)
    store.put_file(str(tmp_path / "x.npz"), "/bucket/x.npz")
    for text in ("memory://bucket/photos", "memory://bucket/photos.zip"):
        images = read(text)
        assert images.fingerprint == made.fingerprint
        assert images.classes == ("a", "b")
    images = read("memory://bucket/x.npz:images=a,labels=b")
    assert np.array_equal(images.array, made.array)
    assert np.array_equal(images.labels, made.labels)
    store.pipe_file("/bucket/photos/a/99.png", store.cat_file("/bucket/photos/a/00.png"))
    assert len(read("memory://bucket/photos").array) == 61, "a change is seen"


def test_what_is_wrong_with_an_address_is_one_line(store, photos, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="invalid address nosuch://x"):
        read("nosuch://x")
    with pytest.raises(GANForgeError, match="there is nothing at memory://bucket/gone"):
        read("memory://bucket/gone")
    store.pipe_file("/bucket/photos/a.png", b"x")
    with pytest.raises(UsageError, match="has no options"):
        read("memory://bucket/photos:images=a")
    monkeypatch.setitem(__import__("sys").modules, "fsspec", None)
    with pytest.raises(GANForgeError, match=r"pip install 'ganforge\[remote\]'"):
        read("memory://bucket/photos")


def test_the_command_packs_several_and_refuses_what_is_there(store, photos, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    shutil.copytree("photos/a", "more/c")
    words = ["pack", "--data", "photos", "--data", "more", "set", "--image-size", "16", "--channels", "1"]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "ganforge train --data set" in done.output
    assert "90 images from photos and more (16x16, grey): 1 shard," in done.output
    images = read("set", image_size=16, channels=1)
    assert images.classes == ("a", "b", "c")
    assert images.array.shape == (90, 16, 16, 1)
    with pytest.raises(GANForgeError, match="'set' already exists"):
        ganforge.pack("photos", "set", image_size=16)
    with pytest.raises(UsageError, match="pack has no setting 'epochs'"):
        ganforge.pack("photos", "other", epochs=3)
    assert not Path("other").exists()


def test_a_parser_that_another_thread_confused_is_asked_again(tmp_path, monkeypatch):
    from ganforge.data import cache

    np.save(tmp_path / "rows.npy", np.arange(6))
    load, confused = np.load, iter([True, True, False])

    def loads(*given, **how):
        if next(confused):
            raise SystemError("AST constructor recursion depth mismatch (before=33, after=29)")
        return load(*given, **how)

    monkeypatch.setattr(np, "load", loads)
    assert cache.mapped(tmp_path / "rows.npy").tolist() == [0, 1, 2, 3, 4, 5]
