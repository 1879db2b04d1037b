"""The embedded critters: drawn from known factors that can be seen in the pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support import python

from ganforge.data.critters import (
    BACKGROUNDS,
    COATS,
    FACTORS,
    JITTER,
    draw_critters,
    draw_factors,
    render_critters,
)
from ganforge.data.load import is_path
from ganforge.data.sources import CRITTERS, CritterOptions, register_datasets
from ganforge.errors import UsageError
from ganforge.plugin.dataset import DatasetSource

pytestmark = pytest.mark.quick


@pytest.fixture(scope="module")
def drawn():
    return draw_critters(600, 32, seed=5)


def test_shapes_and_factors_in_range(drawn):
    images, factors = drawn
    assert images.shape == (600, 32, 32, 3)
    assert images.dtype == np.uint8
    for name, values in FACTORS.items():
        assert factors[name].dtype == np.int32
        assert set(factors[name]) == set(range(len(values)))
    for name, (low, high) in JITTER.items():
        assert low <= factors[name].min() < factors[name].max() <= high


def test_cats_have_pointed_ears_and_dogs_do_not(drawn):
    _, factors = drawn
    pointed = factors["ears"] == FACTORS["ears"].index("pointed")
    assert np.array_equal(pointed, factors["species"] == 0)
    assert 0.4 < pointed.mean() < 0.6


def test_same_seed_same_pictures_and_a_longer_draw_begins_the_same():
    images, factors = draw_critters(40, 16, seed=3)
    again, _ = draw_critters(40, 16, seed=3)
    longer, longer_factors = draw_critters(60, 16, seed=3)
    other, _ = draw_critters(40, 16, seed=4)
    assert np.array_equal(images, again)
    assert np.array_equal(images, longer[:40])
    assert all(np.array_equal(factors[name], longer_factors[name][:40]) for name in factors)
    assert not np.array_equal(images, other)


def test_the_corner_has_the_colour_of_the_background(drawn):
    images, factors = drawn
    expected = np.array(list(BACKGROUNDS.values()))[factors["background"]]
    assert np.abs(images[:, 0, 0].astype(int) - expected).max() <= 2


def test_the_coat_is_the_nearest_coat_colour_on_the_forehead_of_dogs(drawn):
    images, factors = drawn
    dogs = factors["species"] == 1
    forehead = images[dogs][:, 7:9, 15:18].reshape(dogs.sum(), -1, 3).mean(1)
    distance = np.linalg.norm(forehead[:, None] - np.array(list(COATS.values())), axis=2)
    assert (distance.argmin(1) == factors["coat"][dogs]).mean() > 0.95


def test_only_cats_have_green_eyes_and_only_dogs_a_tongue(drawn):
    images, factors = drawn
    red, green, blue = np.moveaxis(images[:, 8:28, 4:28].astype(int), -1, 0)
    eyes = ((green - red > 20) & (green - blue > 60)).sum((1, 2))
    tongue = ((red - green > 90) & (red - blue > 60))[:, 12:].sum((1, 2))
    cats = factors["species"] == 0
    assert eyes[cats].min() > eyes[~cats].max()
    assert tongue[~cats].min() > tongue[cats & (factors["coat"] != FACTORS["coat"].index("ginger"))].max()


def test_pose_moves_the_nose_to_its_side():
    images, factors = draw_critters(300, 64, seed=2)
    dogs = factors["species"] == 1
    # The darkest mass at nose height, in columns.
    dark = (255.0 - images[dogs][:, 32:42, 18:46].mean(-1)).clip(180) - 180
    column = (dark.sum(1) * np.arange(28)).sum(1) / dark.sum((1, 2))
    left, front, right = (column[factors["pose"][dogs] == pose].mean() for pose in range(3))
    assert left + 3.5 < front < right - 3.5


def test_place_and_scale_move_and_grow_the_critter():
    side = 200

    def edges(**jitter):
        """The first column and row with a dog, and the last column, for the middle of every range but one."""
        factors = {name: np.zeros(1, int) for name in FACTORS} | {"pose": np.array([1])}
        factors |= {name: np.array([(low + high) / 2]) for name, (low, high) in JITTER.items()}
        picture = render_critters(factors | {k: np.array([v]) for k, v in jitter.items()}, side)[0].astype(int)
        there = np.abs(picture - picture[0, 0]).sum(-1) > 90
        columns = np.flatnonzero(there.any(0))
        return np.array([columns[0], columns[-1], np.flatnonzero(there.any(1))[0]])

    middle = edges()
    assert edges(x=0.02) - middle == pytest.approx([4, 4, 0], abs=1)  # 0.02 of 200 pixels to the right
    assert edges(y=0.02) - middle == pytest.approx([0, 0, 4], abs=1)
    # Grown about the centre, by as much as the scale says.
    assert 100 - edges(scale=1.06)[[0, 2]] == pytest.approx(1.06 * (100 - middle[[0, 2]]), abs=1.5)


def test_floppy_and_perky_ears_reach_different_heights():
    images, factors = draw_critters(300, 32, seed=2)
    background = np.array(list(BACKGROUNDS.values()))[factors["background"]][:, None, None]
    drawn_on = np.abs(images.astype(int) - background).sum(-1) > 60
    top = drawn_on[:, :4].sum((1, 2))
    floppy, perky = (top[factors["ears"] == FACTORS["ears"].index(name)] for name in ("floppy", "perky"))
    assert floppy.max() < perky.min()


def test_grey_and_other_sizes():
    images, _ = draw_critters(3, 48, channels=1)
    assert images.shape == (3, 48, 48, 1)
    colour, _ = draw_critters(3, 48)
    assert np.abs(images[..., 0] - colour @ np.array([0.299, 0.587, 0.114])).max() < 2


@pytest.mark.parametrize("wrong", [{"count": 0}, {"image_size": 4}, {"channels": 2}])
def test_wrong_arguments(wrong):
    with pytest.raises(UsageError, match="expected count from 1, sides from 8 pixels, and 1, 3 or 4 channels"):
        draw_critters(**{"count": 1, **wrong})


def load(count: int, cache_dir: Path, **given):
    """Call the source as a run does."""
    settings = {"image_size": 32, "channels": 3, "limit": None, "seed": 0, "progress": None, **given}
    return CRITTERS.load(options=CritterOptions(count=count), cache_dir=cache_dir, **settings)


def test_the_source_draws_once_and_then_reads_its_cache(tmp_path, monkeypatch):
    def read(seed: int = 1, limit: int | None = None):
        return load(50, tmp_path, seed=seed, limit=limit)

    first = read()
    assert first.description == "50 drawn cats and dogs (32x32, colour)"
    assert first.classes == ("cat", "dog")
    assert np.array_equal(first.labels, draw_factors(50, 1)["species"])
    assert np.array_equal(first.array, draw_critters(50, 32, seed=1)[0])
    assert read(seed=2).fingerprint != first.fingerprint
    few = read(limit=20)
    assert len(few) == few.found == 20

    monkeypatch.setattr("ganforge.data.critters.portrait", None)
    again = read()
    assert isinstance(again.array, np.memmap)
    assert not again.array.flags.writeable
    assert np.array_equal(again.array, first.array)
    assert again.fingerprint == first.fingerprint


def test_the_source_reports_progress_and_refuses_too_few(tmp_path):
    seen: list[tuple[int, int]] = []
    load(30, tmp_path, progress=lambda *at: seen.append(at))
    assert seen == sorted(seen)
    assert seen[-1] == (30, 30)
    with pytest.raises(UsageError, match=r"count 1, .*expected count from 2"):
        load(30, tmp_path, limit=1)


def test_critters_register_like_any_plugin():
    found: list[DatasetSource] = []
    register_datasets(found.append)
    assert found[0] == CRITTERS


@pytest.mark.parametrize("text", ["./photos", "photos/cats", "~/photos", "..", "photos.zip", "a/b:c=d", "/x"])
def test_is_path(text):
    assert is_path(text)


@pytest.mark.parametrize("text", ["critters", "critters:count=10", "mine:root=a/b", "photos\0"])
def test_is_name(text):
    assert not is_path(text)


def test_an_existing_folder_is_a_path(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert not is_path("photos")
    (tmp_path / "photos").mkdir()
    assert is_path("photos")


def test_listing_sources_loads_neither_pillow_nor_numpy():
    code = "import sys, ganforge.data.sources; print({'PIL', 'numpy', 'keras'} & set(sys.modules))"
    assert python("-c", code).stdout.strip() == "set()"
