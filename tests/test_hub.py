"""Runs to and from a hub that stands on this machine: what is sent, what is not, and what a stranger's run may do."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest
from hub_server import SHA, TOKEN, serving
from stranger import finished
from support import one_line

from ganforge import GANForgeError, Run, UsageError
from ganforge.cli import main
from ganforge.export.hub import is_part
from ganforge.export.private import shortened, without_places

hub_library = pytest.importorskip("huggingface_hub")


@pytest.fixture
def hub(monkeypatch, tmp_path):
    from huggingface_hub import constants

    with serving() as one:
        for name in ("ENDPOINT", "_HF_DEFAULT_ENDPOINT"):
            monkeypatch.setattr(constants, name, one.address)
        template = f"{one.address}/{{repo_id}}/resolve/{{revision}}/{{filename}}"
        monkeypatch.setattr("huggingface_hub.file_download.HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)
        for name, folder in (("HF_HUB_CACHE", "hub"), ("HF_TOKEN_PATH", "token"), ("HF_STORED_TOKENS_PATH", "all")):
            monkeypatch.setattr(constants, name, str(tmp_path / "hf" / folder))
        monkeypatch.setenv("HF_TOKEN", TOKEN)
        for name in [name for name in os.environ if name.lower().endswith("_proxy")]:
            monkeypatch.delenv(name)
        yield one


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return Run(finished(tmp_path_factory.mktemp("runs")))


def test_a_run_goes_to_the_hub_and_comes_back_the_same(hub, run, tmp_path):
    assert run.push("me/cats", private=True, message="First", checkpoint=True) == f"{hub.address}/me/cats"
    assert hub.private == {"me/cats": True}
    assert hub.messages == ["First"]
    sent = hub.repos["me/cats"]
    last = "checkpoints/step_00000004"
    assert set(sent) >= {"README.md", "run.json", "generator.keras", f"{last}/weights.safetensors"}
    assert (
        f"![Generated pictures](<{max(n for n in sent if n.startswith('snapshots/'))}>)" in sent["README.md"].decode()
    )
    back = Run.from_hub("me/cats", runs_dir=tmp_path / "runs")
    assert back.path == tmp_path / "runs" / "run_1"
    np.testing.assert_array_equal(back.sample(5, seed=2), run.sample(5, seed=2))
    assert back.manifest["id"] == "run_1"
    assert back.manifest["pulled"] == {"repository": "me/cats", "revision": SHA}
    for name in (f"{last}/weights.safetensors", "metrics.jsonl", "generator.keras"):
        assert (back.path / name).read_bytes() == (run.path / name).read_bytes()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == ["run_1"]
    assert Run.from_hub("me/cats", runs_dir=tmp_path / "runs").id == "run_2"


def test_a_run_can_be_trained_further_by_those_who_fetch_it(hub, run, tmp_path):
    run.push("me/cats", checkpoint=True)
    back = Run.from_hub("me/cats", runs_dir=tmp_path / "runs").resume(epochs=3, progress=False)
    assert back.manifest["progress"]["step"] == 6


def test_nothing_of_this_machine_is_sent(hub, run, tmp_path, monkeypatch):
    run.push("me/cats")
    folders = [str(run.path.parent), str(run.path), os.getcwd(), str(tmp_path)]
    for name, content in hub.repos["me/cats"].items():
        for folder in folders:
            assert folder.encode() not in content, (name, folder)
    assert json.loads(hub.repos["me/cats"]["run.json"])["process"] == {"pid": 0}
    assert not any(name.startswith("checkpoints/") for name in hub.repos["me/cats"])


def test_of_every_place_the_last_part_stays(tmp_path):
    manifest = {
        "config": {
            "data": "/home/me/secret/x.h5:images=a/b",
            "runs_dir": "/home/me/runs",
            "plugins": ["/home/me/code/mine.py"],
            "log": ["mlflow:uri=https://me:password@server"],
        },
        "data": {"path": "/home/me/secret/x.h5", "description": "10 pictures of /home/me/secret/x.h5", "skipped": []},
        "plugins": [{"file": "/home/me/code/mine.py", "sha256": "0" * 64}],
        "from": {"path": "C:\\Users\\me\\runs\\run_2", "run": "run_2"},
        "process": {"pid": 7, "host": "my-laptop"},
    }
    text = json.dumps(without_places(manifest, tmp_path / "run_1"))
    for word in ("home", "secret", "Users", "laptop", "password", "code/"):
        assert word not in text
    assert json.loads(text)["config"]["data"] == "x.h5:images=a/b"
    assert json.loads(text)["data"]["description"] == "10 pictures of x.h5"
    assert json.loads(text)["plugins"][0]["file"] == "mine.py"
    for given, left in (
        ("critters:count=64", "critters:count=64"),
        ("../photos/cats/", "cats"),
        ("C:\\photos\\x.npz:images=K", "x.npz:images=K"),
        ("stacked:source=/a/b.npz,n=3", "stacked:source=b.npz,n=3"),
        ("photos", "photos"),
    ):
        assert shortened(given) == left


# ------------------------------------------------------------------ strangers


@pytest.mark.parametrize(
    "name",
    [
        *("mine.py", "../run.json", "/etc/passwd", "checkpoints/step_1/../../x.json", "model.pkl", "snapshots/a.png"),
        *("checkpoints/step_1/state.json/x", ".lock", "run.json\n", "SNAPSHOTS/epoch_1.png"),
    ],
)
def test_what_no_run_consists_of_is_not_fetched(name):
    assert not is_part(name)


def test_a_stranger_s_run_is_looked_at_first(hub, run, tmp_path):
    run.push("me/cats")
    files = hub.repos["me/cats"]
    files["evil.py"] = b"raise SystemExit"
    manifest = json.loads(files["run.json"])
    files["run.json"] = json.dumps({**manifest, "progress": {"step": "many"}}).encode()
    with pytest.raises(GANForgeError, match="is damaged"):
        Run.from_hub("me/cats", runs_dir=tmp_path / "runs")
    assert list((tmp_path / "runs").iterdir()) == []
    hub.said["metrics.jsonl"] = 2**60
    with pytest.raises(GANForgeError, match="more than the free space in"):
        Run.from_hub("me/cats", runs_dir=tmp_path / "runs")
    hub.said.clear()
    # A plugin file that it names is not among what is fetched, and is asked for.
    manifest["plugins"] = [{"file": "evil.py", "sha256": "0" * 64}]
    manifest["config"]["plugins"] = ["evil.py"]
    files["run.json"] = json.dumps(manifest).encode()
    back = Run.from_hub("me/cats", runs_dir=tmp_path / "runs")
    assert not (back.path / "evil.py").exists()
    assert "evil.py" in back.plugin_files().refused[0]
    assert back.plugin_files().load == ()
    files["generator.keras"] = b"PK no network"
    with pytest.raises(GANForgeError, match=r"generator\.keras cannot be opened"):
        Run.from_hub("me/cats", runs_dir=tmp_path / "runs").generator()


def test_what_the_hub_refuses_is_one_line(hub, run, tmp_path, capsys, monkeypatch):
    def said(*words):
        with pytest.raises(SystemExit) as end:
            main([str(word) for word in words])
        return end.value.code, one_line(capsys.readouterr().err)

    place = ("--runs-dir", tmp_path / "runs")
    assert said("pull", "me/dogs", *place) == (
        1,
        "ganforge: there is no me/dogs on the Hub, or you have no access to it: hf auth login",
    )
    hub.repos["me/empty"] = {"README.md": b"nothing"}
    assert "is not a GANForge run" in said("pull", "me/empty", *place)[1]
    assert "no such revision" in said("pull", "me/empty", "--revision", "v9", *place)[1]
    code, line = said("push", run.path, "cats")
    assert code == 2
    assert "expected USER/NAME" in line
    monkeypatch.setenv("HF_TOKEN", "hf_another")
    code, line = said("push", run.path, "me/cats")
    assert code == 1
    assert "hf auth login" in line
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(GANForgeError, match=r"pip install 'ganforge\[hub\]'$"):
        run.push("me/cats")
    with pytest.raises(UsageError, match="expected USER/NAME"):
        Run.from_hub("me/../cats")
