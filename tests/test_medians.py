"""The table over the seeds: its groups, its medians, the rows that others add, and the study that comes by name."""

from __future__ import annotations

import json
import statistics
from pathlib import Path

import pytest

import ganforge
from ganforge.errors import UsageError
from ganforge.plugin.registry import load_plugins
from ganforge.study.medians import medians, write_medians
from ganforge.study.named import find_study, names
from ganforge.study.plan import Entry, Study, read_study
from ganforge.study.rows import only, with_rows
from ganforge.study.summary import Summary

RING, GRID = "gaussians:kind=ring", "gaussians:kind=grid"


def summary(seed, covered, kl=None, data=RING, balance=("none",), **config):
    settings = {"arch": "mlp", "loss": "bce", "seed": seed, "epochs": 5, "data": data, "balance": list(balance)}
    measured = {"modes": {"covered": covered, "high_quality": covered / 10, "reverse_kl": kl}}
    manifest = {"config": {**settings, **config}, "parameters": {"generator": 1}}
    return Summary("x", Path("run_1"), manifest, [], measured, {}, {"training_flops": 1})


def test_medians_and_ranges_are_those_of_the_seeds():
    found = medians(
        [
            *(summary(seed, covered) for seed, covered in enumerate((3, 8, 4, 6))),
            *(summary(seed, covered, balance=("r1", "r2")) for seed, covered in enumerate((8, 7, 8))),
            summary(0, 20, data=GRID),
            summary(0, 5, loss="hinge"),
            summary(0, 2, optimizer="sgd"),
        ]
    )
    assert list(found.rows) == ["none", "r1 + r2", "hinge", "sgd"]
    assert found.data == [RING, GRID]
    head, lines = found.table(RING)
    assert head == ["", "seeds", "modes", "precision"]
    # The most modes on top; where medians are equal, the highest precision.
    assert lines[0] == ["r1 + r2", "3", "**8 (7–8)**", "**0.80 (0.70–0.80)**"]
    by_way = {line[0]: line for line in lines}
    assert by_way["none"] == ["none", "4", f"{statistics.median([3, 8, 4, 6]):.0f} (3–8)", "0.50 (0.30–0.80)"]
    assert by_way["hinge"][:3] == ["hinge", "1", "5"]
    assert [line[0] for line in lines][-1] == "sgd"
    assert found.table(GRID)[1] == [["none", "1", "20", "2.00"]]  # alone it is not the best of anything
    assert "| `r1 + r2` | 3 | **8 (7–8)** | **0.80 (0.70–0.80)** |" in found.markdown()
    assert found.numbers()[0] == {
        "way": "none",
        "data": RING,
        "modes": [3.0, 8.0, 4.0, 6.0],
        "precision": [0.3, 0.8, 0.4, 0.6],
    }


def test_a_low_kl_is_the_best_and_ways_that_differ_in_more_are_told_apart():
    found = medians(
        [
            *(summary(0, 9, 0.2), summary(0, 9, 0.1, epochs=9), summary(1, 9, 0.3, epochs=9)),
            *(summary(0, 9, None), summary(0, 9, 0.5, epochs=7)),
        ]
    )
    assert list(found.rows) == ["epochs=5", "epochs=9", "epochs=7"]
    kl = [column for column in found.columns(RING) if column.key == "kl"]
    assert len(kl) == 1
    cells = {way: found.rows[way][RING]["kl"] for way in found.rows}
    assert {way: found.is_best(RING, "kl", cell) for way, cell in cells.items()} == {
        "epochs=5": True,
        "epochs=9": True,
        "epochs=7": False,
    }
    assert cells["epochs=9"].median == 0.2


def test_a_page_is_written_where_runs_differ_in_the_seed(tmp_path):
    study = Study("s", "about it")
    assert write_medians(study, [summary(0, 3), summary(0, 4, loss="hinge")], tmp_path) is None
    page = write_medians(study, [summary(0, 3), summary(1, 4)], tmp_path)
    assert page == tmp_path / "s.md"
    text = page.read_text("utf-8")
    assert text.startswith("# s\n\nabout it\n")
    assert "| `none` | 2 | 3.5 (3–4) |" in text


# ------------------------------------------------------------------ rows and parts of a study


def plain(name="seed=0 none", **more) -> Entry:
    return Entry(name, {"arch": "mlp", "balance": ["none"], "seed": 0, **more})


def test_a_row_stands_beside_every_run_without_balance():
    registry = load_plugins()
    study = Study(
        "s",
        entries=[
            plain(),
            plain("seed=1 none", seed=1),
            plain("hinge", loss="hinge"),
            Entry("seed=0 r1", {"balance": ["r1"]}),
        ],
    )
    texts = ["label-noise:flip=0.2", "r1:gamma=2 + r2", "hinge", "optimistic-adam", "fcgan:hidden=8"]
    added = with_rows(study, texts, registry).entries[4:]
    assert [entry.name for entry in added] == [
        "seed=0 label-noise:flip=0.2",
        "seed=1 label-noise:flip=0.2",
        "seed=0 r1:gamma=2 + r2",
        "seed=1 r1:gamma=2 + r2",
        "seed=0 loss=hinge",
        "seed=1 loss=hinge",
        "seed=0 optimizer=optimistic-adam",
        "seed=1 optimizer=optimistic-adam",
        "seed=0 arch=fcgan:hidden=8",
        "seed=1 arch=fcgan:hidden=8",
    ]
    assert added[2].settings == {"arch": "mlp", "balance": ["r1:gamma=2", "r2"], "seed": 0}
    assert added[5].settings == {"arch": "mlp", "balance": ["none"], "loss": "hinge", "seed": 1}
    assert added[8].settings == {"arch": "fcgan:hidden=8", "balance": ["none"], "seed": 0}
    once = with_rows(study, ["r1"], registry)
    assert [entry.name for entry in once.entries[4:]] == ["seed=1 r1"]  # seed=0 has it already


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("label-nois", "no strategy, loss, optimizer or architecture 'label-nois'. Did you mean 'label-noise'?"),
        ("label-noise:flp=1", "flp"),
        ("hinge + bce", "only strategies can be joined by +"),
    ],
)
def test_what_cannot_be_added_is_said(text, words):
    with pytest.raises(UsageError) as caught:
        with_rows(Study("s", entries=[plain()]), [text], load_plugins())
    assert words in str(caught.value)
    with pytest.raises(UsageError, match='no run with balance = "none"'):
        with_rows(Study("s", entries=[Entry("r1", {"balance": ["r1"]})]), ["r1"], load_plugins())


def test_some_runs_are_chosen_by_words_of_their_names():
    study = Study("s", entries=[Entry(f"seed={n} data={data}", {}) for n in (0, 10, 1) for data in ("ring", "grid")])

    def chosen(*texts):
        return [entry.name for entry in only(study, texts).entries]

    assert chosen("seed=0 ring") == ["seed=0 data=ring"]
    assert chosen("seed=0 grid", "seed=10") == ["seed=0 data=grid", "seed=10 data=ring", "seed=10 data=grid"]
    assert chosen("seed=1 ring") == ["seed=1 data=ring"]
    assert chosen("1 ring", "0 grid") == ["seed=0 data=grid", "seed=1 data=ring"]
    assert len(chosen("seed= ring")) == 3
    assert len(chosen()) == 6
    with pytest.raises(UsageError, match="--only 'sed=0' matches no run of the study"):
        chosen("sed=0")


def test_an_added_row_stays_beside_the_run_that_is_chosen_and_can_be_chosen_alone():
    names = ("seed=0 none", "seed=1 none", "seed=0 r1")
    study = Study("s", entries=[plain(names[0]), plain(names[1], seed=1), Entry(names[2], {"balance": ["r1"]})])
    added = with_rows(study, ["lecam"], load_plugins())

    def chosen(*texts):
        return [entry.name for entry in only(added, texts).entries]

    assert chosen("seed=0 none") == ["seed=0 none", "seed=0 lecam"]
    assert chosen("lecam") == ["seed=0 lecam", "seed=1 lecam"]
    assert chosen("r1") == ["seed=0 r1"]


def test_studies_that_come_along_are_found_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert {"auto", "modes", "seed", "seed-quick"} <= set(names())
    for name in names():
        assert read_study(find_study(Path(name))).name == name
    with pytest.raises(UsageError, match=r"no study 'mods'.*Did you mean 'modes'\?"):
        find_study(Path("mods"))
    Path("modes").write_text("")  # one's own comes first
    assert find_study(Path("modes")) == Path("modes")
    assert find_study(Path("modes.toml")) == Path("modes.toml")


MINE = """
from ganforge import Strategy, hookimpl

class Faster(Strategy):
    \"\"\"The generator learns twice as fast.\"\"\"

    name = "faster"

    @hookimpl
    def plan_step(self):
        return {"generator_lr": 2.0}

@hookimpl
def register_strategies(register):
    register(Faster)
"""


@pytest.mark.slow
def test_the_row_of_another_author_is_trained_measured_and_drawn(tmp_path, monkeypatch, ganforge_cli):
    monkeypatch.chdir(tmp_path)
    Path("mine.py").write_text(MINE)
    Path("tiny.toml").write_text(
        'name = "tiny"\n[common]\narch = "mlp:width=8"\nepochs = 1\ndata = "gaussians:kind=ring,count=512"\n'
        '[[grid]]\nseed = [0, 1]\nbalance = "none"\n'
    )
    code, out, err = ganforge_cli(
        "study", "tiny.toml", "--add", "faster", "--plugin", "mine.py", "--runs-dir", "runs"
    )
    assert code == 0, err
    table = Path("runs/tiny.md").read_text("utf-8")
    assert "| `none` | 2 |" in table
    assert "| `faster` | 2 |" in table
    code, out, _ = ganforge_cli("compare", "tiny", "--medians", "--json", "--runs-dir", "runs")
    assert [(line["way"], len(line["modes"])) for line in json.loads(out)] == [("none", 2), ("faster", 2)]
    assert ganforge.study("tiny.toml", runs_dir="runs", dry_run=True).finished
