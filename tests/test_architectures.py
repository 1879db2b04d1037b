"""The architectures that come in the box, layer by layer and against the same arithmetic in NumPy."""

from __future__ import annotations

import ganforge_dcgan as dcgan
import ganforge_fcgan as fcgan
import keras
import numpy as np
import pytest
import torch
from keras import layers

from ganforge import conv_size, plan_upsampling, transposed_conv_size

pytestmark = pytest.mark.quick

RANDOM = np.random.default_rng(4)


def fill(model: keras.Model) -> list[np.ndarray]:
    """Give a network random weights (variances above 0) and return them."""
    weights = [RANDOM.uniform(0.2, 0.9, w.shape) * RANDOM.choice((-1.0, 1.0), w.shape) for w in model.get_weights()]
    weights = [np.abs(w) if "variance" in v.path else w for w, v in zip(weights, model.weights)]
    model.set_weights(weights)
    return weights


def inferred(model: keras.Model, *inputs: np.ndarray) -> np.ndarray:
    given = [keras.ops.convert_to_tensor(x) for x in inputs]
    return keras.ops.convert_to_numpy(model(given if len(given) > 1 else given[0], training=False))


def leaky(x: np.ndarray, slope: float) -> np.ndarray:
    return np.where(x > 0, x, slope * x)


def kinds(model: keras.Model) -> list[tuple]:
    """What counts of each layer with weights: kind, output without the batch, whether it has a bias."""
    return [
        (type(layer).__name__, tuple(layer.output.shape[1:]), getattr(layer, "use_bias", None))
        for layer in model.layers
        if layer.weights
    ]


@pytest.mark.parametrize(("kernel", "stride", "padding"), [(3, 1, 1), (4, 2, 1), (5, 2, 2), (6, 2, 2), (5, 3, 0)])
@pytest.mark.parametrize("size", [9, 16])
def test_sizes_are_those_that_torch_gives(size, kernel, stride, padding):
    picture, weights = torch.zeros(1, 1, size, size), torch.zeros(1, 1, kernel, kernel)
    down = torch.nn.functional.conv2d(picture, weights, stride=stride, padding=padding)
    up = torch.nn.functional.conv_transpose2d(picture, weights, stride=stride, padding=padding)
    assert conv_size(size, kernel, stride, padding) == down.shape[-1]
    assert transposed_conv_size(size, kernel, stride, padding) == up.shape[-1]
    plan = plan_upsampling(64, 3)
    assert (plan.start, plan.padding, plan.sizes) == (8, 1, (8, 16, 32, 64))
    assert plan_upsampling(48, 2, kernel=6).sizes == (12, 24, 48)
    assert plan_upsampling(54, 2, kernel=9, stride=3).sizes == (6, 18, 54)


def test_fcgan_is_the_arithmetic_of_dense_layers():
    options = fcgan.FCGANOptions(hidden=(7, 6), discriminator_hidden=(8, 5), slope=0.3, dropout=0.4)
    discriminator = fcgan.discriminator((4, 4, 3), options)
    w1, b1, w2, b2, w3, b3 = fill(discriminator)
    pictures = RANDOM.uniform(-1, 1, (5, 4, 4, 3)).astype("float32")
    h = leaky(leaky(pictures.reshape(5, -1) @ w1 + b1, 0.3) @ w2 + b2, 0.3)
    np.testing.assert_allclose(inferred(discriminator, pictures), h @ w3 + b3, rtol=1e-4, atol=1e-4)

    generator = fcgan.generator((4, 4, 3), 6, options)
    w1, b1, gamma1, beta1, mean1, variance1, w2, b2, gamma2, beta2, mean2, variance2, w3, b3 = fill(generator)
    w3, b3 = w3 / 50, b3 / 50  # away from where tanh is flat
    generator.set_weights([*generator.get_weights()[:-2], w3, b3])
    latents = RANDOM.standard_normal((5, 6)).astype("float32")
    h = (leaky(latents @ w1 + b1, 0.3) - mean1) / np.sqrt(variance1 + 1e-3) * gamma1 + beta1
    h = (leaky(h @ w2 + b2, 0.3) - mean2) / np.sqrt(variance2 + 1e-3) * gamma2 + beta2
    expected = np.tanh(h @ w3 + b3).reshape(5, 4, 4, 3)
    np.testing.assert_allclose(inferred(generator, latents), expected, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("upsample", ["resize", "transposed"])
def test_dcgan_has_the_layers_it_promises(upsample):
    options = dcgan.DCGANOptions(width=4, discriminator_width=5, upsample=upsample)
    up, norm = {"resize": "Conv2D", "transposed": "Conv2DTranspose"}[upsample], "BatchNormalization"
    assert kinds(dcgan.generator((32, 32, 3), 10, options)) == [
        ("Dense", (4 * 4 * 16,), False),  # a bias before a normalization is taken away again
        (norm, (4, 4, 16), None),
        (up, (8, 8, 8), False),
        (norm, (8, 8, 8), None),
        (up, (16, 16, 4), False),
        (norm, (16, 16, 4), None),
        (up, (32, 32, 3), True),
    ]
    plain = kinds(dcgan.generator((32, 32, 1), 10, dcgan.DCGANOptions(width=4, batch_norm=False)))
    assert [bias for _, _, bias in plain] == [True] * 4
    assert kinds(dcgan.discriminator((32, 32, 3), options)) == [
        ("Conv2D", (16, 16, 5), True),
        ("Conv2D", (8, 8, 10), True),
        ("Conv2D", (4, 4, 20), True),
        ("Dense", (1,), True),
    ]


def maps(model: keras.Model) -> list[tuple[int, int]]:
    """The side and the channels of each map."""
    kinds = layers.Reshape, layers.Conv2D, layers.Conv2DTranspose
    return [(x.output.shape[1], x.output.shape[-1]) for x in model.layers if isinstance(x, kinds)]


@pytest.mark.parametrize(
    ("size", "grown", "judged"),
    [
        (8, [(2, 2), (4, 1)], [(4, 1), (2, 2)]),
        (12, [(3, 2), (6, 1)], [(6, 1), (3, 2)]),
        (16, [(2, 4), (4, 2), (8, 1)], [(8, 1), (4, 2), (2, 4)]),
        (30, [(15, 1)], [(15, 1), (8, 2), (4, 4)]),
        (64, [(8, 4), (16, 2), (32, 1)], [(32, 1), (16, 2), (8, 4)]),
        (96, [(12, 4), (24, 2), (48, 1)], [(48, 1), (24, 2), (12, 4)]),
        (128, [(8, 8), (16, 4), (32, 2), (64, 1)], [(64, 1), (32, 2), (16, 4), (8, 8)]),
        (256, [(8, 8), (16, 8), (32, 4), (64, 2), (128, 1)], [(128, 1), (64, 2), (32, 4), (16, 8), (8, 8)]),
    ],
)
def test_dcgan_is_as_deep_as_its_pictures_are_large(size, grown, judged):
    options = dcgan.DCGANOptions(width=1, discriminator_width=1)
    assert maps(dcgan.generator((size, size, 3), 4, options)) == [*grown, (size, 3)]
    assert maps(dcgan.discriminator((size, size, 3), options)) == judged


def test_a_depth_that_is_asked_for_is_of_transposed_convolutions():
    for options in (dcgan.DCGANOptions(layers=5, width=1), dcgan._variant(5)(width=1)):
        model = dcgan.generator((128, 128, 3), 4, options)
        assert sum(isinstance(layer, layers.Conv2DTranspose) for layer in model.layers) == 5
        assert maps(model) == [(4, 16), (8, 8), (16, 4), (32, 2), (64, 1), (128, 3)]
    assert len(maps(dcgan.discriminator((128, 128, 3), dcgan.DCGANOptions(discriminator_layers=2)))) == 2


def test_a_resize_is_a_transposed_convolution_of_a_spread_kernel():
    """Each pixel of the larger kernel is the sum of the four of the smaller one around it."""
    resized, transposed = (
        dcgan.generator((8, 8, 3), 4, dcgan.DCGANOptions(layers=1, upsample=how)) for how in ("resize", "transposed")
    )
    fill(resized)
    *rest, kernel, bias = resized.get_weights()
    # Keras keeps (height, width, in, out), and of a transposed convolution (height, width, out, in), turned around.
    small = torch.tensor(kernel[::-1, ::-1].copy()).permute(3, 2, 0, 1).flatten(0, 1)[:, None]
    spread = torch.nn.functional.conv2d(small, torch.ones(1, 1, 2, 2), padding=1)
    spread = spread.unflatten(0, (kernel.shape[3], kernel.shape[2]))[:, :, 0].permute(2, 3, 0, 1)
    transposed.set_weights([*rest, spread.numpy() / 50, bias])
    resized.set_weights([*rest, kernel / 50, bias])  # away from where tanh is flat
    latents = RANDOM.standard_normal((3, 4)).astype("float32")
    np.testing.assert_allclose(inferred(resized, latents), inferred(transposed, latents), rtol=1e-3, atol=1e-4)


def test_a_class_adds_its_projection_to_the_verdict():
    options = dcgan.DCGANOptions(discriminator_width=2, discriminator_layers=1)
    model = dcgan.conditional_discriminator((8, 8, 1), options, 3)
    fill(model)
    pictures, labels = RANDOM.uniform(-1, 1, (6, 8, 8, 1)).astype("float32"), np.array([0, 1, 2, 2, 1, 0], "int32")
    flat = next(layer for layer in model.layers if isinstance(layer, layers.Flatten))
    dense = next(layer for layer in model.layers if isinstance(layer, layers.Dense))
    embedding = next(layer for layer in model.layers if isinstance(layer, layers.Embedding))
    h = inferred(keras.Model(model.inputs[0], flat.output), pictures)
    (w, b), (v,) = dense.get_weights(), embedding.get_weights()
    expected = h @ w + b + (h * v[labels]).sum(1, keepdims=True)
    np.testing.assert_allclose(inferred(model, pictures, labels), expected, rtol=1e-4, atol=1e-4)
