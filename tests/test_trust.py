"""A run directory, a study and a settings file from elsewhere are data: they choose no code that runs."""

from __future__ import annotations

import ast
import hashlib
import io
import json
import shutil
from pathlib import Path

import pytest
from support import ROOT, SMALL, one_line

from ganforge import GANForgeError, Run, UsageError, train
from ganforge.plugin.registry import load_plugins
from ganforge.plugin.trust import given, handed_over, remember
from ganforge.report.following import Following
from ganforge.study import worker

SETTINGS = {**SMALL, "image_size": 8, "epochs": 1, "snapshot_every": 1}
PLUGIN = """
from ganforge import Strategy, hookimpl

class Still(Strategy):
    '''Does nothing.'''
    name = "still"

    @hookimpl
    def plan_step(self, progress):
        return {}

@hookimpl
def register_strategies(register):
    register(Still)
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Return the directory of a finished run, which nobody may change."""
    return train(**SETTINGS, runs_dir=tmp_path_factory.mktemp("made")).path


@pytest.fixture(autouse=True)
def _here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GANFORGE_STATE_DIR", str(tmp_path / "state"))


@pytest.fixture
def run(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "runs" / "run_1")
    return tmp_path / "runs" / "run_1"


class Evil:
    """A plugin file that leaves a mark where it runs."""

    def __init__(self, folder: Path, change: str = "") -> None:
        self.file, self.mark = folder / "evil.py", folder / "executed"
        self.file.write_text(f"open({str(self.mark)!r}, 'w').close()\n{change}\n{PLUGIN}")

    def ran(self) -> bool:
        ran = self.mark.exists()
        self.mark.unlink(missing_ok=True)
        return ran


def names(run: Path, file: Path) -> None:
    """Have a run name a plugin file, in every place and with its true SHA-256."""
    manifest = json.loads((run / "run.json").read_text())
    manifest["config"].update(plugins=[str(file)], epochs=2)
    manifest["plugins"] = [{"file": str(file), "sha256": hashlib.sha256(file.read_bytes()).hexdigest()}]
    (run / "run.json").write_text(json.dumps(manifest))


def settings_file(path: Path, file: Path) -> Path:
    lines = [f"{name} = {json.dumps(value)}" for name, value in {**SETTINGS, "plugin": str(file)}.items()]
    path.write_text("\n".join(lines))
    return path


LOOKING = ("runs", "show run_1", "diagnose run_1", "compare run_1", "report run_1", "gif run_1", "sample run_1 -n 4")


def test_looking_at_a_run_from_elsewhere_runs_nothing_it_names(run, ganforge_cli, tmp_path):
    evil = Evil(run)
    names(run, evil.file)
    for words in LOOKING:
        assert ganforge_cli(*words.split())[0] == 0, words
    Following(run).state()
    assert Run(run).sample(1).shape == (1, 8, 8, 3)
    assert not evil.ran()


@pytest.mark.parametrize("door", ["resume", "evaluate", "config", "study"])
def test_what_a_text_names_runs_when_a_person_gives_it_and_never_before(door, run, ganforge_cli, tmp_path):
    evil = Evil(tmp_path)
    names(run, evil.file)
    toml = settings_file(tmp_path / "one.toml", evil.file)
    study = settings_file(tmp_path / "all.toml", evil.file)
    study.write_text(f"[common]\n{study.read_text()}\n[[run]]\nname = 'a'\n")
    words = {
        "resume": ["resume", "run_1", "--quiet"],
        "evaluate": ["evaluate", "run_1", "--samples", 16, "--json"],
        "config": ["train", "--config", toml, "--quiet"],
        "study": ["study", study, "--dry-run"],
    }[door]
    code, _, err = ganforge_cli(*words)
    if door == "evaluate":  # of pictures that no plugin brings
        assert code == 0
    else:
        assert "never given on this machine; read it, and if you trust it add --plugin" in one_line(err)
    assert not evil.ran()
    # Known where it is loaded, so that a process that did is not taken for one that did not.
    evil.file.write_text(evil.file.read_text() + f"# {door}\n")
    names(run, evil.file)
    assert ganforge_cli(*words, "--plugin", evil.file)[0] == 0
    assert evil.ran()


def test_a_worker_runs_what_its_study_let_through_and_no_file_that_took_its_place(tmp_path):
    evil = Evil(tmp_path)
    record = given([evil.file])[0].record
    assert handed_over([record]) == given([evil.file])
    evil.file.write_text("1 / 0\n")
    with pytest.raises(GANForgeError, match="has changed since the study began"):
        handed_over([record])
    task = {"settings": {**SETTINGS, "plugins": [str(evil.file)], "runs_dir": str(tmp_path / "new")}}
    task |= {"run": None, "stages": [], "evaluate": False, "samples": 16, "plugins": []}
    assert worker._work(task, worker.Reporter(io.StringIO())) == 0
    assert not evil.ran()


def test_what_runs_and_is_recorded_is_what_was_read(tmp_path):
    """No second read: a file that changes after it was looked at, here by its own hand, is another file."""
    evil = Evil(tmp_path, change="import pathlib; pathlib.Path(__file__).write_text('changed')")
    first = evil.file.read_bytes()
    files = given([evil.file])
    evil.file.write_text("1 / 0")
    assert load_plugins(files).get("strategy", "still").sha256 == hashlib.sha256(first).hexdigest()
    assert evil.ran()
    evil = Evil(tmp_path, change="import pathlib; pathlib.Path(__file__).write_text('changed again')")
    first = evil.file.read_bytes()
    recorded = train(**SETTINGS, plugins=[str(evil.file)], balance="still").manifest["plugins"]
    assert recorded == [{"file": str(evil.file), "sha256": hashlib.sha256(first).hexdigest()}]
    assert evil.file.read_text() == "changed again"


def test_a_file_given_by_hand_is_remembered_by_its_content(tmp_path):
    evil = Evil(tmp_path)
    toml = settings_file(tmp_path / "one.toml", evil.file)
    from ganforge.cli.train import _read
    from ganforge.plugin.trust import named_by_text

    named = _read(str(toml))["plugins"]
    assert named_by_text(named, (), "it").load == ()
    remember(given([evil.file]))
    assert named_by_text(named, (), "it").load == given([evil.file])
    with pytest.raises(UsageError, match="there is no such file"):
        given([tmp_path / "none.py"])


def test_nothing_else_makes_or_runs_a_plugin_file():
    """The loader takes ``PluginFile`` alone: who could make one could go past the gate."""
    gates = {"PluginFile": {"plugin/trust.py"}, "exec": {"plugin/registry.py"}, "eval": set()}
    gates["spec_from_file_location"] = {"plugin/registry.py"}
    found: dict[str, set[str]] = {name: set() for name in gates}
    for path in (ROOT / "ganforge").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call):
                name = getattr(node.func, "attr", getattr(node.func, "id", ""))
                if name in found and not (name == "eval" and isinstance(node.func, ast.Attribute)):
                    found[name].add(str(path.relative_to(ROOT / "ganforge")))
    assert found == gates
