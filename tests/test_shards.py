"""Pictures in several files: the cache in shards, several sources, orders that take no memory."""

from __future__ import annotations

import json
import zlib
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from ganforge.data import batches, cache, order
from ganforge.data.adapters import file_source
from ganforge.data.batches import Batches
from ganforge.data.load import load_images
from ganforge.data.shards import BLOCK, Shard, Shards
from ganforge.errors import GANForgeError
from ganforge.metrics import memorising
from ganforge.metrics.sides import choose_sides
from ganforge.study import evaluate

pytestmark = pytest.mark.quick


@pytest.fixture
def small(tmp_path, monkeypatch) -> Path:
    """A cache whose shards hold 32 pictures of 8×8 greys."""
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "SHARD_BYTES", 32 * 64)
    return tmp_path / "cache"


def read(path: Path, **how):
    source = file_source(str(path))
    return load_images(str(path), source, **{"image_size": 8, "channels": 1, **how})


def entry(root: Path) -> Path:
    (about,) = root.glob(f"*/{cache.ABOUT}")
    return about.parent


@pytest.fixture
def numbers(tmp_path) -> np.ndarray:
    """Pictures (150, 8, 8, 1), and the file that holds them."""
    pictures = np.random.default_rng(0).integers(0, 256, (150, 8, 8, 1), dtype=np.uint8)
    np.save(tmp_path / "x.npy", pictures)
    return pictures


# ------------------------------------------------------------------ the cache


def test_what_is_large_lies_in_several_files_and_reads_as_one_array(small, numbers, tmp_path):
    images = read(tmp_path / "x.npy")
    files = sorted(path.name for path in entry(small).glob("*.npy"))
    assert files == [f"images-{k:05d}.npy" for k in range(5)]
    assert [len(np.load(entry(small) / name)) for name in files] == [32, 32, 32, 32, 22]
    array = images.array
    assert isinstance(array, Shards)
    assert (array.shape, array.dtype, array.ndim, array.nbytes, len(array)) == (
        (150, 8, 8, 1),
        np.uint8,
        4,
        9600,
        150,
    )
    for index in (
        0,
        -1,
        np.int64(149),
        slice(None),
        slice(30, 70),
        slice(149, None, -7),
        [5, 149, 32, 5],
        -np.arange(1, 9),
    ):
        assert np.array_equal(array[index], numbers[index]), index
    chosen = np.arange(150) % 3 == 0
    assert np.array_equal(array[chosen], numbers[chosen])
    assert np.array_equal(array[:, :2, 1], numbers[:, :2, 1])
    assert np.array_equal(array[4, :2], numbers[4, :2])
    assert np.array_equal(np.asarray(array), numbers)
    assert (array.min(), array.max()) == (numbers.min(), numbers.max())
    with pytest.raises(IndexError):
        array[150]


def test_in_several_files_or_in_one_it_is_the_same_set_and_a_file_of_before_still_opens(
    small, numbers, tmp_path, monkeypatch
):
    several = read(tmp_path / "x.npy")
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "other"))
    monkeypatch.setattr(cache, "SHARD_BYTES", 2**28)
    one = read(tmp_path / "x.npy")
    assert (tmp_path / "other" / entry(small).name / cache.ARRAY).exists(), "the same key"
    assert one.fingerprint == several.fingerprint
    monkeypatch.setattr(cache, "SHARD_BYTES", 32 * 64)
    assert isinstance(read(tmp_path / "x.npy").array, np.memmap)
    alike = [Batches(images.array, 16, seed=3) for images in (one, several)]
    for step in range(12):
        first, second = (some.batch(step).images for some in alike)
        assert np.array_equal(first, second)
        assert np.array_equal(alike[0].extra(step, 1).images, alike[1].extra(step, 1).images)


def test_nothing_is_read_when_it_is_opened_and_each_block_is_verified_when_it_first_is(small, numbers, tmp_path):
    read(tmp_path / "x.npy")
    shard = entry(small) / "images-00002.npy"
    content = bytearray(shard.read_bytes())
    content[-1] ^= 1  # in its second block of 16
    shard.write_bytes(content)
    array = read(tmp_path / "x.npy").array
    assert np.array_equal(array[:80], numbers[:80])
    assert np.array_equal(array[96:], numbers[96:])
    folder = entry(small)
    with pytest.raises(
        GANForgeError, match=r"cache is damaged .*pictures 16 to 31 of 'images-00002.npy'.*start again"
    ):
        array[85]
    assert not folder.exists()
    assert np.array_equal(read(tmp_path / "x.npy").array[:], numbers), "read again"


@pytest.mark.parametrize(
    ("name", "damage"),
    [
        ("images-00001.npy", lambda path: path.unlink()),
        ("images-00001.npy", lambda path: path.write_bytes(path.read_bytes()[:-1])),
        (cache.LABELS, lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\1")),
        (cache.LABELS, lambda path: path.unlink()),
        (cache.ABOUT, lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"count": 149}))),
        (cache.ABOUT, lambda path: path.write_text(json.dumps(json.loads(path.read_text()) | {"checksums": [1]}))),
    ],
)
def test_an_entry_that_is_not_whole_is_made_again(small, numbers, tmp_path, name, damage):
    np.savez(tmp_path / "x.npz", images=numbers, labels=np.arange(150) % 4)
    read(tmp_path / "x.npz")
    damage(entry(small) / name)
    images = read(tmp_path / "x.npz")
    assert np.array_equal(images.array[:], numbers)
    assert np.array_equal(images.labels, np.arange(150) % 4)
    assert images.labels.dtype == np.int32


@pytest.mark.parametrize("what", ["sums", "rows"])
def test_a_shard_whose_checksums_or_shape_are_damaged_is_refused(small, numbers, tmp_path, what):
    array = read(tmp_path / "x.npy").array
    shard = entry(small) / "images-00004.npy"
    if what == "sums":
        sums = shard.with_suffix(cache.SUMS)
        assert sums.read_bytes() == b"".join(
            zlib.crc32(numbers[at : at + BLOCK].tobytes()).to_bytes(4, "little") for at in (128, 144)
        )
        sums.write_bytes(bytes(len(sums.read_bytes())))
    else:
        shard.write_bytes(shard.read_bytes().replace(b"(22, 8", b"(88, 2"))
    with pytest.raises(GANForgeError, match=r"cache is damaged .*images-00004"):
        array[149]


def test_damage_in_the_middle_of_one_file_is_seen_when_it_is_opened(tmp_path, numbers, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))
    read(tmp_path / "x.npy")
    path = entry(tmp_path / "cache") / cache.ARRAY
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    assert np.array_equal(read(tmp_path / "x.npy").array, numbers)


def test_deep_pictures_find_their_place_in_any_shard(small, tmp_path):
    deep = np.random.default_rng(1).integers(0, 4096, (100, 8, 8), dtype=np.uint16)
    (tmp_path / "deep").mkdir()
    for i, picture in enumerate(deep):
        Image.fromarray(picture).save(tmp_path / "deep" / f"{i:03}.png")
    images = read(tmp_path / "deep")
    assert images.range == (0, 4095)
    assert np.array_equal(images.array[:][..., 0], np.rint(deep / 4095 * 255))


def test_few_shards_stay_open():
    rows = np.arange(5 * 16, dtype=np.uint8).reshape(5, 16, 1)
    opened = []

    def open_shard(k: int) -> Shard:
        opened.append(k)
        return Shard(str(k), rows[k], np.asarray([zlib.crc32(rows[k].tobytes())]))

    array = Shards((1,), np.uint8, [16] * 5, open_shard)
    assert opened == []
    assert array[[70, 3, 17]].ravel().tolist() == [70, 3, 17]
    assert sorted(opened) == [0, 1, 4]
    array[70]
    assert len(opened) == 3


def test_what_is_measured_reads_a_large_set_in_parts(small, numbers, tmp_path, monkeypatch):
    images, run = read(tmp_path / "x.npy"), SimpleNamespace()
    run.id, run.config = "run_1", SimpleNamespace(data="x.npy", limit=None)
    run.manifest = {"data": {"fingerprint": images.fingerprint}, "image_shape": [8, 8, 1]}
    monkeypatch.setattr(evaluate, "_read", lambda *_: images)
    monkeypatch.setattr(memorising, "BLOCK", 40)
    sizes, take = [], Shards.take
    monkeypatch.setattr(Shards, "take", lambda self, rows: sizes.append(len(rows)) or take(self, rows))
    training = evaluate.training_images(run)
    fake = np.concatenate([numbers[:6, :, ::-1], np.random.default_rng(1).integers(0, 256, (6, 8, 8, 1), np.uint8)])
    index, ratio = memorising.nearest(fake, training)
    sides = choose_sides(training, fake, 0)
    assert max(sizes) <= 40
    turned = np.stack([numbers, numbers[:, :, ::-1]]).astype(np.float64)  # a distance is that of the nearer way round
    apart = np.sqrt(((fake[:, None, None] - turned) ** 2).sum((3, 4, 5))).min(1)
    near = np.sort(apart, 1)
    np.testing.assert_array_equal(index, apart.argmin(1))
    np.testing.assert_allclose(ratio, near[:, 0] / near[:, 1:21].mean(1), rtol=1e-4, atol=1e-3)
    known = {picture.tobytes() for picture in numbers}
    assert all(picture.tobytes() in known for picture in (*sides.real, *sides.other))
    monkeypatch.setattr(evaluate, "_read", lambda *_: replace(images, fingerprint="0"))
    assert len(evaluate.held_out_images(run, "others")) == 150
    assert max(sizes) <= 40


# ------------------------------------------------------------------ orders


@pytest.mark.parametrize("count", [1, 2, 3, 7, 50, 1000, 4097])
def test_an_order_by_place_is_a_permutation(count):
    found = order.Shuffled(count, np.random.default_rng(count))(np.arange(count))
    assert sorted(found.tolist()) == [*range(count)]


def test_an_order_by_place_is_uniform():
    """Chi-squared of which picture stands where, and of which two stand together, over many keys.

    Of (n - 1)² degrees of freedom the statistic has that mean and the variance 2 (n - 1)².
    """
    n, times, random = 20, 6000, np.random.default_rng(5)
    orders = np.stack([order.Shuffled(n, random)(np.arange(n)) for _ in range(times)])
    places = np.zeros((n, n))
    np.add.at(places, (np.broadcast_to(np.arange(n), orders.shape), orders), 1)
    statistic = ((places - times / n) ** 2 / (times / n)).sum()
    assert abs(statistic - (n - 1) ** 2) < 4 * np.sqrt(2) * (n - 1)
    pairs = np.bincount(orders[:, 3] * n + orders[:, 4], minlength=n * n).reshape(n, n)
    expected = times / (n * (n - 1))
    others = pairs[~np.eye(n, dtype=bool)]
    assert np.diag(pairs).sum() == 0
    freedom = n * (n - 1) - 1
    assert abs(((others - expected) ** 2 / expected).sum() - freedom) < 4 * np.sqrt(2 * freedom)


def test_orders_of_many_pictures_take_no_memory_and_those_of_few_stay_as_they_were(monkeypatch):
    array = np.arange(500, dtype=np.uint8).reshape(-1, 1, 1, 1)
    kept = Batches(array, 7, seed=1)
    expected = np.random.Generator(np.random.Philox(np.random.SeedSequence([1, 1, 2]))).permutation(500)
    assert np.array_equal(kept.indices(2 * 71 + 3), expected[21:28])
    monkeypatch.setattr(batches, "LARGE", 499)
    many = Batches(array, 7, seed=1)
    assert not many.kept_order
    assert Batches(array, 7, seed=1, kept_order=True).indices(145).tolist() == expected[21:28].tolist()
    epochs = [np.concatenate([many.indices(71 * e + s) for s in range(71)]) for e in range(2)]
    assert all(len(set(epoch.tolist())) == 497 for epoch in epochs)
    assert not np.array_equal(*epochs)
    again = Batches(array, 7, seed=1)
    assert np.array_equal(again.indices(100), epochs[1][29 * 7 : 30 * 7])
    assert not np.array_equal(Batches(array, 7, seed=2).indices(100), again.indices(100))


def test_some_of_many(monkeypatch):
    expected = np.sort(np.random.default_rng(4).permutation(60)[:9])
    assert np.array_equal(order.some(np.random.default_rng(4), 60, 9), expected)
    monkeypatch.setattr(order, "LARGE", 59)
    found = order.some(np.random.default_rng(4), 60, 9)
    assert len(set(found.tolist())) == 9
    assert np.array_equal(found, np.sort(found))
