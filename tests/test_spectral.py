"""The spectrally normalized layers of sngan have the largest singular value that they promise, in training."""

from __future__ import annotations

import pytest
from support import BACKENDS, printed

LARGEST = """
import json, sys
from ganforge.backend import choose_backend
choose_backend(sys.argv[1])
import ganforge_sngan as sngan, keras, numpy as np
from ganforge.engine.backends import make_adapter
from ganforge.engine.traits import observe
keras.utils.set_random_seed(0)
model = sngan.conditional_discriminator((16, 16, 3), sngan.SNGANOptions(discriminator_width=4), 5)
random = np.random.default_rng(0)
for v in model.trainable_variables:
    v.assign(random.normal(0, 1, v.shape).astype("float32"))
adapter = make_adapter(model.variables)
run, _ = adapter.forward(model, observe(adapter, model, [(16, 16, 3), ()], 4, 5))
weights = model.trainable_variables
step = adapter.compile(
    lambda x, y, key: adapter.value_and_gradients(lambda: (keras.ops.sum(run([x, y])), ()), weights)[0][0], "u"
)
pictures = random.uniform(-1, 1, (4, 16, 16, 3)).astype("float32")
labels = np.array([0, 4, 2, 3], "int32")
for _ in range(100):
    step(pictures, labels, np.array([1, 2], np.uint32))
adapter.sync_to_keras()
found = {}
for layer in model.layers:
    if hasattr(layer, "u"):  # what the layer divides by, by its own u; what is left, by NumPy
        kernel = keras.ops.convert_to_numpy(layer.weights[0].value)
        kernel = kernel.reshape(-1, kernel.shape[-1])
        u = keras.ops.convert_to_numpy(layer.u.value)
        v = u @ kernel.T
        v /= np.linalg.norm(v)
        u = v @ kernel
        found[layer.name] = float(np.linalg.svd(kernel / np.linalg.norm(u), compute_uv=False)[0])
print(json.dumps(found))
"""


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_largest_singular_value_is_one_in_training(backend):
    found = printed(LARGEST, backend, backend)
    assert len(found) == 8  # three convolutions a block, the last dense layer, the classes
    assert found == {name: pytest.approx(1.0, abs=0.01) for name in found}
