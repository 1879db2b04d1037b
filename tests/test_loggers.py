"""What ``--log`` writes beside a run: ``metrics.csv``, and TensorBoard's extra when it is not there."""

from __future__ import annotations

import csv
import importlib.util
import json

import pytest

import ganforge.loggers
from ganforge.errors import GANForgeError
from ganforge.plugin.calling import call_by_name
from ganforge.plugin.options import Options, make_options
from ganforge.plugin.types import Progress, RunInfo, StepInfo


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


def test_tensorboard_without_its_extra_is_one_line(monkeypatch):
    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "tensorboard" else find(name))
    with pytest.raises(GANForgeError, match=r"pip install 'ganforge\[tensorboard\]'$") as refusal:
        make_options("logger 'tensorboard'", made("tensorboard").options, {})
    assert "\n" not in str(refusal.value)
