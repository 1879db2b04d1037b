"""Keras's layers as plain torch give what Keras gives: outputs, gradients and running averages."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import torch
from keras import layers

from ganforge.engine.backends import torch_layers
from ganforge.engine.networks import dtype_policy, seeded


def twins(body, shape, policy="float32"):
    """Build one model twice with the same weights."""
    built = []
    for _ in range(2):
        with seeded(1), dtype_policy(policy):
            inputs = keras.Input(shape)
            built.append(keras.Model(inputs, body(inputs)))
    built[1].set_weights(built[0].get_weights())
    random = np.random.default_rng(2)
    for a, b in zip(*(model.trainable_variables for model in built), strict=True):
        values = random.normal(0.1, 0.3, a.shape).astype("float32")
        a.assign(values)
        b.assign(values)
    return built


def chain(*parts):
    def body(x):
        for part in parts:
            x = part(x)
        return x

    return body


def residual(x):
    y = layers.Conv2D(8, 3, padding="same")(x)
    z = layers.LeakyReLU(0.2)(y)  # y is needed again below: it must not be overwritten
    z = layers.Conv2D(8, 3, padding="same")(z)
    return layers.Flatten()(layers.Add()([y, z]))


def conv(filters, **more):
    return layers.Conv2D(filters, 4, 2, "same", **more)


def up(filters, kernel=4, **more):
    return layers.Conv2DTranspose(filters, kernel, 2, "same", **more)


MODELS = {
    "dense": ((20,), lambda x: chain(layers.Dense(16), layers.LeakyReLU(0.2), layers.BatchNormalization())(x)),
    "convolutions": ((16, 16, 3), lambda x: chain(conv(8), layers.LeakyReLU(0.2), conv(4), layers.ReLU())(x)),
    "activation inside": ((16, 16, 3), lambda x: chain(conv(8, activation="tanh"), layers.ReLU())(x)),
    "odd size, kernel 3": ((15, 15, 3), lambda x: layers.Conv2D(5, 3, 2, "same")(x)),
    "even size, kernel 3": ((16, 16, 3), lambda x: layers.Conv2D(5, 3, 2, "same")(x)),
    "valid": ((16, 16, 3), lambda x: layers.Conv2D(5, 3, padding="valid", use_bias=False)(x)),
    "dilated": ((16, 16, 3), lambda x: layers.Conv2D(5, 3, padding="same", dilation_rate=2)(x)),
    "up, many channels": ((8, 8, 6), lambda x: up(8, use_bias=False)(x)),
    "up, a picture": ((8, 8, 6), lambda x: layers.Activation("tanh")(up(3)(x))),
    "up, kernel 2 and 6": ((8, 8, 6), lambda x: up(5, 6)(up(5, 2)(x))),
    "up, kernel 5": ((8, 8, 6), lambda x: up(5, 5)(x)),
    "normalised": (
        (8, 8, 6),
        lambda x: chain(layers.BatchNormalization(momentum=0.8, epsilon=1e-2), layers.ReLU(), conv(4))(x),
    ),
    "not ours": ((8, 8, 6), lambda x: chain(layers.LayerNormalization(), layers.UpSampling2D(), conv(4))(x)),
    "two ways": ((8, 8, 6), residual),
}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_a_lowered_model_is_the_model(name, policy):
    shape, body = MODELS[name]
    ours, theirs = twins(body, shape, policy)
    x = torch.randn(4, *shape, generator=torch.Generator().manual_seed(3))
    results = []
    for run, model in ((torch_layers.lower(ours), ours), (lambda x: theirs(x, training=True), theirs)):
        start = x.clone().requires_grad_()
        y = run(start)
        weight = torch.cos(torch.arange(y.numel(), dtype=torch.float32)).view(y.shape)
        at = [start, *(v.value for v in model.trainable_variables)]
        gradients = torch.autograd.grad((y.float() * weight).sum(), at)
        state = [v.value for v in model.non_trainable_variables]
        results.append([y.detach().float(), *gradients, *state])
    close = {"rtol": 1e-4, "atol": 2e-4} if policy == "float32" else {"rtol": 0.05, "atol": 0.15}
    for a, b in zip(*results, strict=True):
        torch.testing.assert_close(a, b, **close)


def test_what_is_known_is_really_replaced():
    shape, body = MODELS["convolutions"]
    model, _ = twins(body, shape)

    def refuse(*arguments, **keywords):
        raise AssertionError("called through Keras")

    for layer in model.layers:
        layer.call = refuse
    assert torch_layers.lower(model)(torch.zeros(2, *shape)).shape == (2, 4, 4, 4)


def test_a_model_that_is_a_class_is_called_as_it_is():
    class Own(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = layers.Dense(3)

        def call(self, x, training=None):
            assert training is True
            return self.dense(x) * 2.0

    model = Own()
    x = torch.ones(2, 4)
    expected = model(x, training=True)
    torch.testing.assert_close(torch_layers.lower(model)(x), expected)


def test_second_derivatives_flow():
    shape, body = MODELS["convolutions"]
    ours, theirs = twins(body, shape)
    found = []
    for run, model in ((torch_layers.lower(ours), ours), (lambda x: theirs(x, training=True), theirs)):
        x = torch.randn(3, *shape, generator=torch.Generator().manual_seed(5)).requires_grad_()
        (slope,) = torch.autograd.grad(run(x).sum(), x, create_graph=True)
        kernels = [v.value for v in model.trainable_variables if len(v.shape) > 1]
        found.append(torch.autograd.grad(slope.square().sum(), kernels))
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("largest", [10.0, 1e-7])
def test_the_fused_update_is_keras_adam(largest):
    from ganforge.engine.backends.torch import Adapter

    random = np.random.default_rng(0)
    starts = [random.normal(size=shape).astype("float32") for shape in ((3, 4), (5,), (2, 3, 4))]
    sides = []
    for _ in range(2):
        variables = [keras.Variable(start) for start in starts]
        optimizer = keras.optimizers.Adam(1e-3, beta_1=0.5, beta_2=0.999, epsilon=1e-8)
        optimizer.build(variables)
        sides.append((variables, optimizer))
    (ours, fused), (theirs, plain) = sides
    adapter = Adapter([])
    for step in range(5):
        # Down to far below epsilon, and laid out in memory otherwise than the weights, as convolutions' are.
        values = [random.normal(size=s.shape[::-1]).astype("float32") * largest * 100.0**-step for s in starts]
        gradients = [torch.from_numpy(v).permute(*reversed(range(v.ndim))) for v in values]
        rate = 1e-3 * (step + 1)
        plain.learning_rate = rate
        plain.apply([g.clone().contiguous() for g in gradients], theirs)
        adapter.apply(fused, gradients, ours, torch.tensor(rate))
        for a, b in zip(ours, theirs, strict=True):
            torch.testing.assert_close(a.value, b.value, rtol=1e-5, atol=1e-7)
    assert int(fused.iterations.value) == int(plain.iterations.value) == 5
    assert float(fused.learning_rate.value) == pytest.approx(5e-3)


def test_many_normal_numbers_are_normal_and_a_function_of_their_key():
    from ganforge.engine.backends.torch import Adapter

    adapter = Adapter([])
    x = adapter.normal([1, 2], 7, (100, 200, 10), "float32")
    assert torch.equal(x, adapter.normal([1, 2], 7, (100, 200, 10), "float32"))
    for key, stream in (([1, 3], 7), ([2, 2], 7), ([1, 2], 8)):
        other = adapter.normal(key, stream, (100, 200, 10), "float32")
        assert abs(float((x * other).mean())) < 0.01
    moments = [float((x**n).mean()) for n in (1, 2, 3, 4)]
    assert moments == pytest.approx([0, 1, 0, 3], abs=0.05)
    ordered = x.flatten().sort().values.double()
    expected = torch.special.ndtr(ordered)
    distance = (expected - torch.arange(1, len(ordered) + 1) / len(ordered)).abs().max()
    assert distance < 1.63 / len(ordered) ** 0.5  # Kolmogorov-Smirnov at 1 %


@pytest.mark.slow
def test_a_compiled_generator_is_the_generator():
    ours, theirs = twins(lambda x: layers.Activation("tanh")(up(3)(layers.ReLU()(up(8)(x)))), (4, 4, 6))
    compiled = torch.compile(torch_layers.lower(ours), dynamic=False)
    x = torch.randn(4, 4, 4, 6, generator=torch.Generator().manual_seed(3))
    found = []
    for run, model in ((compiled, ours), (lambda x: theirs(x, training=True), theirs)):
        y = run(x)
        weights = [v.value for v in model.trainable_variables]
        found.append([y.detach(), *torch.autograd.grad(y.square().sum(), weights)])
    for a, b in zip(*found, strict=True):
        torch.testing.assert_close(a, b, rtol=1e-3, atol=1e-3)
