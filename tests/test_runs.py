"""Run directories: numbered safely, found by name, never half written."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from ganforge.errors import GANForgeError
from ganforge.runs import (
    MetricsWriter,
    create_run,
    find_run,
    list_snapshots,
    load_checkpoint,
    read_manifest,
    read_metrics,
    save_checkpoint,
    snapshot_path,
    truncate_metrics,
    update_manifest,
    write_manifest,
)


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
    writer = MetricsWriter(tmp_path / "metrics.jsonl")
    for step in range(1, 6):
        writer.write({"step": step, "d_loss": float("nan") if step == 2 else 0.5})
    writer.close()
    assert read_metrics(tmp_path)[1] == {"step": 2, "d_loss": None}
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
        save_checkpoint(tmp_path, step, {"w": np.full(3, step, np.float32)}, {}, keep=2)
    folder = tmp_path / "checkpoints"
    assert sorted(p.name for p in folder.iterdir()) == ["step_00000002", "step_00000003"]
    (folder / ".tmp-1-4").mkdir()  # what a killed process leaves
    weights = folder / "step_00000003" / "weights.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1])
    back = load_checkpoint(tmp_path)
    assert (back.step, back.arrays["w"].tolist()) == (2, [2, 2, 2])
    assert "step_00000003" in back.skipped[0]
    (folder / "step_00000002" / "state.json").write_text("{")
    with pytest.raises(GANForgeError, match="no checkpoint to go on from"):
        load_checkpoint(tmp_path)
    save_checkpoint(tmp_path, 5, {"w": np.zeros(1, np.float32)}, {})
    assert not (folder / ".tmp-1-4").exists()


def test_snapshots_are_listed_by_epoch(tmp_path):
    (tmp_path / "snapshots").mkdir()
    for epoch in (12, 0, 10000, 6):
        snapshot_path(tmp_path, epoch).touch()
    (tmp_path / "snapshots" / "epoch_x.png").touch()
    assert [epoch for epoch, _ in list_snapshots(tmp_path)] == [0, 6, 12, 10000]
    assert snapshot_path(tmp_path, 6).name == "epoch_0006.png"
