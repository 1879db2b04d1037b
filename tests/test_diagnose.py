"""Diagnoses: runs made to fail on purpose are recognized, healthy ones left alone, the advice can be followed."""

from __future__ import annotations

import json
import shlex

import numpy as np
import pytest

import ganforge
from ganforge.diagnosis.advice import command
from ganforge.diagnosis.evidence import Evidence, gather, look_at
from ganforge.diagnosis.live import Watcher
from ganforge.diagnosis.rules import KINDS, diagnose
from ganforge.media.grids import cells
from ganforge.metrics.memorising import memorising
from ganforge.runs import list_snapshots
from ganforge.training.config import TrainConfig

BASE = {
    "data": "critters:count=128",
    "image_size": 16,
    "batch_size": 32,
    "log_every": 1,
    "epochs": 30,
    "snapshot_every": 10,
    "arch": "fcgan:hidden=16-32,discriminator_hidden=32,dropout=0",
}
FAILING = {
    "discriminator-wins": {"balance": "unequal-lr:generator=0.01,discriminator=10"},
    "generator-wins": {"balance": "unequal-lr:generator=20,discriminator=0.01"},
    "noise-too-strong": {"balance": "input-noise:sigma=30"},
    "labels-too-noisy": {"balance": "label-noise:flip=0.5,smooth=0"},
    "penalty-too-strong": {"balance": "r1:weight=100000"},
    "diverging": {"loss": "wasserstein:penalty=0", "learning_rate": 0.05},
    "standing-still": {"arch": "fcgan:hidden=16,batch_norm=false,discriminator_hidden=8", "learning_rate": 1e-8},
    "discriminator-blind": {"arch": "fcgan:hidden=16-32,discriminator_hidden=1,dropout=0.99"},
    "mode-collapse": {
        "arch": "fcgan:hidden=16,batch_norm=false,discriminator_hidden=32",
        "learning_rate": 3e-3,
        "latent_dim": 1,
        "epochs": 140,
        "snapshot_every": 2,
    },
}
HEALTHY = [
    {"learning_rate": 5e-4},
    {"learning_rate": 5e-4, "balance": "noise-anneal", "seed": 1},
    {"arch": "dcgan:width=8,discriminator_width=8,upsample=transposed", "learning_rate": 5e-4, "epochs": 110},
]


def train(tmp_path, **settings):
    said = []
    run = ganforge.train(**{**BASE, **settings, "runs_dir": tmp_path}, observers=[Watcher(said.append)])
    return gather(run.path), said


@pytest.mark.slow
@pytest.mark.parametrize("kind", FAILING)
def test_a_run_made_to_fail_is_recognised_afterwards_and_while_it_trains(tmp_path, kind):
    evidence, said = train(tmp_path, **FAILING[kind])
    found = diagnose(evidence)
    assert kind in [finding.kind for finding in found]
    assert [finding.kind for finding in said].count(kind) == 1
    finding = next(finding for finding in found if finding.kind == kind)
    assert any(character.isdigit() for character in finding.numbers)
    # What it says to try is a command that train takes.
    words = shlex.split(command(evidence, finding))
    assert words[:2] == ["ganforge", "train"]
    flags = dict(zip(words[2::2], words[3::2]))
    TrainConfig.of({name[2:].replace("-", "_"): value for name, value in flags.items()})
    assert finding.settings
    assert set(finding.settings) <= set(TrainConfig.model_fields)


@pytest.mark.slow
@pytest.mark.parametrize("settings", HEALTHY, ids=["fcgan", "noise", "dcgan"])
def test_a_healthy_run_is_left_alone(tmp_path, settings):
    evidence, said = train(tmp_path, **settings)
    assert diagnose(evidence) == []
    assert said == []


# ------------------------------------------------------------------ what tiny runs do not show by themselves


def evidence(lines, loss="bce", balance=(), **rest):
    config = {"arch": "dcgan", "balance": list(balance), "loss": loss, "data": "critters", "learning_rate": 1e-3}
    config |= {"image_size": 16, "epochs": 9, "batch_size": 8, "seed": 0}
    manifest = {"config": config, "loss": {"name": loss}, "strategies": [], "progress": {"step": 500, "steps": 1000}}
    manifest["data"] = {"count": 20, "spread": {"mean": 60.0, "nearest": 30.0}}
    return Evidence(manifest, lines, **rest)


def line(step, **other):
    return {"step": step, "d_loss": 1.2, "g_loss": 0.9, "d_real": 0.6, "d_fake": 0.4, "d_accuracy": 0.7, **other}


def kinds(*args, **named):
    return [finding.kind for finding in diagnose(evidence(*args, **named))]


def test_a_calm_run_has_nothing_wrong_and_a_short_one_says_nothing():
    assert kinds([line(i) for i in range(200)]) == []
    assert kinds([line(i, d_real=0.99, d_fake=0.01, d_accuracy=1.0) for i in range(5)]) == []
    assert kinds([]) == []


def test_what_is_no_number_is_told_first_and_alone():
    lines = [line(i, d_real=0.99, d_fake=0.01, d_accuracy=1.0) for i in range(100)] + [line(100, g_loss=None)]
    (found,) = diagnose(evidence(lines))
    assert (found.kind, found.numbers) == ("diverged", "first at step 100")
    assert found.settings == {"learning_rate": 2.5e-4}


def test_swings_are_told_from_drift():
    swinging = [line(i, d_fake=0.5 + 0.4 * np.sin(i)) for i in range(200)]
    drifting = [line(i, d_fake=0.1 + 0.7 * i / 200, d_real=0.9) for i in range(200)]
    assert kinds(swinging) == ["oscillation"]
    assert kinds(drifting) == []
    assert kinds(swinging, loss="wasserstein") == []


def test_copies_are_told_when_they_were_measured():
    random = np.random.default_rng(0)
    training = random.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    lines = [line(i) for i in range(50)]
    assert kinds(lines, evaluation={"memorising": memorising(training[:30], training)}) == ["memorising"]
    new = random.integers(0, 256, (30, 16, 16, 3), dtype=np.uint8)
    assert kinds(lines, evaluation={"memorising": memorising(new, training)}) == []


def test_a_few_pictures_repeated_are_a_collapse_even_when_they_differ():
    random = np.random.default_rng(0)
    pictures = random.integers(0, 256, (100, 16, 16, 3), dtype=np.uint8)
    own = look_at([(1, pictures)])[0]
    lines = [line(i) for i in range(50)]
    few = look_at([(1, pictures), (2, np.repeat(pictures[:5], 20, 0))])
    one = look_at([(1, np.full_like(pictures, 9)), (2, pictures // 8)])
    for grids, expected in ((look_at([(1, pictures)]), []), (few, ["mode-collapse"]), (one, [])):
        found = evidence(lines, grids=grids)
        found.manifest["data"]["spread"] = {"mean": own["mean"], "nearest": own["nearest"]}
        assert [f.kind for f in diagnose(found)] == expected


def test_a_strategy_that_brings_the_generator_to_rest_is_no_standing_still():
    random = np.random.default_rng(0)
    still = look_at([(1, random.integers(0, 256, (100, 16, 16, 3), dtype=np.uint8))] * 3)
    held = [line(i, generator_lr=1e-3) for i in range(50)]
    fallen = [line(i, generator_lr=1e-3 * (1 - i / 50)) for i in range(50)]
    assert kinds(held, grids=still) == ["standing-still"]
    assert kinds(fallen, grids=still) == []


def test_every_kind_is_documented_and_made_here():
    from pathlib import Path

    text = (Path(__file__).parent.parent / "docs" / "study.md").read_text("utf-8")
    assert [kind for kind in KINDS if f"| `{kind}` |" not in text] == []
    assert {*FAILING, "diverged", "oscillation", "memorising"} == set(KINDS)


def test_a_grid_is_cut_into_the_pictures_it_was_made_of(tmp_path):
    from ganforge.media.grids import make_grid, save_png

    pictures = np.random.default_rng(0).integers(0, 256, (100, 8, 8, 1), dtype=np.uint8)
    save_png(make_grid(pictures, 10), tmp_path / "grid.png")
    assert np.array_equal(cells(tmp_path / "grid.png", (8, 8)), pictures)


def test_the_command_says_it_in_words(ganforge_cli, tmp_path):
    settings = {**BASE, **FAILING["discriminator-wins"], "epochs": 20}
    run = ganforge.train(**settings, runs_dir="runs")
    assert list_snapshots(run.path)
    code, out, _ = ganforge_cli("diagnose", "run_1")
    assert code == 0
    assert "The discriminator has won (discriminator-wins)" in out
    assert "ganforge train --arch fcgan:hidden=16-32" in out
    (found,) = json.loads(ganforge_cli("diagnose", "latest", "--json")[1])
    assert found["command"].startswith("ganforge train")
    flags = [f"--{k.replace('_', '-')}={v}" for k, v in settings.items() if k != "balance"]
    code, out, _ = ganforge_cli("train", *flags, "--balance", settings["balance"])
    assert out.count("The discriminator has won") == 1


RULES_AT_THEIR_EDGE = [
    # kind, the lines' numbers, settings of the evidence, and one number on the other side of the threshold
    ("discriminator-wins", {"d_real": 0.94, "d_fake": 0.06, "d_accuracy": 0.98}, {}, {"d_real": 0.92}),
    ("discriminator-wins", {"d_real": 0.94, "d_fake": 0.06, "d_accuracy": 0.98}, {}, {"d_fake": 0.08}),
    ("discriminator-wins", {"d_real": 0.94, "d_fake": 0.06, "d_accuracy": 0.98}, {}, {"d_accuracy": 0.965}),
    ("generator-wins", {"d_real": 0.4, "d_fake": 0.56, "d_accuracy": 0.6}, {}, {"d_fake": 0.54}),
    ("generator-wins", {"d_real": 0.9, "d_fake": 0.86, "d_accuracy": 0.6}, {}, {"d_fake": 0.84}),
    ("discriminator-blind", {"d_real": 0.53, "d_fake": 0.5, "d_accuracy": 0.53}, {}, {"d_real": 0.545}),
    ("discriminator-blind", {"d_real": 0.5, "d_fake": 0.53, "d_accuracy": 0.53}, {}, {"d_fake": 0.545}),
    ("discriminator-blind", {"d_real": 0.53, "d_fake": 0.5, "d_accuracy": 0.53}, {}, {"d_accuracy": 0.54}),
    ("noise-too-strong", {"d_accuracy": 0.53, "input-noise/sigma": 0.31}, {}, {"input-noise/sigma": 0.29}),
    ("noise-too-strong", {"d_accuracy": 0.53, "input-noise/sigma": 0.31}, {}, {"d_accuracy": 0.54}),
]


@pytest.mark.parametrize(("kind", "numbers", "settings", "other"), RULES_AT_THEIR_EDGE)
def test_a_rule_speaks_on_one_side_of_its_threshold_alone(kind, numbers, settings, other):
    assert kinds([line(i, **numbers) for i in range(60)], **settings) == [kind]
    assert kinds([line(i, **{**numbers, **other}) for i in range(60)], **settings) == []


@pytest.mark.parametrize(
    ("kind", "name", "option", "over", "under"),
    [
        ("labels-too-noisy", "label-noise", "flip", 0.3, 0.29),
        ("penalty-too-strong", "r1", "gamma", 50, 49),
        ("penalty-too-strong", "r1", "weight", 50, 49),  # as 0.1 called it
    ],
)
def test_a_strategy_is_to_blame_from_its_threshold_on(kind, name, option, over, under):
    lines = [line(i, d_accuracy=0.53) for i in range(60)]
    for value, expected in ((over, [kind]), (under, [])):
        found = evidence(lines)
        found.manifest["strategies"] = [{"name": name, "options": {option: value}}]
        assert [finding.kind for finding in diagnose(found)] == expected


def test_rules_look_at_the_last_quarter():
    won = {"d_real": 0.99, "d_fake": 0.01, "d_accuracy": 1.0}
    assert kinds([line(i, **(won if i >= 150 else {})) for i in range(200)]) == ["discriminator-wins"]
    assert kinds([line(i, **(won if i < 150 else {})) for i in range(200)]) == []
    assert evidence([line(i, d_real=i) for i in range(200)]).recent("d_real").tolist() == list(range(150, 200))
    assert evidence([line(i, d_real=i) for i in range(20)]).recent("d_real").tolist() == list(range(8, 20))


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        (1, 26, ["diverging"]),
        (1, 24, []),
        (7, 27, []),
        (6, 27, ["diverging"]),
        (400, 501, ["diverging"]),
        (400, 499, []),
    ],
)
def test_a_loss_runs_away_when_it_is_large_and_has_grown_or_is_huge(before, now, expected):
    for name, sign in (("d_loss", 1), ("g_loss", -1)):
        lines = [line(i, **{name: sign * (before if i < 150 else now)}) for i in range(200)]
        assert kinds(lines) == expected


@pytest.mark.parametrize(
    ("share", "real", "expected"), [(0.11, 0.03, ["memorising"]), (0.09, 0, []), (0.11, 0.04, [])]
)
def test_copies_are_counted_against_those_among_training_pictures(share, real, expected):
    found = {"memorising": {"share": share, "real_share": real}}
    assert kinds([line(i) for i in range(50)], evaluation=found) == expected


def test_pictures_that_moved_are_measured_in_levels():
    first = np.full((4, 8, 8, 3), 100, np.uint8)
    second = first.copy()
    second[:, :4] -= 10
    second[0, 4:] += 20
    grids = look_at([(1, first), (2, second)])
    assert "moved" not in grids[0]
    assert grids[1]["moved"] == pytest.approx(10 / 2 + 20 / 8)
    assert [grid["epoch"] for grid in grids] == [1, 2]
