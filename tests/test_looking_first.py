"""What a command is given is looked at before long work, and what was measured is not lost to what fails later."""

from __future__ import annotations

import json
import shutil
import sys

import pytest

import ganforge
from ganforge import GANForgeError, Run, UsageError
from ganforge.files import obstacle

TINY = {"arch": "fcgan:hidden=8,discriminator_hidden=8", "data": "critters:count=64", "image_size": 8}
TINY |= {"batch_size": 16, "log_every": 1, "snapshot_every": 1, "checkpoint_every": "1steps"}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return ganforge.train(**TINY, epochs=3, runs_dir=tmp_path_factory.mktemp("trained")).path


@pytest.fixture
def run(trained, tmp_path, monkeypatch):
    """A finished run of 3 epochs of 4 steps, in ``runs`` here."""
    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained, tmp_path / "runs" / "run_1")
    return Run("run_1")


def stopped_at(step, epochs=25):
    """A run of ``epochs`` that a Ctrl-C stopped after ``step`` steps."""

    class Enough:
        @ganforge.hookimpl
        def step_ended(self, step):
            if step.progress.step + 1 == at:
                raise KeyboardInterrupt

    at = step
    return ganforge.train(**TINY, epochs=epochs, observers=[Enough()])


def one_line(err):
    (line,) = [line for line in err.splitlines() if line]
    return line


def forbid(monkeypatch, target):
    def refuse(*args, **settings):
        raise AssertionError(f"{target} was begun before everything was looked at")

    monkeypatch.setattr(target, refuse)


# ------------------------------------------------------------------ resume --epochs


@pytest.mark.parametrize(
    ("step", "epochs", "words"),
    [
        (22, 4, "invalid --epochs 4: run_1 has already trained 5 epochs and a part of the next; "),
        (22, 5, "invalid --epochs 5: run_1 has already trained 5 epochs and a part of the next; "),
        (20, 5, "invalid --epochs 5: run_1 has already trained 5 epochs; "),
        (20, 1, "invalid --epochs 1: run_1 has already trained 5 epochs; "),
    ],
)
def test_resuming_to_where_a_run_has_been_is_refused_in_one_line(
    ganforge_cli, tmp_path, monkeypatch, step, epochs, words
):
    run = stopped_at(step)
    before = (run.path / "run.json").read_bytes()
    with monkeypatch.context() as patch:
        forbid(patch, "ganforge.training.setup.load_images")
        code, _, err = ganforge_cli("resume", "run_1", "--epochs", epochs)
        assert code == 2
        assert one_line(err) == f"ganforge: {words}ganforge resume run_1 continues to epoch 25"
        with pytest.raises(UsageError, match=f"invalid epochs {epochs}"):
            run.resume(epochs)
    assert (run.path / "run.json").read_bytes() == before
    assert run.state == "stopped"
    if (step, epochs) == (22, 4):
        # To the end of the epoch it is in, it may go: there is something left.
        assert run.resume(6).manifest["progress"] == {"step": 24, "steps": 24, "epoch": 6, "epochs": 6}
        assert run.state == "finished"


def test_a_finished_run_says_how_to_train_it_further(run, ganforge_cli):
    code, _, err = ganforge_cli("resume", "run_1")
    assert (code, one_line(err)) == (
        1,
        "ganforge: run_1 has finished all 3 epochs; to train further: ganforge resume run_1 --epochs 6",
    )
    with pytest.raises(GANForgeError, match="has finished all 3 epochs"):
        run.resume(3)
    with pytest.raises(UsageError, match=r"invalid epochs 2: run_1 has already trained 3 epochs; to train fur"):
        run.resume(2)
    (run.path / "progression.gif").unlink()  # as if it had been killed while its pictures were drawn
    with pytest.raises(UsageError, match="invalid epochs 2"):
        run.resume(2)
    assert run.resume(3).state == "finished"
    assert (run.path / "progression.gif").is_file()


# ------------------------------------------------------------------ evaluate


def test_a_missing_network_is_said_before_anything_is_measured(run, ganforge_cli, monkeypatch, tmp_path):
    forbid(monkeypatch, "ganforge.study.evaluate.training_images")
    (tmp_path / "broken.pt").write_bytes(b"no network")
    code, _, err = ganforge_cli("evaluate", "run_1", "--inception", "missing.pt")
    assert code == 1
    assert one_line(err).startswith("ganforge: --inception missing.pt: there is no such file")
    code, _, err = ganforge_cli("evaluate", "run_1", "--inception", "broken.pt")
    assert code == 1
    assert "broken.pt cannot be used" in one_line(err)
    assert not (run.path / "evaluation.json").exists()


def test_what_was_measured_is_kept_when_something_else_fails(run, ganforge_cli, monkeypatch, tmp_path):
    import torch

    class Picky(torch.nn.Module):
        def forward(self, images):
            assert images.shape[1] == 7, "wants 7 channels"
            return images

    torch.jit.script(Picky()).save(tmp_path / "picky.pt")
    code, _, err = ganforge_cli("evaluate", "run_1", "--samples", 32, "--inception", "picky.pt")
    assert code == 1
    assert "some metrics of run_1 failed (FID: " in one_line(err)
    assert "the rest is in runs/run_1/evaluation.json" in one_line(err)
    kept = json.loads((run.path / "evaluation.json").read_text())
    assert {"swd", "kid", "spread", "memorising", "critters", "gap", "cost"} < set(kept)
    assert list(kept["failed"]) == ["inception"]

    def fails(*arguments):
        raise RuntimeError("no\nroom")

    monkeypatch.setattr("ganforge.metrics.swd.swd", fails)
    code, _, err = ganforge_cli("evaluate", "run_1", "--samples", 32)
    assert "(sliced Wasserstein distance: RuntimeError: no)" in one_line(err)
    part = json.loads((run.path / "evaluation.json").read_text())
    assert part["kid"] == kept["kid"]
    assert "swd" not in part
    # What reads it does without.
    for words in (["compare", "run_1"], ["report", "run_1"], ["diagnose", "run_1"], ["show", "run_1"]):
        code, _, err = ganforge_cli(*words)
        assert (code, err) == (0, ""), words


# ------------------------------------------------------------------ outputs


def test_what_stands_in_the_way_of_a_file(tmp_path):
    (tmp_path / "file").write_text("")
    assert obstacle(tmp_path / "a" / "b" / "c.png") is None
    assert obstacle(tmp_path / "file" / "c.png") == f"{tmp_path / 'file'} is not a folder"
    assert obstacle(tmp_path / "file" / "b" / "c.png") == f"{tmp_path / 'file'} is not a folder"


@pytest.mark.parametrize(
    ("words", "work"),
    [
        (["gif", "run_1", "--output"], "ganforge.media.animation._open"),
        (["sample", "run_1", "--output"], "ganforge.api.Run.generator"),
        (["sample", "run_1", "--interpolate", "--output"], "ganforge.api.Run.generator"),
        (["report", "run_1", "--output"], "ganforge.study.summary.summarise"),
    ],
)
def test_an_output_is_looked_at_before_the_work(run, ganforge_cli, monkeypatch, tmp_path, words, work):
    suffix = "html" if words[0] == "report" else "png"
    (tmp_path / "file").write_text("")
    (tmp_path / f"folder.{suffix}").mkdir()
    with monkeypatch.context() as patch:
        forbid(patch, work)
        code, _, err = ganforge_cli(*words, f"file/x.{suffix}")
        assert code == 1
        assert "file is not a folder" in one_line(err)
        if words != ["sample", "run_1", "--output"]:
            code, _, err = ganforge_cli(*words, f"folder.{suffix}")
            assert (code, one_line(err)) == (
                2,
                f"ganforge: folder.{suffix} is a folder; expected a file name",
            )
        if words[0] != "report":
            code, _, err = ganforge_cli(*words, "x.tiff")
            assert code == 2
            assert "x.tiff: expected" in one_line(err)
    code, _, err = ganforge_cli(*words, f"new/folder/x.{suffix}")
    assert (code, err) == (0, "")
    assert (tmp_path / "new" / "folder" / f"x.{suffix}").is_file()


def test_a_class_is_looked_at_before_the_generator_is_opened(run, ganforge_cli, monkeypatch):
    forbid(monkeypatch, "ganforge.api.Run.generator")
    code, _, err = ganforge_cli("sample", "run_1", "--class", "cat")
    assert code == 2
    assert "run_1 knows no classes" in one_line(err)


@pytest.mark.parametrize("suffix", ["mp4"])
def test_a_missing_extra_is_said_before_the_frames_are_made(run, ganforge_cli, monkeypatch, suffix):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    forbid(monkeypatch, "ganforge.media.animation._open")
    forbid(monkeypatch, "ganforge.api.Run.generator")
    for words in (["gif", "run_1"], ["sample", "run_1", "--interpolate"]):
        code, _, err = ganforge_cli(*words, "--output", f"x.{suffix}")
        assert code == 1
        assert "needs the mp4 extra" in one_line(err)


def test_a_runs_directory_that_cannot_be_is_said_before_the_pictures_are_read(ganforge_cli, monkeypatch, tmp_path):
    forbid(monkeypatch, "ganforge.training.setup.load_images")
    (tmp_path / "file").write_text("")
    code, _, err = ganforge_cli("train", "--runs-dir", "file/runs")
    assert code == 1
    assert "the runs directory file/runs cannot be written" in one_line(err)


def test_a_study_says_at_once_which_of_its_runs_cannot_be_carried_out(ganforge_cli, monkeypatch, tmp_path):
    (tmp_path / "s.toml").write_text(
        '[common]\nepochs = 1\n[[run]]\nname = "a"\narch = "dcgan:widht=3"\n[[run]]\nname = "b"\ndata = "./gone"\n'
        '[[run]]\nname = "c"\nbalance = "noise"\n[[run]]\nname = "d"\n'
    )
    code, out, err = ganforge_cli("study", "s.toml", "--dry-run")
    assert code == 1
    said = err.splitlines()
    assert [line[:12] for line in said] == ["ganforge: a:", "ganforge: b:", "ganforge: c:"]
    assert "Did you mean 'width'?" in said[0]
    assert "./gone: there is no such folder or zip" in said[1]
    assert "there is no strategy 'noise'" in said[2]
    assert "4 runs, 0 done" in out


# ------------------------------------------------------------------ GANFORGE_RUNS_DIR


def test_python_keeps_runs_where_the_environment_says_as_the_command_line_does(ganforge_cli, monkeypatch, tmp_path):
    monkeypatch.setenv("GANFORGE_RUNS_DIR", str(tmp_path / "elsewhere"))
    run = ganforge.train(**TINY, epochs=1)
    assert run.path == tmp_path / "elsewhere" / "run_1"
    assert Run("latest").path == Run("run_1").path == run.path
    assert Run("run_1").resume(2).path == run.path
    _, out, _ = ganforge_cli("runs", "--json")
    assert [row["id"] for row in json.loads(out)] == ["run_1"]
    here = ganforge.train(**TINY, epochs=1, runs_dir="here")
    assert here.path.parent.name == "here"
    assert Run("run_1", "here").path == here.path
    assert not (tmp_path / "runs").exists()
    monkeypatch.setenv("GANFORGE_RUNS_DIR", "")
    with pytest.raises(GANForgeError, match="runs has no runs yet"):
        Run("latest")
