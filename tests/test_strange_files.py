"""A run directory from elsewhere is read as data: its links, and what is no file."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image
from stranger import GRID, READING, RESUME, STEP, copied, finished
from support import one_line

from ganforge.runs import create_run, list_runs


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return finished(tmp_path_factory.mktemp("made"))


@pytest.fixture
def run(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return copied(made, tmp_path)


def content(folder: Path) -> dict[str, str]:
    files = (path for path in sorted(folder.rglob("*")) if path.is_file())
    return {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


@contextmanager
def within(seconds: int) -> Iterator[None]:
    """Fail what waits for ever, as opening a pipe does."""

    def late(*_: object) -> None:
        raise AssertionError(f"it took more than {seconds} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


# ------------------------------------------------------------------ links

PARTS = ("checkpoints", STEP, f"{STEP}/state.json", f"{STEP}/weights.safetensors", "snapshots", GRID)
PARTS += ("metrics.jsonl", "run.json", ".lock")


@pytest.mark.parametrize("part", PARTS)
def test_a_run_that_holds_a_link_is_not_trained_and_what_it_leads_to_stays(part, run, made, ganforge_cli, tmp_path):
    mine = tmp_path / "mine"
    shutil.copytree(made, mine)
    (mine / "snapshots" / "epoch_0009.png").write_bytes(b"a picture of somebody's")
    (mine / "checkpoints" / ".old.tmp").write_bytes(b"and a file")
    before = content(mine)
    linked = run / part
    if linked.is_dir():
        shutil.rmtree(linked)
    linked.unlink(missing_ok=True)
    linked.symlink_to(mine / part)
    code, _, err = ganforge_cli(*RESUME.split())
    assert code == 1
    assert "link" in one_line(err)
    for words in READING:
        code, _, err = ganforge_cli(*words.split())
        assert (code, "Traceback" in err) in ((0, False), (1, False)), words
    assert content(mine) == before
    assert sorted(path.name for path in mine.iterdir()) == sorted(path.name for path in made.iterdir())


# ------------------------------------------------------------------ special files


def pipe(path: Path) -> None:
    os.mkfifo(path)


def device(path: Path) -> None:
    path.symlink_to("/dev/zero")


def listening(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as one:
        here = Path.cwd()
        os.chdir(path.parent)  # the names of sockets are short
        one.bind(path.name)
        os.chdir(here)


def endless(path: Path) -> None:
    with open(path, "wb") as file:
        file.truncate(2**42)


READ = ("run.json", "metrics.jsonl", "evaluation.json", f"{STEP}/state.json", f"{STEP}/weights.safetensors", GRID)
READ += ("architecture.png", "generator.keras", ".lock")


@pytest.mark.parametrize("make", [pipe, device, listening, endless])
def test_what_is_no_file_of_a_run_is_refused_at_once(make, made, ganforge_cli, tmp_path, monkeypatch):
    commands = dict.fromkeys(READ, READING[1:]) | {f"{STEP}/state.json": (RESUME,), ".lock": (RESUME,)}
    commands |= {f"{STEP}/weights.safetensors": (RESUME,), "generator.keras": READING[-2:], GRID: READING[2:6]}
    for name in READ:
        shutil.rmtree(tmp_path / "runs", ignore_errors=True)
        run = tmp_path / "runs" / "run_1"
        shutil.copytree(made, run)
        (run / name).unlink(missing_ok=True)
        make(run / name)
        for words in commands[name]:
            with within(20):
                code, _, err = ganforge_cli(*words.split())
            assert code in (0, 1), (name, words, err)
            if code:
                assert one_line(err)
        if name not in ("evaluation.json", "architecture.png", ".lock"):
            assert code == 1, (name, words)


@pytest.mark.parametrize("make", [pipe, device, listening, endless])
def test_what_is_no_file_is_no_plugin(make, run, ganforge_cli, tmp_path):
    make(tmp_path / "mine.py")
    manifest = json.loads((run / "run.json").read_text())
    manifest["config"]["plugins"] = [str(tmp_path / "mine.py")]
    (run / "run.json").write_text(json.dumps(manifest))
    for words in (RESUME.split(), ["plugins", "--plugin", tmp_path / "mine.py"]):
        with within(20):
            code, _, err = ganforge_cli(*words)
        assert code == 1
        assert "mine.py" in one_line(err)


# ------------------------------------------------------------------ files and folders in one another's place


PLACES = (
    "snapshots",
    "checkpoints",
    STEP,
    "metrics.jsonl",
    "generator.keras",
    "losses.png",
    "architecture.txt",
    GRID,
    "discriminator.keras",
)


@pytest.mark.parametrize("part", PLACES)
def test_what_is_of_another_kind_is_one_line(part, run, ganforge_cli):
    path = run / part
    if path.is_dir():
        shutil.rmtree(path)
        path.write_text("no folder")
    else:
        path.unlink(missing_ok=True)
        path.mkdir()
    before = content(run)
    for words in (*READING, RESUME):
        code, _, err = ganforge_cli(*words.split())
        assert code in (0, 1), words
        assert "--debug" not in err, words  # it would be an error that nobody foresaw
        assert len(err.splitlines()) <= 1, words
    if code:
        assert part.split("/")[0] in err
        assert {name: content(run).get(name) for name in before} == before


def test_a_runs_number_leaves_room_for_the_next(tmp_path):
    for name in ("run_2", "run_" + "9" * 250, "run_" + "0" * 19 + "5"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "run.json").write_text("{}")
    assert [path.name for path in list_runs(tmp_path)] == ["run_2"]
    assert create_run(tmp_path, {}).name == "run_3"


def test_a_grid_of_too_many_pixels_or_none_is_one_line(run, ganforge_cli, monkeypatch):
    monkeypatch.setattr("ganforge.media.grids.MOST_PIXELS", 10_404)
    for size, says in (((110, 100), "110 × 100 pixels"), ((1, 1), "is not a grid of pictures"), ((90, 9), "90 × 9")):
        Image.new("L", size).save(run / GRID)
        for words in ("diagnose run_1", "report run_1"):
            code, _, err = ganforge_cli(*words.split())
            assert code == 1
            assert says in one_line(err)
    manifest = json.loads((run / "run.json").read_text())
    (run / "run.json").write_text(json.dumps({**manifest, "image_shape": [2**20, 2**20, 3]}))
    assert "is not a grid" in one_line(ganforge_cli("report", "run_1")[2])
