"""What the files of a run from elsewhere hold is looked at where it is read."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from stranger import STEP, copied, finished, places, replaced
from support import one_line

from ganforge import GANForgeError, Run
from ganforge.runs.metrics import Reader
from ganforge.runs.typed import Manifest, wrong


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return finished(tmp_path_factory.mktemp("made"))


@pytest.fixture
def run(made, tmp_path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return copied(made, tmp_path)


WRONG = (None, True, -1, 0, 10**400, 1e308, "", "\x1b]0;owned\x07\x1b[2J", "[/]", [], [None], ["x"], {}, {"a": {}})


def looked_at_in_every_way(run: Path) -> list[str]:
    """Do what the commands do with a run that nobody trains, but print and write; return what they refuse it with."""
    from ganforge.cli.console import console
    from ganforge.cli.runs import _row
    from ganforge.cli.show import _curves, _story
    from ganforge.diagnosis.advice import command
    from ganforge.diagnosis.evidence import gather
    from ganforge.diagnosis.rules import diagnose
    from ganforge.report.following import Following
    from ganforge.report.report import report_data
    from ganforge.report.server import answer
    from ganforge.runs import read_manifest, read_metrics, run_state
    from ganforge.study.summary import summarise

    ways = (
        lambda: (_row("run_1", read_manifest(run)), run_state(run, read_manifest(run))),
        lambda: _story(read_manifest(run)),
        lambda: console().print(_curves(read_metrics(run))),
        lambda: [command(gather(run), finding) for finding in diagnose(gather(run))],
        lambda: json.dumps(report_data([summarise("run_1", run)], "it", 2), allow_nan=False),
        lambda: answer(Following(run), "/state.json"),
        lambda: Run(run).config,
        lambda: (Run(run).classes, Run(run).plugin_files()),
    )
    refusals = []
    for way in ways:
        said = ""
        try:
            way()
        except GANForgeError as error:
            said = str(error)
        assert "\x1b" not in said
        assert len(said.splitlines()) <= 1
        refusals.append(said)
    return refusals


@pytest.mark.parametrize("name", ["run.json", "metrics.jsonl", "evaluation.json"])
def test_any_field_of_another_kind_is_one_line_or_a_readable_run(name, run, ganforge_cli, tmp_path):
    path = run / name
    if name == "evaluation.json":
        assert ganforge_cli("evaluate", "run_1", "--samples", 16, "--json")[0] == 0
    lines = path.read_text().splitlines() if name == "metrics.jsonl" else [path.read_text()]
    whole = json.loads(lines[-1])
    cases = [(place, new) for place in places(whole) for new in (*WRONG, KeyError)]
    random = np.random.default_rng(7)
    chosen = [
        cases[i]
        for i in sorted(random.choice(len(cases), min(len(cases), 120 if name == "run.json" else 50), replace=False))
    ]
    shutil.copytree(run, tmp_path / "runs" / "run_2")
    for i, (place, new) in enumerate(chosen):
        path.write_text("\n".join([*lines[:-1], json.dumps(replaced(whole, place, new)), ""]))
        try:
            looked_at_in_every_way(run)
            if i % 20 == 0:
                code, out, err = ganforge_cli("runs")
                assert code == 0
                assert "run_2" in out  # a bad one hides no other
                assert "\x1b" not in out + err
                for words in ("show run_1", "show run_1 --csv", "diagnose run_1", "compare run_1 run_2", "gif run_1"):
                    code, out, err = ganforge_cli(*words.split())
                    assert code == 0 or (code == 1 and one_line(err))
                    assert "\x1b" not in out + err
        except Exception as error:
            raise AssertionError(f"{'.'.join(map(str, place))} = {new!r}"[:200]) from error


def test_what_is_missing_is_one_line_wherever_it_is_asked_for(run):
    path = run / "run.json"
    whole = json.loads(path.read_text())
    said = []
    for place in [place for place in places(whole) if len(place) == 1 or place[0] in ("config", "data", "progress")]:
        path.write_text(json.dumps(replaced(whole, place, KeyError)))
        said += looked_at_in_every_way(run)
    assert sum("it has no" in line for line in said) > 20


def test_types_are_held_to_the_letter(tmp_path):
    good = {"config": {"epochs": 3, "balance": ["a"]}}
    assert wrong(Manifest, good) is None
    for name, value in (("epochs", "3"), ("epochs", True), ("epochs", 3.0), ("balance", "a"), ("balance", None)):
        assert f"config.{name}" in (wrong(Manifest, {"config": {name: value}}) or "")
    lines = [{"step": 1, "d_loss": 0.5}, {"step": 2, "d_loss": True}, {"step": 3, "d_loss": "1"}, {"step": True}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with Reader(tmp_path) as reader:
        assert [line for _, line in reader] == [lines[0], None, None, None]


@pytest.mark.parametrize("levels", [65, 200, 400, 900, 100_000])
@pytest.mark.parametrize("name", ["run.json", "evaluation.json", f"{STEP}/state.json"])
def test_what_is_nested_too_deeply_is_one_line_and_hides_no_other_run(name, levels, run, ganforge_cli):
    """Where nobody looks at it, too: it would be written again when the run goes on."""
    path = run / name
    if not path.exists():
        assert ganforge_cli("evaluate", "run_1", "--samples", 16, "--json")[0] == 0
    shutil.copytree(run, run.with_name("run_2"))
    whole = path.read_text().strip()
    path.write_text(whole[:-1] + ', "extra": ' + '{"a": ' * levels + "1" + "}" * levels + "}")
    for words in ("runs", "show run_1", "compare run_1 run_2", "resume run_1 --epochs 3 --quiet"):
        if name == "evaluation.json" and "resume" in words:
            continue
        code, out, err = ganforge_cli(*words.split())
        assert "run_2" in out or words != "runs"
        if code:
            assert "--debug" not in one_line(err)
    if name == f"{STEP}/state.json":
        assert "nested too deeply" in err
    if name == "run.json":
        assert "nested too deeply" in one_line(ganforge_cli("show", "run_1")[2])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda arrays, about: (arrays.clear(), about["scalars"].clear()), "holds no weights"),
        (lambda arrays, about: about.update(state={}), "state is empty"),
        (lambda arrays, about: about["state"].update(signals={"d_loss": "much"}), "state.signals.d_loss"),
        (lambda arrays, about: about["state"].update(strategies=[]), "state.strategies"),
        (lambda arrays, about: about["state"].update(seconds=-1), "state.seconds"),
        (lambda arrays, about: about.update(scalars=[3]), "scalars.0"),
        (lambda arrays, about: next(iter(arrays.values())).fill(np.nan), "not finite"),
        (lambda arrays, about: next(iter(arrays.values())).fill(np.inf), "not finite"),
        (
            lambda arrays, about: arrays.update(
                {k: v.astype("f2") for k, v in arrays.items() if v.dtype.kind == "f"}
            ),
            "float16, expected",
        ),
        (lambda arrays, about: arrays.update({k: v.astype("i4") for k, v in arrays.items()}), "int32, expected"),
        (lambda arrays, about: arrays.update({k: v[..., None] for k, v in arrays.items()}), "has the shape"),
        (lambda arrays, about: about.update(step=99), "only 4 steps"),
    ],
)
def test_a_checkpoint_that_no_training_leaves_is_refused(change, says, run, ganforge_cli):
    from safetensors.numpy import load_file, save

    for older in (run / "checkpoints").iterdir():
        if older.name != "step_00000004":
            shutil.rmtree(older)
    step = run / STEP
    arrays, about = load_file(step / "weights.safetensors"), json.loads((step / "state.json").read_text())
    arrays = {name: array.copy() for name, array in arrays.items()}
    change(arrays, about)
    content = save(arrays)
    about["sha256"] = hashlib.sha256(content).hexdigest()
    (step / "weights.safetensors").write_bytes(content)
    (step / "state.json").write_text(json.dumps(about))
    step.rename(step.with_name(f"step_{about['step']:08d}"))
    code, _, err = ganforge_cli("resume", "run_1", "--epochs", 100, "--quiet")
    assert code == 1
    assert says in one_line(err)


def test_an_index_of_a_study_names_runs_beside_it_alone(run, ganforge_cli, tmp_path):
    shutil.copytree(run, tmp_path / "mine")
    for place in ("../mine", str(tmp_path / "mine"), "run_1/../../mine", 3, None):
        (tmp_path / "runs" / "all.study.json").write_text(json.dumps({"entries": {"a": {"run": place}}}))
        for words in ("compare all", "report all"):
            code, _, err = ganforge_cli(*words.split())
            assert code == 1
            assert "all.study.json is damaged" in one_line(err)


def test_no_terminal_obeys_a_text_of_a_run(run, ganforge_cli):
    """Every text of run.json at once, in every command that prints some."""
    whole = json.loads((run / "run.json").read_text())
    texts = [place for place in places(whole) if place[0] != "state"]
    evil = whole
    for place in texts:
        value = evil
        for name in place:
            value = value[name]
        if isinstance(value, str) and place[-1] not in ("ema", "fingerprint"):
            evil = replaced(evil, place, f"{value}\x1b]0;owned\x07\x9b2J\u202e")
    (run / "run.json").write_text(json.dumps(evil))
    line = {**json.loads((run / "metrics.jsonl").read_text().splitlines()[-1]), "strategy/\x1b[2J": 1.0}
    (run / "metrics.jsonl").write_text(json.dumps(line) + "\n")
    said = ""
    for words in (
        "runs",
        "show run_1",
        "show run_1 --csv",
        "diagnose run_1",
        "compare run_1",
        "resume run_1 --epochs 3",
    ):
        _, out, err = ganforge_cli(*words.split())
        said += out + err
    assert "owned" in said
    assert not set("\x1b\x07\x9b\u202e") & set(said)
