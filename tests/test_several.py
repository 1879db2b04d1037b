"""``--data A --data B``: several folders, zips and tars as one set."""

from __future__ import annotations

import tarfile
import zipfile
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image
from support import SMALL

import ganforge
from ganforge.cli.group import cli
from ganforge.data.adapters import is_there, place_of
from ganforge.data.load import load_images, resolve_source
from ganforge.data.paths import parts_of
from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.registry import Registry
from ganforge.training.config import TrainConfig

pytestmark = pytest.mark.quick


@pytest.fixture
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def draw(folder: str, *levels: int) -> None:
    """Greys of one level each, named by it."""
    Path(folder).mkdir(parents=True, exist_ok=True)
    for level in levels:
        Image.new("L", (8, 8), level).save(f"{folder}/{level}.png")


def pack(folder: str, into: str) -> None:
    if into.endswith(".zip"):
        with zipfile.ZipFile(into, "w") as packed:
            for path in sorted(Path(folder).rglob("*.png")):
                packed.write(path, path.relative_to(folder).as_posix())
        return
    with tarfile.open(into, "w") as tar:
        tar.add(folder, arcname=".")


def read(text: str, **how):
    assert resolve_source(text, Registry()) is None
    return load_images(text, None, **{"image_size": 8, "channels": 1, **how})


def seen(images) -> dict[int, str]:
    """The class of each picture by its level."""
    of = [""] * len(images) if images.labels is None else [images.classes[k] for k in images.labels]
    return dict(zip(images.array[:, 0, 0, 0].tolist(), of))


def test_class_folders_of_one_name_are_one_class_in_whichever_sources_they_lie(home):
    draw("a/cats", 1, 2)
    draw("a/dogs", 3)
    draw("b/wrapped/cats", 1, 5)
    draw("b/wrapped/birds", 6)
    pack("b", "b.zip")
    draw("c/dogs", 7)
    pack("c", "c.tar")
    images = read("a,b.zip,c.tar")
    assert images.classes == ("birds", "cats", "dogs")
    assert sorted(images.array[:, 0, 0, 0].tolist()) == [1, 1, 2, 3, 5, 6, 7]
    assert seen(images) == {1: "cats", 2: "cats", 3: "dogs", 5: "cats", 6: "birds", 7: "dogs"}
    assert (images.found, images.description) == (7, "7 images from a and b.zip and c.tar (8x8, grey)")
    again = read("c.tar,./a,b.zip")
    assert again.fingerprint == images.fingerprint, "whichever is named first"
    assert seen(read("a,c.tar")) == {1: "cats", 2: "cats", 3: "dogs", 7: "dogs"}


def test_a_source_without_classes_is_one_of_its_own(home):
    draw("cats", 1, 2)
    draw("more/dogs", 3, 4)
    draw("day/cats", 5)
    draw("pets/birds", 6)
    draw("pets/fish", 7)
    pack("more/dogs", "dogs.zip")
    assert seen(read("cats,more/dogs")) == {1: "cats", 2: "cats", 3: "dogs", 4: "dogs"}
    assert seen(read("cats,dogs.zip")) == {1: "cats", 2: "cats", 3: "dogs", 4: "dogs"}
    assert seen(read("cats,pets,more")) == {1: "cats", 2: "cats", 6: "birds", 7: "fish", 3: "dogs", 4: "dogs"}
    assert read("cats,day/cats").labels is None, "one class is none"
    assert seen(read("cats,day/cats,pets"))[5] == "cats"


def test_each_source_has_its_own_split_and_its_own_numbers(home):
    draw("a/train/cats", 1)
    draw("a/train/dogs", 2)
    draw("a/test/cats", 3)
    draw("b/cats", 4)
    draw("b/dogs", 5)
    images = read("a,b")
    assert seen(images) == {1: "cats", 2: "dogs", 4: "cats", 5: "dogs"}
    assert any("a/test/ (1)" in note for note in images.notes)
    for name, levels in (("n", (10, 11)), ("m", (12, 13))):
        draw(name, *levels)
        labels = ",".join(f'["{level}.png", {level % 2 + 9}]' for level in levels)
        Path(name, "dataset.json").write_text('{"labels": [' + labels + "]}")
    images = read("n,m")
    assert images.classes == ("9", "10"), "by number"
    assert seen(images) == {10: "9", 11: "10", 12: "9", 13: "10"}
    Path("m", "dataset.json").write_text('{"labels": [["12.png", 10], ["13.png", 9]]}')
    assert seen(read("n,m")) == {10: "9", 11: "10", 12: "10", 13: "9"}, "a change beside the pictures is seen"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("a", []),
        ("a,b", ["a", "b"]),
        ("a, b", ["a", "b"]),
        ("x,y", []),
        ("x,y,a", ["x,y", "a"]),
        ("a,x,y,b", ["a", "x,y", "b"]),
        ("/gone,a", ["/gone", "a"]),
        ("a,gone", ["a", "gone"]),
        ("critters:count=3,x=4", []),
        ("f.npz:images=x,labels=y", []),
        ("./f.npz:images=x,labels=./y", []),
        ("stacked:source=/a/b,count=3", []),
        ("one,two", []),
        ("a,,b", []),
    ],
)
def test_which_texts_name_several(home, text, parts):
    for name in ("a", "b", "x,y"):
        Path(name).mkdir()
    assert parts_of(text) == parts


def test_what_is_wrong_is_said_of_the_one_that_is_wrong(home):
    draw("photos", 1, 2)
    Path("empty").mkdir()
    with pytest.raises(GANForgeError, match=r"no folder or zip 'phots'\. Did you mean 'photos'"):
        read("photos,phots")
    with pytest.raises(GANForgeError, match="'empty' holds no image files"):
        read("photos,empty")
    with pytest.raises(UsageError, match=r"'(\./)?photos' is given twice"):
        read("photos,./photos")
    Path("photos/broken.png").write_bytes(b"x")
    draw("more", 3)
    assert read("photos,more").skipped == [("photos/broken.png", read("photos").skipped[0][1])]
    with pytest.raises(GANForgeError, match=r"cannot read 'photos/broken.png' in 'photos and more'"):
        read("photos,more", strict=True)


def test_a_run_of_several_is_found_from_another_folder(home, tmp_path, monkeypatch):
    draw("cats", *range(8))
    draw("dogs", *range(20, 28))
    assert place_of("cats,dogs") == f"{home}/cats,{home}/dogs"
    assert is_there("cats,dogs")
    assert not is_there("cats,dogz")
    assert TrainConfig.of({"data": ["cats", "dogs"]}).data == "cats,dogs"
    small = {**SMALL, "arch": "fcgan:hidden=8", "image_size": 8, "batch_size": 8, "runs_dir": str(tmp_path / "runs")}
    small.pop("data", None)
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in small.items()]
    asked = ["train", "--data", "cats", "--data", "dogs", *flags]
    done = CliRunner().invoke(cli, [*asked, "--epochs=1", "--quiet"])
    assert done.exit_code == 0, done.output
    run = ganforge.Run("run_1", tmp_path / "runs")
    assert (run.config.data, run.manifest["data"]["count"]) == ("cats,dogs", 16)
    assert run.manifest["data"]["path"] == f"{home}/cats,{home}/dogs"
    assert run.manifest["data"]["order"] == "kept"
    monkeypatch.chdir(tmp_path)
    assert run.resume(epochs=2, progress=False).manifest["progress"]["step"] == 4
    monkeypatch.chdir(home)
    same = ganforge.train(data=["dogs", Path("cats")], epochs=1, progress=False, **small)
    assert same.manifest["data"]["fingerprint"] == run.manifest["data"]["fingerprint"]
