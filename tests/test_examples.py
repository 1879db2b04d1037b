"""What stands in examples/ works as a third party's: built into wheels, installed beside ganforge, used by name."""

from __future__ import annotations

import importlib.util
import json
import os
import sys
import sysconfig
from pathlib import Path

import pytest
import support
from support import ARCH, ROOT

from ganforge.scaffold import CHECKED, write_plugin

EXAMPLES = ROOT / "examples"
PACKAGES = sorted(EXAMPLES.glob("ganforge-*"))


def run(*command: object, cwd: Path) -> str:
    return support.run(*command, cwd=cwd, GANFORGE_CHECK_BACKENDS="torch", OMP_NUM_THREADS="1").stdout


@pytest.fixture(scope="session")
def venv(tmp_path_factory) -> Path:
    """A fresh virtual environment in which every example and one new plugin of each kind is installed from a wheel.

    It sees the packages of the running one (torch need not be installed again), but none of its own are there.
    """
    folder = tmp_path_factory.mktemp("venv")
    sources = [*PACKAGES, *(write_plugin(f"new-{kind}", kind, folder) for kind in CHECKED)]
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet"]
    wheels = folder / "wheels"
    run(*pip, "wheel", "--no-deps", "--no-index", "--no-build-isolation", "-w", wheels, *sources, cwd=folder)
    assert len(list(wheels.glob("*.whl"))) == len(sources)
    run(sys.executable, "-m", "venv", "--without-pip", folder / "env", cwd=folder)
    python = folder / "env" / ("Scripts" if os.name == "nt" else "bin") / "python"
    site = Path(run(python, "-c", "import site; print(site.getsitepackages()[0])", cwd=folder).strip())
    # addsitedir rather than a plain line: the running environment's own .pth files (an editable ganforge) count too.
    others = [sysconfig.get_path("purelib"), str(ROOT), str(ROOT / "plugins")]
    lines = [f"import site; site.addsitedir({others[0]!r})", *others[1:]]
    (site / "beside.pth").write_text("\n".join(lines) + "\n")
    run(*pip, "install", "--no-deps", "--no-index", "--target", site, *wheels.glob("*.whl"), cwd=folder)
    return python


@pytest.mark.slow
def test_installed_examples_train_together_by_name(venv, tmp_path):
    out = run(
        venv, "-m", "ganforge", "train", "--arch", "fcgan:hidden=8", "--loss", "rpgan", "--balance", "flat-at-both",
        "--data", "critters:count=32", "--image-size", 16, "--batch-size", 16, "--epochs", 1, "--quiet", cwd=tmp_path,
    )  # fmt: skip
    manifest = json.loads((tmp_path / out.strip() / "run.json").read_text())
    assert manifest["loss"]["package"] == "ganforge-r3gan-rules"
    assert manifest["loss"]["version"] == "0.1.0"
    assert [s["package"] for s in manifest["strategies"]] == ["ganforge-r3gan-rules"]
    assert (tmp_path / out.strip() / "generator.keras").is_file()


@pytest.mark.slow
def test_new_plugins_of_every_kind_train_at_once_and_pass_their_own_tests(venv, tmp_path):
    out = run(
        venv, "-m", "ganforge", "train", "--arch", "new-architecture:width=2", "--balance", "new-strategy", "--loss",
        "new-loss", "--data", "new-dataset:count=32", "--image-size", 8, "--batch-size", 16, "--epochs", 1, "--quiet",
        cwd=tmp_path,
    )  # fmt: skip
    manifest = json.loads((tmp_path / out.strip() / "run.json").read_text())
    assert manifest["loss"]["package"] == "ganforge-new-loss"
    assert manifest["data"]["count"] == 32
    package = write_plugin("new-strategy", "strategy", tmp_path)
    said = run(venv, "-m", "pytest", "-q", package, cwd=tmp_path)
    assert "passed" in said
    assert "failed" not in said


@pytest.mark.slow
def test_what_new_plugin_writes_passes_mypy_strict(tmp_path):
    pytest.importorskip("mypy")
    modules = [write_plugin(f"new-{kind}", kind, tmp_path) / f"ganforge_new_{kind}" for kind in CHECKED]
    modules += [next(package.glob("ganforge_*")) for package in PACKAGES]
    config = tmp_path / "ganforge-new-loss" / "pyproject.toml"
    # Of ganforge the annotations alone: behind its modules stands all of torch, which takes most of a minute.
    behind = "module = ['torch.*', 'jax.*', 'tensorflow.*']\nfollow_imports = 'skip'\n"
    silent = "module = ['ganforge.*']\nfollow_imports = 'silent'\n"
    config.write_text(config.read_text() + "".join(f"\n[[tool.mypy.overrides]]\n{x}" for x in (behind, silent)))
    said = run(sys.executable, "-m", "mypy", "--strict", "--config-file", config, *modules, cwd=tmp_path)
    assert "no issues found" in said


def test_the_tour_of_the_python_api_runs(tmp_path, capsys):
    spec = importlib.util.spec_from_file_location("api_tour", EXAMPLES / "api_tour.py")
    tour = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tour)
    tour.main(tmp_path, arch=ARCH, count=64, epochs=1)
    out = capsys.readouterr().out
    assert "run_1 now has 3 epochs" in out
    assert "(16, 32, 32, 3) uint8" in out
    assert "run_2 (flip)" in out
    assert "Did you mean 'width'?" in out
