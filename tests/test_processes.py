"""Large sets are read by several processes, and are what one would make of them."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ganforge.data import cache, processes
from ganforge.data.folder import load_folder
from ganforge.data.load import load_images
from ganforge.errors import GANForgeError

pytestmark = pytest.mark.skipif(os.name != "posix", reason="ends processes by signals")


@pytest.fixture
def photos(tmp_path, monkeypatch) -> Path:
    """Two classes of pictures, some of them deep, some with a profile or transparency, some damaged."""
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))
    random = np.random.default_rng(0)
    for i in range(300):
        path = tmp_path / "photos" / f"{'ab'[i % 2]}" / f"{i:03}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        shape = (8, 8, 4) if i % 7 == 0 else (8, 8)
        Image.fromarray(random.integers(0, 256, shape, dtype=np.uint8)).save(path)
    # The second half is a whole part, of which nothing is left: 48 files of the folder a, from its 97th on.
    for i in [*range(16, 64), *range(192, 288, 2)]:
        (tmp_path / "photos" / f"{'ab'[i % 2]}" / f"{i:03}.png").write_bytes(b"broken")
    (tmp_path / "photos" / "stray.png").write_bytes((tmp_path / "photos" / "a" / "000.png").read_bytes())
    return tmp_path / "photos"


def deepen(photos: Path) -> None:
    for i in range(100, 140):
        deep = np.random.default_rng(i).integers(0, 4096, (8, 8), dtype=np.uint16)
        Image.fromarray(deep).save(photos / f"{'ab'[i % 2]}" / f"{i:03}.png")


def both(monkeypatch, tmp_path, read):
    """What two processes make, and what this one does, each with its record but for how it is stored."""
    found = []
    for least in (1, 10**9):
        monkeypatch.setattr(processes, "LEAST_FILES", least)
        monkeypatch.setattr(processes, "cores", lambda: 2)
        shutil.rmtree(tmp_path / "cache", ignore_errors=True)
        images = read()
        images = replace(images, array=images.array[:], labels=np.array(images.labels))
        (about,) = (tmp_path / "cache").glob(f"*/{cache.ABOUT}")
        record = json.loads(about.read_text())
        names = {path.name for path in about.parent.iterdir()}
        stored = {name: record.pop(name) for name in ("checksums", "shards", "labels_sum", "labels")}
        found.append((images, record, stored, names))
    return found


@pytest.mark.parametrize("kind", ["folder", "deep", "several"])
def test_processes_make_what_threads_make(photos, tmp_path, monkeypatch, kind):
    seen = []
    how = {"image_size": 8, "channels": 3, "progress": lambda done, total: seen.append((done, total))}
    read = lambda: load_folder(photos, **how)  # noqa: E731
    if kind == "deep":
        deepen(photos)
    if kind == "several":
        shutil.make_archive(str(tmp_path / "more"), "zip", photos)
        read = lambda: load_images(f"{photos},{tmp_path / 'more.zip'}", None, **how)  # noqa: E731
    (many, record, stored, names), (one, expected, _, alone) = both(monkeypatch, tmp_path, read)
    assert len(stored["shards"]) > 3, "read by processes"
    assert names == {"about.json", "labels.i4"} | {
        f"images-{k:05d}{end}" for k in range(len(stored["shards"])) for end in (".npy", ".crc")
    }
    assert alone == {"about.json", "images.npy"}
    assert record == expected
    assert many.fingerprint == one.fingerprint
    assert np.array_equal(many.array, one.array)
    assert np.array_equal(many.labels, one.labels)
    assert (many.skipped, many.notes, many.warnings, many.found) == (one.skipped, one.notes, one.warnings, one.found)
    assert len(many.skipped) == (192 if kind == "several" else 96)
    assert (many.range is not None) == (kind == "deep")
    assert seen[-1][0] == seen[-1][1]
    assert all(done <= total for done, total in seen)


def test_the_first_unreadable_file_stops_strict_reading(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LEAST_FILES", 1)
    monkeypatch.setattr(processes, "cores", lambda: 2)
    with pytest.raises(GANForgeError, match=r"cannot read 'a/016\.png' in "):
        load_folder(photos, image_size=8, strict=True)
    assert [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []


def test_a_process_that_ends_before_its_work_is_one_line(photos, tmp_path, monkeypatch):
    monkeypatch.setattr(processes, "LEAST_FILES", 1)
    monkeypatch.setattr(processes, "cores", lambda: 2)
    started = []
    begin = subprocess.Popen

    def popen(*args, **how):
        started.append(begin(*args, **how))
        if len(started) == 2:
            started[0].kill()
        return started[-1]

    monkeypatch.setattr(subprocess, "Popen", popen)
    with pytest.raises(GANForgeError, match=r"a process that reads pictures ended early \(exit status -9\)"):
        load_folder(photos, image_size=8)
    assert all(process.poll() is not None for process in started), "none is left"
    assert [path for path in (tmp_path / "cache").iterdir() if path.suffix != ".lock"] == []
