"""Every architecture of ours and of examples/, held to every promise on every backend, and every layer on JAX.

``pytest tests/matrix.py`` (no part of ``pytest`` alone): half an hour on two cores, most of it JAX compiling;
``-k torch`` takes two minutes.
"""

from __future__ import annotations

import importlib.util
from functools import cache
from pathlib import Path

import pytest
import test_keras_layers

from ganforge.testing import Report, Subject, run_checks

EXAMPLES = Path(__file__).parent.parent / "examples"
PLUGINS = sorted(EXAMPLES.glob("ganforge-*/ganforge_*/__init__.py"))
ARCHITECTURES = (
    "fcgan:hidden=8,discriminator_hidden=8",
    *(f"{name}:width=2,discriminator_width=2" for name in ("dcgan", "dcgan-1", "dcgan-2", "dcgan-3", "dcgan-4")),
    "dcgan-conditional:width=2,discriminator_width=2",
    "r3gan:width=4,discriminator_width=4,widest=8",
    "r3gan-conditional:width=4,discriminator_width=4,widest=8",
    *(f"{name}:width=2,discriminator_width=2" for name in ("sngan", "sngan-conditional", "fastgan", "projected")),
)
# Other authors': sound, and unusual.
UNUSUAL = (
    "nested",
    "shared-layers",
    "classy",
    "spectral",
    "minibatch",
    "normed",
    "losing",
    "losing-apart",
    "constrained",
    "attentive",
    "halves",
)
# With a fault that each backend shows.
FAULTY = {
    "counting": ("keeps-state-in-variables", "generator's counting"),
    "dice": ("keeps-state-in-variables", "discriminator's dice"),
    "seedless-noise": ("keeps-state-in-variables", "discriminator's seedless"),
    "hiding": ("keeps-state-in-variables", "discriminator's hiding"),
    "averaging": ("keeps-state-in-variables", "generator's averaging"),
    "remembering": ("keeps-state-in-variables", "discriminator's remembering"),
    "restless": ("draws-the-same-twice", "generator's restless"),
    "lonely": ("trains-as-written", "Lonely"),
    "stopping": (("moves-every-weight", "trains-as-written"), "generator's stopping"),
}
BACKENDS = ("torch", "jax", "tensorflow")


@cache
def report(backend: str) -> Report:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    subjects = [Subject("architecture", name) for name in (*ARCHITECTURES, *UNUSUAL, *FAULTY)]
    files = [*PLUGINS, Path(__file__).with_name("faulty_networks.py")]
    return dict(run_checks(subjects, [backend], files))[backend]


@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_architecture_keeps_every_promise_on_every_backend(backend, name):
    results = [r for r in report(backend).results if r.subject == name]
    assert {r.check for r in results} >= {"trains-as-written", "updates-as-written", "works-with-r1"}
    assert [f"{r.check}: {r.message}" for r in results if r.state in ("failed", "advice")] == []


@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_unusual_is_not_taken_for_a_fault(backend, name):
    assert [f"{r.check}: {r.message}" for r in report(backend).failed if r.subject == name] == []


@pytest.mark.parametrize("name", FAULTY)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fault_is_found_on_every_backend_and_its_layer_named(backend, name):
    checks, words = FAULTY[name]
    failed = [r.message for r in report(backend).failed if r.subject == name and r.check in checks]
    assert any(words in message for message in failed), failed


def test_every_layer_trains_on_jax_as_it_was_written():
    ours, by_hand = (test_keras_layers.probe(name, "every layer") for name in ("jax", "tensorflow"))
    test_keras_layers.assert_equal("every layer", ours, by_hand)
