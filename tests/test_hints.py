"""What people bring from other tools is answered with the right form; nothing far-fetched is suggested."""

from __future__ import annotations

import re

import pytest

import ganforge
from ganforge import hints
from ganforge.errors import UsageError, closest
from ganforge.plugin.registry import load_plugins
from ganforge.training.config import TrainConfig

pytestmark = pytest.mark.quick


@pytest.mark.parametrize(
    ("args", "words"),
    [
        (("--lr", 0.001), "no option '--lr'. It is --learning-rate."),
        (("./photos",), "to train on these pictures, write --data ./photos"),
        (("photos2",), "unexpected 'photos2'; to train on these pictures, write --data photos2"),
        (("--dropout", 0.2), "Write --arch='dcgan:dropout=0.3'."),
        (("--arch", "fcgan:hidden=256,512"), "Lists are written with dashes: hidden=256-512"),
        (("--balance", "noise-anneal,r1"), "expected one at a time, as in --balance=noise-anneal --balance=r1"),
        (("--data", "photos2"), "give a folder: --data ./photos2"),
        (("--epohcs", 3), "Did you mean '--epochs'?"),
        (("--learning_rate", 3), "Did you mean '--learning-rate'?"),
        (("--gpu",), "A GPU that the backend finds is used automatically; --devices N uses several."),
    ],
)
def test_the_command_line_answers_with_the_right_form(ganforge_cli, args, words):
    code, _, err = ganforge_cli("train", *args, "--dry-run")
    assert code == 2
    assert words in err
    assert err.count("\n") == 1


def test_what_is_not_near_is_not_suggested(ganforge_cli):
    _, _, err = ganforge_cli("train", "--xyz", "--dry-run")
    assert err == "ganforge: there is no option '--xyz'.\n"
    assert closest("hidden", ["data", "seed", "--help"]) == ""


@pytest.mark.parametrize(
    ("name", "words"), [("lr", "It is learning_rate."), ("hidden", "arch='fcgan:hidden=256-512'")]
)
def test_python_answers_with_arguments(name, words):
    with pytest.raises(UsageError, match=f"no setting '{name}'") as caught:
        ganforge.train("dcgan", **{name: 1})
    assert words in str(caught.value)
    assert "--" not in str(caught.value)


def test_every_form_that_is_proposed_holds():
    registry = load_plugins()
    kinds = {"arch": "architecture", "balance": "strategy", "optimizer": "optimizer"}
    assert set(hints.SETTINGS.values()) <= set(TrainConfig.model_fields)
    for setting, value in hints.PARTS.values():
        TrainConfig.of({setting: value})
        if setting in kinds:
            registry.choose(kinds[setting], value)
    for name in [*hints.SETTINGS, *hints.PARTS, *hints.OTHERWISE]:
        assert name not in TrainConfig.model_fields or name == "steps"  # of endless data, from Python alone
        assert re.fullmatch(r" (It is|Write) --[a-z0-9-]+.*\.| [A-Z-].*\.", hints.hint(f"--{name}"))


def test_the_flags_of_train_are_shown_in_groups_and_all_of_them(ganforge_cli):
    from ganforge.cli.train import command

    _, out, _ = ganforge_cli("train", "--help")
    for title, names in command.groups:
        assert f"\n{title}:\n" in out
        assert names
    assert {name for _, names in command.groups for name in names} >= {param.name for param in command.params}
    for param in command.params:
        assert param.opts[0] in out
