"""Stacks of grey pictures: what they are drawn from, and how their modes are counted."""

from __future__ import annotations

import gzip
import itertools
import json
import math
import struct
from collections import Counter

import numpy as np
import pytest
from PIL import Image
from support import one_line

import ganforge
from ganforge.data.greys import greys
from ganforge.data.stacked import StackedOptions, load_stacked, modes_of
from ganforge.errors import GANForgeError, UsageError
from ganforge.metrics.reader import read_classes, reduced, size
from ganforge.metrics.stacked import StackedModes, stack_coverage
from ganforge.study.evaluate import held_out_images, stacked_modes
from ganforge.study.in_words import rows

CLASSES, EACH = ("bar", "cross", "dot"), (30, 20, 10)


def drawn() -> tuple[np.ndarray, np.ndarray]:
    """Return 60 grey pictures of 8x8 of three classes, each brightness once, and their classes."""
    pictures, labels = np.zeros((60, 8, 8), np.uint8), np.repeat([0, 1, 2], EACH)
    for k, (picture, label) in enumerate(zip(pictures, labels)):
        if label in (0, 1):
            picture[:, 3] = 120 + k
        if label == 1:
            picture[3] = 120 + k
        if label == 2:
            picture[2:6, 2:6] = 120 + k
    return pictures, labels


def idx(array: np.ndarray) -> bytes:
    return bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape) + array.astype("u1").tobytes()


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """The same pictures as a file of arrays, as MNIST has them with files to test with, and as folders."""
    folder = tmp_path_factory.mktemp("greys")
    pictures, labels = drawn()
    np.savez(folder / "x.npz", images=pictures, labels=np.array(CLASSES)[labels])
    np.savez(folder / "bare.npz", images=pictures)
    np.savez(folder / "many.npz", images=pictures, labels=np.arange(60))
    np.savez(folder / "few.npz", images=pictures, labels=np.array([0] * 59 + [1]))
    np.savez(folder / "numbers.npz", images=pictures.reshape(60, 64) / 7.0, labels=labels)
    (folder / "mnist").mkdir()
    for name, some in (("train", slice(0, None, 2)), ("t10k", slice(1, None, 2))):
        for what, array in (("images-idx3", pictures[some]), ("labels-idx1", labels[some])):
            (folder / "mnist" / f"{name}-{what}-ubyte.gz").write_bytes(gzip.compress(idx(array)))
    for k, (picture, label) in enumerate(zip(pictures, labels)):
        (folder / "folder" / CLASSES[label]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(folder / "folder" / CLASSES[label] / f"{k:02}.png")
    return folder


def options(places, name="x.npz", **more) -> StackedOptions:
    return StackedOptions(source=str(places / name), **more)


# ------------------------------------------------------------------ the stacks


@pytest.mark.parametrize("name", ["x.npz", "mnist", "folder"])
@pytest.mark.parametrize("part", ["train", "held-out"])
def test_each_channel_is_a_picture_of_its_class_and_part(places, name, part, tmp_path):
    found = load_stacked(options(places, name, count=300, part=part), 8, seed=3, cache_dir=tmp_path)
    pictures, labels = drawn()
    which = {picture.tobytes(): k for k, picture in enumerate(pictures)}
    assert found.array.shape == (300, 8, 8, 3)
    stacks = [[which[np.ascontiguousarray(stack[..., c]).tobytes()] for c in range(3)] for stack in found.array]
    assert found.labels.tolist() == [9 * a + 3 * b + c for a, b, c in (labels[stack].tolist() for stack in stacks)]
    names = [str(k) for k in range(3)] if name == "mnist" else CLASSES
    assert found.classes == tuple(f"{a}-{b}-{c}" for a in names for b in names for c in names)
    used = set(itertools.chain(*stacks))
    if name == "mnist":
        assert used == set(range(0 if part == "train" else 1, 60, 2))
    else:
        shares = (24, 16, 8) if part == "train" else (6, 4, 2)
        assert [sum(labels[k] == label for k in used) for label in range(3)] == list(shares)


def test_the_parts_have_no_picture_in_common(places, tmp_path):
    for shape in (8, (12, 16)):
        found = greys(str(places / "x.npz"), shape, tmp_path)
        assert not set(found.train.rows) & set(found.held_out.rows)
        assert sorted([*found.train.rows, *found.held_out.rows]) == list(range(60))


def test_stacks_are_a_function_of_their_settings(places, tmp_path):
    def load(size=8, channels=3, seed=1, limit=None, shape=None, **more):
        return load_stacked(
            options(places, **{"count": 40, **more}), size, channels, limit, seed, tmp_path, None, shape
        )

    one, same = load(), load()
    np.testing.assert_array_equal(one.array, same.array)
    assert one.fingerprint == same.fingerprint
    others = [load(seed=2), load(count=41), load(limit=20), load(channels=1), load(part="held-out"), load(12)]
    others += [load(shape=(8, 12, 3)), load(name="folder")]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 9
    np.testing.assert_array_equal(others[2].array, one.array[:20])
    assert [other.array.shape[1:] for other in others[3:7]] == [(8, 8, 1), (8, 8, 3), (12, 12, 3), (8, 12, 3)]
    assert (others[3].labels < 3).all()
    again = load_stacked(options(places, count=40), 8, seed=1, cache_dir=tmp_path / "elsewhere")
    np.testing.assert_array_equal(again.array, one.array)
    assert again.fingerprint == one.fingerprint


@pytest.mark.parametrize(
    ("source", "said", "kind"),
    [
        ("digit", "expected digits, fashion-mnist, or the path of .* Did you mean 'digits'", UsageError),
        ("x.npy", "no file", GANForgeError),
        ("bare.npz", "bare.npz has no labels", GANForgeError),
        ("many.npz", "60 classes; expected 2 to 30", GANForgeError),
        ("few.npz", "class '1' of few.npz has only one picture", GANForgeError),
        ("numbers.npz", "holds vectors; expected pictures", GANForgeError),
    ],
)
def test_what_makes_no_stacks_is_refused_in_one_line(places, monkeypatch, tmp_path, source, said, kind):
    monkeypatch.chdir(places)
    with pytest.raises(kind, match=said) as caught:
        load_stacked(StackedOptions(source=source), 8, cache_dir=tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="--channels 3"):
        load_stacked(StackedOptions(source="x.npz"), 8, 4, cache_dir=tmp_path)


def test_what_is_not_installed_is_named(monkeypatch, tmp_path):
    monkeypatch.setitem(__import__("sys").modules, "sklearn.datasets", None)
    with pytest.raises(GANForgeError, match=r"ganforge\[digits\]"):
        load_stacked(StackedOptions(), 8, cache_dir=tmp_path)
    monkeypatch.setattr("ganforge.data.greys.FASHION", tmp_path / "none")
    with pytest.raises(GANForgeError, match="apt install dataset-fashion-mnist"):
        load_stacked(StackedOptions(source="fashion-mnist"), 8, cache_dir=tmp_path)


# ------------------------------------------------------------------ modes


def test_modes_are_counted_as_by_hand():
    random = np.random.default_rng(1)
    classes, shares = random.integers(0, 3, (70, 3)), np.array([0.5, 0.3, 0.2])
    tally = Counter(tuple(row) for row in classes.tolist())
    found = stack_coverage(classes, shares)
    assert found["counts"] == [tally[mode] for mode in itertools.product(range(3), repeat=3)]
    assert (found["covered"], found["of"]) == (len(tally), 27)
    kl = sum(n / 70 * math.log(n / 70 / math.prod(shares[list(mode)])) for mode, n in tally.items())
    assert found["reverse_kl"] == pytest.approx(kl)
    assert stack_coverage(np.array([[2, 2, 0]] * 9), shares)["reverse_kl"] == pytest.approx(
        -math.log(0.2 * 0.2 * 0.5)
    )
    every = np.array(list(itertools.product(range(10), repeat=3)))
    whole = stack_coverage(every, np.full(10, 0.1))
    assert (whole["covered"], whole["reverse_kl"]) == (1000, pytest.approx(0, abs=1e-12))
    assert modes_of(every, 10).tolist() == list(range(1000))


def test_a_classifier_learns_and_sees_stacks_by_channel(places, tmp_path):
    known = StackedModes.of(options(places), (16, 16, 3), tmp_path)
    assert known.seen == (8, 8)
    assert (known.modes, known.samples) == (27, 702)
    assert known.weights.shape == (size(64, 3),)
    stacks = load_stacked(options(places, part="held-out", count=200), 16, cache_dir=tmp_path)
    read = known.read(stacks.array)
    assert (modes_of(read, 3) == stacks.labels).all()
    found = known.measure([stacks.array[:50], stacks.array[50:]])
    assert found["counts"] == np.bincount(stacks.labels, minlength=27).tolist()
    assert found["samples"] == 200
    assert found["classifier"] == {"accuracy": 1.0, "held_out": 12, "trained_on": 48}
    assert found["ceiling"]["covered"] == 1
    assert found["ceiling"]["reverse_kl"] in [
        pytest.approx(-math.log(math.prod(shares))) for shares in itertools.product((1 / 2, 1 / 3, 1 / 6), repeat=3)
    ]
    assert 0 < found["floor"]["reverse_kl"] < 0.2 < found["ceiling"]["reverse_kl"]
    (kept,) = tmp_path.glob("stacked-reader-*.npy")
    before = kept.stat().st_mtime_ns
    np.testing.assert_array_equal(StackedModes.of(options(places), (16, 16, 3), tmp_path).weights, known.weights)
    assert kept.stat().st_mtime_ns == before


def test_the_classifier_is_right_on_97_percent_of_digits(tmp_path):
    pytest.importorskip("sklearn")
    known = StackedModes.of(StackedOptions(), (32, 32, 3), tmp_path)
    found, held_out = known.found, known.found.held_out
    assert len(found.train.labels) + len(held_out.labels) == 1797
    read = read_classes(known.weights, reduced(held_out.pictures, 8, 8), 10)
    assert (read == held_out.labels).mean() >= 0.97


# ------------------------------------------------------------------ a run


SMALL = {"arch": "fcgan:hidden=8", "image_size": 8, "batch_size": 16, "latent_dim": 4, "log_every": 1}


def test_a_run_is_resumed_evaluated_and_compared(places, monkeypatch, tmp_path, ganforge_cli):
    monkeypatch.chdir(places)
    how = {**SMALL, "data": "stacked:source=x.npz,count=64", "runs_dir": str(tmp_path)}
    whole = ganforge.train(**how, epochs=2)
    half = ganforge.train(**how, epochs=1)
    monkeypatch.chdir(tmp_path)  # where there is no x.npz
    code, _, err = ganforge_cli("resume", half.path, "--epochs", 2)
    assert code == 0, err
    np.testing.assert_array_equal(half.sample(8), whole.sample(8))
    monkeypatch.chdir(places)
    code, out, err = ganforge_cli("evaluate", whole.path, "--samples", 64, "--json")
    assert code == 0, err
    found = json.loads(out)
    assert (found["samples"], found["modes"]["samples"], found["modes"]["of"]) == (64, 64, 27)
    known = StackedModes.of(options(places), (8, 8, 3))
    assert found["modes"] == known.measure([whole.sample(64)])
    counts = np.bincount(modes_of(known.read(whole.sample(702)), 3), minlength=27)
    by_default = stacked_modes(whole, None, 0)
    assert by_default["counts"] == counts.tolist()
    assert by_default["covered"] == (counts > 0).sum()
    said = dict(rows(found))
    assert said["modes"].startswith(f"{found['modes']['covered']} of 27 covered by 64 pictures, KL ")
    assert said["held-out stacks"].startswith(f"{found['modes']['floor']['covered']} covered, KL ")
    assert said["classifier"] == "right on 100.0% of 12 held-out pictures"
    out = ganforge_cli("compare", whole.path)[1]
    assert "modes" in out
    assert "KL" in out
    assert ganforge_cli("report", whole.path, "--output", tmp_path / "r.html")[0] == 0
    assert ganforge_cli("evaluate", whole.path, "--data", "stacked:source=x.npz,count=64")[0] == 2  # its own
    assert held_out_images(whole, "stacked:source=x.npz,count=40,part=held-out").shape == (40, 8, 8, 3)


def test_a_run_ends_once_it_covers_modes(places, tmp_path):
    how = {**SMALL, "data": f"stacked:source={places / 'x.npz'},count=64", "runs_dir": str(tmp_path)}
    run = ganforge.train(**how, epochs=6, snapshot_every=1, stop_when="modes:above=0")
    assert run.manifest["early_end"]["met"].startswith("modes ")
    assert run.manifest["progress"]["epoch"] == 1
    from ganforge.engine.randomness import fixed_latents

    made = run.decode(fixed_latents(702, 4, 0, "stop-when"))
    covered = len(set(modes_of(StackedModes.of(options(places), (8, 8, 3)).read(made), 3).tolist()))
    assert run.manifest["early_end"]["seen"][-1]["value"] == covered


def test_the_command_line_says_what_is_wrong(places, ganforge_cli, tmp_path):
    for data, code, said in (
        ("stacked:source=digitz", 2, "Did you mean 'digits'"),
        ("stacked:sauce=digits", 2, "no option 'sauce'"),
        (f"stacked:source={places / 'bare.npz'}", 1, "has no labels"),
        (f"stacked:source={tmp_path / 'x.zip'}", 2, "invalid source="),
    ):
        got, _, err = ganforge_cli("train", "--arch", "fcgan", "--data", data, "--runs-dir", tmp_path)
        assert got == code, err
        assert said in one_line(err)


def test_a_rare_class_is_drawn_as_rarely_and_counted_by_its_share(places, monkeypatch):
    monkeypatch.chdir(places)
    how = {"image_size": 8, "channels": 1}
    rare = load_stacked(StackedOptions(source="x.npz", count=20_000, rare=0.25), **how)
    known = StackedModes.of(StackedOptions(source="x.npz", rare=0.25), (8, 8, 1))
    # Four fifths of 30, 20 and 10 pictures are trained on: 24 a quarter as often, 16 and 8.
    p = np.array([24 / 4, 16, 8]) / 30
    np.testing.assert_allclose(known.shares, p)
    drawn = np.bincount(rare.labels, minlength=3) / 20_000
    np.testing.assert_allclose(drawn, p, atol=0.012)
    assert rare.fingerprint != load_stacked(StackedOptions(source="x.npz", count=20_000), **how).fingerprint
    found = known.measure([rare.array[:3000]])
    read = np.bincount(known.read(rare.array[:3000]).ravel(), minlength=3) / 3000
    assert found["by_class"] == pytest.approx(dict(zip(CLASSES, read / p)))
    assert found["rare"] == pytest.approx(read[0] / p[0])
    assert known.share_of(1, rare.array[:3000]) == pytest.approx(read[1])


def test_a_run_that_is_told_the_class_is_asked_for_each(places, monkeypatch, tmp_path, ganforge_cli):
    monkeypatch.chdir(places)
    how = {**SMALL, "data": "stacked:source=x.npz,count=64", "runs_dir": str(tmp_path), "channels": 1, "epochs": 1}
    run = ganforge.train(**{**how, "arch": "dcgan-conditional:width=2,discriminator_width=2"})
    code, out, err = ganforge_cli("evaluate", run.path, "--samples", 64, "--json")
    assert code == 0, err
    asked = json.loads(out)["modes"]["asked"]
    known = StackedModes.of(options(places), (8, 8, 1))
    right = {
        name: float((known.read(run.sample(100, class_name=name)) == k).mean()) for k, name in enumerate(CLASSES)
    }
    assert asked == pytest.approx(right)
