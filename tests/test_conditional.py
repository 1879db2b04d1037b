"""Conditional architectures: subfolders are classes, the networks are told, a picture is drawn of a class by name."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

pytestmark = pytest.mark.quick

SMALL = ("--arch", "dcgan-conditional:width=8,discriminator_width=8", "--image-size", 8, "--batch-size", 16)


@pytest.fixture
def two_classes(tmp_path):
    """Dark pictures in one folder, three times as many light ones in the other."""
    random = np.random.default_rng(0)
    for name, low, count in (("dark", 0, 16), ("light", 200, 48)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            pixels = random.integers(low, low + 55, (8, 8, 3), dtype=np.uint8)
            Image.fromarray(pixels).save(tmp_path / "photos" / name / f"{i}.png")
    return tmp_path / "photos"


def test_each_class_is_learned_from_its_own_folder_and_drawn_by_name(ganforge_cli, tmp_path, two_classes):
    code, _, err = ganforge_cli("train", *SMALL, "--data", two_classes, "--epochs", 40, "--snapshot-every", 40)
    assert code == 0, err
    manifest = json.loads((tmp_path / "runs" / "run_1" / "run.json").read_text())
    assert manifest["data"]["classes"] == ["dark", "light"]
    from ganforge import Run

    run = Run("run_1")
    assert run.classes == ("dark", "light")
    dark, light = (run.sample(16, seed=1, class_name=name).mean() for name in run.classes)
    assert dark + 60 < light
    mixed = run.sample(16, seed=1)
    assert mixed[::2].mean() + 60 < mixed[1::2].mean()
    walk = run.interpolate(frames=4, n=2)
    assert walk[:, 0].mean() + 60 < walk[:, 1].mean()

    code, out, _ = ganforge_cli("sample", "run_1", "--class", "dark", "-n", 4, "--output", "dark.png")
    assert (code, out.strip()) == (0, "dark.png")
    code, _, err = ganforge_cli("sample", "run_1", "--class", "drak")
    assert (code, err.strip()) == (
        2,
        "ganforge: run_1 has no class 'drak'; expected dark, light. Did you mean 'dark'?",
    )
    assert ganforge_cli("resume", "run_1", "--epochs", 41)[0] == 0
    (two_classes / "dark").rename(two_classes / "night")
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 42, "--data-changed", "ok")
    assert code == 1
    assert "have the classes light, night, but run_1 was trained on dark, light" in err


def test_pictures_without_classes_are_one_line(ganforge_cli, two_classes):
    code, _, err = ganforge_cli("train", *SMALL, "--data", two_classes / "light", "--epochs", 1)
    assert code == 2
    assert "needs class labels" in err
    assert "subfolders" in err
    assert len(err.strip().splitlines()) == 1


def test_a_class_of_an_unconditional_run_is_one_line(ganforge_cli):
    small = ("--arch", "fcgan:hidden=8", "--data", "critters:count=32", "--image-size", 8, "--batch-size", 16)
    assert ganforge_cli("train", *small, "--epochs", 1)[0] == 0
    code, _, err = ganforge_cli("sample", "run_1", "--class", "cat")
    assert (code, err.strip()) == (2, "ganforge: run_1 knows no classes: its architecture takes no labels")


def test_labels_follow_their_pictures_through_every_batch():
    from ganforge.data.batches import Batches

    array = np.arange(20, dtype=np.uint8).reshape(20, 1, 1, 1)
    batches = Batches(array, 4, seed=3, labels=np.arange(20) % 3)
    for images, labels in (batches.batch(0), batches.batch(7), batches.extra(2, 1), next(batches.iterate(4, 5))[1]):
        assert labels.dtype == np.int32
        np.testing.assert_array_equal(images.ravel() % 3, labels)


def test_extra_fakes_are_of_each_class_as_often_as_the_pictures():
    from ganforge.plugin.registry import load_plugins
    from ganforge.testing.small import small_engine

    engine = small_engine(load_plugins())
    engine.step.batch_size, engine.step.frequencies = 4000, np.array([0.1, 0.6, 0.3])
    drawn = engine.step._draw_classes([1, 2]).numpy()
    assert drawn.shape == (4000,)
    np.testing.assert_allclose(np.bincount(drawn) / 4000, [0.1, 0.6, 0.3], atol=0.03)
