"""Compositions of strategies, losses and optimizers, several steps, against float64 written from the formulas."""

from __future__ import annotations

import keras
import pytest
from support import probe

from ganforge.engine.optimizing import is_plain_adam
from tests.exact.recipes import REGISTRY, compare, scenes

SCENES = scenes()
CLOSE = 1e-5


@pytest.mark.parametrize("name", SCENES)
def test_steps_are_what_their_formulas_say(name):
    errors = compare(SCENES[name])
    assert {"d_loss", "g_loss", "generator", "discriminator"} <= set(errors)
    assert {what: error for what, error in errors.items() if not error < CLOSE} == {}


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_steps_are_what_their_formulas_say_on_every_backend(backend):
    report = probe("tests.exact.recipes", backend)
    assert report["backend"] == backend
    assert set(report["errors"]) == set(SCENES)
    for name, errors in report["errors"].items():
        assert {what: error for what, error in errors.items() if not error < CLOSE} == {}, name


# ------------------------------------------------------------------ what each optimizer is built of


@pytest.mark.parametrize("text", ["adam:beta_2=0.99", "adamw", "rmsprop", "sgd:momentum=0.9", "optimistic-adam"])
def test_an_optimizer_is_built_anew_and_survives_being_saved(text):
    chosen = REGISTRY.choose("optimizer", text)
    first, second = (chosen.value.build(chosen.options) for _ in range(2))
    assert first is not second
    again = keras.optimizers.deserialize(keras.optimizers.serialize(first))
    assert type(again) is type(first)
    assert again.get_config() == first.get_config()
    # The fused update is of plain Adam alone, and plain Adam has it.
    assert is_plain_adam(first) == text.startswith("adam:")


def test_options_that_are_not_given_are_the_runs():
    for name in ("adam", "adamw", "optimistic-adam"):
        chosen = REGISTRY.choose("optimizer", name)
        assert (chosen.options.learning_rate, chosen.options.beta_1) == (None, None)
        filled = chosen.options.model_copy(update={"learning_rate": 0.125, "beta_1": 0.25})
        built = chosen.value.build(filled)
        assert (float(built.learning_rate.numpy()), built.beta_1, built.beta_2) == (0.125, 0.25, 0.999)
        assert chosen.value.build(chosen.options).beta_1 == 0.5
