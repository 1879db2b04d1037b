"""Data given from Python: arrays, lists, data sets of torch, TensorFlow and Hugging Face, and what is refused."""

from __future__ import annotations

import itertools
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import encoded, python

from ganforge.data.adapters import kept, source_of, streams
from ganforge.data.load import load_images
from ganforge.errors import GANForgeError, UsageError

pytestmark = pytest.mark.quick

RANDOM = np.random.default_rng(3)
PICTURES = RANDOM.integers(0, 256, (24, 8, 8, 3), dtype=np.uint8)
CLASSES = np.arange(24) % 11
FLOATS = (PICTURES / 255).astype(np.float32)


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))


def load(data, labels=None, **how):
    source = source_of(data, labels)
    own = {"image_size": source.value.image_size, "channels": source.value.channels}
    return load_images(source.name, source, **{**own, **how})


def rows(pictures: np.ndarray) -> list[bytes]:
    return [one.tobytes() for one in pictures]


def test_an_array_with_labels():
    found = load(PICTURES, CLASSES)
    assert np.array_equal(found.array, PICTURES)
    assert isinstance(found.array, np.memmap)
    assert np.array_equal(found.labels, CLASSES)
    assert found.classes == tuple(map(str, range(11)))
    assert found.description == "24 images from an array (8x8, colour)"
    texts = load(PICTURES, np.where(CLASSES % 2, "dog", "cat"))
    assert texts.classes == ("cat", "dog")
    assert np.array_equal(texts.labels, CLASSES % 2)
    assert texts.fingerprint != found.fingerprint != load(PICTURES).fingerprint
    for labels in (CLASSES[:, None], CLASSES.tolist(), np.eye(11)[CLASSES], CLASSES.astype(float)):
        assert load(PICTURES, labels).fingerprint == found.fingerprint
    assert load((PICTURES, CLASSES)).fingerprint == found.fingerprint
    assert load({"image": PICTURES, "label": CLASSES}).fingerprint == found.fingerprint
    assert load(PICTURES, np.zeros(24, int)).labels is None, "one class is none"


@pytest.mark.parametrize(("data", "bounds"), [(FLOATS, (0, 1)), (PICTURES / 127.5 - 1, (-1, 1))])
def test_floats_are_scaled_by_the_range_found_which_is_said(data, bounds):
    found = load(data)
    assert np.array_equal(found.array, PICTURES)
    assert found.range == bounds
    assert found.notes == (f"float pictures: values {bounds[0]} to {bounds[1]} scaled to 0 to 255",)


def test_tensors_greys_and_vectors():
    import jax.numpy as jnp
    import torch

    for one in (torch.tensor(FLOATS, requires_grad=True), jnp.asarray(FLOATS)):
        assert np.array_equal(load(one).array, PICTURES)
    halves = load(torch.tensor(FLOATS).permute(0, 3, 1, 2).to(torch.bfloat16))
    assert halves.array.shape == PICTURES.shape
    assert np.abs(halves.array - PICTURES.astype(int)).max() <= 1
    assert load(PICTURES[..., 0]).array.shape == (24, 8, 8, 1)
    vectors = load(torch.tensor(FLOATS[:, 0, 0, :]))
    assert vectors.array.dtype == np.float32
    assert np.array_equal(vectors.array, FLOATS[:, 0, 0, :])
    assert source_of(FLOATS[:, 0, 0, :]).value.image_size is None


def test_a_list_of_paths_in_its_order_with_labels(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("a").mkdir()
    order = [5, 2, 9, 2]
    for i in order:
        Image.fromarray(PICTURES[i]).save(f"a/{i}.png")
    paths = [Path(f"a/{i}.png") for i in order]
    found = load(paths, ["x", "y", "x", "x"], image_size=8)
    assert np.array_equal(found.array, PICTURES[order])
    assert found.classes == ("x", "y")
    assert found.labels.tolist() == [0, 1, 0, 0]
    assert load([*zip(paths, "xyxx")], image_size=8).fingerprint == found.fingerprint
    assert load(paths, ["y", "y", "x", "x"], image_size=8).fingerprint != found.fingerprint
    Path("a").rename("b")  # the same pictures in another place are the same
    moved = [str(tmp_path / f"b/{i}.png") for i in order]
    assert load(moved, ["x", "y", "x", "x"], image_size=8).fingerprint == found.fingerprint
    with pytest.raises(GANForgeError, match=r"there is no file 'a/5.png', listed in row 1"):
        load(paths)
    with pytest.raises(UsageError, match="2 labels for 4 pictures"):
        load(moved, ["x", "y"])


class Indexed:
    """Batches by index, and no iterator."""

    def __len__(self):
        return 4

    def __getitem__(self, i):
        if i >= 4:
            raise IndexError
        return PICTURES[6 * i : 6 * i + 6], CLASSES[6 * i : 6 * i + 6]


def torch_sets():
    import torch

    pairs = torch.utils.data.TensorDataset(torch.tensor(PICTURES), torch.tensor(CLASSES))

    class Stream(torch.utils.data.IterableDataset):
        def __iter__(self):
            return zip(PICTURES, CLASSES)

    loader = torch.utils.data.DataLoader
    yield "a torch Dataset", pairs
    yield "a torch IterableDataset", Stream()
    yield "a loader that shuffles", loader(pairs, 5, shuffle=True)
    yield "a loader that drops the last batch", loader(pairs, 5, shuffle=True, drop_last=True)
    yield "a loader of single pictures", loader(pairs, None)


def streams_of_the_same():
    yield "pairs", list(zip(PICTURES, CLASSES))
    yield "pairs backwards", list(zip(PICTURES, CLASSES))[::-1]
    yield "a generator of batches", ((PICTURES[i : i + 5], CLASSES[i : i + 5]) for i in range(0, 24, 5))
    yield "mappings", [{"image": PICTURES[i : i + 5], "label": CLASSES[i : i + 5]} for i in range(0, 24, 5)]
    yield "by index", Indexed()
    yield "Pillow's", [(Image.fromarray(one), int(label)) for one, label in zip(PICTURES, CLASSES)]
    yield "a batch of Pillow's", [([Image.fromarray(one) for one in PICTURES], CLASSES)]
    yield "batches with weights", [(PICTURES, CLASSES, np.ones(24))]
    yield from torch_sets()


def test_whatever_gives_the_same_pictures_is_the_same_set_in_whichever_order():
    fingerprints = {}
    for name, data in streams_of_the_same():
        found = load(data)
        places = [rows(PICTURES).index(one) for one in rows(found.array)]
        assert sorted(places) == list(range(24)), name
        assert np.array_equal(found.labels, CLASSES[places]), name
        assert found.classes == tuple(map(str, range(11))), name
        fingerprints[name] = found.fingerprint
    assert len(set(fingerprints.values())) == 1, fingerprints
    assert load(list(PICTURES)).fingerprint not in fingerprints.values()
    assert load(list(PICTURES), CLASSES).fingerprint in fingerprints.values()


@pytest.mark.parametrize(
    ("item", "labels", "single"),
    [
        ((8, 8, 3), None, True),  # a picture
        ((3, 8, 8), None, True),  # one with its channels first
        ((5, 8, 8), None, False),  # greys
        ((3, 8, 8), (3,), False),  # three greys with their labels
        ((5, 8, 8, 3), None, False),
        ((8, 8), (), True),  # a grey
        ((5, 2), (5,), False),  # vectors
        ((5, 2), None, False),
        ((2,), None, True),
    ],
)
def test_whether_an_item_is_one_picture_or_a_batch(item, labels, single):
    data = RANDOM.random((6, *item)).astype(np.float32)
    items = iter(data if labels is None else zip(data, RANDOM.integers(0, 3, (6, *labels))))
    assert load(items).array.shape[0] == (6 if single else 6 * item[0])


def test_names_of_classes_come_from_the_data_set():
    import torch

    pairs = torch.utils.data.TensorDataset(torch.tensor(PICTURES), torch.tensor(CLASSES % 3))
    pairs.classes = ["ant", "bee", "cat"]
    found = load(torch.utils.data.DataLoader(torch.utils.data.Subset(pairs, range(12)), 4))
    assert found.classes == ("ant", "bee", "cat")
    assert len(found) == 12
    pairs.classes = ["ant", "bee"]
    assert load(pairs).labels is None, "labels that the names do not fit are not used"
    regression = load(list(zip(PICTURES, RANDOM.random(24))))
    assert regression.labels is None
    assert "not a class label" in regression.notes[0]


def test_a_limit_takes_the_first_of_what_has_no_length_and_ends_what_never_ends():
    def forever():
        for i in itertools.count():
            yield PICTURES[i % 24][None]

    assert sorted(rows(load(forever(), limit=7).array)) == sorted(rows(PICTURES[:7]))
    assert len(load(forever(), limit=30)) == 30
    by_length = load(list(PICTURES), limit=7, seed=1)
    assert load(list(PICTURES), limit=7, seed=2).fingerprint != by_length.fingerprint
    assert load(list(PICTURES[::-1]), limit=7, seed=1).fingerprint == by_length.fingerprint


def test_what_does_not_end_is_one_line(monkeypatch):
    monkeypatch.setattr(streams, "MOST", 50)
    with pytest.raises(GANForgeError, match=r"a generator gave 72 pictures without an end; add steps=N"):
        load(PICTURES for _ in itertools.count())
    monkeypatch.setattr(streams, "MOST_SECONDS", -1)
    with pytest.raises(GANForgeError, match=r"a generator gave 24 pictures without an end"):
        load(PICTURES for _ in range(9))
    assert len(load([PICTURES])) == 24, "what has a length ends"


def test_what_can_be_gone_through_once_is_read_once():
    source = source_of(PICTURES[i : i + 8] for i in range(0, 24, 8))
    first = load_images("x", source, image_size=8, channels=3)
    smaller = load_images("x", source, image_size=4, channels=1)
    assert len(first) == len(smaller) == 24


def test_kept_pictures_are_found_by_their_fingerprint_without_the_object():
    found = load(iter(list(zip(FLOATS, CLASSES))))
    again = kept(found.fingerprint, found.description)
    assert again is not None
    assert np.array_equal(again.array, found.array)
    assert np.array_equal(again.labels, found.labels)
    assert (again.fingerprint, again.classes, again.range) == (found.fingerprint, found.classes, (0, 1))
    assert again.description == found.description
    assert again.notes == found.notes
    vectors = load(FLOATS[:, 0, 0])
    assert kept(vectors.fingerprint).array.dtype == np.float32
    assert kept("0" * 64) is None
    assert kept("") is None


# ------------------------------------------------------------------ what is refused


def failing():
    yield PICTURES
    raise RuntimeError("the disk\nis gone")


BAD = {
    "a path": ("photos", None, "'photos' is a path"),
    "a number": (3, None, "data is a int; expected an array"),
    "rank 5": (PICTURES[None], None, r"\(1, 24, 8, 8, 3\): only one row"),
    "rank 5 of two": (np.stack([PICTURES] * 2), None, r"expected pictures \(N, H, W, C\)"),
    "one picture": (PICTURES[0, :, :], None, r"\(8, 8, 3\): a single picture; expected several"),
    "seven channels": (np.zeros((4, 8, 8, 7)), None, "expected 1 to 4 channels"),
    "whole numbers in two dimensions": (PICTURES[:, 0, 0], None, r"of floats; .*reshape them to \(N, H, W, C\)"),
    "texts": (np.array([["a", "b"]] * 3), None, "holds texts; expected numbers"),
    "objects": (np.array([PICTURES[0], None], dtype=object), None, "Python objects; .*mixed sizes"),
    "nan": (np.where(PICTURES == 7, np.nan, FLOATS), None, "not finite .*first in row"),
    "empty": (np.empty((0, 8, 8)), None, "holds float64 .*nothing"),
    "an empty list": ([], None, "a list is empty; expected pictures"),
    "an empty generator": (iter(()), None, "is empty; expected pictures"),
    "mixed sizes": ([PICTURES[0], PICTURES[1, :4]], None, r"mixed sizes, \(8, 8, 3\) and \(4, 8, 3\); resize"),
    "mixed sizes in a batch": ([([*PICTURES[:2], PICTURES[1, :4]], [0, 1, 2])], None, "mixed sizes"),
    "mixed types": ([PICTURES[:2], FLOATS[:2]], None, "gives uint8 first and float32 later; expected one type"),
    "labels with some": ([(PICTURES[:2], CLASSES[:2]), PICTURES[:2]], None, "labels with only some pictures"),
    "a failure": (failing(), None, "a generator failed after 1 item: RuntimeError: the disk"),
    "no labels' count": (PICTURES, CLASSES[:5], "5 labels for 24 pictures"),
    "labels that are pictures": (PICTURES, FLOATS, "labels are float32 .*; expected one per picture"),
    "labels that are fractions": (PICTURES, FLOATS[:, 0, 0, 0], "expected whole numbers or texts"),
    "labels beside batches": ((one for one in [PICTURES]), CLASSES, "must give .pictures, labels."),
    "keys unknown": (
        [{"foo": PICTURES, "bar": CLASSES}],
        None,
        "items have the keys foo, bar; expected one called image",
    ),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_data_is_one_line(name):
    data, labels, expected = BAD[name]
    with pytest.raises(GANForgeError, match=expected) as raised:
        load(data, labels)
    assert "\n" not in str(raised.value)


def test_no_library_is_imported_to_find_out_what_a_thing_is():
    code = (
        "import sys, numpy as np\nfrom ganforge.data.adapters import source_of\n"
        "source_of(np.zeros((4, 8, 8, 3)))\nsource_of([np.zeros((8, 8, 3))] * 4)\n"
        "print({'torch', 'tensorflow', 'keras', 'jax', 'datasets', 'h5py', 'pyarrow'} & set(sys.modules))"
    )
    assert python("-c", code).stdout.strip() == "set()"


# ------------------------------------------------------------------ other libraries


@pytest.mark.slow
def test_tensorflow_and_keras_give_the_same_set(tmp_path):
    pytest.importorskip("tensorflow")
    np.savez(tmp_path / "x.npz", x=PICTURES, y=CLASSES)
    for i, picture in enumerate(PICTURES):
        (tmp_path / "photos" / "ab"[i % 2]).mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture).save(tmp_path / f"photos/{'ab'[i % 2]}/{i}.png")
    done = python(Path(__file__).parent / "data_probe.py", tmp_path, backend="tensorflow")
    *sets, folder, endless, once = done.stdout.splitlines()
    expected = load(list(zip(PICTURES, CLASSES)))
    assert set(sets) == {expected.fingerprint}
    assert len(sets) == 5
    assert folder == "24 ('a', 'b') (0.0, 255.0) True"
    assert endless == (
        "a tf.data.Dataset never ends; add steps=N to train N steps on it, or limit=N to train on its first N "
        "pictures, or pass data that end"
    )
    assert once == "9"


def test_hugging_face_pictures_are_read_as_they_are_stored():
    datasets = pytest.importorskip("datasets")
    features = datasets.Features(
        {"image": datasets.Image(), "label": datasets.ClassLabel(names=[f"class {i}" for i in range(11)])}
    )
    images = [{"bytes": encoded(Image.fromarray(one), format="PNG"), "path": None} for one in PICTURES]
    data = datasets.Dataset.from_dict({"image": images, "label": CLASSES}, features=features)
    found = load(data, image_size=8)
    assert np.array_equal(found.array, PICTURES)
    assert [found.classes[i] for i in found.labels] == [f"class {i}" for i in CLASSES]
    with pytest.raises(UsageError, match=r"has the splits train; pass one of them, such as data\['train'\]"):
        load(datasets.DatasetDict({"train": data}))
    streamed = load(data.to_iterable_dataset())
    assert sorted(rows(streamed.array)) == sorted(rows(PICTURES))
    assert "datasets" in sys.modules
