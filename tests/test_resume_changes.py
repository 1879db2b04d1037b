"""What ``resume`` may change of a run: recorded as a stage, exact from there on; and what it may not, and why."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest
from support import SMALL, one_line
from test_from import StopAt, equal, of, weights

from ganforge import Run, UsageError, train

QUIET = {"progress": False}
# Four steps, of which two are done.
HOW = {**SMALL, "epochs": 2, "checkpoint_every": "1steps", "keep": 4, "optimizer": "adam:learning_rate=0.001"}


@pytest.fixture(scope="module")
def runs(tmp_path_factory) -> dict[bool, Path]:
    """Two runs that stopped after two of their steps, without and with a mean; nobody may change them."""
    place = tmp_path_factory.mktemp("runs")
    made = {}
    for averaged in (False, True):
        ema = {"ema": 0.3} if averaged else {}
        made[averaged] = train(**HOW, **ema, runs_dir=place, observers=[StopAt(2)], **QUIET).path
    return made


@pytest.fixture
def stopped(runs, tmp_path):
    """Return what makes a copy of one of the two."""

    def copy(averaged: bool = False, name: str = "run_1") -> Run:
        return Run(shutil.copytree(runs[averaged], tmp_path / name / "run_1"))

    return copy


def at(run: Run, step: int, owner: str) -> list[np.ndarray]:
    """Return what an owner learns or keeps in a checkpoint, in its order; running statistics are left out."""
    from safetensors.numpy import load_file

    found = load_file(run.path / "checkpoints" / f"step_{step:08d}" / "weights.safetensors")
    return [
        found[name].reshape(-1) for name in sorted(found) if name.startswith(f"{owner}/") and "moving_" not in name
    ]


def test_a_step_at_another_rate_goes_as_much_further(stopped):
    plain, faster = stopped(name="a").resume(**QUIET), stopped(name="b").resume(learning_rate=0.004, **QUIET)
    # Adam's step is in proportion to the rate; the discriminator's first one is of the same slopes.
    for before, one, other in zip(*(at(run, n, "discriminator") for run, n in ((plain, 2), (plain, 3), (faster, 3)))):
        assert np.allclose(other - before, 4 * (one - before), atol=2e-6)
    assert [line["discriminator_lr"] for line in faster.metrics()] == pytest.approx([0.001, 0.001, 0.004, 0.004])
    stages = faster.manifest["stages"]
    assert [(stage["step"], stage["learning_rate"]) for stage in stages] == [(0, [0.001] * 2), (2, [0.004] * 2)]
    assert stages[1]["reason"] == "learning rate 0.004"
    assert len(plain.manifest["stages"]) == 1


@pytest.mark.parametrize("averaged", [False, True])
def test_another_mean_goes_on_from_the_one_before_or_begins_with_the_weights(stopped, averaged):
    run = stopped(averaged).resume(ema=0.6, **QUIET)
    learned = at(run, 2, "generator")
    updates, means = 0.0, learned
    if averaged:
        (updates,), *means = at(run, 2, "generator_average")
        assert updates == 2
    else:
        assert not at(run, 2, "generator_average")
    for step in (3, 4):
        decay = min(0.6, (1 + updates) / (10 + updates))
        means = [mean + (1 - decay) * (w - mean) for mean, w in zip(means, at(run, step, "generator"), strict=True)]
        updates += 1
        (counted,), *found = at(run, step, "generator_average")
        assert counted == updates
        assert all(np.allclose(one, other, atol=1e-6) for one, other in zip(means, found, strict=True))
    assert run.manifest["stages"][1]["reason"] == "--ema 0.6"
    run.resume(3, ema="none", **QUIET)
    assert not at(run, 6, "generator_average")
    assert run.manifest["stages"][2]["reason"] == "epochs 3, --ema none"


CHANGES = {"learning_rate": 0.003, "ema": "2kimg", "snapshot_every": "1steps", "log": "csv"}


@pytest.mark.parametrize("killed", [False, True])
def test_a_changed_run_that_is_cut_off_ends_like_one_that_was_not(stopped, killed):
    whole, parted = stopped(name="a").resume(**CHANGES, **QUIET), stopped(name="b")
    parted.resume(**CHANGES, observers=[StopAt(3)], **QUIET)
    if killed:  # before the first checkpoint of the new stage: it goes on from the last of the old one
        shutil.rmtree(parted.path / "checkpoints" / "step_00000003")
    parted.resume(**QUIET)
    assert equal(weights(whole.path), weights(parted.path))
    assert of(weights(whole.path), "generator_average")
    reasons = [stage["reason"] for stage in parted.manifest["stages"]]
    assert reasons == ["start", "learning rate 0.003, --ema 2kimg, --log csv, --snapshot-every 1steps"]
    steps = [path.name for _, path in parted.snapshots() if path.name.startswith("step")]
    assert steps == ["step_0000002.png", "step_0000003.png", "step_0000004.png"]
    assert len((parted.path / "metrics.csv").read_text().splitlines()) == 5
    assert parted.config.log == ("csv",)
    parted.resume(3, log="none", **QUIET)
    assert parted.config.log == ()
    assert len((parted.path / "metrics.csv").read_text().splitlines()) == 5


def test_a_rate_that_is_given_takes_the_place_of_one_that_was_halved(stopped):
    import json

    run = stopped()
    manifest = json.loads((run.path / "run.json").read_text())
    (stage,) = manifest["stages"]
    # As a return to a checkpoint leaves it, in a run of before rates were noted.
    old = {name: stage[name] for name in ("epochs", "balance", "backend", "data", "stop_when")}
    manifest["stages"] = [{**old, "step": n, "reason": "", "learning_rate_scale": s} for n, s in ((0, 1.0), (2, 0.5))]
    (run.path / "run.json").write_text(json.dumps(manifest))
    halved = Run(shutil.copytree(run.path, run.path.parent / "halved")).resume(**QUIET)
    assert halved.metrics()[-1]["generator_lr"] == pytest.approx(0.0005)
    assert len(halved.manifest["stages"]) == 2
    run.resume(learning_rate=0.001, **QUIET)
    assert run.metrics()[-1]["generator_lr"] == pytest.approx(0.001)
    last = run.manifest["stages"][-1]
    assert (last["reason"], last["learning_rate_scale"]) == ("learning rate times 1", 1.0)


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--batch-size", "8"), "it decides which pictures belong to each step"),
        (("--no-compile",), "its steps must be computed as before"),
        (("--arch=dcgan",), "the shapes of its networks depend on it"),
        (("--loss", "hinge"), "its steps must be computed as before"),
        (("--from", "run_2"), "it applies only when a run starts"),
    ],
)
def test_what_a_run_keeps_is_said_with_the_way_out(stopped, ganforge_cli, words, why):
    code, _, err = ganforge_cli("resume", stopped().path, *words)
    assert code == 2
    line = one_line(err)
    assert why in line
    assert "ganforge train --from" in line


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--learning-rate", "0"), "invalid --learning-rate 0"),
        (("--ema", "2"), "not a decay below 1"),
        (("--log", "cvs"), "csv"),
        (("--snapshot-every", "5min"), "invalid --snapshot-every 5min"),
        (("--no-such-flag",), "there is no option '--no-such-flag'"),
    ],
)
def test_a_wrong_change_changes_nothing(stopped, ganforge_cli, words, why):
    run = stopped()
    before = (run.path / "run.json").read_bytes()
    code, _, err = ganforge_cli("resume", run.path, *words)
    assert code == 2
    assert why in one_line(err)
    assert (run.path / "run.json").read_bytes() == before


def test_python_says_the_same(stopped):
    run = stopped()
    with pytest.raises(UsageError, match="batch_size cannot change when a run continues: it decides which pictures"):
        run.resume(batch_size=8, **QUIET)
    with pytest.raises(UsageError, match="resume has no setting 'learning_rte'"):
        run.resume(learning_rte=0.1, **QUIET)
    run.resume(batch_size=SMALL["batch_size"], ema=True, log=["csv"], **QUIET)
    assert run.config.ema == 0.999
