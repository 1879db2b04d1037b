"""Which backend a run is on: the choice is the person's or ours, never that of a file that Keras wrote by itself."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from ganforge import backend as backend_choice
from ganforge.backend import choose_backend, decide_backend
from ganforge.errors import GANForgeError, UsageError

TINY = ["--arch", "fcgan:hidden=8,discriminator_hidden=8", "--data", "critters:count=32", "--image-size", "8"]
TINY += ["--batch-size", "8", "--epochs", "1"]


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """A process as at its start: no Keras yet, nothing chosen, and a file of Keras's that names TensorFlow."""
    monkeypatch.setattr(backend_choice, "_chosen", None)
    monkeypatch.delitem(sys.modules, "keras", raising=False)
    monkeypatch.delenv("KERAS_BACKEND", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text('{"backend": "tensorflow"}')
    installed = {"torch", "jax", "tensorflow"}
    monkeypatch.setattr(backend_choice, "_is_installed", installed.__contains__)
    return installed


def imported(monkeypatch, backend):
    keras = SimpleNamespace(backend=SimpleNamespace(backend=lambda: backend))
    monkeypatch.setitem(sys.modules, "keras", keras)


def test_the_flag_then_the_environment_then_torch_then_what_is_installed(fresh, monkeypatch):
    assert decide_backend().said("--backend") == "torch (default)"
    assert os.environ["KERAS_BACKEND"] == "torch"
    # What it set itself is not taken for the person's wish.
    assert decide_backend().said("--backend") == "torch (default)"
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    assert decide_backend().said("--backend") == "jax (from KERAS_BACKEND)"
    assert decide_backend("torch").said("--backend") == "torch (--backend)"
    assert choose_backend("jax") == os.environ["KERAS_BACKEND"] == "jax"


def test_without_torch_it_is_what_is_installed(fresh):
    fresh.remove("torch")
    assert decide_backend().said("") == "jax (torch is not installed)"
    with pytest.raises(GANForgeError, match="'torch' is not installed; pip install torch"):
        decide_backend("torch")


def test_with_nothing_installed_it_is_one_line(fresh):
    fresh.clear()
    with pytest.raises(GANForgeError, match="no backend is installed; pip install torch"):
        decide_backend()


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (
            "tensorflwo",
            "KERAS_BACKEND is 'tensorflwo'; expected torch, jax or tensorflow, or unset it. Did you mean 't",
        ),
        ("", "KERAS_BACKEND is ''; expected torch, jax or tensorflow, or unset it."),
        ("numpy", "KERAS_BACKEND is 'numpy'; expected"),
        ("Torch", "Did you mean 'torch'?"),
    ],
)
def test_a_broken_environment_is_one_line_unless_a_flag_overrides_it(fresh, monkeypatch, value, words):
    monkeypatch.setenv("KERAS_BACKEND", value)
    with pytest.raises(UsageError) as caught:
        decide_backend()
    assert words in str(caught.value)
    assert decide_backend("torch").backend == "torch"


def test_the_environment_may_name_one_that_is_not_installed(fresh, monkeypatch):
    fresh.remove("jax")
    monkeypatch.setenv("KERAS_BACKEND", "jax")
    with pytest.raises(GANForgeError, match=r"KERAS_BACKEND asks for it\); pip install 'ganforge\[jax\]'"):
        decide_backend()


def test_a_keras_that_is_imported_decides_and_only_another_one_asked_for_is_an_error(fresh, monkeypatch):
    imported(monkeypatch, "jax")
    assert decide_backend().said("") == "jax (Keras was already imported with it)"
    # Set after the import it changes nothing, and is no request.
    for value in ("torch", "", "nonsense"):
        monkeypatch.setenv("KERAS_BACKEND", value)
        assert choose_backend() == "jax"
    assert decide_backend("jax").said("backend=") == "jax (backend=)"
    with pytest.raises(
        GANForgeError, match="already runs on jax in this process and cannot change to torch; start a n"
    ):
        decide_backend("torch")
    with pytest.raises(UsageError, match="there is no backend 'jaxx'"):
        decide_backend("jaxx")
    imported(monkeypatch, "numpy")
    with pytest.raises(
        GANForgeError, match="Keras already runs on numpy in this process; expected torch, jax or tens"
    ):
        decide_backend()


def ganforge(folder, *words, **environment):
    kept = {k: v for k, v in os.environ.items() if k not in ("KERAS_BACKEND", "KERAS_HOME")}
    kept.setdefault("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # Matplotlib's list of fonts takes seconds to make
    kept |= {"HOME": str(folder), "OMP_NUM_THREADS": "1", "COLUMNS": "120", **environment}
    command = [sys.executable, "-m", "ganforge", *map(str, words)]
    return subprocess.run(command, cwd=folder, env=kept, capture_output=True, text=True)


def runs_on(done):
    assert done.returncode == 0, done.stderr
    return next(line.split("runs on")[1].strip(" │") for line in done.stdout.splitlines() if "runs on" in line)


@pytest.mark.slow
def test_two_runs_in_a_row_are_on_one_backend_although_keras_wrote_its_file_between(tmp_path):
    pytest.importorskip("tensorflow")
    for number in (1, 2):
        assert runs_on(ganforge(tmp_path, "train", *TINY)) == "torch (default), float32"
        assert json.loads((tmp_path / ".keras" / "keras.json").read_text())["backend"] == "tensorflow"
        manifest = json.loads((tmp_path / "runs" / f"run_{number}" / "run.json").read_text())
        assert manifest["versions"]["backend"] == "torch"


@pytest.mark.slow
def test_the_panel_says_where_the_choice_came_from(tmp_path):
    pytest.importorskip("jax")
    (tmp_path / "mine.toml").write_text('backend = "jax"\n')
    dry = ["train", *TINY, "--dry-run"]
    assert runs_on(ganforge(tmp_path, *dry, KERAS_BACKEND="jax")) == "jax (from KERAS_BACKEND), float32"
    # (--backend: test_other_backends_train_and_sample_from_the_command_line)
    filed = ganforge(tmp_path, *dry, "--config", "mine.toml", KERAS_BACKEND="torch")
    assert runs_on(filed) == "jax (--config mine.toml), float32"
    broken = ganforge(tmp_path, *dry, KERAS_BACKEND="jaxs")
    assert broken.returncode == 2
    assert broken.stderr.startswith("ganforge: KERAS_BACKEND is 'jaxs'; expected torch")
    assert len(broken.stderr.splitlines()) == 1


@pytest.mark.slow
def test_a_run_in_python_is_on_the_keras_that_is_there(tmp_path):
    pytest.importorskip("jax")
    code = (
        "import os; os.environ['KERAS_BACKEND'] = 'jax'\nimport keras\nos.environ['KERAS_BACKEND'] = 'torch'\n"
        "import ganforge\n"
        "tiny = dict(arch='fcgan:hidden=8', data='critters:count=16', image_size=8, batch_size=8, epochs=1)\n"
        "print(ganforge.train(**tiny).manifest['versions']['backend'])\n"
        "try: ganforge.train(**tiny, backend='torch')\n"
        "except ganforge.GANForgeError as error: print(error)\n"
    )
    environment = {**os.environ, "HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "jax",
        "Keras already runs on jax in this process and cannot change to torch; start a new process, or ask for jax",
    ]
