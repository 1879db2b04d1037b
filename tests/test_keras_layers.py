"""What is written in Keras is what trains, on torch, JAX and TensorFlow: layers of every kind, two steps with R1.

``layers_probe.py`` runs once for each backend, and on TensorFlow also makes the same steps by hand.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pytest

pytestmark = pytest.mark.slow  # what is made by hand is made on TensorFlow, for all three
BACKENDS = ("torch", "jax", "tensorflow")
PROBE = Path(__file__).with_name("layers_probe.py")
KINDS = ("every layer", "nested", "spectral", "together", "alone", "recurrent")
SLOW_ON_JAX = ("every layer", "recurrent")  # XLA compiles them for minutes; tests/matrix.py has the first


@cache
def probe(backend: str, *kinds: str) -> dict[str, np.ndarray]:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    file = Path(os.environ["GANFORGE_CACHE_DIR"]) / f"layers-{backend}-{len(kinds)}.npz"
    environment = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "TF_CPP_MIN_LOG_LEVEL": "3"}
    environment.pop("KERAS_BACKEND", None)
    command = [sys.executable, str(PROBE), backend, str(file), *kinds]
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr[-3000:]
    return dict(np.load(file))


def end(report: dict[str, np.ndarray], kind: str, whose: str) -> list[np.ndarray]:
    names = sorted(name for name in report if name.startswith(f"{kind}/{whose}/"))
    assert len(names) > 8
    return [report[name] for name in names]


def assert_equal(kind: str, ours: dict[str, np.ndarray], by_hand: dict[str, np.ndarray]) -> None:
    assert bool(ours[f"{kind}/apart"]) == (kind == "together")
    np.testing.assert_allclose(ours[f"{kind}/lines"], by_hand[f"{kind}/by hand"], rtol=1e-5, atol=1e-5)
    names = ours[f"{kind}/names"]
    for name, a, b in zip(names, end(ours, kind, "ours"), end(by_hand, kind, "theirs"), strict=True):
        if a.dtype == np.float32:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5, err_msg=str(name))


@pytest.mark.parametrize(
    ("backend", "kind"), [(b, k) for b in BACKENDS for k in KINDS if b != "jax" or k not in SLOW_ON_JAX]
)
def test_what_trains_is_what_was_written(backend, kind):
    assert_equal(kind, probe(backend), probe("tensorflow"))


@pytest.mark.parametrize("backend", BACKENDS)
def test_constraints_are_applied_after_each_update(backend):
    largest, *norms = probe(backend)["constrained"]
    assert largest == pytest.approx(0.01, rel=1e-6)
    assert norms == pytest.approx([1.0, 1.0, 1.0], rel=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_classes_of_part_of_a_batch_are_its_rows(backend):
    found, expected = probe(backend)["conditional"]
    assert found == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("backend", BACKENDS)
def test_layers_that_draw_random_numbers_do_so_in_training(backend):
    report = {name.removeprefix("random/"): v for name, v in probe(backend).items() if name.startswith("random/")}
    assert len(report) == 8
    kept = 1 / 0.7
    for name, steps in report.items():
        assert steps.shape == (2, 16, 32, 32, 16)
        assert not np.array_equal(*steps), f"{name}: the same numbers in both steps"
        for out in steps:
            # Whole channels: 256 draws a step, one standard deviation of the mean is 0.041; elsewhere 0.003 at most.
            tolerance = 0.2 if name == "spatial dropout" else 0.02
            assert out.mean() == pytest.approx(0.603 if name == "alpha dropout" else 1.0, abs=tolerance), name
    for name in ("dropout", "seeded dropout", "spatial dropout"):
        values = np.unique(report[name])
        assert values == pytest.approx([0.0, kept], rel=1e-6), name
        assert (report[name] == 0).mean() == pytest.approx(0.3, abs=0.01 if name != "spatial dropout" else 0.1), name
    assert (np.ptp(report["spatial dropout"], axis=(2, 3)) == 0).all(), "whole channels, of each picture its own"
    for name in ("gaussian noise", "inside a model", "inside a layer"):
        assert report[name].std() == pytest.approx(0.5, rel=0.01), name
    assert report["gaussian dropout"].std() == pytest.approx((0.3 / 0.7) ** 0.5, rel=0.01)
    # Dropped values become -1.7581, and all are scaled so that the mean and variance of standard numbers stay
    # (Klambauer et al. 2017, section 2).
    scale = (0.7 + 0.7 * 0.3 * 1.7580993408473766**2) ** -0.5
    values = sorted(set(np.unique(np.round(report["alpha dropout"], 4))))
    expected = sorted(
        round(float(scale * x + scale * 0.3 * 1.7580993408473766), 4) for x in (-1.7580993408473766, 1.0)
    )
    assert values == pytest.approx(expected, abs=2e-4)


@pytest.mark.parametrize("backend", BACKENDS)
def test_models_that_are_classes_are_built_from_the_seed_and_train(backend):
    apart, weights, still, picture = probe(backend)["own"]
    assert (apart, weights, still) == (0.0, 7, 0)  # three layers' kernels and biases, and a vector u
    assert picture < 1e-5
