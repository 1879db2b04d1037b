"""Every architecture of ours and of examples/, held to every promise on every backend.

``pytest tests/test_matrix.py``: half an hour on two cores, most of it JAX compiling convolutions;
``-k torch`` takes two minutes.
"""

from __future__ import annotations

import importlib.util
import json
from functools import cache
from pathlib import Path

import pytest
from support import python

from ganforge.testing import Report, Subject, run_checks

EXAMPLES = Path(__file__).parent.parent / "examples"
PLUGINS = sorted(EXAMPLES.glob("ganforge-*/ganforge_*/__init__.py"))
ARCHITECTURES = (
    "fcgan:hidden=8,discriminator_hidden=8",
    *(f"{name}:width=2,discriminator_width=2" for name in ("dcgan", "dcgan-1", "dcgan-2", "dcgan-3", "dcgan-4")),
    "dcgan-conditional:width=2,discriminator_width=2",
    "resnet:width=2,discriminator_width=2",
    "lightweight:width=2,discriminator_width=2",
)
# Other authors': sound, and unusual.
UNUSUAL = (
    "nested",
    "shared-layers",
    "classy",
    "spectral",
    "minibatch",
    "losing",
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
LARGEST = """
import importlib.util, json, sys
from ganforge.engine.backend_choice import choose_backend
choose_backend(sys.argv[2])
import keras, numpy as np
spec = importlib.util.spec_from_file_location("ganforge_resnet", sys.argv[1])
resnet = importlib.util.module_from_spec(spec)
spec.loader.exec_module(resnet)
from ganforge.engine.backends import make_adapter
from ganforge.engine.traits import observe
model = resnet.discriminator((16, 16, 3), resnet.ResNetOptions(discriminator_width=4))
random = np.random.default_rng(0)
for v in model.trainable_variables:
    v.assign(random.normal(0, 1, v.shape).astype("float32"))
adapter = make_adapter(model.variables)
run = adapter.forward(model, observe(adapter, model, [(16, 16, 3)], 4, 0))
weights = model.trainable_variables
step = adapter.compile(
    lambda x, key: adapter.value_and_gradients(lambda: (keras.ops.sum(run(x)), ()), weights)[0][0], "u"
)
pictures = random.uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
for _ in range(200):
    step(pictures, np.array([1, 2], np.uint32))
adapter.push_state()
found = {}
for layer in model.layers:
    if hasattr(layer, "u"):  # what the layer divides by, by its own u; what is left, by NumPy
        kernel = keras.ops.convert_to_numpy(layer.kernel.value).reshape(-1, layer.kernel.shape[-1])
        u = keras.ops.convert_to_numpy(layer.u.value)
        v = u @ kernel.T
        v /= np.linalg.norm(v)
        u = v @ kernel
        found[layer.name] = float(np.linalg.svd(kernel / np.linalg.norm(u), compute_uv=False)[0])
print(json.dumps(found))
"""


@cache
def report(backend: str) -> Report:
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    subjects = [Subject("architecture", name) for name in (*ARCHITECTURES, *UNUSUAL, *FAULTY)]
    files = [*PLUGINS, Path(__file__).with_name("faulty_networks.py")]
    return dict(run_checks(subjects, [backend], files))[backend]


@pytest.mark.slow
@pytest.mark.parametrize("name", ARCHITECTURES)
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_architecture_keeps_every_promise_on_every_backend(backend, name):
    results = [r for r in report(backend).results if r.subject == name]
    assert {r.check for r in results} >= {"trains-as-written", "updates-as-written", "works-with-r1"}
    assert [f"{r.check}: {r.message}" for r in results if r.state in ("failed", "advice")] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", UNUSUAL)
@pytest.mark.parametrize("backend", BACKENDS)
def test_what_is_unusual_is_not_taken_for_a_fault(backend, name):
    assert [f"{r.check}: {r.message}" for r in report(backend).failed if r.subject == name] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTY)
@pytest.mark.parametrize("backend", BACKENDS)
def test_a_fault_is_found_on_every_backend_and_its_layer_named(backend, name):
    checks, words = FAULTY[name]
    failed = [r.message for r in report(backend).failed if r.subject == name and r.check in checks]
    assert any(words in message for message in failed), failed


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_the_example_s_largest_singular_value_is_one_in_training(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    module = EXAMPLES / "ganforge-resnet" / "ganforge_resnet" / "__init__.py"
    found = json.loads(python("-c", LARGEST, module, backend, backend=None).stdout.splitlines()[-1])
    assert len(found) == 7
    assert found == {name: pytest.approx(1.0, abs=0.01) for name in found}
