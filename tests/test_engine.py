"""The engine does the same thing on torch, JAX and TensorFlow: each is exercised in a process of its own."""

from __future__ import annotations

import math

import pytest
from support import printed, probe


# All three by default too: what most depends on the backend.
@pytest.fixture(params=("torch", "jax", "tensorflow"))
def report(request) -> dict:
    result = probe("engine_probe.py", request.param)
    assert result["backend"] == request.param
    return result


def holds(report, what):
    """Say whether something holds to the bit; on TensorFlow, if need be, in a second process.

    With many more processes than cores, one in some ten there summed in another order. Why is not known; two in a row
    would be a fault (docs/reliability.md says so too).
    """
    return report[what] or (
        report["backend"] == "tensorflow" and printed("engine_probe.py", "tensorflow", "tensorflow")[what]
    )


def test_the_same_seed_gives_the_same_numbers_bit_for_bit(report):
    assert holds(report, "repeats")


def test_the_average_of_the_generator_follows_its_weights_and_leaves_training_alone(report):
    ema = report["ema"]
    assert ema["error"] < 1e-6
    assert ema["moved"] > 1e-5
    # Its batch normalization has the statistics of the averaged weights, not of the moment's.
    assert ema["statistics"] < 0.1 < ema["own_statistics"]
    assert ema["momentum"] == 0.8
    for what in ("given_back", "statistics_given_back", "training_unchanged", "pictures_differ", "saved"):
        assert ema[what], what


def test_a_resumed_run_equals_one_never_stopped(report):
    assert holds(report, "resumes")


def test_no_scalar_compiles_anything_anew(report):
    assert report["traces"] == {"both": 1, "discriminator_only": 1, "generator_only": 1}


def test_metrics_name_the_fields_losses_and_what_strategies_add(report):
    discriminator = {"d_loss", "d_real", "d_fake", "d_accuracy", "d_real_sign", "d_real_logit", "d_fake_logit"}
    assert set(report["lines"][0]) == {*discriminator, "g_loss", "r1/penalty"}
    assert all(math.isfinite(value) for line in report["lines"] for value in line.values())


@pytest.mark.parametrize("loss", ["bce", "least-squares", "hinge", "wasserstein"])
def test_every_loss_moves_every_weight(report, loss):
    assert report["losses"][loss] == {"finite": True, "moved": True}


def test_bfloat16_computes_in_bfloat16_and_stays_finite(report):  # how near: tests/test_numbers.py
    assert report["bfloat16_dtype"] == "bfloat16"
    assert all(math.isfinite(v) for line in report["bfloat16"] for v in line.values())


def test_the_discriminator_is_frozen_while_the_generator_learns(report):
    assert report["frozen"]


@pytest.mark.parametrize("backend", ["jax", "tensorflow"])
def test_backends_agree_from_the_same_weights_and_noise(backend):
    reference, other = (probe("engine_probe.py", name)["parity"] for name in ("torch", backend))
    for step, (a, b) in enumerate(zip(reference, other, strict=True)):
        for name in a:
            assert b[name] == pytest.approx(a[name], rel=2e-3, abs=2e-4), (step, name)


@pytest.mark.parametrize("loss", ["bce", "least-squares", "wasserstein"])
def test_one_stage_is_two_simultaneous_updates(report, loss):
    result = report["one_stage"][loss]
    assert result["moved"] == 2, "both networks learn"
    assert result["apart"] < 2e-6
    assert result["lines"] < 2e-5


def test_one_stage_is_refused_where_it_is_not_exact(tmp_path):
    from ganforge import UsageError, train

    tiny = {"data": "critters:count=32", "image_size": 16, "batch_size": 16, "epochs": 1, "runs_dir": tmp_path}
    with pytest.raises(UsageError, match="'hinge' has no slope"):
        train("dcgan:width=4", loss="hinge", step="one-stage", **tiny)
    file = tmp_path / "normed.py"
    file.write_text(
        "import keras\nfrom keras import layers\nfrom ganforge import Architecture, hookimpl\n"
        "def g(shape, latent_dim, options):\n"
        "    return keras.Sequential([layers.Input((latent_dim,)), layers.Dense(768), layers.Reshape(shape)])\n"
        "def d(shape, options):\n"
        "    body = [layers.Flatten(), layers.BatchNormalization(), layers.Dense(1)]\n"
        "    return keras.Sequential([layers.Input(shape), *body])\n"
        "@hookimpl\ndef register_architectures(register):\n"
        "    register(Architecture('normed', generator=g, discriminator=d))\n"
    )
    with pytest.raises(UsageError, match="batch statistics"):
        train("normed", step="one-stage", plugins=[str(file)], **tiny)
    assert not list(tmp_path.glob("run_*")), "refused before anything was written"
