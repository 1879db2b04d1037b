"""The example's spectrally normalised layers have the largest singular value that they promise, in training."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from support import BACKENDS, python

EXAMPLES = Path(__file__).parent.parent / "examples"
LARGEST = """
import importlib.util, json, sys
from ganforge.backend import choose_backend
choose_backend(sys.argv[2])
import keras, numpy as np
spec = importlib.util.spec_from_file_location("ganforge_resnet", sys.argv[1])
resnet = importlib.util.module_from_spec(spec)
spec.loader.exec_module(resnet)
from ganforge.engine.backends import make_adapter
from ganforge.engine.traits import observe
keras.utils.set_random_seed(0)
model = resnet.discriminator((16, 16, 3), resnet.ResNetOptions(discriminator_width=4))
random = np.random.default_rng(0)
for v in model.trainable_variables:
    v.assign(random.normal(0, 1, v.shape).astype("float32"))
adapter = make_adapter(model.variables)
run, _ = adapter.forward(model, observe(adapter, model, [(16, 16, 3)], 4, 0))
weights = model.trainable_variables
step = adapter.compile(
    lambda x, key: adapter.value_and_gradients(lambda: (keras.ops.sum(run(x)), ()), weights)[0][0], "u"
)
pictures = random.uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
for _ in range(100):
    step(pictures, np.array([1, 2], np.uint32))
adapter.sync_to_keras()
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


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_example_s_largest_singular_value_is_one_in_training(backend):
    if importlib.util.find_spec(backend) is None:
        pytest.skip(f"{backend} is not installed")
    module = EXAMPLES / "ganforge-resnet" / "ganforge_resnet" / "__init__.py"
    found = json.loads(python("-c", LARGEST, module, backend, backend=None).stdout.splitlines()[-1])
    assert len(found) == 7
    assert found == {name: pytest.approx(1.0, abs=0.01) for name in found}
