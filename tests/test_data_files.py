"""``--data FILE``: arrays, tables and tars, the same pictures from each, and what a hostile one cannot do."""

from __future__ import annotations

import gzip
import io
import json
import os
import shutil
import struct
import tarfile
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from support import encoded, one_line, timeless

from ganforge.data.adapters import hdf5
from ganforge.data.load import is_path, load_images, resolve_source, whole_path
from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.registry import Registry, load_plugins

pytestmark = pytest.mark.quick

RANDOM = np.random.default_rng(7)
PICTURES = RANDOM.integers(0, 256, (24, 12, 12, 3), dtype=np.uint8)
GREYS = RANDOM.integers(0, 256, (24, 12, 12), dtype=np.uint8)
CLASSES = np.arange(24) % 11  # so that 10 comes after 9, and not after 1


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))


def load(text: object, **how):
    """Return the pictures of a ``--data`` text, of their own size unless one is asked for."""
    source = resolve_source(str(text), Registry())
    own = {} if source is None else {"image_size": source.value.image_size, "channels": source.value.channels}
    return load_images(str(text), source, **{"image_size": 12, "channels": 3, **own, **how})


# ------------------------------------------------------------------ the files


def npy(folder: Path) -> str:
    np.save(folder / "x.npy", PICTURES)
    np.save(folder / "y.npy", CLASSES)
    return f"{folder}/x.npy:labels=y.npy"


def fortran(folder: Path) -> str:
    np.save(folder / "x.npy", np.asfortranarray(PICTURES))
    np.save(folder / "y.npy", CLASSES)
    return f"{folder}/x.npy:labels=y.npy"


def npz(folder: Path) -> str:
    np.savez(folder / "x.npz", a=PICTURES, b=CLASSES, other=np.zeros(3))
    return f"{folder}/x.npz:images=a,labels=b"


def npz_by_names(folder: Path) -> str:
    np.savez_compressed(folder / "x.npz", x_train=PICTURES, y_train=CLASSES, x_test=PICTURES[:2], y_test=CLASSES[:2])
    return f"{folder}/x.npz"


def h5(folder: Path) -> str:
    with h5py.File(folder / "x.h5", "w") as file:
        file.create_dataset("train/a", data=PICTURES, compression="gzip", chunks=(5, 12, 12, 3))
        file["train/b"] = CLASSES
    return f"{folder}/x.h5:images=train/a,labels=train/b"


def misnamed(folder: Path) -> str:
    """What it holds says what it is, not its name."""
    return str(shutil.move(h5(folder).partition(":")[0], folder / "x.npz")) + ":images=train/a,labels=train/b"


def parquet(folder: Path) -> str:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    images = [{"bytes": encoded(Image.fromarray(one), format="PNG"), "path": None} for one in PICTURES]
    pq.write_table(pa.table({"image": images, "label": CLASSES}), folder / "x.parquet", row_group_size=7)
    return f"{folder}/x.parquet"


def parquet_of_numbers(folder: Path) -> str:
    pa, pq = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    flat = pa.FixedSizeListArray.from_arrays(pa.array(PICTURES.reshape(-1)), 12 * 12 * 3)
    pq.write_table(pa.table({"pixels": flat, "label": CLASSES}), folder / "x.parquet", row_group_size=7)
    return f"{folder}/x.parquet:shape=12-12-3"


def paths(folder: Path) -> str:
    for i, picture in enumerate(PICTURES):
        Image.fromarray(picture).save(folder / f"{i}.png")
    rows = [f'"{i}.png",{label}' for i, label in enumerate(CLASSES)]
    (folder / "x.csv").write_text("path;class\n".replace(";", ",") + "\n".join(rows) + "\n")
    return f"{folder}/x.csv"


def pixels(folder: Path) -> str:
    head = "label," + ",".join(f"pixel{i}" for i in range(12 * 12 * 3))
    rows = np.c_[CLASSES, PICTURES.reshape(24, -1)]
    np.savetxt(folder / "x.csv", rows, fmt="%d", delimiter=",", header=head, comments="")
    return f"{folder}/x.csv"


def webdataset(folder: Path) -> str:
    with tarfile.open(folder / "x.tar", "w") as tar:
        for i, (picture, label) in enumerate(zip(PICTURES, CLASSES)):
            for name, content in (
                (f"{i:03}.png", encoded(Image.fromarray(picture), format="PNG")),
                (f"{i:03}.cls", b"%d" % label),
            ):
                info = tarfile.TarInfo(name)
                info.size = len(content)
                tar.addfile(info, io.BytesIO(content))
    return f"{folder}/x.tar"


KINDS = (npy, fortran, npz, npz_by_names, h5, misnamed, parquet, parquet_of_numbers, paths, pixels, webdataset)


@pytest.mark.parametrize("made", KINDS)
def test_every_kind_of_file_gives_the_same_pictures_and_classes(tmp_path, made):
    found = load(made(tmp_path), image_size=12, channels=3)
    assert found.array.dtype == np.uint8
    assert np.array_equal(found.array, PICTURES)
    assert found.classes == tuple(map(str, range(11)))
    assert found.labels is not None
    assert found.labels.dtype == np.int32
    assert np.array_equal(found.labels, CLASSES)


def test_one_content_has_one_fingerprint_in_whichever_array_it_lies(tmp_path):
    first, *others = (load(made(tmp_path)).fingerprint for made in (npy, fortran, npz, npz_by_names, h5, pixels))
    assert set(others) == {first}
    changed = PICTURES.copy()
    changed[3, 2, 1, 0] ^= 1
    np.save(tmp_path / "x.npy", changed)
    assert load(f"{tmp_path}/x.npy:labels=y.npy").fingerprint != first
    np.save(tmp_path / "x.npy", PICTURES)
    assert load(f"{tmp_path}/x.npy").fingerprint != first, "without its labels it is another set"
    assert load(f"{tmp_path}/x.npy:labels=y.npy", image_size=8).fingerprint != first


@pytest.mark.parametrize("packed", [False, True])
def test_idx_as_mnist_has_it_with_the_labels_beside_it(tmp_path, packed):
    end, pack = (".gz", gzip.compress) if packed else ("", bytes)
    images = struct.pack(">HBBIII", 0, 8, 3, 24, 12, 12) + GREYS.tobytes()
    labels = struct.pack(">HBBI", 0, 8, 1, 24) + CLASSES.astype("u1").tobytes()
    (tmp_path / f"train-images-idx3-ubyte{end}").write_bytes(pack(images))
    (tmp_path / f"train-labels-idx1-ubyte{end}").write_bytes(pack(labels))
    found = load(tmp_path / f"train-images-idx3-ubyte{end}")
    assert np.array_equal(found.array, GREYS[..., None])
    assert np.array_equal(found.labels, CLASSES)


# ------------------------------------------------------------------ numbers to levels


@pytest.mark.parametrize(
    ("numbers", "low", "high"),
    [
        (lambda p: (p / 255).astype(np.float32), 0, 1),
        (lambda p: p / 127.5 - 1, -1, 1),
        (lambda p: (p / 255).astype(np.float16), 0, 1),
        (lambda p: p.astype(">i8"), 0, 255),
        (lambda p: p.astype(np.uint16) * 257, 0, 65535),
    ],
)
def test_deeper_numbers_are_scaled_by_the_range_of_the_set_which_is_said_and_kept(tmp_path, numbers, low, high):
    stored = numbers(PICTURES.astype(np.float64))
    np.save(tmp_path / "x.npy", stored)
    found = load(tmp_path / "x.npy")
    assert found.range == (low, high)
    assert f"values {low} to {high:,} scaled to 0 to 255" in " ".join(found.notes)
    expected = np.rint((stored.astype(np.float64) - low) / (high - low) * 255)
    assert np.abs(found.array - expected).max() == 0
    # A run that goes on asks by the range it had, with the cache and without.
    assert load(tmp_path / "x.npy", value_range=(low, high)).fingerprint == found.fingerprint
    assert load(tmp_path / "x.npy", value_range=(low, 2 * high)).range == (low, 2 * high)
    shutil.rmtree(tmp_path / "cache")
    again = load(tmp_path / "x.npy", value_range=(low, high))
    assert again.fingerprint == found.fingerprint
    other = load(tmp_path / "x.npy", value_range=(low, 2 * high))
    assert other.fingerprint != found.fingerprint
    assert np.abs(other.array - np.rint((stored.astype(np.float64) - low) / (2 * high - low) * 255)).max() == 0


def test_truth_values_and_channels_first(tmp_path):
    np.save(tmp_path / "x.npy", (PICTURES > 99).transpose(0, 3, 1, 2))
    found = load(tmp_path / "x.npy")
    assert np.array_equal(found.array, np.where(PICTURES > 99, 255, 0))
    assert "channels first" in found.notes[0]


@pytest.mark.parametrize("fit", ["crop", "stretch", "pad"])
@pytest.mark.parametrize(("channels", "held"), [(3, 4), (1, 3), (3, 1), (3, 2)])
def test_another_shape_becomes_what_a_folder_of_the_same_pictures_becomes(tmp_path, fit, channels, held):
    wide = RANDOM.integers(0, 256, (5, 10, 17, held), dtype=np.uint8)
    np.save(tmp_path / "x.npy", wide)
    (tmp_path / "photos").mkdir()
    for i, picture in enumerate(wide):
        Image.fromarray(picture.squeeze(-1) if held == 1 else picture).save(tmp_path / f"photos/{i}.png")
    how = {"image_size": 8, "channels": channels, "fit": fit, "background": "#204060"}
    assert np.array_equal(load(tmp_path / "x.npy", **how).array, load(tmp_path / "photos", **how).array)


def test_the_pictures_own_size_where_none_is_asked_for(tmp_path):
    np.save(tmp_path / "x.npy", GREYS)
    source = resolve_source(f"{tmp_path}/x.npy", Registry())
    assert (source.name, source.value.image_size, source.value.channels) == ("npy", 12, 1)
    assert load(tmp_path / "x.npy").description == "24 images from x.npy (12x12, grey)"
    wide = RANDOM.integers(0, 256, (5, 10, 17, 4), dtype=np.uint8)
    np.save(tmp_path / "x.npy", wide)
    source = resolve_source(f"{tmp_path}/x.npy", Registry())
    assert (source.value.image_size, source.value.channels) == ("17x10", 4)
    assert np.array_equal(load(tmp_path / "x.npy", image_size=(10, 17)).array, wide)
    np.save(tmp_path / "x.npy", RANDOM.integers(0, 256, (2, 6, 2000), dtype=np.uint8))
    assert resolve_source(f"{tmp_path}/x.npy", Registry()).value.image_size == 8


def test_floats_in_two_dimensions_are_vectors_unscaled(tmp_path):
    vectors = RANDOM.normal(0, 9, (24, 5))
    np.save(tmp_path / "x.npy", vectors)
    np.savetxt(tmp_path / "x.csv", vectors, delimiter=";", fmt="%.17g")
    for name in ("x.npy", "x.csv"):
        assert resolve_source(f"{tmp_path}/{name}", Registry()).value.image_size is None
        found = load(tmp_path / name)
        assert found.array.dtype == np.float32
        assert np.array_equal(found.array, vectors.astype(np.float32))


def test_a_row_of_numbers_is_a_picture_where_somebody_says_so(tmp_path):
    np.save(tmp_path / "x.npy", GREYS.reshape(24, -1))
    with pytest.raises(GANForgeError, match=r"uint8 \(24, 144\); .* of floats; for pictures, .* :shape=28-28"):
        load(tmp_path / "x.npy")
    assert np.array_equal(load(f"{tmp_path}/x.npy:shape=12-12").array, GREYS[..., None])
    with pytest.raises(GANForgeError, match=r"144 numbers per row; a picture \(12, 13, 1\) has 156"):
        load(f"{tmp_path}/x.npy:shape=12-13")


def test_a_limit_draws_by_the_seed_of_every_class_and_changes_the_fingerprint(tmp_path):
    np.savez(tmp_path / "x.npz", x=PICTURES, y=np.r_[np.zeros(23, int), 1])
    found = load(tmp_path / "x.npz", limit=4, seed=5)
    rows = [int(np.flatnonzero((one == PICTURES).all((1, 2, 3)))[0]) for one in found.array]
    assert rows == sorted(set(rows))
    assert len(rows) == 4
    assert rows[-1] == 23
    assert found.labels.tolist() == [0, 0, 0, 1]
    assert load(tmp_path / "x.npz", limit=4, seed=5).fingerprint == found.fingerprint
    assert load(tmp_path / "x.npz", limit=4, seed=6).fingerprint != found.fingerprint
    assert load(tmp_path / "x.npz", limit=24).fingerprint == load(tmp_path / "x.npz").fingerprint


def test_what_was_read_once_is_mapped_and_a_changed_file_is_read_again(tmp_path, monkeypatch):
    np.save(tmp_path / "x.npy", GREYS)
    first = load(tmp_path / "x.npy")
    monkeypatch.setattr("ganforge.data.adapters.npy.mapped", lambda *_: pytest.fail("read again"))
    again = load(tmp_path / "x.npy")
    assert isinstance(again.array, np.memmap)
    assert again.fingerprint == first.fingerprint
    monkeypatch.undo()
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))
    np.save(tmp_path / "x.npy", GREYS[::-1])
    assert np.array_equal(load(tmp_path / "x.npy").array[..., 0], GREYS[::-1])
    assert not list((tmp_path / "cache").glob("**/*.tmp")), "nothing unpacked is left"


# ------------------------------------------------------------------ what is wrong with a file


class Trap:
    def __reduce__(self):
        return os.mkdir, ("trap",)


def save_objects(folder: Path) -> None:
    np.save(folder / "x.npy", np.array([Trap(), Trap()], dtype=object), allow_pickle=True)


def save_object_labels(folder: Path) -> None:
    np.savez(folder / "x.npz", a=GREYS, b=np.array([Trap()] * 24, dtype=object))


def lie_npy(folder: Path) -> None:
    with open(folder / "x.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(
            file, {"descr": "|u1", "fortran_order": False, "shape": (2**20, 2**10, 2**10)}
        )
        file.write(b"few")


def lie_npz(folder: Path) -> None:
    lie_npy(folder)
    with zipfile.ZipFile(folder / "x.npz", "w") as file:
        file.write(folder / "x.npy", "a.npy")


def lie_idx(folder: Path) -> None:
    content = struct.pack(">HBBIII", 0, 8, 3, 2**31, 2**10, 2**10) + b"few"
    (folder / "x.idx").write_bytes(content)


def short_idx(folder: Path) -> None:
    with gzip.open(folder / "x.idx.gz", "wb") as file:
        file.write(struct.pack(">HBBIII", 0, 8, 3, 24, 12, 12) + GREYS.tobytes()[:-1])


def torn_gzip(folder: Path) -> None:
    short_idx(folder)
    (folder / "x.idx.gz").write_bytes((folder / "x.idx.gz").read_bytes()[:-400])


def h5_of(fill):
    def make(folder: Path) -> None:
        with h5py.File(folder / "secret.h5", "w") as other:
            other["a"] = GREYS
        (folder / "secret.raw").write_bytes(GREYS.tobytes())
        with h5py.File(folder / "x.h5", "w") as file:
            fill(file, folder)

    return make


def _virtual(file, folder):
    layout = h5py.VirtualLayout(shape=GREYS.shape, dtype="u1")
    layout[:] = h5py.VirtualSource(str(folder / "secret.h5"), "a", shape=GREYS.shape)
    file.create_virtual_dataset("a", layout)


def _external(file, folder):
    file.create_dataset("a", GREYS.shape, "u1", external=[(str(folder / "secret.raw"), 0, GREYS.nbytes)])


def _link(file, folder):
    file["a"] = h5py.ExternalLink(str(folder / "secret.h5"), "a")


def _soft(file, _):
    file["g/b"] = GREYS
    file["a"] = h5py.SoftLink("/g/b")


def _through(file, folder):
    file["g"] = h5py.ExternalLink(str(folder / "secret.h5"), "/")


def _hollow(file, _):
    file.create_dataset("a", (2**20, 2**10, 2**10), "u1", chunks=(1, 2**10, 2**10), compression="gzip")


def _lump(file, _):
    data = file.create_dataset("a", (2, 2**15, 2**15 + 1), "u1", chunks=(1, 2**15, 2**15 + 1), compression="gzip")
    data.id.write_direct_chunk((0, 0, 0), b"x" * 2**21)


def csv_with(text: str):
    def make(folder: Path) -> None:
        (folder / "x.csv").write_text(text)

    return make


NAN = np.where(GREYS[3, 0, 0] == GREYS, np.nan, GREYS / 255.0)
BAD = {
    "pickle": (save_objects, "x.npy", "Python objects .pickle., which are refused"),
    "pickled labels": (
        save_object_labels,
        "x.npz:images=a,labels=b",
        "Python objects .pickle., which are refused",
    ),
    "npy that declares a terabyte": (lie_npy, "x.npy", "declares uint8 .* 1,099,511,627,776 bytes, but holds 3"),
    "npz that declares a terabyte": (lie_npz, "x.npz", "declares uint8 .* 1,099,511,627,776 bytes, but holds 3"),
    "idx that declares a petabyte": (lie_idx, "x.idx", "declares .* bytes, but the picture cache has room for"),
    "idx that ends too soon": (short_idx, "x.idx.gz", "1 byte of the declared .* missing"),
    "torn gzip": (torn_gzip, "x.idx.gz", "damaged"),
    "external link": (h5_of(_link), "x.h5", "'a' in x.h5 is a link to another file, which is not followed"),
    "link asked for": (h5_of(_through), "x.h5:images=g/a", "'g' in x.h5 is a link to another file"),
    "soft link": (h5_of(_soft), "x.h5:images=a", "'a' in x.h5 is a link elsewhere, which is not followed"),
    "external dataset": (h5_of(_external), "x.h5", "keeps its numbers in another file"),
    "virtual dataset": (h5_of(_virtual), "x.h5", "keeps its numbers in another file"),
    "hollow dataset": (h5_of(_hollow), "x.h5", "declares uint8 .* but holds 0"),
    "dataset in one lump": (h5_of(_lump), "x.h5", "is in pieces of .*; expected at most"),
    "nan": (lambda f: np.save(f / "x.npy", NAN), "x.npy", "not finite .* first in row [0-3]; .*nan_to_num"),
    "infinite vectors": (lambda f: np.save(f / "x.npy", np.full((3, 2), np.inf)), "x.npy", "first in row 0"),
    "too large for float32": (lambda f: np.save(f / "x.npy", np.full((3, 2), 1e300)), "x.npy", "above 3.4e38"),
    "one picture": (lambda f: np.save(f / "x.npy", GREYS[:1]), "x.npy", "only one row; training needs at least 2"),
    "no picture": (lambda f: np.save(f / "x.npy", GREYS[:0]), "x.npy", "nothing; training needs at least 2"),
    "no pictures": (lambda f: np.save(f / "x.npy", PICTURES[None]), "x.npy", r"\(1, 24, 12, 12, 3\)"),
    "complex": (lambda f: np.save(f / "x.npy", GREYS * 1j), "x.npy", "complex numbers; expected numbers"),
    "other content": (lambda f: (f / "x.npy").write_bytes(b"\x93NOTNUM"), "x.npy", "not what its name says"),
    "no npz": (lambda f: (f / "x.npz").write_bytes(b"PK\x03\x04junk"), "x.npz", "damaged .npz"),
    "no h5": (lambda f: (f / "x.h5").write_bytes(hdf5.MAGIC + b"junk"), "x.h5", "x.h5 cannot be read"),
    "labels too few": (
        lambda f: np.savez(f / "x.npz", a=GREYS, b=CLASSES[:9]),
        "x.npz:images=a,labels=b",
        "9 labels for 24",
    ),
    "labels of floats": (
        lambda f: np.savez(f / "x.npz", a=GREYS, b=CLASSES / 3),
        "x.npz:images=a,labels=b",
        "whole numbers or texts",
    ),
    "csv path that leads out": (
        csv_with("path\n../../secret.png\n../b.png\n"),
        "x.csv",
        "outside the folder of the list",
    ),
    "csv path to nothing": (csv_with("path\na.png\nb.png\n"), "x.csv", "there is no file 'a.png'.* row 1"),
    "csv with a gap": (csv_with("1.5,2\n3,\n"), "x.csv", "row 2: ''; expected"),
    "csv with a late word": (csv_with("1.5,2\n" * 200 + "3,x\n"), "x.csv", "row 201: 'x'; expected a number"),
    "csv of mixed lengths": (csv_with("1.5,2\n" * 200 + "3\n"), "x.csv", "row 201: 1 column; expected 2"),
    "csv with a late fraction": (
        csv_with((",".join("1" * 64) + "\n") * 200 + ",".join(["1.5"] * 64)),
        "x.csv",
        "row 201: expected whole",
    ),
    "empty csv": (csv_with(""), "x.csv", "is empty"),
    "header alone": (csv_with("path,label\n"), "x.csv", "a header but no rows"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_file_is_one_line_and_nothing_of_it_runs_or_is_followed(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    make, text, expected = BAD[name]
    make(tmp_path)
    with pytest.raises(GANForgeError, match=expected) as raised:
        load(text)
    assert "\n" not in str(raised.value)
    assert not (tmp_path / "trap").exists()
    assert not list((tmp_path / "cache").glob("**/*.tmp"))


def test_a_hard_link_to_the_group_above_does_not_go_round_for_ever(tmp_path):
    with h5py.File(tmp_path / "x.h5", "w") as file:
        file["a"] = GREYS
        file["again"] = file["/"]
    assert len(load(tmp_path / "x.h5")) == 24


def test_a_csv_leads_to_no_file_outside_its_folder_by_a_link_either(tmp_path):
    (tmp_path / "in").mkdir()
    for i in range(3):
        Image.fromarray(PICTURES[i]).save(tmp_path / f"in/{i}.png")
    Image.fromarray(PICTURES[9]).save(tmp_path / "secret.png")
    (tmp_path / "in/link.png").symlink_to(tmp_path / "secret.png")
    whole = tmp_path / "secret.png"
    (tmp_path / "in/x.csv").write_text(f"path\n0.png\nlink.png\n../secret.png\n{whole}\n1.png\n2.png\n")
    found = load(tmp_path / "in/x.csv", image_size=12)
    assert np.array_equal(found.array, PICTURES[:3])
    assert [name for name, _ in found.skipped] == ["link.png", "../secret.png", str(whole)]
    assert "outside" in found.skipped[0][1]


def test_a_tar_gives_its_pictures_and_neither_links_nor_what_leads_out(tmp_path):
    Image.fromarray(PICTURES[9]).save(tmp_path / "secret.png")
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        for name in ("cat/0.png", "cat/1.png", "dog/2.png", "../3.png", "/4.png"):
            content = encoded(Image.fromarray(PICTURES[int(name[-5])]), format="PNG")
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        for kind, name in (
            (tarfile.SYMTYPE, "cat/5.png"),
            (tarfile.LNKTYPE, "cat/6.png"),
            (tarfile.FIFOTYPE, "7.png"),
        ):
            info = tarfile.TarInfo(name)
            info.type, info.linkname = kind, str(tmp_path / "secret.png")
            tar.addfile(info)
    found = load(tmp_path / "x.tar")
    assert np.array_equal(found.array, PICTURES[:3])
    assert found.classes == ("cat", "dog")
    assert found.labels.tolist() == [0, 0, 1]
    assert [name for name, _ in found.skipped] == ["../3.png", "/4.png", "cat/5.png", "cat/6.png", "7.png"]
    torn = (tmp_path / "x.tar").read_bytes()[:1500]
    (tmp_path / "torn.tar").write_bytes(torn)
    with pytest.raises(GANForgeError, match="is a damaged tar: "):
        load(tmp_path / "torn.tar")


# ------------------------------------------------------------------ what the text says


def test_what_a_text_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    registry = load_plugins()
    (tmp_path / "critters").write_text("a file of that name")
    assert resolve_source("critters:count=8", registry).name == "critters"
    (tmp_path / "a:images=b").mkdir()
    assert resolve_source("a:images=b", registry) is None
    assert is_path("a:images=b")
    npz(tmp_path)
    assert resolve_source("x.npz:images=a", registry).name == "npz"
    assert whole_path("x.npz:images=a", resolve_source("x.npz:images=a", registry)) == f"{tmp_path}/x.npz:images=a"
    assert whole_path("critters", registry.choose("dataset", "critters")) is None
    for text, message in {
        "y.npz": r"there is no file 'y.npz'\. Did you mean 'x.npz'\?",
        "x.npz:images=c": r"x.npz has no 'c'; it holds a uint8 .*, b int64 \(24,\), other float64",
        "x.npz:pictures=a": "has no option 'pictures'; its options are images, labels, shape",
        "x.npz:images=b": r"int64 \(24,\); expected pictures",
        "./critters:images=a": "has no options",
    }.items():
        with pytest.raises(GANForgeError, match=message):
            resolve_source(text, registry)
    np.savez("two.npz", a=PICTURES, b=GREYS)
    with pytest.raises(UsageError, match=r"two.npz holds a uint8 .*; choose the pictures: two.npz:images=a"):
        resolve_source("two.npz", registry)
    np.save("z.npy", GREYS)
    with pytest.raises(UsageError, match=r"invalid labels=\.\./y.npy: outside the folder of z.npy"):
        resolve_source("z.npy:labels=../y.npy", registry)
    with pytest.raises(UsageError, match=r"there is no file 'zz.npy' beside z.npy\. Did you mean 'z.npy'\?"):
        resolve_source("z.npy:labels=zz.npy", registry)


# ------------------------------------------------------------------ from end to end


def test_a_run_on_a_file_goes_on_from_another_folder_exactly_and_is_evaluated(tmp_path, ganforge_cli, monkeypatch):
    floats = (PICTURES / 127.5 - 1).astype(np.float32)
    np.savez(tmp_path / "x.npz", a=floats, b=CLASSES)
    np.save(tmp_path / "held.npy", floats[::-1] * 0.5)
    data = ("--data", "x.npz:images=a,labels=b", "--batch-size", 8, "--log-every", 1)
    data += ("--arch", "dcgan-conditional:width=4,discriminator_width=4")
    assert ganforge_cli("train", *data, "--epochs", 2)[0] == 0
    code, out, _ = ganforge_cli("train", *data, "--epochs", 1)
    assert code == 0
    assert "24 images from x.npz (12x12, colour)" in out
    assert "float pictures: values -1 to 1" in out
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path / "other")
    shutil.rmtree(tmp_path / "cache")  # the range is the run's, and is not looked for again
    assert ganforge_cli("resume", "../runs/run_2", "--epochs", 2)[0] == 0
    monkeypatch.chdir(tmp_path)
    whole, resumed = (
        timeless(map(json.loads, Path(f"runs/run_{i}/metrics.jsonl").read_text().splitlines())) for i in (1, 2)
    )
    assert whole == resumed
    assert len(whole) == 6
    code, out, _ = ganforge_cli("evaluate", "run_1", "--samples", 16, "--data", "held.npy")
    assert code == 0
    assert "against held-out pictures in held.npy" in out
    np.savez(tmp_path / "x.npz", a=floats[::-1], b=CLASSES)
    code, _, err = ganforge_cli("resume", "run_2", "--epochs", 3)
    assert code == 1
    assert "that run_2 was trained on" in one_line(err)
