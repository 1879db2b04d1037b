"""What the engine finds out about a network before it trains it, and does with it on torch: layer by layer."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch
from keras import layers, ops

from ganforge.engine.backends.torch import Adapter
from ganforge.engine.traits import OwnLosses, observe

pytestmark = pytest.mark.quick


class Undecided(layers.Layer):
    """A layer that is another one in training, unless it is told otherwise."""

    def call(self, x, training=False):
        return 3.0 * x if training else x


class Gated(layers.Layer):
    """Adds the batch's mean by a weight that begins at 0: nobody sees it at first."""

    def build(self, shape):
        self.gate = self.add_weight(shape=(1,), initializer="zeros", name="gate")

    def call(self, x):
        return x + self.gate * ops.mean(x, axis=0, keepdims=True)


class Costly(layers.Layer):
    """Adds a mean and a sum over the batch to the losses."""

    def call(self, x):
        self.add_loss(0.5 * ops.mean(ops.square(x)))
        self.add_loss(0.25 * ops.sum(ops.square(x)))
        return x


def network(*parts, **more):
    keras.utils.set_random_seed(1)
    return keras.Sequential([layers.Input((6,)), *parts, layers.Dense(1, **more)])


def seen(model):
    adapter = Adapter(model.variables)
    return adapter, observe(adapter, model, [(6,)], 8, 0)


@pytest.mark.parametrize(
    ("part", "depends"),
    [
        (layers.BatchNormalization, True),
        (Gated, True),
        (layers.LayerNormalization, False),
        (lambda: layers.Dropout(0.5), False),
        (lambda: layers.Dense(4, activation="relu"), False),
        (Costly, False),
    ],
)
def test_whether_a_verdict_depends_on_the_pictures_beside_is_measured(part, depends):
    model = network(part())
    before = [w.copy() for w in model.get_weights()]
    assert seen(model)[1].depends_on_batch is depends
    assert all(np.array_equal(a, b) for a, b in zip(before, model.get_weights(), strict=True))


def test_layers_train_in_training_mode_whatever_their_default():
    model = network(Undecided())
    x = torch.randn(4, 6, generator=torch.Generator().manual_seed(0))
    (kernel, bias) = (torch.from_numpy(w) for w in model.get_weights())
    found = Adapter(model.variables).forward(model, seen(model)[1])[0](x)
    torch.testing.assert_close(found.detach(), 3 * x @ kernel + bias)


def test_a_networks_own_losses_count_once_an_update():
    model = network(Costly(), kernel_regularizer=keras.regularizers.L2(0.1), bias_regularizer="l1")
    model.layers[-1].bias.assign([-2.0])
    adapter, traits = seen(model)
    assert traits.sums == (False, True)
    own, (forward, _) = OwnLosses(model, traits.sums), adapter.forward(model, traits)
    pictures = np.random.default_rng(0).standard_normal((2, 8, 6)).astype("float32")
    calls = []
    for part in pictures:
        forward(torch.from_numpy(part))
        calls.append(own.of_call())
    weights = 0.1 * (model.get_weights()[0] ** 2).sum() + 0.01 * 2.0  # Keras's l1 weighs by 0.01
    expected = weights + 0.5 * (pictures**2).mean() + 0.25 * (pictures**2).sum()
    assert float(own.total(*calls).detach()) == pytest.approx(expected, rel=1e-5)
    assert not OwnLosses(network(), ())


def test_a_constraint_holds_after_each_update():
    model = network(kernel_constraint=lambda w: ops.clip(w, -0.01, 0.01))
    optimizer = keras.optimizers.Adam(0.1)
    optimizer.build(model.trainable_variables)
    gradients = [torch.ones_like(v.value) for v in model.trainable_variables]
    Adapter(model.variables).apply(optimizer, gradients, model.trainable_variables, torch.tensor(0.1))
    kernel, bias = model.get_weights()
    assert np.abs(kernel).max() == pytest.approx(0.01)
    assert bias == pytest.approx([-0.1], rel=1e-4)
