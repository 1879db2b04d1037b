"""What ``--log`` writes beside a run: ``metrics.csv``, and TensorBoard's extra when it is not there."""

from __future__ import annotations

import csv
import importlib.util
import json

import numpy as np
import pytest
from PIL import Image

import ganforge.loggers
from ganforge.errors import GANForgeError
from ganforge.plugin.calling import call_by_name
from ganforge.plugin.options import Options, make_options
from ganforge.plugin.types import Progress, RunInfo, SnapshotInfo, StepInfo


def made(name):
    found = {}
    ganforge.loggers.register_loggers(lambda logger: found.update({logger.name: logger}))
    return found[name]


class Run:
    """A run directory in which steps are logged as a run does: to ``metrics.jsonl`` first, then the observers."""

    def __init__(self, folder, step=0):
        self.folder = folder
        info = RunInfo(folder, {}, 100, 10, start_step=step)
        self.log = call_by_name(made("csv").make)(run=info, options=Options())
        self.log.run_started(run=info)

    def step(self, number, **metrics):
        line = {"step": number, **metrics} if metrics else {}
        if line:
            with open(self.folder / "metrics.jsonl", "a") as file:
                file.write(json.dumps({n: None if v != v else v for n, v in line.items()}) + "\n")
        self.log.step_ended(step=StepInfo(Progress(number - 1, 100, 0, 10), {}, line))

    def cut(self, step):
        """Drop what was logged after a step, as resuming and going back do."""
        file = self.folder / "metrics.jsonl"
        kept = [text for text in file.read_text().splitlines() if json.loads(text)["step"] <= step]
        file.write_text("".join(text + "\n" for text in kept))

    @property
    def table(self):
        with open(self.folder / "metrics.csv", newline="") as file:
            return list(csv.reader(file))


def test_a_row_a_logged_step_and_a_column_for_each_name_seen_so_far(tmp_path):
    run = Run(tmp_path)
    run.step(1, d_loss=1.5)
    run.step(2)
    run.step(3, d_loss=0.1)
    assert run.table == [["step", "d_loss"], ["1", "1.5"], ["3", "0.1"]]
    run.step(4, d_loss=float("nan"), late=2.0)
    assert run.table == [["step", "d_loss", "late"], ["1", "1.5", ""], ["3", "0.1", ""], ["4", "", "2.0"]]
    run.step(5, late=3.0)
    assert run.table[-1] == ["5", "", "3.0"]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["metrics.csv", "metrics.jsonl"]


def test_a_resumed_run_is_cut_after_its_checkpoint(tmp_path):
    run = Run(tmp_path)
    for number in range(1, 6):
        run.step(number, d_loss=number / 10)
    run.step(6, d_loss=0.6, late=1.0)
    with open(tmp_path / "metrics.csv", "a") as file:
        file.write("7,0.")  # killed while it wrote
    run.cut(4)
    again = Run(tmp_path, step=4)
    assert again.table == [["step", "d_loss"], *([str(n), str(n / 10)] for n in range(1, 5))]
    again.step(5, d_loss=0.55)
    assert again.table[-1] == ["5", "0.55"]


def test_a_run_that_goes_back_to_a_checkpoint_is_cut_there(tmp_path):
    run = Run(tmp_path)
    for number in range(1, 7):
        run.step(number, d_loss=number / 10)
    run.cut(3)
    run.step(4)  # not logged, and yet the first sign that it went back
    assert [row[0] for row in run.table] == ["step", "1", "2", "3"]
    run.step(5, d_loss=0.55)
    assert [row[0] for row in run.table] == ["step", "1", "2", "3", "5"]


def test_a_run_that_had_no_table_has_all_of_its_lines(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "d_loss": 1.0}\n{"step": 2, "d_lo')
    assert Run(tmp_path, step=1).table == [["step", "d_loss"], ["1", "1.0"]]


def test_a_table_that_cannot_be_replaced_stays_whole(tmp_path, monkeypatch):
    run = Run(tmp_path)
    run.step(1, d_loss=1.5)
    before = (tmp_path / "metrics.csv").read_bytes()

    def fail(*_):
        raise OSError("the disk is full")

    monkeypatch.setattr("os.replace", fail)
    with pytest.raises(OSError, match="full"):
        run.step(2, d_loss=1.0, late=2.0)
    assert (tmp_path / "metrics.csv").read_bytes() == before


@pytest.mark.parametrize("name", ["tensorboard", "wandb", "mlflow"])
def test_a_logger_without_its_extra_is_one_line(monkeypatch, name):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda asked: None if asked == name else find(asked))
    with pytest.raises(GANForgeError, match=rf"pip install 'ganforge\[{name}\]'$") as refusal:
        make_options(f"logger '{name}'", made(name).options, {})
    assert "\n" not in str(refusal.value)


# ------------------------------------------------------------------ with the real libraries, and no server


def logged_twice(folder, name, **options):
    """Log four steps and a grid to a run directory, then two more as a run that is resumed at step 3 does."""
    grid = folder / "epoch_0001.png"
    Image.fromarray(np.full((8, 8, 3), 7, np.uint8)).save(grid)
    for start, outcome in ((0, "failed"), (3, "finished")):
        info = RunInfo(folder, {"arch": "fcgan:hidden=8", "seed": 3}, 100, 10, start_step=start)
        observer = call_by_name(made(name).make)(run=info, options=made(name).options(**options))
        observer.run_started(run=info)
        for step in range(start, start + 4 if start == 0 else 5):
            line = {"step": step + 1, "d_loss": (step + 1) / 10 + start, "noise/sigma": 0.5, "g_loss": None}
            observer.step_ended(step=StepInfo(Progress(step, 100, 0, 10), {}, line if step != 1 else {}))
        observer.snapshot_taken(snapshot=SnapshotInfo(1, grid, None, step + 1))
        observer.run_ended(outcome=outcome)


EXPECTED = [(1, 0.1), (3, 0.3), (4, 0.4), (4, 3.4), (5, 3.5)]


@pytest.mark.slow
def test_mlflow_has_every_line_and_a_resumed_run_is_the_same_run(tmp_path, monkeypatch):
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "run_1"
    folder.mkdir(parents=True)
    logged_twice(folder, "mlflow", experiment="cats")
    client = mlflow.MlflowClient(tracking_uri=f"sqlite:///{folder / 'mlflow.db'}")
    experiment = client.get_experiment_by_name("cats")
    (run,) = client.search_runs([experiment.experiment_id])
    assert run.info.run_name == "run_1"
    assert run.info.status == "FINISHED"
    assert run.data.params == {"arch": "fcgan:hidden=8", "seed": "3"}
    history = client.get_metric_history(run.info.run_id, "d_loss")
    assert [(one.step, pytest.approx(one.value)) for one in history] == EXPECTED
    assert set(run.data.metrics) == {"d_loss", "noise/sigma"}
    assert [one.path for one in client.list_artifacts(run.info.run_id, "grids")] == ["grids/epoch_0001.png"]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]  # nothing beside the run


def records(path):
    """Yield what wandb wrote offline: protobuf records in blocks of 32 KiB, as LevelDB's logs have them."""
    content, at, parts = path.read_bytes(), 7, b""
    while at + 7 <= len(content):
        left = 32768 - at % 32768
        if left < 7:
            at += left
            continue
        size, kind = int.from_bytes(content[at + 4 : at + 6], "little"), content[at + 6]
        parts += content[at + 7 : at + 7 + size]
        at += 7 + size
        if kind in (1, 4):  # whole, or the last part of one
            yield parts
            parts = b""


@pytest.mark.slow
def test_wandb_offline_has_every_line_and_a_resumed_run_is_the_same_run(tmp_path, monkeypatch):
    pytest.importorskip("wandb")
    from wandb.proto.wandb_internal_pb2 import Record

    monkeypatch.delenv("WANDB_MODE", raising=False)
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "runs" / "run_1"
    folder.mkdir(parents=True)
    logged_twice(folder, "wandb", mode="offline", project="cats")
    lines, ids, ends = [], set(), []
    for file in sorted((folder / "wandb").glob("offline-run-*/*.wandb")):
        for content in records(file):
            record = Record()
            record.ParseFromString(content)
            kind = record.WhichOneof("record_type")
            if kind == "run":
                ids.add((record.run.run_id, record.run.project, record.run.display_name))
            if kind == "exit":
                ends.append(record.exit.exit_code)
            if kind == "history":
                lines.append(
                    {(i.key or "/".join(i.nested_key)): json.loads(i.value_json) for i in record.history.item}
                )
    assert len(ids) == 1
    assert next(iter(ids))[1:] == ("cats", "run_1")
    assert [(one["step"], pytest.approx(one["d_loss"])) for one in lines if "d_loss" in one] == EXPECTED
    assert all(one["noise/sigma"] == 0.5 and "g_loss" not in one for one in lines if "d_loss" in one)
    assert [one["step"] for one in lines if any(name.startswith("grid") for name in one)] == [4, 5]
    assert sorted(ends) == [0, 1]
    assert [path.name for path in tmp_path.iterdir()] == ["runs"]
