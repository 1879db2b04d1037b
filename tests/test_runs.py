"""Run directories: numbered safely, found by name, never half written."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ganforge.errors import GANForgeError
from ganforge.runs import (
    append_metrics,
    create_run,
    drop_snapshots,
    find_run,
    list_snapshots,
    load_checkpoint,
    lock_run,
    prune_checkpoints,
    read_manifest,
    read_metrics,
    run_state,
    save_checkpoint,
    snapshot_path,
    truncate_metrics,
    update_manifest,
    write_manifest,
)
from ganforge.runs.progression import make_progression

pytestmark = pytest.mark.quick


def made(runs_dir, count=1):
    runs = [create_run(runs_dir) for _ in range(count)]
    for run in runs:
        write_manifest(run, {"config": {"arch": "dcgan"}, "state": "running"})
    return runs


def test_starts_at_once_never_get_one_number(tmp_path):
    with ThreadPoolExecutor(16) as pool:
        runs = list(pool.map(lambda _: create_run(tmp_path / "runs"), range(50)))
    assert sorted(run.name for run in runs) == sorted(f"run_{n}" for n in range(1, 51))


def test_a_run_is_found_by_name_number_path_and_latest(tmp_path):
    runs = made(tmp_path, 11)
    assert find_run("run_3", tmp_path) == find_run("3", tmp_path) == runs[2]
    assert find_run(str(runs[4]), tmp_path / "elsewhere") == runs[4]
    assert find_run("latest", tmp_path) == runs[10]
    with pytest.raises(GANForgeError, match=r"run_1 to run_11\. Did you mean 'run_9'"):
        find_run("run_99", tmp_path)
    with pytest.raises(GANForgeError, match="ganforge train makes one"):
        find_run("latest", tmp_path / "nowhere")


def test_a_manifest_is_changed_whole_and_a_damaged_one_is_one_line(tmp_path):
    (run,) = made(tmp_path)
    update_manifest(run, state="finished")
    manifest = read_manifest(run)
    assert (manifest["state"], manifest["config"]) == ("finished", {"arch": "dcgan"})
    assert [p.name for p in run.iterdir() if p.is_file()] == ["run.json"]
    for text in ("{", "[]", "{}", '{"config": {}, "format": 99}', "\x00"):
        (run / "run.json").write_text(text)
        with pytest.raises(GANForgeError) as error:
            read_manifest(run)
        assert "\n" not in str(error.value)
        assert "run.json" in str(error.value)


def test_metrics_survive_a_torn_line_and_are_cut_to_a_step(tmp_path):
    for step in range(1, 6):
        append_metrics(tmp_path, {"step": step, "d_loss": {2: float("nan"), 3: float("-inf")}.get(step, 0.5)})
    assert [line["d_loss"] for line in read_metrics(tmp_path)] == [0.5, None, None, 0.5, 0.5]
    with open(tmp_path / "metrics.jsonl", "a") as file:
        file.write('{"step": 6, "d_l')
    assert [line["step"] for line in read_metrics(tmp_path)] == [1, 2, 3, 4, 5]
    truncate_metrics(tmp_path, 3)
    assert [json.loads(line)["step"] for line in (tmp_path / "metrics.jsonl").read_text().splitlines()] == [1, 2, 3]
    (tmp_path / "metrics.jsonl").write_text('{"step": 1}\nnonsense\n{"step": 3}\n')
    with pytest.raises(GANForgeError, match="line 2 is damaged"):
        read_metrics(tmp_path)


def test_a_checkpoint_comes_back_to_the_bit(tmp_path):
    arrays = {
        "a/kernel": np.random.default_rng(0).standard_normal((3, 4)).astype(np.float32),
        "b/iteration": np.asarray(7, np.int32),
        "c/seed": np.asarray([1, 2**32 - 1], np.uint32),
        "d/turned": np.arange(6, dtype=np.float32).reshape(2, 3).T,
    }
    save_checkpoint(tmp_path, 12, arrays, {"signals": {"d_loss": 0.1}})
    back = load_checkpoint(tmp_path)
    assert (back.step, back.state) == (12, {"signals": {"d_loss": 0.1}})
    for name, array in arrays.items():
        assert back.arrays[name].dtype == array.dtype
        assert back.arrays[name].shape == array.shape
        assert np.array_equal(back.arrays[name], array)


def test_the_newest_whole_checkpoint_is_used_and_damaged_ones_are_named(tmp_path):
    for step in (1, 2, 3):
        save_checkpoint(tmp_path, step, {"w": np.full(3, step, np.float32)}, {"signals": {}}, keep=2)
    folder = tmp_path / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == ["step_00000002", "step_00000003"]
    (folder / ".tmp-1-4").mkdir()  # what a killed process leaves
    weights = folder / "step_00000003" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    back = load_checkpoint(tmp_path)
    assert (back.step, back.arrays["w"].tolist()) == (2, [2, 2, 2])
    assert "step_00000003" in back.skipped[0]
    (folder / "step_00000002" / "state.json").write_text("{")
    with pytest.raises(GANForgeError, match="no checkpoint to continue from"):
        load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, 5, {"w": np.zeros(1, np.float32)}, {"signals": {}})
    assert not (folder / ".tmp-1-4").exists()


def test_snapshots_are_listed_by_epoch(tmp_path):
    (tmp_path / "snapshots").mkdir()
    for epoch in (12, 0, 10000, 6):
        snapshot_path(tmp_path, epoch).touch()
    (tmp_path / "snapshots" / "epoch_x.png").touch()
    assert [epoch for epoch, _ in list_snapshots(tmp_path)] == [0, 6, 12, 10000]
    assert snapshot_path(tmp_path, 6).name == "epoch_0006.png"
    drop_snapshots(tmp_path, after=6)
    assert [epoch for epoch, _ in list_snapshots(tmp_path)] == [0, 6]


def test_checkpoints_after_the_step_that_training_returned_to_go(tmp_path):
    for step in range(1, 6):
        save_checkpoint(tmp_path, step, {"w": np.zeros(1, np.float32)}, {"signals": {}}, keep=9)
    prune_checkpoints(tmp_path, 3, keep=2)
    assert sorted(p.name for p in (tmp_path / "checkpoints").iterdir()) == ["step_00000002", "step_00000003"]


def test_weights_that_differ_by_one_bit_are_not_taken(tmp_path):
    for step in (1, 2):
        save_checkpoint(tmp_path, step, {"w": np.full(3, step, np.float32)}, {"signals": {}})
    weights = tmp_path / "checkpoints" / "step_00000002" / "weights.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(content)
    assert load_checkpoint(tmp_path).arrays["w"].tolist() == [1, 1, 1]


def test_a_change_is_dated_and_leaves_the_date_of_creation(tmp_path):
    (run,) = made(tmp_path)
    write_manifest(run, {**read_manifest(run), "created": "2020-01-01T00:00:00+00:00"})
    update_manifest(run, state="finished")
    manifest = read_manifest(run)
    assert manifest["created"] == "2020-01-01T00:00:00+00:00"
    assert manifest["updated"] > "2021"


def test_a_run_that_nobody_trains_was_killed(tmp_path):
    (run,) = made(tmp_path)
    assert run_state(run, {"state": "running"}) == "killed"
    lock = lock_run(run)
    assert run_state(run, {"state": "running"}) == "running"
    lock.release()
    assert run_state(run, {"state": "running"}) == "killed"
    assert run_state(run, {"state": "stopped"}) == "stopped"


def test_a_progression_takes_each_nth_grid_and_always_the_last(tmp_path):
    (tmp_path / "snapshots").mkdir()
    for epoch in range(6):
        Image.new("RGB", (8, 8), (10 * epoch,) * 3).save(snapshot_path(tmp_path, epoch))
    made_of = make_progression(tmp_path, tmp_path / "a.webp", every=2, caption=False)
    with Image.open(made_of) as animation:
        levels = [np.asarray(frame.convert("RGB"))[0, 0, 0] for frame in ImageSequence.Iterator(animation)]
    assert levels == [0, 20, 40, 50]
