"""Long runs and large ones: memory that does not grow with them, and nothing read, looked at or sent twice."""

import io
import json
import shutil
import tracemalloc

import numpy as np
import pytest
from PIL import Image
from support import SMALL

from ganforge import train
from ganforge.diagnosis import live
from ganforge.metrics.columns import History, column, first_null, names
from ganforge.report.following import Following
from ganforge.runs import read_history, read_metrics, truncate_metrics

LINES = [
    {"step": 2**60 + 1, "d_loss": 0.1, "late": None},
    {"step": 2**60 + 2, "d_loss": None, "g_loss": 3},
    {"step": 2**60 + 3, "late": 2.5, "g_loss": -1.0},
]


def test_a_history_is_the_lines_it_was_made_of():
    history = History(LINES)
    assert list(history) == LINES
    assert (history[-1], list(history[1:]), len(history)) == (LINES[-1], LINES[1:], 3)
    for name in ("step", "d_loss", "g_loss", "late", "never"):
        for last in (None, 1, 2, 9):
            np.testing.assert_array_equal(column(history, name, last), column(LINES, name, last))
    np.testing.assert_array_equal(column(history, "late"), [np.nan, np.nan, 2.5])
    assert set(names(history)) == set(names(LINES)) == {"step", "d_loss", "g_loss", "late"}
    for looked_at, place in ((("d_loss",), 1), (("late", "d_loss"), 0), (("g_loss", "never"), None)):
        assert first_null(history, looked_at) == first_null(LINES, looked_at) == place


def test_lines_are_read_one_at_a_time(tmp_path):
    """What is in memory at a time is a line, and of a history 8 bytes a number."""
    line = {"d_loss": 0.123456789, "g_loss": 1.23456789, "d_real": 0.5}
    with open(tmp_path / "metrics.jsonl", "w") as file:
        file.writelines(json.dumps({"step": step, **line}) + "\n" for step in range(1, 20_001))
    tracemalloc.start()
    history = read_history(tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 2 * 20_000 * 4 * 8
    tracemalloc.reset_peak()
    before = tracemalloc.get_traced_memory()[0]
    assert truncate_metrics(tmp_path, 15_000) == []
    assert tracemalloc.get_traced_memory()[1] - before < 300_000
    tracemalloc.stop()
    assert list(history)[:15_000] == read_metrics(tmp_path)


def test_a_file_cannot_fill_the_memory_with_columns(tmp_path, monkeypatch):
    from ganforge.errors import GANForgeError

    wide = {"step": 1, **{f"x{i}": 0 for i in range(1001)}}
    (tmp_path / "metrics.jsonl").write_text(json.dumps(wide) + "\n")
    with pytest.raises(GANForgeError, match="different names"):
        read_history(tmp_path)
    (tmp_path / "metrics.jsonl").write_text(json.dumps({**wide, "x1000": 0}).replace(', "x1000": 0', "") + "\n")
    assert len(read_history(tmp_path)) == 1
    monkeypatch.setattr("ganforge.runs.metrics.memory_left", lambda: 8000)
    with pytest.raises(GANForgeError, match="memory"):
        read_history(tmp_path)


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return train(**SMALL, epochs=1, runs_dir=tmp_path_factory.mktemp("made")).path


@pytest.fixture
def watched(made, tmp_path):
    shutil.copytree(made, tmp_path / "run_1")
    return tmp_path / "run_1"


def add(run, *steps):
    with open(run / "metrics.jsonl", "a") as file:
        file.writelines(
            json.dumps({"step": s, "epoch": float(s), "d_loss": float(s), "g_loss": 1.0}) + "\n" for s in steps
        )


def test_watch_sends_what_is_new_and_all_when_the_run_went_back(watched):
    following = Following(watched)
    first = following.state()
    assert first["fresh"]
    assert len(first["curves"]["epoch"]) == 2
    assert len(first["grids"]) == 2
    again = following.state(first["seen"])
    assert (again["fresh"], again["curves"], again["grids"]) == (False, {}, [])
    add(watched, 3, 4)
    (watched / "snapshots" / "epoch_0002.png").write_bytes((watched / "snapshots" / "epoch_0001.png").read_bytes())
    new = following.state(again["seen"])
    assert (new["curves"]["epoch"], new["grids"]) == ([3.0, 4.0], [["epoch 2", "epoch_0002.png"]])
    with open(watched / "metrics.jsonl", "a") as file:
        file.write('{"step": 5, "epo')  # it is being written
    assert following.state(new["seen"])["curves"] == {}
    with open(watched / "metrics.jsonl", "a") as file:
        file.write('ch": 5.0, "d_loss": 1.0}\n')
    assert following.state(new["seen"])["curves"]["epoch"] == [5.0]
    truncate_metrics(watched, 3)
    back = following.state(new["seen"])
    assert (back["fresh"], len(back["curves"]["epoch"]), back["step"]) == (True, 3, 3)
    assert Following(watched).state(back["seen"])["fresh"]  # another server


def test_who_watches_a_run_reads_no_line_twice(watched, monkeypatch):
    parsed = []
    loads = json.loads
    following = Following(watched)
    seen = following.state()["seen"]
    monkeypatch.setattr("ganforge.runs.metrics.json.loads", lambda text: parsed.append(text) or loads(text))
    for step in range(3, 30):
        add(watched, step)
        seen = following.state(seen)["seen"]
    assert len([text for text in parsed if '"step"' in text and "config" not in text]) == 27


def test_the_diagnosis_of_a_run_that_goes_on_looks_at_its_latest_lines(watched, monkeypatch):
    from types import SimpleNamespace

    looked_at = []
    monkeypatch.setattr(live, "diagnose", lambda evidence: looked_at.append(evidence.lines) or [])
    watcher = live.Watcher(pytest.fail)
    watcher.run_started(SimpleNamespace(steps=5000, directory=watched))
    for step in range(2, 3000):
        progress = SimpleNamespace(step=step, steps=5000)
        watcher.step_ended(SimpleNamespace(metrics={"step": step + 1, "d_loss": 1.0}, progress=progress))
    assert max(map(len, looked_at)) == 1001
    assert [line["step"] for line in looked_at[-1]] == [1, *range(2001, 3001)]
    assert len(watcher.lines) == 1000


@pytest.mark.parametrize("classes", [False, True])
def test_pictures_are_written_as_they_are_drawn_and_none_over_another_seeds(watched, tmp_path, monkeypatch, classes):
    """By files of the first pictures that are there when the last ones are drawn."""
    from ganforge.api import Run
    from ganforge.cli.sample import command
    from ganforge.training import saved_generator

    run, there = Run(watched), []
    whole = run.sample(150, seed=1)
    monkeypatch.setattr(Run, "sample", None)
    drawn = Run.decoded

    def decoded(self, *args):
        for part in drawn(self, *args):
            there.append(len(list((tmp_path / "album").iterdir())))
            yield part

    monkeypatch.setattr(Run, "decoded", decoded)
    if classes:
        monkeypatch.setattr(Run, "classes", ("cat", "dog/../x"))
        monkeypatch.setattr("ganforge.media.latents.labels_of", lambda *_: [])
        opened = saved_generator.open_generator
        monkeypatch.setattr(saved_generator, "open_generator", lambda *of: opened(*of[:3]))  # it takes no labels
    for seed in ("1", "2"):
        command.main(
            [str(watched), "-n", "150", "--seed", seed, "--output", str(tmp_path / "album")], standalone_mode=False
        )
    assert there == [0, 64, 128, 150, 214, 278]
    files = sorted((tmp_path / "album").glob("sample_seed_1_*.png"))
    assert len(files) == 150
    for file, picture in zip(files, whole, strict=True):
        assert np.array_equal(np.asarray(Image.open(file)), picture)
    if classes:
        command.main(
            [str(watched), "-n", "3", "--class", "dog/../x", "--output", str(tmp_path / "album")],
            standalone_mode=False,
        )
        assert len(list((tmp_path / "album").glob("sample_seed_0_class_1_*.png"))) == 3


def test_a_grid_that_does_not_fit_in_memory_is_refused_with_the_way_out(watched, monkeypatch):
    from ganforge.cli.sample import command
    from ganforge.errors import UsageError

    monkeypatch.setattr("ganforge.media.grids.memory_left", lambda: 100_000)
    with pytest.raises(UsageError, match=r"-n 150.*--output FOLDER"):
        command.main([str(watched), "-n", "150"], standalone_mode=False)


def test_unreadable_files_do_not_stay_in_memory(tmp_path, monkeypatch):
    """A traceback would lead to the bytes of its file, and with it all those that wait for their turn."""
    from ganforge.data import reading
    from ganforge.data.files import Unreadable
    from ganforge.data.folder import load_folder

    results, before = [], reading.Work.read

    def read(self, file, start=0):
        results.append(before(self, file, start))
        return results[-1]

    monkeypatch.setattr(reading.Work, "read", read)
    for i in range(40):
        (tmp_path / "photos").mkdir(exist_ok=True)
        (tmp_path / "photos" / f"{i:02d}.png").write_bytes(bytes(2_000_000))
    for i in range(2):
        Image.new("RGB", (8, 8)).save(tmp_path / "photos" / f"z{i}.png")
    tracemalloc.start()
    images = load_folder(tmp_path / "photos", image_size=8, cache_dir=tmp_path / "cache")
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert len(images.skipped) == sum(isinstance(one, Unreadable) for one in results) == 40
    assert held < 4_000_000


@pytest.mark.parametrize("method", ["ZIP_BZIP2", "ZIP_LZMA"])
def test_a_zip_entry_swells_no_further_than_it_declares(tmp_path, method):
    """100 MB of zeros in some kilobytes, which declare that they are 1,000 bytes; and an honest picture beside it."""
    import zipfile

    from ganforge.data.files import Unreadable, find_files

    picture = io.BytesIO()
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    Image.fromarray(noise).save(picture, "png")
    path = tmp_path / "photos.zip"
    with zipfile.ZipFile(path, "w", getattr(zipfile, method)) as archive:
        archive.writestr("bomb.png", bytes(100_000_000))
        archive.writestr("good.png", picture.getvalue())
    content = path.read_bytes()
    path.write_bytes(content.replace((100_000_000).to_bytes(4, "little"), (1000).to_bytes(4, "little")))
    files = find_files(path)
    bomb, good = files.files
    assert (bomb.name, bomb.size) == ("bomb.png", 1000)
    assert files.read(good) == picture.getvalue()
    tracemalloc.start()
    with pytest.raises(Unreadable, match="declares"):
        files.read(bomb)
    assert tracemalloc.get_traced_memory()[1] < 20_000_000  # LZMA alone takes 8 MB
    tracemalloc.stop()
    files.close()
