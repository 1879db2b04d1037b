"""What the engine computes on torch, in this process: ``test_numbers.py`` in short."""

from __future__ import annotations

import math

import numpy as np
import pytest
from support import Same

from tests.exact import draws, pairs
from tests.exact.small import STILL, Small

pytestmark = pytest.mark.quick

CLOSE = 1e-3  # as in test_numbers.py


def far(errors: dict[str, float]) -> dict[str, float]:
    return {name: error for name, error in errors.items() if not error < CLOSE}


@pytest.mark.parametrize(
    ("loss", "name"),
    [
        *((loss, "none") for loss in pairs.LOSSES),
        *(("bce", name) for name in ("r1", "unequal-lr", "generator-steps", "label-noise")),
        ("hinge", "label-noise"),
        *(("bce", name) for name in ("lr-decay", "lookahead")),
        *((loss, "mirror") for loss in ("least-squares", "wasserstein")),
        *(("relativistic", name) for name in ("label-noise", "input-noise", "r1", "r2", "lecam", "auto", "mirror")),
    ],
    ids=lambda text: text,
)
def test_a_step_is_what_numpy_makes_of_it(loss, name):
    assert far(pairs.against_numpy(loss, [name])) == {}


@pytest.mark.parametrize(("loss", "name"), [("wasserstein", "none"), ("bce", "r1"), ("relativistic", "r2")])
def test_a_step_on_vectors_is_what_numpy_makes_of_it(loss, name):
    assert far(pairs.against_numpy(loss, [name], shape=(24,))) == {}


@pytest.mark.parametrize("loss", ["bce", "least-squares", "wasserstein"])
def test_both_networks_learn_at_once_as_in_numpy(loss):
    assert far(pairs.against_numpy(loss, ["none"], one_stage=True)) == {}


def test_noise_has_its_strength_wherever_the_discriminator_looks():
    found, sigma, steps = draws.noise("input-noise", steps=30), draws.SIGMA, 30
    numbers, grey = found["numbers"], found["grey"]
    for where, pictures in (("real", grey), ("fake", 0.0), ("again", 0.0)):
        means, squares = np.array(found["means"][where]), np.array(found["squares"][where])
        assert means.mean() == pytest.approx(pictures, abs=4 * sigma / math.sqrt(numbers * steps)), where
        spread = math.sqrt(2 * sigma**4 + 4 * pictures**2 * sigma**2)
        assert squares.mean() == pytest.approx(pictures**2 + sigma**2, abs=4 * spread / math.sqrt(numbers * steps))
        # Each number's noise is its own: shared by a picture, the means would scatter more.
        assert means.std() == pytest.approx(sigma / math.sqrt(numbers), rel=4 / math.sqrt(2 * steps)), where
    for one, other in (("real", "fake"), ("fake", "again"), ("real", "again")):
        assert abs(np.corrcoef(found["means"][one], found["means"][other])[0, 1]) < 4 / math.sqrt(steps), (one, other)


def test_labels_are_flipped_picture_by_picture():
    batch, rate, smooth, steps = 64, 0.3, 0.25, 40
    sums = draws.labels("label-noise", steps, flip=rate, smooth=smooth)
    # Sums are of four times the label: a real one is 0.75 or 0.25, a fake 0 or 1.
    counts = {
        "real": (4 * (1 - smooth) * batch - np.array(sums["real"])) / (4 * (1 - 2 * smooth)),
        "fake": np.array(sums["fake"]) / 4,
    }
    for where, flips in counts.items():
        assert (flips == np.round(flips)).all(), where
        variance = batch * rate * (1 - rate)
        assert flips.mean() == pytest.approx(batch * rate, abs=4 * math.sqrt(variance / steps)), where
        assert flips.var() == pytest.approx(variance, rel=4.5 * math.sqrt(2 / steps)), where


def test_each_update_has_latents_and_pictures_of_its_own():
    found = draws.fresh()
    latents = {name: np.array(mean) for name, mean in found["latents"].items()}
    assert len(latents) == 12
    for one in latents:
        for other in latents:
            if one < other:
                shared = {one[:3], other[:3]} == {"G 0", "D 0"} and one[4:] == other[4:]
                apart = np.abs(latents[one] - latents[other]).max()
                assert apart < 1e-4 if shared else apart > 1e-2, (one, other)
    assert max(found["off"].values()) < 1e-5, "and its own real pictures"


@pytest.mark.parametrize(
    ("name", "expected", "variance"),
    [
        ("normal-mean", 0, 1),
        ("normal-square", 1, 2),
        ("product-of-two", 0, 1),
        ("uniform-mean", 3.5, 0.75),
        ("uniform-variance", 0.75, 0.45),
        ("bernoulli", 0.3, 0.21),
    ],
)
def test_what_hooks_draw_is_what_they_ask_for(statistics, name, expected, variance):
    found = statistics[name]
    assert np.mean(found) == pytest.approx(expected, abs=4 * math.sqrt(variance / (64 * 512 * len(found))))
    assert len(set(found)) == len(found), "each step draws anew"


@pytest.fixture(scope="module")
def statistics() -> dict[str, list[float]]:
    return draws.statistics()


@pytest.mark.parametrize(
    ("loss", "fake", "offset", "expected"),
    [
        ("bce", -0.3, 0.0, 1.0),
        ("bce", -0.3, 0.4, 0.5),  # all that it sees it takes for real
        ("bce", -0.3, -0.8, 0.75),
        ("hinge", -0.3, -0.8, 0.75),
        ("least-squares", -0.3, -0.3, 0.75),  # its targets are 0 and 1
        ("least-squares", -0.3, 0.9, 0.5),
        ("wasserstein", -0.3, 9.0, 1.0),  # its logits have no zero: pairs count
        ("wasserstein", 0.8, 9.0, 0.5),
        ("relativistic", 0.8, 9.0, 0.5),
    ],
)
def test_the_discriminator_is_right_on_either_side_of_its_boundary(loss, fake, offset, expected):
    """The logit of a picture of one number is that number plus the offset; reals are 1 and 0.6 by turns."""
    weights = {"W": 0.0, "c": fake, "w": 1.0, "q": 0.0, "b": offset}
    machine = Small(loss, shape=(1, 1, 1), learning_rate=STILL, weights=weights)
    (line,) = machine.run(Same(np.tile(np.uint8([255, 204]), 4).reshape(8, 1, 1, 1)))
    assert line["d_accuracy"] == pytest.approx(expected)
