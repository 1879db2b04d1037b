"""Files are whole or as they were: whoever writes them, whatever stands in the way, wherever the process dies."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ganforge import files
from ganforge.files import replacing, sweep, write_atomic, write_json
from ganforge.media.animation import make_animation
from ganforge.media.curves import plot_losses
from ganforge.media.diagram import draw_architecture
from ganforge.media.grids import save_png

pytestmark = pytest.mark.quick

PICTURE = np.zeros((8, 8, 3), np.uint8)
NETWORKS = {
    "generator": [
        {"name": "d", "kind": "Dense", "output_shape": [4], "parameters": 4, "detail": "", "activation": ""},
    ]
}


def _model(path):
    import keras

    from ganforge.training.outputs import save_network

    save_network(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]), path)


WRITERS = {
    "a.bin": lambda path: write_atomic(path, b"content"),
    "a.json": lambda path: write_json(path, {"a": 1}),
    "grid.png": lambda path: save_png(PICTURE, path),
    "losses.png": lambda path: plot_losses([{"step": 1, "d_loss": 1.0}, {"step": 2, "d_loss": 2.0}], path),
    "architecture.png": lambda path: draw_architecture(NETWORKS, path),
    "generator.keras": _model,
    **{
        f"progression{suffix}": lambda path: make_animation([PICTURE] * 2, ["a", "b"], path)
        for suffix in (".gif", ".webp", ".apng", ".mp4")
    },
}


@pytest.fixture
def guessed(monkeypatch):
    """Make the first temporary name one that another knew beforehand, and return a function that tells it."""
    beside, asked = files.beside, []

    def known(path):
        return path.with_name(f".{path.stem}.known.tmp{path.suffix}")

    def name(path):
        asked.append(path)
        return known(path) if len(asked) == 1 else beside(path)

    monkeypatch.setattr(files, "beside", name)
    return known


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("kind", ["link", "file"])
def test_what_stands_at_the_temporary_name_is_neither_followed_nor_opened(tmp_path, guessed, name, kind):
    path, victim = tmp_path / "run" / name, tmp_path / "victim"
    path.parent.mkdir()
    victim.write_bytes(b"precious")
    trap = guessed(path)
    trap.symlink_to(victim) if kind == "link" else trap.write_bytes(b"precious")
    WRITERS[name](path)
    assert victim.read_bytes() == b"precious"
    assert trap.read_bytes() == b"precious"
    assert trap.is_symlink() == (kind == "link")
    assert path.is_file()
    assert not path.is_symlink()
    assert path.stat().st_size > 0
    assert set(path.parent.iterdir()) == {path, trap}, "nothing else is left"


@pytest.mark.parametrize("name", WRITERS)
def test_a_name_is_new_each_time_and_ends_as_the_file_does(tmp_path, monkeypatch, name):
    seen, beside = [], files.beside
    monkeypatch.setattr(files, "beside", lambda path: seen.append(beside(path)) or seen[-1])
    for _ in range(2):
        WRITERS[name](tmp_path / name)
    assert len(set(seen)) == len(seen) == 2
    assert all(p.parent == tmp_path and p.suffix == (tmp_path / name).suffix and p.name[0] == "." for p in seen)


def test_a_file_put_in_its_place_meanwhile_does_not_take_the_name(tmp_path):
    path, victim = tmp_path / "run.json", tmp_path / "victim"
    path.write_bytes(b"old")
    victim.write_bytes(b"precious")

    def attacked():
        with replacing(path) as file:
            file.write(b"new")
            os.unlink(file.name)
            os.symlink(victim, file.name)

    with pytest.raises(OSError, match="another file was put in its place"):
        attacked()
    assert path.read_bytes() == b"old"
    assert victim.read_bytes() == b"precious"


def test_it_is_on_the_disk_before_it_takes_the_name_and_the_name_after(tmp_path, monkeypatch):
    did, fsync, replace = [], os.fsync, os.replace

    def synced(handle):
        status = os.fstat(handle)
        did.append(("folder" if stat.S_ISDIR(status.st_mode) else "file", status.st_size))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", lambda a, b: did.append(("replace", 7)) or replace(a, b))
    write_atomic(tmp_path / "a", b"content")
    assert did[:2] == [("file", 7), ("replace", 7)]
    assert [what for what, _ in did[2:]] == ["folder"]


def test_a_block_that_fails_leaves_what_was_there(tmp_path):
    path = tmp_path / "a.json"
    path.write_bytes(b"old")

    def failing():
        with replacing(path) as file:
            file.write(b"half")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        failing()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_kill_in_between_leaves_the_old_content_and_what_is_left_is_swept(tmp_path):
    path = tmp_path / "run.json"
    path.write_bytes(b"old")
    code = (
        "import os, sys, signal; from pathlib import Path; from ganforge.files import replacing\n"
        "with replacing(Path(sys.argv[1])) as file:\n"
        "    file.write(b'half'); file.flush(); os.kill(os.getpid(), signal.SIGKILL)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert path.read_bytes() == b"old"
    (left,) = set(tmp_path.iterdir()) - {path}
    assert left.read_bytes() == b"half"
    # As 0.1 named them, and what is no leftover at all.
    for name in (".run.json.77.tmp", ".generator.tmp.keras", ".progression.77.tmp.gif"):
        (tmp_path / name).touch()
    (tmp_path / ".tmp-77-4").mkdir()
    (tmp_path / ".tmp-77-4" / "weights").touch()
    kept = {".lock", "notes.tmp", ".template"}
    for name in kept:
        (tmp_path / name).touch()
    sweep(tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"run.json"} | kept


def test_sweeping_removes_a_link_and_not_what_it_leads_to(tmp_path):
    away = tmp_path / "away"
    away.mkdir()
    (away / "precious").touch()
    run = tmp_path / "run"
    run.mkdir()
    (run / ".a.0.tmp").symlink_to(away)
    sweep(run)
    assert list(run.iterdir()) == []
    assert (away / "precious").exists()


@pytest.mark.parametrize("umask", [0o002, 0o022, 0o077])
@pytest.mark.parametrize("name", ["a.bin", "grid.png", "generator.keras", "progression.gif"])
def test_a_new_file_has_the_permissions_of_any_other(tmp_path, umask, name):
    before = os.umask(umask)
    try:
        WRITERS[name](tmp_path / name)
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o666 & ~umask


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o664])
def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path, mode):
    path = tmp_path / "run.json"
    path.touch()
    path.chmod(mode)
    write_atomic(path, b"new")
    assert stat.S_IMODE(path.stat().st_mode) == mode
    assert path.read_bytes() == b"new"


@pytest.mark.parametrize("name", ["n" * 255, "é" * 120 + ".png", "a." + "s" * 250, ".hidden", "two.dots.json"])
def test_any_name_that_the_disk_takes_can_be_written(tmp_path, name):
    write_atomic(tmp_path / name, b"content")
    assert (tmp_path / name).read_bytes() == b"content"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_checkpoint_and_an_entry_of_the_cache_have_the_permissions_of_any_folder(tmp_path):
    from ganforge.data.cache import new_entry
    from ganforge.runs import save_checkpoint

    before = os.umask(0o022)
    try:
        with new_entry(tmp_path, "key"):
            pass
        saved = save_checkpoint(tmp_path, 3, {"w": np.zeros(2, np.float32)}, {})
    finally:
        os.umask(before)
    for folder in (tmp_path / "key", saved):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o755
    assert sorted(p.name for p in Path(saved).parent.iterdir()) == ["step_00000003"]
