"""Ending a run early: what a rule says of numbers, what is looked at, and that a killed run ends at the same step."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from support import ARCH, SMALL, At, one_line, timeless

from ganforge import Run, UsageError, hookimpl, train
from ganforge.training.stopping import StopRule


@pytest.mark.parametrize(
    ("rule", "values", "ends_at"),
    [
        ("kid:below=0.2", [0.5, 0.2, 0.21, 0.19, 0.1], 3),  # strictly below
        ("d_accuracy:above=0.9", [0.95], 0),
        ("d_accuracy:below=0.4,above=0.9", [0.5, 0.9, 0.91], 2),
        ("kid:patience=2", [5.0, 4.0, 4.5, 3.0, 3.0, 3.0, 1.0], 5),  # as good as the best is no better
        ("kid:patience=2", [5.0, 4.0, 3.0, 2.0], None),
        ("kid:patience=1", [1.0], None),
        ("kid:below=1,patience=2", [3.0, 3.5, 0.9], 2),  # whichever comes first
        ("kid:below=1,patience=2", [3.0, 3.5, 3.1, 0.9], 2),
        ("d_accuracy:above=0.9,patience=2", [0.5, 0.6, 0.55, 0.5], 3),  # more is better
        ("d_accuracy:below=0.1,patience=2", [0.5, 0.6, 0.55, 0.4], 2),  # less is better
        ("modes:patience=2", [3, 8, 9, 9, 9], 4),
        ("kid:patience=2", [2.0, None, 3.0, None, 4.0], 4),  # of what is not known nothing is said
        ("kid:below=9", [None, 2.0], 1),
    ],
)
def test_a_rule_ends_a_run_where_it_says(rule, values, ends_at):
    parsed = StopRule.parse(rule)
    ended = [i for i in range(len(values)) if parsed.met(values[: i + 1])]
    assert (ended[0] if ended else None) == ends_at


@pytest.mark.parametrize(
    ("rule", "says"),
    [
        ("kid", "expected below=NUMBER, above=NUMBER or patience=SNAPSHOTS"),
        ("kid:bellow=1", "Did you mean 'below'?"),
        ("kid:patience=0", "patience=0"),
        ("kid:below=nan", "below=nan"),
        ("kid:below=1,above=2,patience=3", "patience needs only one of below and above"),
        ("d_accuracy:patience=3", "add below=… (lower is better) or above=… (higher is better)"),
        ("kdi:below=1", "Did you mean 'kid'?"),
        ("modes:above=3", "this run has no such metric"),  # of pictures
        ("noise-anneal/sigma:below=1", "this run has no such metric"),  # of a strategy that is not there
        (7, "expected text such as"),
    ],
)
def test_a_wrong_rule_is_refused_before_there_is_a_run(tmp_path, rule, says):
    with pytest.raises(UsageError, match="stop_when") as caught:
        train(**SMALL, epochs=1, stop_when=rule, runs_dir=tmp_path)
    assert says in str(caught.value)
    assert not list(tmp_path.glob("run_*"))


def test_a_name_that_a_strategy_might_log_is_refused_once_it_did_not(tmp_path):
    with pytest.raises(UsageError, match=r"expected .*r1/penalty.*Did you mean 'r1/penalty'"):
        train(**SMALL, epochs=3, balance="r1", snapshot_every=1, stop_when="r1/penalti:below=1", runs_dir=tmp_path)


class Leave:
    """Copies the run as a kill would leave it, at a step; with an open last line and state ``running``."""

    def __init__(self, step: int, copy) -> None:
        self.at = At(step, lambda: shutil.copytree(self.run.directory, copy))

    @hookimpl
    def run_started(self, run):
        self.run = run

    @hookimpl
    def step_ended(self, step):
        self.at.step_ended(step)


@pytest.mark.parametrize(
    ("rule", "kills"), [("kid:patience=2", (9,)), ("d_accuracy:above=0.6,patience=3", (1, 3, 9))]
)
def test_a_killed_run_ends_where_the_whole_one_did(tmp_path, monkeypatch, rule, kills):
    """Steps of two an epoch; checkpoints every three epochs, so that looks lie after the last one, and lines too."""
    monkeypatch.setattr("ganforge.training.early.SAMPLES", 64)
    copies = {step: tmp_path / "killed" / f"run_{step}" for step in kills}
    how = {"epochs": 40, "snapshot_every": 1, "checkpoint_every": 3, "stop_when": rule, "learning_rate": 0.05}
    whole = train(**SMALL, **how, runs_dir=tmp_path / "whole", observers=[Leave(k, v) for k, v in copies.items()])
    seen = whole.manifest["early_end"]
    assert whole.state == "finished"
    assert whole.manifest["progress"]["step"] == seen["seen"][-1]["step"] < 80
    assert seen["met"]
    assert [one["step"] for one in seen["seen"]] == list(range(2, seen["seen"][-1]["step"] + 1, 2))
    for step, copy in copies.items():
        assert step < seen["seen"][-1]["step"], "the rule is met before the kill"
        resumed = Run(copy).resume()
        assert resumed.manifest["early_end"] == seen
        assert resumed.state == "finished"
        assert timeless(resumed.metrics()) == timeless(whole.metrics())


def test_what_is_looked_at_is_what_was_logged_since_the_last_grid(tmp_path):
    run = train(
        **SMALL, epochs=6, snapshot_every=2, stop_when="d_accuracy:above=2", balance="input-noise", runs_dir=tmp_path
    )
    record, accuracy = run.manifest["early_end"], [line["d_accuracy"] for line in run.metrics()]
    assert not record["met"]
    assert [one["step"] for one in record["seen"]] == [4, 8, 12]
    assert [one["value"] for one in record["seen"]] == pytest.approx(np.reshape(accuracy, (3, 4)).mean(1))


def test_the_kernel_distance_is_that_of_pictures_that_the_generator_makes(tmp_path):
    from ganforge.engine.randomness import fixed_latents
    from ganforge.metrics.features import features
    from ganforge.metrics.kid import kid
    from ganforge.study.evaluate import training_images

    run = train(**SMALL, epochs=2, snapshot_every=2, stop_when="kid:below=1e9", seed=3, runs_dir=tmp_path)
    made = run.decode(fixed_latents(512, 100, 3, "stop-when"))
    expected = kid(features(training_images(run)), features(made))[0]
    assert run.manifest["early_end"]["seen"][-1]["value"] == pytest.approx(expected, rel=1e-3)


def test_modes_of_a_mixture_are_counted(tmp_path):
    how = {"data": "gaussians:kind=ring,sigma=1,count=256", "batch_size": 64, "epochs": 9, "snapshot_every": 1}
    run = train("mlp", **how, stop_when="modes:above=0", runs_dir=tmp_path)
    assert run.manifest["early_end"]["met"].startswith("modes ")
    assert run.manifest["progress"]["epoch"] == 1


def test_the_commands_say_why_and_go_on_without(ganforge_cli, tmp_path):
    small = ("--arch", ARCH, "--data", "critters:count=32", "--image-size", 16, "--batch-size", 16)
    code, out, err = ganforge_cli("train", *small, "--epochs", 4, "--stop-when", "kid:below=1e9")
    assert code == 0, err
    assert "stopped early, because kid" in out
    assert "--stop-when none to train further" in out
    code, _, err = ganforge_cli("resume", "run_1")
    assert code == 1
    assert "--stop-when none" in one_line(err)
    code, out, err = ganforge_cli("resume", "run_1", "--stop-when", "none")
    assert code == 0, err
    manifest = json.loads((tmp_path / "runs" / "run_1" / "run.json").read_text())
    assert manifest["progress"]["epoch"] == 4
    assert manifest["early_end"] is None
    assert manifest["stages"][-1]["reason"] == "--stop-when none"


@pytest.mark.slow
def test_a_run_of_a_study_that_ended_early_is_done(ganforge_cli, tmp_path):
    common = f'arch = "{ARCH}"\ndata = "critters:count=32"\nimage_size = 16\nbatch_size = 16\n'
    (tmp_path / "early.toml").write_text(f'[common]\n{common}stop_when = "kid:below=1e9"\n[[run]]\nstages = [2, 3]\n')
    code, out, err = ganforge_cli("study", "early.toml", "--no-evaluate")
    assert code == 0, err
    assert json.loads((tmp_path / "runs" / "run_1" / "run.json").read_text())["progress"]["epoch"] == 1
    code, out, err = ganforge_cli("study", "early.toml", "--no-evaluate", "--dry-run")
    assert (code, "1 done" in out) == (0, True), out
