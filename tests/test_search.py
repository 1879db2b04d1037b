"""A search in a study: what is tried is a function of the file, what is bad ends early, what mattered is told."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import SMALL

import ganforge
from ganforge import GANForgeError, UsageError
from ganforge.files import write_json
from ganforge.runs import read_manifest, write_manifest
from ganforge.study.mattered import searched, shown, told
from ganforge.study.plan import read_study
from ganforge.study.runner import StudyRunner
from ganforge.study.search import Trial, importances, prunes, suggest
from ganforge.study.space import read_search

TEXT = """
[common]
data = "critters:count=32"
image-size = 16
batch-size = 16
[search]
trials = 12
metric = "kid"
sampler = "tpe:seed=3,startup=4"
epochs = 1
arch = "fcgan:hidden={width},discriminator_hidden=8"
[search.space]
learning-rate = { low = 1e-5, high = 1e-1, log = true }
width = [8, 16]
balance = ["none", ["input-noise:sigma={sigma}", "r1"]]
sigma = { low = 0.1, high = 0.5, step = 0.1 }
latent-dim = { low = 4, high = 64 }
"""


@pytest.fixture(autouse=True)
def _optuna():
    pytest.importorskip("optuna")
    pytest.importorskip("sklearn")


def written(folder: Path, text: str = TEXT) -> Path:
    path = folder / "hunt.toml"
    path.write_text(text, "utf-8")
    return path


def table(**changes):
    base = {"metric": "kid", "space": {"seed": [0, 1, 2]}}
    return {**base, **changes}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"metric": "fid"}, "invalid metric fid: expected swd, tone, kid, modes"),
        ({"trials": 0}, "invalid trials = 0: expected a whole number, 1 or more"),
        ({"sampler": "tp"}, "there is no sampler 'tp'; expected tpe, random. Did you mean 'tpe'?"),
        ({"sampler": "tpe:sed=1"}, "Did you mean 'seed'?"),
        ({"pruner": "medium"}, "Did you mean 'median'?"),
        ({"pruner": "median:keep=0"}, "keep"),
        ({"trails": 3}, "Did you mean 'trials'?"),
        ({"space": {}}, "has no [search.space]"),
        ({"space": {"sed": [0]}}, "'sed' is not a setting, and no setting contains {sed}. Did you mean 'seed'?"),
        ({"space": {"seed": []}}, "expected a list of values, or { low"),
        ({"space": {"seed": [1, 1]}}, "a choice is given twice"),
        ({"space": {"seed": {"low": 1}}}, "expected numbers for low, high"),
        ({"space": {"seed": {"low": 2, "high": 1}}}, "expected low below high"),
        ({"space": {"seed": {"low": 0, "high": 1, "log": True}}}, "with log = true a low above 0"),
        ({"space": {"seed": {"low": 0, "high": 1, "lag": True}}}, "there is no 'lag' in a range"),
        ({"seed": 1}, "seed is both a setting of every trial and in the space"),
        ({"pruner": "median", "stop_when": "swd:below=3"}, "the pruner looks at kid"),
    ],
)
def test_a_mistake_in_a_search_is_one_line(changes, words):
    with pytest.raises(UsageError) as error:
        read_search(table(**changes), "it")
    assert words in str(error.value)


def test_a_choice_that_is_wrong_is_found_before_anything_is_trained(tmp_path, ganforge_cli):
    for wrong, code, words in [
        (TEXT.replace("[8, 16]", '[8, "x"]'), 2, "hidden"),
        (TEXT.replace('"r1"', '"r11"'), 2, "Did you mean 'r1'?"),
        (TEXT.replace("epochs = 1", "epochs = 0"), 2, "invalid --epochs 0"),
        (TEXT.replace('"critters:count=32"', '"./nowhere"'), 1, "there is no such folder or zip"),
    ]:
        found, _, err = ganforge_cli("study", written(tmp_path, wrong), "--dry-run")
        assert (found, words in err) == (code, True), err


def test_names_that_are_no_settings_stand_in_texts(tmp_path):
    study = read_study(written(tmp_path))
    many = {"learning_rate": 0.01, "width": "16", "sigma": 0.3, "latent_dim": 5}
    balance = "input-noise:sigma={sigma} + r1"
    entry = study.trial({**study.search.table({**many, "balance": balance}), "name": "it"})
    assert entry.settings == {
        "data": "critters:count=32",
        "image_size": 16,
        "batch_size": 16,
        "epochs": 1,
        "arch": "fcgan:hidden=16,discriminator_hidden=8",
        "learning_rate": 0.01,
        "balance": ["input-noise:sigma=0.3", "r1"],
        "latent_dim": 5,
    }
    plain = study.search.table({**many, "balance": "none"})
    assert plain["balance"] == "none"
    pruned = replace(study.search, pruner="median").table({**many, "balance": "none"})
    assert pruned["stop_when"].startswith("kid:below=-1")  # looks, and ends nothing


def test_what_is_drawn_lies_in_the_space_and_follows_its_scale(tmp_path):
    search = read_study(written(tmp_path, TEXT.replace("tpe:seed=3,startup=4", "random:seed=1"))).search
    known = []
    for _ in range(80):
        known.append(replace(suggest(search, known), state="failed"))
    rates = np.log10([trial.params["learning_rate"] for trial in known])
    assert rates.min() >= -5
    assert rates.max() <= -1
    # Uniform over the logarithm: the largest distance of the distribution functions, Kolmogorov's 0.1 % limit.
    steps = (np.sort(rates) + 5) / 4
    assert np.abs(steps - np.arange(80) / 80).max() < 1.95 / np.sqrt(80)
    assert {trial.params["width"] for trial in known} == {"8", "16"}
    assert {round(trial.params["sigma"], 6) for trial in known} == {0.1, 0.2, 0.3, 0.4, 0.5}
    sizes = {trial.params["latent_dim"] for trial in known}
    assert {type(size) for size in sizes} == {int}
    assert min(sizes) >= 4
    assert max(sizes) <= 64


def hunted(search, cost, upto=None, known=()):
    """Return trials of a search whose metric is ``cost`` of what was chosen."""
    known = list(known)
    while len(known) < (upto or search.trials):
        trial = suggest(search, known)
        known.append(replace(trial, state="done", value=cost(trial.params)))
    return known


def test_a_search_that_was_cut_off_goes_on_as_if_it_had_not_been(tmp_path):
    search = read_study(written(tmp_path)).search

    def cost(params):
        return abs(np.log10(params["learning_rate"]) + 3) + (params["width"] == "8")

    whole = hunted(search, cost)
    part = hunted(search, cost, upto=7)
    again = [Trial.of(json.loads(json.dumps(trial.record))) for trial in part]
    assert hunted(search, cost, known=again) == whole
    assert len({json.dumps(trial.params) for trial in whole}) == len(whole)
    other = replace(search, sampler_options=search.sampler_options.model_copy(update={"seed": 4}))
    assert hunted(other, cost)[0].params != whole[0].params


def test_it_finds_more_than_chance_does(tmp_path):
    text = TEXT.replace("startup=4", "startup=8")
    tpe = read_study(written(tmp_path, text)).search
    random = read_study(written(tmp_path, text.replace("tpe:seed=3,startup=8", "random:seed=3"))).search

    def cost(params):
        return (np.log10(params["learning_rate"]) + 3) ** 2 + 3 * (params["width"] == "8")

    def last(search):
        return np.mean([trial.value for trial in hunted(search, cost, upto=40)[20:]])

    assert last(tpe) < 0.5 * last(random)


@pytest.mark.parametrize("falling", [True, False])
def test_a_trial_ends_where_its_best_is_worse_than_the_median(tmp_path, falling):
    text = TEXT.replace("epochs = 1", 'epochs = 1\npruner = "median:startup=3,warmup=1"')
    search = read_study(written(tmp_path, text if falling else text.replace('"kid"', '"modes"'))).search
    sign = 1 if falling else -1
    curves = np.array([[9, 5, 4], [8, 6, 3], [7, 7, 7], [9, 2, 2.0]])
    params = suggest(search, []).params
    known = [Trial(i, params, "done", sign * c[-1], list(sign * c)) for i, c in enumerate(curves)]
    for mine in ([9.0], [9, 8], [9, 5], [5, 9], [9, 5, 3.4], [9, 5, 3.6], [9, 9, 9]):
        at = len(mine) - 1
        wanted = at >= 1 and min(mine) > np.median(curves[:, at])
        trial = Trial(4, params, seen=[sign * value for value in mine])
        assert prunes(search, known, trial) == wanted, mine
    assert not prunes(search, known[:2], Trial(4, params, seen=[sign * 99.0] * 3))  # too few to compare with
    assert not prunes(replace(search, pruner="none"), known, Trial(4, params, seen=[sign * 99.0] * 3))


def test_what_mattered_is_the_share_of_the_variance(tmp_path):
    space = {"seed": {"low": 0.0, "high": 1.0}, "epochs": {"low": 0.0, "high": 1.0}}
    search = read_search({"metric": "swd", "trials": 80, "sampler": "random", "space": space}, "it")
    known = hunted(search, lambda params: 3 * params["seed"] + params["epochs"])
    # Var(3x + y) is (9 + 1) / 12 for independent uniform x and y: nine tenths and one tenth.
    shares = importances(search, known)
    assert list(shares) == ["seed", "epochs"]
    assert shares["seed"] == pytest.approx(0.9, abs=0.06)
    assert sum(shares.values()) == pytest.approx(1, abs=1e-6)
    assert importances(search, known[:3]) == {}
    assert importances(search, [replace(trial, value=1.0) for trial in known]) == {}


# ------------------------------------------------------------------ carried out


@pytest.fixture(scope="module")
def source(tmp_path_factory) -> Path:
    """A finished run, which stands for each trial's."""
    place = tmp_path_factory.mktemp("source")
    return ganforge.train(**SMALL, epochs=1, runs_dir=place, progress=False).path


MEASURED = {"format": 1, "step": 2, "samples": 16, "real": 16}


class Elsewhere:
    """An executor that trains nothing: a run's KID is the distance of its learning rate from 1e-3, in decades."""

    def __init__(self, source, runs_dir, most=99):
        self.source, self.runs_dir, self.most, self.tasks = source, runs_dir, most, []

    def start(self, task, place):
        self.tasks.append(task)
        number = len(list(self.runs_dir.glob("run_*"))) + 1
        return Elsewhere.Worker(self, task, self.runs_dir / f"run_{number}")

    class Worker:
        def __init__(self, executor, task, run):
            self.executor, self.task, self.run, self.told = executor, task, run, []

        def reports(self):
            shutil.copytree(self.executor.source, self.run)
            yield {"run": str(self.run), "step": 0, "steps": 2}
            kid = abs(float(np.log10(self.task["settings"]["learning_rate"])) + 3)
            yield {"seen": [[1, kid + 1], [2, kid]]}
            if len(self.executor.tasks) == self.executor.most:
                raise KeyboardInterrupt  # as if the machine had been lost
            write_json(
                self.run / "evaluation.json", {**MEASURED, "kid": {"value": kid, "floor": None, "features": "none"}}
            )

        def wait(self):
            return 130 if self.told else 0

        def interrupt(self, again):
            self.told.append(again)


def carried_out(place: Path, source: Path, text: str = TEXT, most: int = 99) -> StudyRunner:
    place.mkdir(exist_ok=True)
    executor = Elsewhere(source, place / "runs", most)
    runner = StudyRunner(read_study(written(place, text)), place / "runs", executor=executor)
    runner.run()
    return runner


def params_of(place: Path) -> list[dict]:
    index = json.loads((place / "runs" / "hunt.study.json").read_text("utf-8"))
    return [trial["params"] for trial in index["search"]["trials"]]


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_trials_are_ordinary_runs_and_the_study_goes_on(tmp_path, source, ganforge_cli):
    whole = carried_out(tmp_path / "whole", source)
    assert [row.entry.name for row in whole.rows] == [f"trial {i}" for i in range(12)]
    assert {row.state for row in whole.rows} == {"done"}
    assert whole.executor.tasks[0]["settings"]["arch"].startswith("fcgan:hidden=")

    cut = carried_out(tmp_path / "cut", source, most=5)
    assert [row.state for row in cut.rows] == ["done"] * 4 + ["running"]
    again = carried_out(tmp_path / "cut", source)
    assert {row.state for row in again.rows} == {"done"}
    assert len(again.executor.tasks) == 8
    assert params_of(tmp_path / "cut") == params_of(tmp_path / "whole")

    runs = tmp_path / "cut" / "runs"
    assert carried_out(tmp_path / "cut", source).executor.tasks == []  # nothing is left
    more = carried_out(tmp_path / "cut", source, TEXT.replace("trials = 12", "trials = 13"))
    assert len(more.executor.tasks) == 1

    (record,) = searched(["hunt"], runs)
    kids = [abs(np.log10(params["learning_rate"]) + 3) for params in params_of(tmp_path / "cut")]
    about = shown(record)
    assert about["best"] == {"name": f"trial {int(np.argmin(kids))}", "value": pytest.approx(min(kids))}
    shares = [row["share"] for row in about["rows"]]
    assert {row["name"] for row in about["rows"]} == {"learning-rate", "width", "balance", "sigma", "latent-dim"}
    assert shares == sorted(shares, reverse=True)
    assert f"The best kid of 13 trials is {min(kids):.4g}" in told(record)[0]
    code, out, _ = ganforge_cli("report", "hunt", "--runs-dir", runs)
    assert code == 0
    page = (runs / "hunt.html").read_text("utf-8")
    assert "What mattered for kid, by functional ANOVA over 13 trials: " in page
    assert '"searches": [{"metric": "kid"' in page or '"searches":[{"metric":"kid"' in page
    code, out, _ = ganforge_cli("compare", "hunt", "--runs-dir", runs)
    assert "The best kid of 13 trials" in " ".join(out.split())

    other = carried_out(tmp_path / "cut", source, TEXT.replace("seed=3", "seed=5"))
    assert len(other.executor.tasks) == 12  # another search begins anew, and forgets the trials of the old
    assert len(json.loads((runs / "hunt.study.json").read_text())["entries"]) == 12


def test_a_trial_that_is_worse_is_told_to_save_and_end(tmp_path, source):
    text = TEXT.replace("epochs = 1", 'epochs = 1\npruner = "median:startup=2"')
    runner = carried_out(tmp_path / "it", source, text)
    states = [row.state for row in runner.rows]
    assert states[:2] == ["done", "done"]
    kids = [abs(np.log10(params["learning_rate"]) + 3) for params in params_of(tmp_path / "it")]
    done: list[float] = []
    for kid in kids:  # the median of those that were trained to their end, at the last snapshot
        done += [kid] if len(done) < 2 or kid <= np.median(done) else []
    assert [kids[i] for i, state in enumerate(states) if state == "done"] == pytest.approx(done)
    assert states.count("pruned") == len(kids) - len(done) > 0
    assert carried_out(tmp_path / "it", source, text).executor.tasks == []  # what was pruned is not trained further
    (record,) = searched(["hunt"], tmp_path / "it" / "runs")
    pruned = states.count("pruned")
    assert f"{pruned} of 12 trials {'was' if pruned == 1 else 'were'} stopped early." in told(record)


def test_a_damaged_search_is_one_line(tmp_path, source):
    carried_out(tmp_path / "it", source, TEXT.replace("trials = 12", "trials = 2"))
    index = tmp_path / "it" / "runs" / "hunt.study.json"
    whole = json.loads(index.read_text("utf-8"))
    for damage in ([], {"trials": 3}, {**whole["search"], "trials": [{"number": "x"}]}):
        index.write_text(json.dumps({**whole, "search": damage}), "utf-8")
        with pytest.raises(GANForgeError, match="damaged"):
            StudyRunner(read_study(tmp_path / "it" / "hunt.toml"), tmp_path / "it" / "runs")


def test_without_the_extra_it_says_so(tmp_path, ganforge_cli, monkeypatch):
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "optuna" else find(name))
    code, _, err = ganforge_cli("study", written(tmp_path))
    assert (code, "pip install 'ganforge[search]'" in err) == (1, True)
    code, _, err = ganforge_cli("study", written(tmp_path), "--no-evaluate")
    assert (code, "leave out --no-evaluate" in err) == (2, True)


def test_the_run_that_others_begin_with_is_looked_at_first(tmp_path, source, ganforge_cli):
    shutil.copytree(source, tmp_path / "runs" / "run_1")
    for name, words in (
        ("run_1", ""),
        ("run_9", "there is no run 'run_9'"),
        ("empty", "has no checkpoint to continue"),
    ):
        run = tmp_path / "empty"
        if not run.exists():
            run.mkdir()
            write_manifest(run, read_manifest(source))
        (tmp_path / "on.toml").write_text(f'[[run]]\nname = "it"\nfrom = "{name}"\nepochs = 1\n', "utf-8")
        code, out, err = ganforge_cli("study", "on.toml", "--dry-run")
        assert (code, words in err) == (int(bool(words)), True), (out, err)
    # What of it is wrong with what is asked shows too: its own architecture is taken, and has no such option.
    (tmp_path / "on.toml").write_text('[[run]]\nfrom = "run_1"\nbalance = "r11"\n', "utf-8")
    code, _, err = ganforge_cli("study", "on.toml", "--dry-run")
    assert (code, "Did you mean 'r1'?" in err) == (1, True)


@pytest.mark.slow
def test_a_search_from_start_to_end(tmp_path, ganforge_cli, monkeypatch):
    """Two trials, trained: what each saw of itself is what its run.json has, and the second is ended on purpose."""
    monkeypatch.setattr("ganforge.study.searching.prunes", lambda search, known, trial: trial.number == 1)
    text = """
[common]
arch = "fcgan:hidden=8,discriminator_hidden=8"
data = "critters:count=32"
image-size = 16
batch-size = 16
epochs = 200
snapshot-every = 50
[search]
trials = 2
metric = "swd"
pruner = "median"
[search.space]
learning-rate = { low = 1e-4, high = 1e-3, log = true }
"""
    written(tmp_path, text)
    code, out, err = ganforge_cli("study", "hunt.toml", "--samples", 32)
    assert code == 0, err
    assert "trial 1: pruned" in out
    record = json.loads((tmp_path / "runs" / "hunt.study.json").read_text())["search"]
    first, second = record["trials"]
    runs = [tmp_path / "runs" / f"run_{i}" for i in (1, 2)]
    assert first["value"] == json.loads((runs[0] / "evaluation.json").read_text())["swd"]["mean"]
    assert first["seen"] == [one["value"] for one in read_manifest(runs[0])["early_end"]["seen"]]
    assert len(first["seen"]) == 4
    assert read_manifest(runs[0])["state"] == "finished"
    manifest = read_manifest(runs[1])
    assert (second["state"], manifest["state"]) == ("pruned", "stopped")
    assert 0 < manifest["progress"]["step"] < 400
