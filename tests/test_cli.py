"""The command line: what it leaves, what it says, and its one line for every mistake."""

from __future__ import annotations

import json
import os
import sys

import numpy as np
import pytest
from PIL import Image
from support import ARCH, At, one_line, photos, python, timeless

pytestmark = pytest.mark.quick

COMMANDS = ("train", "resume", "gif", "sample", "runs", "show", "plugins")
COMMANDS += ("diagnose", "evaluate", "study", "compare", "report", "watch", "project", "explore")
TINY = ("--data", "critters:count=48", "--image-size", 16, "--batch-size", 16, "--log-every", 1)
SMALL = ("--arch", "dcgan:width=4,discriminator_width=4", *TINY)


# ------------------------------------------------------------------ the whole line


def test_train_leaves_everything_the_contract_promises_and_the_other_commands_use_it(ganforge_cli, tmp_path):
    strategies = ("--balance", "noise-anneal", "--balance", "label-noise:flip=0.1")
    # Fast enough for its pictures to differ after six steps: alike frames are one frame to WebP.
    code, out, err = ganforge_cli("train", *SMALL, *strategies, "--epochs", 2, "--learning-rate", 0.02)
    assert code == 0, err
    run = tmp_path / "runs" / "run_1"
    assert "epoch 2/2" in out
    assert "ganforge resume run_1 --epochs 4" in out
    for name in ("run.json", "metrics.jsonl", "generator.keras", "losses.png", "progression.gif", "architecture.txt"):
        assert (run / name).stat().st_size > 0, name
    assert [p.name for p in sorted((run / "snapshots").iterdir())] == [f"epoch_000{i}.png" for i in range(3)]
    assert Image.open(run / "snapshots" / "epoch_0000.png").size == (10 * 18 + 2, 10 * 18 + 2)

    manifest = json.loads((run / "run.json").read_text())
    assert manifest["state"] == "finished"
    assert [s["name"] for s in manifest["strategies"]] == ["noise-anneal", "label-noise"]
    assert manifest["strategies"][1]["options"]["flip"] == 0.1
    assert manifest["strategies"][0]["package"] == "ganforge"
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 7))
    assert lines[0]["noise-anneal/sigma"] == pytest.approx(0.2)
    assert lines[-1]["noise-anneal/sigma"] == pytest.approx(0.0)

    code, out, _ = ganforge_cli("gif", "run_1", "--fps", 4, "--scale", 2, "--output", "a.webp")
    assert (code, Image.open(tmp_path / "a.webp").n_frames) == (0, 3)

    assert ganforge_cli("sample", "latest", "-n", 4, "--grid", "2x2", "--seed", 3, "--output", "s.png")[0] == 0
    assert Image.open(tmp_path / "s.png").size == (2 * 18 + 2, 2 * 18 + 2)
    assert ganforge_cli("sample", "1", "-n", 3, "--output", "out")[0] == 0
    assert len(list((tmp_path / "out").glob("*.png"))) == 3
    assert ganforge_cli("sample", "1", "--interpolate", "--frames", 5, "-n", 4, "--output", "w.webp")[0] == 0
    assert Image.open(tmp_path / "w.webp").n_frames == 5

    code, out, _ = ganforge_cli("runs")
    assert code == 0
    assert "run_1" in out
    assert "finished" in out
    code, out, _ = ganforge_cli("show", "run_1")
    assert code == 0
    for words in ("label-noise (flip=0.1", "D loss", "progression.gif", "2 of 2 epochs"):
        assert words in out

    code, out, err = ganforge_cli("resume", "run_1", "--epochs", 3)
    assert code == 0, err
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == list(range(1, 10))
    assert (run / "snapshots" / "epoch_0003.png").is_file()
    assert "has finished all 3 epochs" in one_line(ganforge_cli("resume", "run_1")[2])


@pytest.mark.parametrize("arch", ["fcgan:hidden=16-32", "dcgan-1:width=4", "fcgan-2"])
def test_a_folder_of_photographs_trains(ganforge_cli, tmp_path, arch):
    photos(tmp_path / "cats")
    (tmp_path / "cats" / "torn.jpg").write_bytes(b"\xff\xd8 not a picture")
    code, out, err = ganforge_cli(
        "train",
        "--arch",
        arch,
        "--data",
        "./cats",
        "--image-size",
        16,
        "--epochs",
        1,
        "--batch-size",
        3,
        "--channels",
        1,
    )
    assert code == 0, err
    assert "torn.jpg" in out
    manifest = json.loads((tmp_path / "runs" / "run_1" / "run.json").read_text())
    assert manifest["image_shape"] == [16, 16, 1]
    assert manifest["data"]["skipped"][0][0] == "torn.jpg"


def test_the_same_seed_gives_the_same_run(ganforge_cli, tmp_path):
    def metrics(number):
        lines = (tmp_path / "runs" / f"run_{number}" / "metrics.jsonl").read_text().splitlines()
        return timeless(json.loads(line) for line in lines)

    for seed in (5, 5, 6):
        assert ganforge_cli("train", *SMALL, "--epochs", 1, "--seed", seed, "--quiet")[0] == 0
    assert metrics(1) == metrics(2)
    assert metrics(1) != metrics(3)
    final = [(tmp_path / "runs" / f"run_{n}" / "snapshots" / "epoch_0001.png").read_bytes() for n in (1, 2, 3)]
    assert final[0] == final[1] != final[2]


def test_ctrl_c_saves_and_resume_ends_as_if_it_had_never_stopped(ganforge_cli, tmp_path):
    import _thread

    from ganforge import Run, train

    settings = {"arch": SMALL[1], "data": "critters:count=48", "image_size": 16, "batch_size": 16, "log_every": 1}
    stopped = train(epochs=3, runs_dir="runs", observers=[At(4, _thread.interrupt_main)], **settings)
    assert stopped.state == "stopped"
    _, out, _ = ganforge_cli("show", "run_1")
    assert "stopped" in out
    assert "ganforge resume run_1" in out
    stopped.resume()
    whole = train(epochs=3, runs_dir="runs", **settings)
    assert stopped.state == whole.state == "finished"
    assert timeless(stopped.metrics()) == timeless(whole.metrics())
    assert np.array_equal(stopped.sample(4), whole.sample(4))
    assert [e for e, _ in stopped.snapshots()] == [e for e, _ in Run("run_2").snapshots()]


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_other_backends_train_and_sample_from_the_command_line(backend, tmp_path, ganforge_cli):
    pytest.importorskip(backend)

    def run(*args):
        return python("-m", "ganforge", *args, cwd=tmp_path, backend=None)

    done = run(
        "train",
        "--arch",
        ARCH,
        *TINY,
        "--balance",
        "r1",
        "--balance",
        "noise-anneal",
        "--epochs",
        2,
        "--backend",
        backend,
    )
    assert f"runs on       {backend} (--backend), float32" in done.stdout
    assert done.stderr == ""
    run("resume", "run_1", "--epochs", 3)
    manifest = json.loads((tmp_path / "runs" / "run_1" / "run.json").read_text())
    assert manifest["versions"]["backend"] == backend
    assert manifest["progress"]["epoch"] == 3
    assert ganforge_cli("sample", "run_1", "-n", 4)[0] == 0  # on torch: generator.keras is plain Keras
    assert (tmp_path / "runs" / "run_1" / "samples_seed_0.png").is_file()


# ------------------------------------------------------------------ mistakes


def bad_data(tmp_path, kind):
    folder = tmp_path / "data"
    if kind == "empty":
        folder.mkdir()
    elif kind == "unreadable":
        folder.mkdir()
        (folder / "a.jpg").write_bytes(b"nothing")
    elif kind == "one":
        photos(folder, 1)
    return folder


@pytest.mark.parametrize(
    ("kind", "words"),
    [("missing", "data"), ("empty", "no "), ("unreadable", "a.jpg"), ("one", "one")],
)
def test_bad_data_is_one_line(ganforge_cli, tmp_path, kind, words):
    code, _, err = ganforge_cli("train", "--data", bad_data(tmp_path, kind), "--epochs", 1)
    assert code == 1
    assert words in one_line(err)
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (["--arch", "dcgam"], "Did you mean 'dcgan'?"),
        (["--arch", "dcgan:wdith=3"], "Did you mean 'width'?"),
        (["--arch", "dcgan:width=wide"], "invalid width=wide: expected"),
        (["--arch", "dcgan:width"], "expected dcgan:key=value"),
        (["--balance", "noise-aneal"], "Did you mean 'noise-anneal'?"),
        (["--balance", "noise-anneal:start=-1"], "invalid start=-1:"),
        (["--balance", "noise-anneal", "--balance", "input-noise"], "'noise-anneal' and 'input-noise'"),
        (["--balance", "r1", "--balance", "r1"], "given twice"),
        (["--loss", "bse"], "Did you mean 'bce'?"),
        (["--data", "criters"], "Did you mean 'critters'?"),
        (["--backend", "tensorflaw"], "invalid --backend tensorflaw:"),
        (["--image-size", "30", "--arch", "dcgan:layers=3"], "cannot end at 30 pixels"),
        (["--fit", "squash"], "invalid --fit squash:"),
        (["--channels", "2"], "invalid --channels 2:"),
        (["--epochs", "0"], "invalid --epochs 0:"),
        (["--seed", "-1"], "invalid --seed -1:"),
        (["--plugin", "nothing.py"], "there is no such file"),
        (["--config", "nothing.toml"], "cannot be read"),
        (["--epoch", "3"], "--epochs"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(ganforge_cli, tmp_path, args, words):
    code, _, err = ganforge_cli("train", *args)
    assert words in one_line(err)
    assert code == 2
    assert not (tmp_path / "runs").exists()


def test_two_strategies_that_set_one_count_are_refused_by_name(ganforge_cli, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from ganforge import Strategy, hookimpl\n"
        "class Mine(Strategy):\n"
        "    name = 'mine'\n"
        "    @hookimpl\n"
        "    def plan_step(self):\n"
        "        return {'generator_steps': 3}\n"
        "@hookimpl\n"
        "def register_strategies(register):\n"
        "    register(Mine)\n"
    )
    both = ("--balance", "generator-steps", "--balance", "mine")
    code, _, err = ganforge_cli("train", *SMALL, "--plugin", "mine.py", *both)
    assert code == 2
    assert "'generator-steps' and 'mine' both set generator_steps" in one_line(err)


def test_a_batch_larger_than_the_data_is_one_line(ganforge_cli):
    code, _, err = ganforge_cli("train", "--data", "critters:count=48", "--batch-size", 256)
    assert code == 1
    assert "256" in one_line(err)
    assert "48" in err


def test_a_runs_directory_that_cannot_be_written_is_one_line(ganforge_cli, tmp_path):
    (tmp_path / "file").write_text("")
    code, _, err = ganforge_cli("train", *SMALL, "--epochs", 1, "--runs-dir", tmp_path / "file" / "runs")
    assert code == 1
    assert "--runs-dir" in one_line(err)


@pytest.mark.parametrize("command", ["resume", "gif", "sample", "show"])
def test_a_run_that_does_not_exist_is_one_line(ganforge_cli, command):
    code, _, err = ganforge_cli(command, "run_7")
    assert code == 1
    assert "there is no run 'run_7'" in one_line(err)


def test_a_run_without_snapshots_is_one_line(ganforge_cli, tmp_path):
    assert ganforge_cli("train", *SMALL, "--epochs", 1, "--quiet")[0] == 0
    for picture in (tmp_path / "runs" / "run_1" / "snapshots").iterdir():
        picture.unlink()
    code, _, err = ganforge_cli("gif", "run_1")
    assert code == 1
    assert "no snapshots" in one_line(err)


def test_a_backend_that_is_not_installed_is_one_line(tmp_path):
    code = (
        "import importlib.util, sys\n"
        "find = importlib.util.find_spec\n"
        "importlib.util.find_spec = lambda name, *a: None if name == 'jax' else find(name, *a)\n"
        "from ganforge.cli import main\n"
        "main(['train', '--backend', 'jax'])\n"
    )
    done = python("-c", code, cwd=tmp_path, check=False)
    assert done.returncode == 1
    assert "pip install 'ganforge[jax]'" in one_line(done.stderr)


def test_an_unknown_command_names_the_closest(ganforge_cli):
    code, _, err = ganforge_cli("trian")
    assert code == 2
    assert "Did you mean 'train'?" in one_line(err)


# ------------------------------------------------------------------ settings


def test_a_configuration_file_has_the_flags_names_and_flags_win(ganforge_cli, tmp_path):
    (tmp_path / "s.toml").write_text('arch = "fcgan"\nimage-size = 16\nbatch_size = 24\nbalance = ["r1"]\nseed = 4\n')
    common = ("train", "--config", "s.toml", "--data", "critters:count=48", "--dry-run")
    code, out, err = ganforge_cli(*common, "--seed", 9)
    assert code == 0, err
    for words in ("fcgan (hidden=128-256-512", "steps of 24 pictures", "seed 9", "r1 (gamma=1.0, end=1.0, every=1)"):
        assert words in out
    assert not (tmp_path / "runs").exists()
    (tmp_path / "s.toml").write_text("epoch = 3\n")
    code, _, err = ganforge_cli(*common)
    assert code == 2
    assert "s.toml: there is no setting 'epoch'. Did you mean 'epochs'?" in one_line(err)


def test_dry_run_shows_both_networks_and_the_first_plan(ganforge_cli):
    code, out, _ = ganforge_cli("train", *SMALL, "--balance", "unequal-lr:generator=2", "--dry-run")
    assert code == 0
    for words in ("Generator", "Discriminator", "UpSampling2D", "generator_lr", "0.001", "Nothing was trained"):
        assert words in out


def test_plugins_lists_everything_with_its_options(ganforge_cli):
    code, out, _ = ganforge_cli("plugins")
    assert code == 0
    for name in ("fcgan-4", "dcgan-1", "noise-anneal", "stronger-discriminator", "wasserstein", "critters"):
        assert name in out
    code, out, _ = ganforge_cli("plugins", "noise-anneal")
    assert "linear|cosine|exponential" in out
    code, out, _ = ganforge_cli("plugins", "--json")
    assert {"kind", "name", "package", "version", "options"} <= set(json.loads(out)["plugins"][0])
    assert "Did you mean 'fcgan'?" in one_line(ganforge_cli("plugins", "fcgam")[2])


def test_every_command_has_help_with_examples(ganforge_cli):
    for command in COMMANDS:
        code, out, _ = ganforge_cli(command, "--help")
        assert code == 0
        assert f"ganforge {command}" in out.split("Examples:")[1]


def test_quick_commands_load_nothing_heavy(tmp_path):
    heavy = ["keras", "torch", "jax", "tensorflow", "matplotlib"]
    for args in (
        ["--help"],
        ["train", "--help"],
        ["runs"],
        ["gif", "run_1"],
        ["show", "run_1"],
        ["compare", "run_1"],
    ):
        code = (
            "import sys\nfrom ganforge.cli import main\n"
            f"try: main({args!r})\nexcept SystemExit: pass\n"
            f"print([m for m in {heavy!r} if m in sys.modules])"
        )
        assert python("-c", code, cwd=tmp_path).stdout.splitlines()[-1] == "[]", args


@pytest.mark.slow
def test_help_is_quick():
    """In processor time, which other processes do not lengthen, and against what Python itself needs here."""
    resource = pytest.importorskip("resource")

    def seconds(*words):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        python(*words)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime

    bare = min(seconds("-c", "import asyncio, dataclasses, email, json, tomllib") for _ in range(3))
    assert min(seconds("-m", "ganforge", "--help") for _ in range(3)) < 3 * bare


@pytest.mark.slow
def test_every_command_that_needs_keras_chooses_the_backend_first(tmp_path):
    """With neither the environment nor Keras's own file to choose one, Keras alone would take TensorFlow and fail."""
    hidden = tmp_path / "hidden" / "tensorflow"
    hidden.mkdir(parents=True)
    (hidden / "__init__.py").write_text("raise ModuleNotFoundError(\"No module named 'tensorflow'\")")
    environment = {"OMP_NUM_THREADS": "1", "PYTHONPATH": os.pathsep.join([str(hidden.parent), *sys.path])}
    train = ["train", "--arch", ARCH, *TINY, "--epochs", 1, "--quiet"]
    evaluate = ["evaluate", "run_1", "--samples", 64]
    for words in (train, ["sample", "run_1", "-n", 4], ["sample", "run_1", "--interpolate", "--frames", 4], evaluate):
        # A new one each time: Keras writes its file by itself, and names TensorFlow in it.
        environment["KERAS_HOME"] = str(tmp_path / f"keras-{words[0]}-{len(words)}")
        python("-m", "ganforge", *words, cwd=tmp_path, backend=None, **environment)
    assert json.loads((tmp_path / "runs" / "run_1" / "run.json").read_text())["config"]["backend"] == "torch"


@pytest.mark.parametrize(
    ("data", "words"),
    [("./nowhere/pics", "there is no folder or zip 'nowhere/pics'"), ("./held/cta", "Did you mean 'cat'?")],
)
def test_a_path_that_leads_nowhere_is_said_before_keras_is_imported(tmp_path, data, words):
    (tmp_path / "held" / "cat").mkdir(parents=True)
    code = (
        "import sys\nfrom ganforge.cli import main\n"
        f"try: main(['train', '--data', {data!r}])\nfinally: assert 'keras' not in sys.modules"
    )
    ended = python("-c", code, cwd=tmp_path, check=False)
    assert ended.returncode == 1
    assert words in one_line(ended.stderr)
