"""check, new-plugin, plugins, --no-plugin, the hooks' version, and completion in the shell."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest
from support import python

from ganforge.cli import completion
from ganforge.errors import GANForgeError
from ganforge.plugin.registry import load_plugins
from ganforge.plugin.trust import given

HERE = Path(__file__).parent
FAULTY = HERE / "faulty_plugins.py"


# ------------------------------------------------------------------ check


@pytest.fixture
def torch_alone(monkeypatch):
    monkeypatch.setenv("GANFORGE_CHECK_BACKENDS", "torch")


def test_check_says_what_is_wrong_and_what_to_change(ganforge_cli, torch_alone):
    code, out, err = ganforge_cli("check", "backwards", "--plugin", FAULTY)
    assert code == 1
    assert "points-the-right-way" in out
    assert "To change: check the signs" in " ".join(out.split())
    assert err.splitlines()[-1] == "ganforge: backwards fails 1 check: points-the-right-way"


@pytest.mark.slow
def test_check_prints_json_for_a_program(ganforge_cli, torch_alone):
    code, out, _ = ganforge_cli("check", "bce", "--json")
    report = json.loads(out)
    assert code == 0
    assert (report["kind"], report["package"]) == ("loss", "ganforge")
    assert {r["backend"] for r in report["results"]} == {"torch"}
    assert {r["state"] for r in report["results"]} <= {"passed", "skipped"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("dcagn",), "Did you mean 'dcgan'?"),
        (("dcgan", "--kind", "loss"), "invalid --kind loss: expected architecture for 'dcgan'"),
        (("dcgan", "--kind", "los"), "Did you mean 'loss'?"),
        (("dcgan", "--backend", "torhc"), "Did you mean 'torch'?"),
        (("bce", "--no-plugin", "losess"), "Did you mean 'losses'?"),
    ],
)
def test_a_wrong_check_is_one_line(ganforge_cli, arguments, words):
    code, _, err = ganforge_cli("check", *arguments)
    assert code == 2
    assert words in err
    assert len(err.strip().splitlines()) == 1


# ------------------------------------------------------------------ new-plugin


def test_new_plugin_says_what_to_do_next_and_never_overwrites(ganforge_cli, tmp_path):
    code, out, _ = ganforge_cli("new-plugin", "ganforge-slow-start", "--strategy")
    assert code == 0
    assert "pip install -e '.[test]'" in out
    assert "ganforge train --balance slow-start" in out
    module = tmp_path / "ganforge-slow-start" / "ganforge_slow_start" / "__init__.py"
    assert load_plugins(given([module])).get("strategy", "slow-start").value.__name__ == "SlowStart"
    module.write_text("# mine")
    code, _, err = ganforge_cli("new-plugin", "slow-start", "--strategy")
    assert (code, module.read_text()) == (1, "# mine")
    assert "already exists" in err


@pytest.mark.parametrize(("kind", "flag"), [("optimizer", "--optimizer"), ("logger", "--log")])
def test_new_plugin_writes_optimizers_and_loggers_that_are_listed_with_their_options(
    ganforge_cli, tmp_path, kind, flag
):
    code, out, _ = ganforge_cli("new-plugin", f"new-{kind}", "--kind", kind)
    assert code == 0
    assert f"ganforge train {flag} new-{kind}" in out
    assert f"ganforge check new-{kind}" in out
    module = tmp_path / f"ganforge-new-{kind}" / f"ganforge_new_{kind}" / "__init__.py"
    code, out, _ = ganforge_cli("plugins", f"new-{kind}", "--plugin", module, "--json")
    (entry,) = json.loads(out)["plugins"]
    options = {"optimizer": ["beta_2", "clip"], "logger": ["separator"]}[kind]
    assert (code, entry["kind"], [o["name"] for o in entry["options"]]) == (0, kind, options)
    assert entry["example"].startswith(f"ganforge train {flag} new-{kind}:{options[0]}=")
    _, out, _ = ganforge_cli("plugins", "--plugin", module)
    assert f"new-{kind}" in out
    names = completion.remember(load_plugins(given([module])))
    assert names[kind][f"new-{kind}"] == options


def test_a_kind_that_is_none_is_one_line(ganforge_cli):
    code, _, err = ganforge_cli("new-plugin", "tiny", "--kind", "optimiser")
    assert code == 2
    assert "Did you mean 'optimizer'?" in err


def test_what_was_remembered_before_a_kind_existed_completes_the_rest(monkeypatch):
    monkeypatch.setattr(completion, "installed_names", lambda: {"loss": {"bce": []}})
    assert completion.complete_spec(("optimizer",), "a") == []


def test_new_plugin_offers_a_name_that_will_do(ganforge_cli):
    code, _, err = ganforge_cli("new-plugin", "My Thing")
    assert code == 2
    assert "Did you mean 'my-thing'?" in err


# ------------------------------------------------------------------ plugins, --no-plugin, versions


def test_plugins_json_has_types_bounds_defaults_and_help(ganforge_cli):
    code, out, _ = ganforge_cli("plugins", "dcgan", "--json")
    (entry,) = json.loads(out)["plugins"]
    layers = next(option for option in entry["options"] if option["name"] == "layers")
    assert code == 0
    assert (layers["type"], layers["bounds"], layers["default"]) == ("int", "from 0 to 8", "0")
    assert layers["help"].startswith("doublings in the generator")
    assert entry["example"] == "ganforge train --arch dcgan:width=48"
    assert "Radford" in entry["text"]


def test_no_plugin_leaves_one_out_for_one_command(ganforge_cli):
    code, _, err = ganforge_cli("train", "--arch", "fcgan", "--no-plugin", "fcgan", "--dry-run")
    assert code == 2
    assert "no architecture 'fcgan'" in err
    assert "GANFORGE_DISABLE_PLUGINS" not in os.environ
    assert load_plugins().get("architecture", "fcgan")


@pytest.mark.parametrize(
    ("version", "reason"),
    [
        ("3", "made for version 3 of the hooks, but this GANForge has version 2; pip install --upgrade ganforge"),
        ("0", "made for version 0 of the hooks, but this GANForge has versions 1 to 2; look for a newer release"),
        ("'one'", "invalid ganforge_api = 'one':"),
    ],
)
def test_a_plugin_made_for_other_hooks_is_one_line(tmp_path, version, reason):
    file = tmp_path / "other.py"
    file.write_text(f"ganforge_api = {version}\n")
    with pytest.raises(GANForgeError, match=reason):
        load_plugins(given([file]))
    file.write_text("ganforge_api = 1\n")
    assert load_plugins(given([file]))


# ------------------------------------------------------------------ completion


def test_completion_knows_names_and_options_that_are_not_given_yet():
    assert "dcgan-2" in completion.complete_spec(("architecture",), "dc")
    assert completion.complete_spec(("architecture",), "dcgan:discriminator_w") == ["dcgan:discriminator_width="]
    left = completion.complete_spec(("architecture",), "dcgan:width=3,")
    assert "dcgan:width=3,kernel=" in left
    assert "dcgan:width=3,width=" not in left
    assert completion.complete_spec(("architecture",), "dcgan:width=") == []
    assert completion.complete_spec(("strategy",), "dc") == []


def test_completion_knows_runs(tmp_path):
    for number in (1, 2, 10):
        (tmp_path / f"run_{number}").mkdir()
    assert completion.complete_run("", str(tmp_path)) == ["run_10", "run_2", "run_1", "latest"]
    assert completion.complete_run("run_1", str(tmp_path)) == ["run_10", "run_1"]
    assert completion.complete_run("", str(tmp_path / "none")) == []


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("ganforge train --arch dcgan:wi", "plain,width="),
        ("ganforge train --arch dcgan:width=3,ke", "plain,3,kernel="),
        ("ganforge plugins noise", "plain,noise-anneal"),
        ("ganforge tr", "plain,train"),
    ],
)
def test_bash_gets_what_stands_behind_the_last_mark_without_loading_keras(line, expected):
    completion.installed_names()  # remembered from here on
    code = "import sys\nfrom ganforge.cli import main\ntry: main([])\nfinally: assert 'keras' not in sys.modules"
    done = python("-c", code, check=False, _GANFORGE_COMPLETE="bash_complete", LINE=line)
    assert done.stderr == ""
    assert expected in done.stdout.splitlines()


def test_bash_takes_the_script():
    code = "from ganforge.cli import main; main([])"
    script = python("-c", code, check=False, _GANFORGE_COMPLETE="bash_source").stdout
    assert "complete -o nosort -F _ganforge_completion ganforge" in script
    assert subprocess.run(["bash", "-n"], input=script, text=True, check=False).returncode == 0
