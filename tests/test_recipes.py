"""Compositions of strategies, losses and optimizers, several steps long, against their formulas in float64."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import ops
from support import probe

from ganforge import Loss, UsageError
from ganforge.engine.engine import Engine
from ganforge.engine.optimizing import is_plain_adam
from ganforge.plugin.types import Progress
from tests.exact.recipes import REGISTRY, compare, scenes, strategy

pytestmark = pytest.mark.quick

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


# ------------------------------------------------------------------ begun anew, and refused


def test_what_is_taken_up_anew_begins_from_the_weights_as_they_are():
    scene = SCENES["features, jacobian, lookahead, optimistic"]
    before, after = scene.engine(compile=False), scene.engine(compile=False)
    list(before.steps(scene, lambda s: Progress(s, 10, 0, 1), 0, 3))
    arrays, rest = before.get_state()
    after.set_state({n: a for n, a in arrays.items() if not n.startswith("strategy ")}, rest, anew=True)
    state = after.state.read()["lookahead"]
    for network in ("generator", "discriminator"):
        slow = [ops.convert_to_numpy(value) for value in state[network]]
        now = getattr(after, network).get_weights()
        first = getattr(scene.engine(compile=False), network).get_weights()
        assert [(a == b).all() for a, b in zip(slow, now, strict=True)] == [True] * len(now)
        assert all(np.abs(a - b).max() > 1e-4 for a, b in zip(slow, first, strict=True))
    # What was measured by those that were left behind is not measured any more.
    assert "jacobian/generator_penalty" in before.kept
    assert not any("/" in name for name in after.kept)
    after.set_state(arrays, rest)
    assert "jacobian/generator_penalty" in after.kept


@pytest.mark.parametrize("name", ["lecam", "features"])
def test_one_stage_is_refused_where_more_than_a_fakes_logit_counts(name):
    scene = SCENES["features, jacobian, lookahead, optimistic"]
    loss = scene.loss if name == "features" else REGISTRY.get("loss", "bce").value
    strategies = [strategy("lecam")] if name == "lecam" else []
    built = scene.engine(compile=False)
    with pytest.raises(UsageError, match="one-stage does not apply") as refusal:
        Engine(
            built.generator,
            keras.Model(built.discriminator.inputs, {"logits": one(built), "features": {"f": features(built)}}),
            Loss("plain", loss.discriminator, lambda fake_logits: ops.mean(fake_logits))
            if name == "features"
            else loss,
            strategies=strategies,
            batch_size=4,
            latent_dim=3,
            step="one-stage",
        )
    assert ("'lecam'" if name == "lecam" else "'plain'") in str(refusal.value)


def features(engine):
    return engine.discriminator.output["features"]["f"]


def one(engine):
    return keras.layers.Dense(1)(features(engine))
