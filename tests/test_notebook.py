"""What Python's users look at: progress in a script, a terminal and a notebook; pictures, runs and tables that show
themselves; and the commands as functions."""

from __future__ import annotations

import base64
import importlib
import inspect
import io
import json
import logging
import os
import pickle
import sys
import types

import numpy as np
import pytest
from PIL import Image
from support import ARCH, ROOT, SMALL, photos, python

import ganforge
from ganforge import GANForgeError, UsageError, train
from ganforge.showing.pictures import Pictures

SIGNATURE = b"\x89PNG"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return train(**SMALL, epochs=2, snapshot_every=1, runs_dir=tmp_path_factory.mktemp("runs"), progress=False)


def image(content: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(content)))


# ------------------------------------------------------------------ while it runs


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_script_gets_plain_lines_on_stderr_and_nothing_on_stdout(tmp_path, capsys):
    train(**SMALL, epochs=50, snapshot_every=50, runs_dir=tmp_path)
    out, err = capsys.readouterr()
    lines = err.splitlines()
    assert out == ""
    assert "\r" not in err
    assert "\x1b" not in err
    assert 10 < len(lines) < 25
    assert lines[0].startswith("epoch 1/50  D ")
    assert lines[-2].startswith("epoch 50/50")
    assert lines[-1].startswith("run_1: finished, 50 epochs, ")
    assert lines[-1].endswith(f"saved in {tmp_path / 'run_1'}")


def test_a_terminal_gets_one_line_in_place(tmp_path, monkeypatch, capsys):
    terminal = Terminal()
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "stderr", terminal)
    run = train(**SMALL, epochs=2, runs_dir=tmp_path)
    run.resume(epochs=3)
    said = terminal.getvalue()
    assert capsys.readouterr().out == ""
    assert "\x1b[2K" in said  # a line is erased and written anew
    assert "img/s" in said
    assert "run_1: finished, 3 epochs" in said


def test_nothing_is_shown_without_progress(tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(sys, "stderr", Terminal())
    train(**SMALL, epochs=2, runs_dir=tmp_path, progress=False).resume(epochs=3, progress=False).evaluate(
        16, progress=False
    )
    assert sys.stderr.getvalue() == ""
    assert capfd.readouterr().out == ""


def test_a_long_epoch_is_not_silent(monkeypatch, capsys):
    from ganforge.plugin.types import Progress, StepInfo
    from ganforge.showing import terminal
    from ganforge.showing.words import console

    now = [0.0]
    monkeypatch.setattr(terminal.time, "perf_counter", lambda: now[0])
    display = terminal.Display(console(stderr=True), 1000)
    display.run_started()
    metrics = {"d_loss": 1.0, "g_loss": 2.0, "d_real": 0.5, "d_fake": 0.5, "images_per_second": 9.0}
    for step in range(200):
        now[0] += 1.0
        display.step_ended(StepInfo(Progress(step, 1000, 0, 1), {}, metrics))
    lines = capsys.readouterr().err.splitlines()
    assert [line.split("  ")[1] for line in lines] == ["step 61/1,000", "step 122/1,000", "step 183/1,000"]
    assert lines[0].endswith("15 min 39 s left")


def test_what_a_person_should_hear_is_logged(tmp_path, caplog):
    photos(tmp_path / "cats")
    (tmp_path / "cats" / "torn.jpg").write_bytes(b"\xff\xd8 not a picture")
    settings = {**SMALL, "data": tmp_path / "cats", "batch_size": 3}
    with caplog.at_level(logging.WARNING, "ganforge"):
        train(**settings, epochs=40, learning_rate=3.0, snapshot_every=40, runs_dir=tmp_path, progress=False)
    assert "1 file could not be read: torn.jpg" in caplog.text
    assert "run.diagnose()" in caplog.text  # at such a learning rate something is wrong


class Handle:
    def __init__(self, shown, bundle):
        self.shown = [bundle]
        shown.append(self.shown)

    def update(self, bundle, raw=False):
        assert raw
        self.shown.append(bundle)


@pytest.fixture
def notebook(monkeypatch):
    """Stand in for IPython in a kernel: a list of outputs, each a list of what stood there one after another."""
    shown = []

    def display(thing, raw=False, display_id=False):
        if not raw:
            return shown.append([thing])
        return Handle(shown, thing)

    ipython = types.ModuleType("IPython")
    ipython.version_info = (9, 0, 0)  # matplotlib asks
    ipython.get_ipython = lambda: types.SimpleNamespace(kernel=object())
    ipython.display = types.ModuleType("IPython.display")
    ipython.display.display = display
    monkeypatch.setitem(sys.modules, "IPython", ipython)
    monkeypatch.setitem(sys.modules, "IPython.display", ipython.display)
    return shown


def test_a_notebook_sees_line_grid_and_curves_while_it_trains(tmp_path, notebook, capsys, monkeypatch):
    monkeypatch.setattr("ganforge.showing.notebook.SHARE", 0)
    run = train(**SMALL, epochs=3, snapshot_every=1, runs_dir=tmp_path)
    line, picture = notebook
    texts = [bundle["text/plain"] for bundle in line]
    assert texts[0] == "preparing"
    assert any(text.startswith("epoch 3/3  D ") for text in texts)
    assert texts[-1].startswith("run_1: finished, 3 epochs")
    sizes = [image(bundle["image/png"]).size for bundle in picture]
    assert len(sizes) >= 4, "one at each grid"
    assert sizes[-1][0] > sizes[0][0], "curves beside it once there are lines"
    assert capsys.readouterr() == ("", "")
    left = np.asarray(image(picture[-1]["image/png"]))
    grid = np.asarray(Image.open(run.snapshots()[-1].path))
    assert grid.shape == (182, 182, 3)
    assert (left[:364, :364] == grid.repeat(2, 0).repeat(2, 1)).all(), "each pixel is four"


def test_a_run_that_fails_in_a_notebook_says_so(tmp_path, notebook):
    from support import At, fail

    class Breaks(ganforge.Strategy):
        name = "breaks"

        @ganforge.hookimpl
        def step_ended(self):
            raise ValueError("broken")

    with pytest.raises(GANForgeError, match="broken"):
        train(**SMALL, epochs=2, runs_dir=tmp_path, balance=Breaks())
    assert notebook[0][-1]["text/plain"] == "failed"
    with pytest.raises(KeyboardInterrupt):
        train(**SMALL, epochs=2, runs_dir=tmp_path, observers=[At(1, fail(KeyboardInterrupt())) for _ in "ab"])
    assert notebook[-2][-1]["text/plain"] == "stopped immediately"


# ------------------------------------------------------------------ pictures


def test_pictures_are_an_array_and_what_is_computed_of_them_is_plain(run):
    pictures = run.sample(6, seed=3)
    plain = np.asarray(pictures)
    assert type(pictures) is Pictures
    assert type(plain) is np.ndarray
    assert np.array_equal(pictures, run.sample(6, seed=3))
    for computed in (pictures / 255, pictures + pictures, 1 - pictures, pictures == plain, np.sqrt(pictures)):
        assert type(computed) is np.ndarray
    for computed in (pictures.mean(0), pictures.sum(axis=(1, 2)), np.add.reduce(pictures), np.max(pictures, axis=0)):
        assert type(computed) is np.ndarray
    assert pictures.mean() == plain.mean()
    assert (pictures / 255 == plain / 255).all()
    changed = pictures.copy()
    changed += 1
    changed[0] = 7
    assert (np.asarray(changed)[0] == 7).all()
    assert (np.asarray(changed)[1:] == plain[1:] + np.uint8(1)).all()
    quotient, rest = np.divmod(pictures, 10)
    assert (quotient * 10 + rest == plain).all()
    assert np.array_equal(pickle.loads(pickle.dumps(pictures)), plain)
    import torch

    assert torch.from_numpy(pictures).shape == pictures.shape


def test_pictures_show_what_they_hold(run):
    pictures = run.sample(4, seed=3)
    for part, size in ((pictures, (2 * 16 + 6, 2 * 16 + 6)), (pictures[1], (16, 16)), (pictures[:1], (16, 16))):
        bundle = part._repr_mimebundle_()
        drawn = image(bundle["image/png"])
        times = drawn.width // size[0]
        assert drawn.size == (size[0] * times, size[1] * times)
        small = np.asarray(drawn)[times // 2 :: times, times // 2 :: times]
        corner = small[2:18, 2:18] if part.ndim == 4 and len(part) > 1 else small
        assert (corner == np.asarray(part if part.ndim == 3 else part[0])).all()
    assert "4 pictures of 16×16" in pictures._repr_mimebundle_()["text/plain"]
    walk = run.interpolate(frames=3, n=2)
    assert image(walk._repr_mimebundle_()["image/gif"]).n_frames == 3
    for other in (pictures / 255, pictures.astype("float32"), pictures[0, 0, 0], pictures[:0]):
        assert getattr(other, "_repr_mimebundle_", dict)() == {}


def test_pictures_are_saved_and_shown(run, tmp_path, notebook, monkeypatch, caplog):
    pictures = run.sample(4)
    assert pictures.save(tmp_path / "a.png") == tmp_path / "a.png"
    assert (np.asarray(Image.open(tmp_path / "a.png")) == pictures.grid).all()
    assert Image.open(run.interpolate(frames=3, n=1).save(tmp_path / "a.webp")).n_frames == 3
    pictures.show()
    assert notebook[-1][0] is pictures
    monkeypatch.delitem(sys.modules, "IPython")
    opened = []
    monkeypatch.setattr("PIL.ImageShow.show", lambda one: opened.append(one.size) or True)
    monkeypatch.setenv("DISPLAY", ":0")
    pictures.show()
    assert opened == [(38, 38)]
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.delenv("DISPLAY")
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    with caplog.at_level(logging.WARNING, "ganforge"):
        pictures.show()
    assert "pictures.save('pictures.png')" in caplog.text
    with pytest.raises(GANForgeError, match=r"these are not pictures: float32 \(4, 16, 16, 3\)"):
        pictures.astype("float32").show()


def test_vectors_are_numbers_and_no_pictures(tmp_path):
    how = {"data": "gaussians:count=256", "batch_size": 64, "epochs": 1, "progress": False}
    run = train("mlp", **how, runs_dir=tmp_path)
    assert run.sample(5).shape == (5, 2)
    assert run.sample(5)._repr_mimebundle_() == {}
    assert 'src="data:image/png;base64,' in run._repr_html_()


# ------------------------------------------------------------------ what is asked of a run


def test_a_run_shows_itself_and_obeys_nothing_of_its_texts(run, tmp_path, capsys, notebook, monkeypatch):
    import shutil

    copy = ganforge.Run(shutil.copytree(run.path, tmp_path / "run_9"))
    manifest = json.loads((copy.path / "run.json").read_text())
    manifest["data"]["description"] = "<script>alert(1)</script>\x1b[2J"
    (copy.path / "run.json").write_text(json.dumps(manifest))
    shown = copy._repr_html_()
    assert "<script>" not in shown
    assert "&lt;script&gt;" in shown
    assert "\x1b" not in shown
    content = shown.partition('src="data:image/png;base64,')[2].partition('"')[0]
    assert base64.b64decode(content).startswith(SIGNATURE)
    assert image(content).width > 900, "the grid and the curves"
    copy.show()
    assert notebook[-1][0] is copy
    monkeypatch.delitem(sys.modules, "IPython")
    copy.show()
    out = capsys.readouterr().out
    assert "finished" in out
    assert "2 of 2 epochs" in out
    assert "\x1b" not in out
    assert str(copy) == repr(copy) == f"Run('{copy.path}')"


def test_a_run_is_measured_diagnosed_animated_and_reported(run, tmp_path):
    found = run.evaluate(samples=16)
    assert found == json.loads((run.path / "evaluation.json").read_text())
    assert "<td" in found._repr_html_()
    assert "KID" in str(found)
    assert run.diagnose()[:] == []
    assert "Too early to say" in str(run.diagnose())
    page = run.report(tmp_path / "page.html")
    assert "<html" in page.read_text("utf-8")
    assert "page.html" in page._repr_html_()
    moving = run.animate(tmp_path / "a.gif", fps=4)
    assert Image.open(moving).n_frames == 3
    assert moving._repr_html_().startswith('<img src="data:image/gif;base64,')
    assert run.make_gif(tmp_path / "b.gif").is_file()
    with pytest.raises(UsageError, match="invalid features"):
        run.evaluate(features="imagnet")


def test_a_diagnosis_says_what_the_command_says(ganforge_cli, tmp_path):
    """A discriminator that has won: the same findings and the same commands to try."""
    won = {"balance": "unequal-lr:discriminator=9,generator=0.01", "learning_rate": 0.02}
    run = train(**SMALL, **won, epochs=30, runs_dir=tmp_path / "runs", progress=False)
    told = json.loads(ganforge_cli("diagnose", "run_1", "--json")[1])
    found = run.diagnose()
    assert found
    assert [(one.kind, one.title, one.numbers, one.why, one.command) for one in found] == [
        (one["kind"], one["title"], one["numbers"], one["why"], one["command"]) for one in told
    ]
    assert found[0].command in str(found)


def test_a_dry_run_trains_nothing_and_says_what_it_would(tmp_path):
    plan = train(**SMALL, balance="noise-anneal:start=0.3", epochs=3, dry_run=True, runs_dir=tmp_path)
    assert not list(tmp_path.glob("run_*"))
    assert plan.settings["epochs"] == 3
    assert plan.first_step["noise-anneal/sigma"] == pytest.approx(0.3)
    assert plan.steps_per_epoch == 2
    assert plan.parameters["generator"] == sum(layer["parameters"] for layer in plan.networks["generator"])
    assert "fcgan" in str(plan)
    assert "<table>" in plan._repr_html_()


# ------------------------------------------------------------------ functions


def test_the_face_lists_its_names_and_packages_are_functions_in_any_order_of_imports():
    code = (
        "import ganforge, sys\n"
        "assert {*ganforge.__all__} <= {*dir(ganforge)}\n"
        "assert not {'numpy', 'keras', 'torch'} & {*sys.modules}\n"
        "first = ganforge.runs\n"
        "import ganforge.runs as again, ganforge.study.plan\n"
        "from ganforge.study.plan import read_study\n"
        "from ganforge.runs import find_run\n"
        "assert again is first is ganforge.runs is sys.modules['ganforge.runs']\n"
        "assert ganforge.study.plan.read_study is read_study\n"
        "assert ganforge.runs('nowhere') == [] and callable(ganforge.study)\n"
    )
    python("-c", code)
    python("-c", "import ganforge.study.plan, ganforge; assert ganforge.runs('nowhere') == []; ganforge.study.plan")
    python("-c", "from ganforge import runs, study; import ganforge.runs; assert runs('nowhere') == []; assert study")


def test_packages_that_are_functions_are_packages_still(monkeypatch):
    for name in ("runs", "study"):
        package = importlib.import_module(f"ganforge.{name}")
        function = getattr(importlib.import_module("ganforge.commands"), name)
        assert isinstance(package, types.ModuleType)
        assert inspect.signature(package) == inspect.signature(function)
        assert f"ganforge.{name}(" in package.__doc__
    monkeypatch.setattr("ganforge.study.plan.SECTIONS", ())  # by its dotted name, as tests do
    assert ganforge.study.plan.SECTIONS == ()


def test_runs_are_listed_and_compared_as_the_commands_do(ganforge_cli, tmp_path, caplog):
    for seed in (1, 2):
        train(**SMALL, epochs=1, seed=seed, runs_dir="runs", progress=False)
    listed = ganforge.runs()
    assert [(run.id, run.state) for run in listed] == [("run_1", "finished"), ("run_2", "finished")]
    assert json.loads(ganforge_cli("runs", "--json")[1])[1]["id"] == "run_2"
    assert "run_2" in str(listed)
    assert "<th" in listed._repr_html_()
    compared = ganforge.compare(listed[0], "run_2")
    rows = json.loads(ganforge_cli("compare", "run_1", "run_2", "--json")[1])
    assert list(compared) == rows
    assert "run_1" in str(compared)
    with pytest.raises(UsageError, match="nothing to compare"):
        ganforge.compare()
    with pytest.raises(GANForgeError, match="no run 'run_3'"):
        ganforge.compare("run_1", "run_3")
    (tmp_path / "runs" / "run_2" / "run.json").write_text("{")
    with caplog.at_level(logging.WARNING, "ganforge"):
        assert [run.id for run in ganforge.runs("runs")] == ["run_1"]
    assert "run_2" in caplog.text


def test_plugins_are_listed_with_their_options(ganforge_cli):
    found = ganforge.plugins()
    told = json.loads(ganforge_cli("plugins", "--json")[1])["plugins"]
    assert [(one.kind, one.name, one.text, list(one.options)) for one in found] == [
        (one["kind"], one["name"], one["text"], one["options"]) for one in told
    ]
    (only,) = ganforge.plugins("noise-anneal")
    assert "start" in str(ganforge.plugins("noise-anneal"))
    assert only.example.startswith("ganforge train --balance noise-anneal:")
    with pytest.raises(UsageError, match="Did you mean 'noise-anneal'"):
        ganforge.plugins("noise-aneal")


@pytest.mark.slow
def test_a_study_is_carried_out_from_python(tmp_path, monkeypatch, capsys, caplog):
    monkeypatch.chdir(tmp_path)
    text = f'[common]\narch = "{ARCH}"\ndata = "critters:count=32"\nimage_size = 16\nbatch_size = 16\nepochs = 1\n'
    (tmp_path / "two.toml").write_text(text + '[[run]]\nname = "a"\n[[run]]\nname = "b"\nbalance = "noise-aneal"\n')
    looked = ganforge.study("two.toml", dry_run=True)
    assert looked.states == {"a": "waiting", "b": "failed"}
    assert list(looked) == []
    with caplog.at_level(logging.WARNING, "ganforge"):
        done = ganforge.study("two.toml", evaluate=False)
    assert done.states == {"a": "done", "b": "failed"}
    assert not done.finished
    assert "Did you mean 'noise-anneal'" in done.errors["b"]
    assert "b: " in caplog.text
    assert [row["run"] for row in done] == ["run_1"]
    out, err = capsys.readouterr()
    assert out == ""
    assert "a: done  run_1" in err.splitlines()
    assert "two: 1 of 2 runs done" in str(done)
    assert ganforge.study("two.toml", evaluate=False, progress=False).states == done.states


# ------------------------------------------------------------------ the notebook


@pytest.mark.slow
def test_the_example_notebook_runs_and_keeps_what_it_showed(tmp_path):
    nbformat, nbclient = pytest.importorskip("nbformat"), pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    notebook = nbformat.read(ROOT / "examples" / "first_look.ipynb", 4)
    assert all(not cell.get("outputs") for cell in notebook.cells), "kept without outputs"
    os.environ.setdefault("KERAS_BACKEND", "torch")
    client = nbclient.NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    nbformat.validate(notebook)
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    kinds = [[kind for one in cell.outputs for kind in one.get("data", {})] for cell in code]
    trained = next(cell for cell in code if "log_every=2, **small)" in cell.source)
    *_, line, picture = trained.outputs  # before them, where it took long, how far the reading was
    assert "run_1: finished, 6 epochs" in line.data["text/plain"]
    assert image(picture.data["image/png"]).width > 900
    assert "image/gif" in [kind for each in kinds for kind in each]
    assert sum("text/html" in each for each in kinds) >= 6
    assert not [one for cell in code for one in cell.outputs if one.output_type == "error"]
