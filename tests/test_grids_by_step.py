"""``--snapshot-every 500steps``: grids after steps, beside those after epochs."""

import numpy as np
import pytest
from PIL import Image, ImageSequence
from support import SMALL, At, fail

from ganforge import hookimpl, train
from ganforge.cli.group import main
from ganforge.errors import GANForgeError, UsageError
from ganforge.report.following import Following
from ganforge.report.report import report_data
from ganforge.runs import list_snapshots, snapshot_path
from ganforge.runs.progression import make_progression
from ganforge.study.summary import summarise
from ganforge.training.config import TrainConfig
from ganforge.training.schedule import parse_every, shows

SETTINGS = {**SMALL, "image_size": 8, "data": "critters:count=64", "epochs": 3}  # 4 steps an epoch


@pytest.mark.parametrize(
    ("every", "written"),
    [(6, 6), ("6", 6), ("6epochs", 6), ("500steps", "500steps"), (" 500 step", "500steps"), ("1steps,2", "2,1steps")],
)
def test_how_often_grids_come_is_written_as_checkpoints_are(every, written):
    config = TrainConfig.of({"snapshot_every": every})
    assert (config.snapshot_every, type(config.snapshot_every)) == (written, type(written))
    assert TrainConfig.of(config.model_dump()) == config


@pytest.mark.parametrize("every", ["0", 0, "10min", "6,10min", "1.5", "", "steps", True, -1])
def test_grids_come_at_no_other_times(every):
    with pytest.raises(UsageError, match=r"--snapshot-every .*expected epochs \(6\), steps \(500steps\)"):
        TrainConfig.of({"snapshot_every": every})


@pytest.mark.parametrize(
    ("every", "expected"),
    [
        ("2", {0: "epoch", 8: "epoch", 12: "epoch"}),
        ("5steps", {0: "step", 5: "step", 10: "step", 12: "step"}),
        ("2,5steps", {0: "epoch", 5: "step", 8: "epoch", 10: "step", 12: "epoch"}),
        ("99", {0: "epoch", 12: "epoch"}),
    ],
)
def test_a_grid_is_an_epochs_or_a_steps(every, expected):
    found = {step: kind for step in range(13) if (kind := shows(step, 12, 4, parse_every(every)))}
    assert found == expected


def test_both_kinds_are_one_story_wherever_grids_are_shown(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    told = []

    class Watching:
        @hookimpl
        def snapshot_taken(self, snapshot):
            told.append((snapshot.epoch, snapshot.step, snapshot.path.name))

    run = train(**SETTINGS, snapshot_every="2,5steps", observers=[Watching()])
    names = ["epoch_0000.png", "step_0000005.png", "epoch_0002.png", "step_0000010.png", "epoch_0003.png"]
    assert told == list(zip((0, 1, 2, 2, 3), (0, 5, 8, 10, 12), names))
    assert [(epoch, path.name) for epoch, path in run.snapshots()] == list(zip((0, 1.25, 2, 2.5, 3), names))
    titles = ["epoch 0", "step 5", "epoch 2", "step 10", "epoch 3"]
    assert Following(run.path).state()["grids"] == [list(one) for one in zip(titles, names)]
    frames = report_data([summarise("run_1", run.path)], "a report")["runs"][0]["frames"]
    assert [(frame["epoch"], frame["title"]) for frame in frames] == list(zip((0, 1.25, 2, 2.5, 3), titles))
    with Image.open(run.path / "progression.gif") as animation:
        assert animation.n_frames == 5
    captions = []
    monkeypatch.setattr(
        "ganforge.media.animation.make_animation", lambda frames, labels, *_, **__: captions.extend(labels)
    )
    make_progression(run.path, every=2)
    assert captions == ["epoch 0", "epoch 2", "epoch 3"]
    with pytest.raises(SystemExit):
        main(["show", "run_1"])
    assert "snapshots/epoch_0003.png" in capsys.readouterr().out


def test_a_run_by_steps_goes_on_exactly(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    settings = {**SETTINGS, "snapshot_every": "3steps"}
    whole = {path.name: path.read_bytes() for _, path in train(**settings).snapshots()}
    assert list(whole) == [f"step_{step:07d}.png" for step in (0, 3, 6, 9, 12)]
    run = train(**settings, observers=[At(9, fail(KeyboardInterrupt()))])
    assert run.state == "stopped"
    snapshot_path(run.path, 9, "step").unlink()  # as if it had been killed before it was saved
    for later in (10, 12):
        snapshot_path(run.path, later, "step").write_bytes(b"of the steps that are made again")
    run.resume()
    assert {path.name: path.read_bytes() for _, path in run.snapshots()} == whole


def test_grids_by_step_need_to_know_the_length_of_an_epoch(tmp_path):
    snapshot_path(tmp_path, 3, "step").parent.mkdir()
    snapshot_path(tmp_path, 3, "step").touch()
    with pytest.raises(GANForgeError, match=r"run\.json"):
        list_snapshots(tmp_path)


def test_the_animation_that_a_run_leaves_has_about_a_hundred_frames(tmp_path):
    """Evenly over the run, the first and the last among them; one that is asked for has all."""
    (tmp_path / "snapshots").mkdir()
    for epoch in range(250):
        Image.new("RGB", (4, 4), (epoch, 0, 0)).save(snapshot_path(tmp_path, epoch))
    few = make_progression(tmp_path, tmp_path / "few.webp", most=100, caption=False)
    with Image.open(few) as animation:
        seen = [np.asarray(frame.convert("RGB"))[0, 0, 0] for frame in ImageSequence.Iterator(animation)]
    assert seen == [*range(0, 249, 3), 249]
    assert Image.open(make_progression(tmp_path, tmp_path / "all.webp", caption=False)).n_frames == 250
