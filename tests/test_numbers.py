"""What the engine computes on each backend, against NumPy, closed forms and the laws of chance."""

from __future__ import annotations

import math
from itertools import combinations

import numpy as np
import pytest
from support import BACKENDS, probe

# In this process, on torch and in short: test_exact_step.py.
pytestmark = pytest.mark.slow
CLOSE = 1e-3  # of a learning rate for weights, of the largest for moments; float32 leaves about 1e-4 of it
SEEN = ("real", "fake", "again")
STRATEGIES = [
    "none",
    "auto",
    "noise-anneal",
    "input-noise",
    "label-noise",
    "unequal-lr",
    "generator-steps",
    "stronger-discriminator",
    "lr-decay",
    "r1",
    "r2",
    "lecam",
    "lookahead",
    "mirror",
]
LOSSES = ["bce", "least-squares", "hinge", "wasserstein", "relativistic"]
# Refused with one stage, and why.
REFUSED = {
    "hinge": "no slope",
    "relativistic": "looks at real pictures too",
    "lecam": "a term of the fakes' logits",
    "generator-steps": "plans generator_steps=2",
}
MEASURED = {"r1": {"r1/penalty"}, "r2": {"r2/penalty"}, "lecam": {f"lecam/{x}" for x in ("penalty", "real", "fake")}}


@pytest.fixture(params=BACKENDS)
def report(request) -> dict:
    result = probe("tests.exact.probe", request.param)
    assert result["backend"] == request.param
    return result


# ------------------------------------------------------------------ one step against NumPy


@pytest.mark.parametrize("step", ["two-stage", "one-stage"])
@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize("strategy", STRATEGIES)
def test_a_step_is_what_numpy_makes_of_it(report, strategy, loss, step):
    pair = f"{strategy}|{loss}|{step}"
    if report["backend"] != "torch" and pair not in {**report["pairs"], **report["refused"]}:
        pytest.skip("compiling takes too long for every pair; torch has it")
    why = REFUSED.get(loss) or REFUSED.get(strategy)
    if step == "one-stage" and why:
        assert why in report["refused"][pair]
        return
    errors = report["pairs"][pair]
    measured = MEASURED.get(strategy, set()) | ({"wasserstein/penalty"} if loss == "wasserstein" else set())
    shares = set() if loss == "relativistic" else {"d_real", "d_fake"}
    expected = {"d_loss", "g_loss", "d_accuracy"} | shares | measured
    assert {name for name in errors if name.split("/")[0] not in ("value", "m", "average")} == expected
    assert {name: error for name, error in errors.items() if not error < CLOSE} == {}


def test_every_pair_was_decided(report):
    pairs = {*report["pairs"], *report["refused"]}
    assert {pair.split("|")[0] for pair in pairs} == set(STRATEGIES)
    missing = {
        f"{s}|{loss}|{step}" for s in STRATEGIES for loss in LOSSES for step in ("two-stage", "one-stage")
    } - pairs
    assert missing == set() if report["backend"] == "torch" else len(pairs) == 90


def test_five_strategies_at_once_are_what_numpy_makes_of_them(report):
    for name, errors in report["together"].items():
        assert {what: error for what, error in errors.items() if not error < CLOSE} == {}, name


def test_far_logits_give_the_same_numbers(report):
    for name, errors in report["far"].items():
        # At 10,000 a float32 is off by up to 0.0005, a twentieth of this learning rate.
        limits = {"value/b": 0.05}
        assert {what: e for what, e in errors.items() if not e < limits.get(what, CLOSE)} == {}, name


# ------------------------------------------------------------------ noise


@pytest.mark.parametrize("name", ["input-noise", "noise-anneal", "auto"])
def test_noise_has_its_strength_wherever_the_discriminator_looks(report, name):
    found, sigma = report["noise"][name], 0.3
    steps, numbers, grey = len(found["means"]["real"]), found["numbers"], found["grey"]
    for where in SEEN:
        pictures = grey if where == "real" else 0.0
        # Four standard errors each; the mean square of one number has the variance 2 σ⁴ + 4 x² σ².
        means, squares = np.array(found["means"][where]), np.array(found["squares"][where])
        off = 4 * sigma / math.sqrt(numbers * steps)
        assert means.mean() == pytest.approx(pictures, abs=off), where
        spread = math.sqrt(2 * sigma**4 + 4 * pictures**2 * sigma**2)
        off = 4 * spread / math.sqrt(numbers * steps)
        assert squares.mean() == pytest.approx(pictures**2 + sigma**2, abs=off), where
        # Each pixel's noise is its own: shared by rows or pictures, the means would scatter more.
        assert means.std() == pytest.approx(sigma / math.sqrt(numbers), rel=4 / math.sqrt(2 * steps)), where


@pytest.mark.parametrize("name", ["input-noise", "noise-anneal", "auto"])
def test_noise_is_drawn_anew_for_reals_fakes_the_generators_update_and_each_step(report, name):
    means = report["noise"][name]["means"]
    series = {**means, **{f"next {where}": means[where][1:] for where in SEEN}}
    for one, other in combinations(series, 2):
        length = min(len(series[one]), len(series[other]))
        together = np.corrcoef(series[one][:length], series[other][:length])[0, 1]
        assert abs(together) < 4.5 / math.sqrt(length), (one, other)


# ------------------------------------------------------------------ labels


@pytest.mark.parametrize("name", ["label-noise", "auto"])
def test_labels_are_flipped_picture_by_picture_at_their_rate(report, name):
    batch, rate, smooth = 64, 0.3, 0.25 if name == "label-noise" else 0.0
    sums = {where: np.array(found) for where, found in report["labels"][name].items()}
    # Sums are of four times the label. A real one is 1 - smooth or smooth, a fake 0 or 1.
    flips = {
        "real": (4 * (1 - smooth) * batch - sums["real"]) / (4 * (1 - 2 * smooth)),
        "fake": sums["fake"] / 4,
    }
    for where, counts in flips.items():
        assert (counts == np.round(counts)).all(), where
        steps, variance = len(counts), batch * rate * (1 - rate)
        assert counts.mean() == pytest.approx(batch * rate, abs=4 * math.sqrt(variance / steps)), where
        # Binomial: one flip for the whole batch would have 64 times this variance, a fixed number of flips none.
        assert counts.var() == pytest.approx(variance, rel=4.5 * math.sqrt(2 / steps)), where
    assert abs(np.corrcoef(flips["real"], flips["fake"])[0, 1]) < 4.5 / math.sqrt(len(sums["real"]))


# ------------------------------------------------------------------ updates


def test_each_update_has_fresh_latents_but_the_two_of_a_step_share_theirs(report):
    latents = {name: np.array(mean) for name, mean in report["fresh"]["latents"].items()}
    assert len(latents) == 12
    for one, other in combinations(latents, 2):
        shared = {one[:3], other[:3]} == {"G 0", "D 0"} and one[4:] == other[4:]
        apart = np.abs(latents[one] - latents[other]).max()
        assert apart < 1e-4 if shared else apart > 1e-2, (one, other)
    # Means of eight standard normal numbers, not of anything else.
    own = np.concatenate([mean for name, mean in latents.items() if name[:3] != "G 0"])
    assert own.std() == pytest.approx(1 / math.sqrt(8), rel=4 / math.sqrt(2 * len(own)))


def test_each_extra_discriminator_update_has_pictures_of_its_own(report):
    assert set(report["fresh"]["off"]) == {f"D {k} of {step}" for k in range(3) for step in range(2)}
    assert max(report["fresh"]["off"].values()) < 1e-5


# ------------------------------------------------------------------ what hooks draw, and half precision


@pytest.mark.parametrize(
    ("name", "expected", "variance", "count"),
    [
        ("normal-mean", 0, 1, 64 * 512),
        ("normal-square", 1, 2, 64 * 512),
        ("normal-fourth", 3, 96, 64 * 512),
        ("small-normal-square", 1, 2, 32 * 32),
        ("product-of-two", 0, 1, 64 * 512),
        ("uniform-mean", 3.5, 0.75, 64 * 512),
        ("uniform-variance", 0.75, 0.45, 64 * 512),
        ("bernoulli", 0.3, 0.21, 64 * 512),
    ],
)
def test_hooks_draw_from_the_distributions_they_ask_for(report, name, expected, variance, count):
    found = report["statistics"][name]
    error = math.sqrt(variance / count)
    assert np.mean(found) == pytest.approx(expected, abs=4 * error / math.sqrt(len(found)))
    assert max(abs(value - expected) for value in found) < 5 * error
    # Each step draws anew; two shares of 32,768 may well be the same number.
    assert len(set(found)) > len(found) // 2


def test_uniform_numbers_stay_within_their_bounds(report):
    least, most = report["statistics"]["uniform-least"], report["statistics"]["uniform-most"]
    assert all(2 <= value < 2.01 for value in least)
    assert all(4.99 < value <= 5 for value in most)


def test_bfloat16_is_float32_to_its_eight_bits(report):
    found = report["precision"]
    assert found["mixed_bfloat16 computes in"] == "bfloat16"
    exact, rounded = found["float32"][0], found["mixed_bfloat16"][0]
    assert rounded != exact
    # A bfloat16 is off by 2⁻⁹ of its size at most. A logit here is a sum of a hundred products near 0.1, through four
    # rounded layers: at most 4 · 2⁻⁹ of a size near 1, and much less on average over the batch. The penalty is the
    # square of a slope, through the same layers back: twice that, relatively.
    for name in ("d_loss", "g_loss", "d_real", "d_fake"):
        assert rounded[name] == pytest.approx(exact[name], abs=4 * 2**-9), name
    assert rounded["r1/penalty"] == pytest.approx(exact["r1/penalty"], rel=8 * 2**-9)
