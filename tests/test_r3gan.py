"""What r3gan is made of: sizes, its start, and its blocks and ends against the same arithmetic in NumPy."""

from __future__ import annotations

import math

import ganforge_r3gan as r3gan
import keras
import numpy as np
import pytest

from ganforge import UsageError

RANDOM = np.random.default_rng(9)


def options(**more):
    return r3gan.R3GANOptions(**{"width": 4, "discriminator_width": 4, "widest": 8, **more})


def numpy(x) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


def maps(model) -> list[int]:
    """The sides of a network's maps, each once, in order."""
    sides = [layer.output.shape[1] for layer in model.layers if layer.output.ndim == 4]
    return list(dict.fromkeys(sides))


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(
    ("size", "stem", "sides"),
    [
        (32, 2, [32, 16, 8, 4]),
        (64, 2, [64, 32, 16, 8, 4]),
        (64, 1, [64, 32, 16, 8, 4]),
        (64, 4, [64, 16, 8, 4]),
        (256, 2, [256, 128, 64, 32, 16, 8, 4]),
        (28, 2, [28, 14, 7]),
        (8, 2, [8, 4]),
        (25, 2, [25]),
    ],
)
def test_every_size_is_reached_from_a_small_map(size, stem, sides, channels):
    chosen = options(stem=stem)
    generator = r3gan.generator((size, size, channels), 5, chosen)
    discriminator = r3gan.discriminator((size, size, channels), chosen)
    assert maps(generator) == sides[::-1]
    assert maps(discriminator) == sides
    made = generator(RANDOM.standard_normal((2, 5)).astype("float32"))
    assert tuple(made.shape) == (2, size, size, channels)
    assert tuple(discriminator(made).shape) == (2, 1)
    assert generator.layers[-1].compute_dtype == "float32"


def test_a_size_that_halves_too_seldom_is_refused_with_one_that_fits():
    with pytest.raises(UsageError, match=r"cannot end at 66 pixels; use --image-size 64$"):
        r3gan.generator((66, 66, 3), 5, options())


@pytest.mark.parametrize(("more", "last"), [({}, 1), ({"bottleneck": 2}, 2)])
def test_blocks_start_as_the_identity_and_fixups_scale_is_that_of_the_depth(more, last):
    depth = 3
    model = r3gan.generator((64, 64, 3), 5, options(depth=depth, widest=256, width=64, stem=1, **more))
    blocks, count = [], 0
    for layer in model.layers:
        if isinstance(layer, keras.layers.Add):
            count += 1
        elif isinstance(layer, keras.layers.Conv2D) and layer.kernel_size == (3, 3):
            blocks.append(layer)
    assert count == 5 * depth  # 64, 32, 16, 8 and 4
    # He's scale for leaky ReLU, times blocks^(-1 / (2m - 2)) with m convolutions to a block.
    m = 3 if more else 2
    expected = math.sqrt(2 / 1.04) * count ** (-1 / (2 * m - 2))
    for layer in blocks if more else blocks[::2]:
        kernel = numpy(layer.kernel)
        assert kernel.std() * math.sqrt(np.prod(kernel.shape[:3])) == pytest.approx(expected, rel=0.05)
    zeros = [layer for layer in model.layers if layer.weights and not np.any(numpy(layer.weights[0]))]
    assert len(zeros) == count


def test_a_block_is_x_plus_two_convolutions_with_a_leaky_relu_between():
    inputs = keras.Input((4, 4, 3))
    block = keras.Model(inputs, r3gan._block(inputs, 5, options()))
    for variable in block.trainable_variables:
        variable.assign(RANDOM.normal(0, 0.5, variable.shape).astype("float32"))
    first, bias, second = (numpy(v).astype(float) for v in block.trainable_variables)
    x = RANDOM.standard_normal((2, 4, 4, 3)).astype("float32")

    def convolved(images, kernel):
        padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return sum(padded[:, i : i + 4, j : j + 4] @ kernel[i, j] for i in range(3) for j in range(3))

    inside = convolved(x.astype(float), first) + bias
    expected = x + convolved(np.where(inside > 0, inside, 0.2 * inside), second)
    np.testing.assert_allclose(numpy(block(x)), expected, atol=1e-5)


def test_both_ends_are_a_learned_picture_for_each_channel():
    chosen = options(stem=1)
    generator = r3gan.generator((8, 8, 3), 5, chosen)
    dense, basis = (
        layer for layer in generator.layers if isinstance(layer, (keras.layers.Dense, keras.layers.EinsumDense))
    )
    z = RANDOM.standard_normal((2, 5)).astype("float32")
    start = keras.Model(generator.input, basis.output)
    expected = (z @ numpy(dense.kernel))[:, None, None, :] * numpy(basis.kernel)
    np.testing.assert_allclose(numpy(start(z)), expected, atol=1e-5)

    discriminator = r3gan.discriminator((8, 8, 3), chosen)
    basis, dense = (
        layer for layer in discriminator.layers if isinstance(layer, (keras.layers.Dense, keras.layers.EinsumDense))
    )
    seen = keras.Model(discriminator.input, [basis.input, discriminator.output])
    x, logits = (numpy(value) for value in seen(RANDOM.uniform(-1, 1, (2, 8, 8, 3)).astype("float32")))
    expected = np.sum(x * numpy(basis.kernel), axis=(1, 2)) @ numpy(dense.kernel)
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_a_class_decides_by_its_own_direction():
    discriminator = r3gan.conditional_discriminator((16, 16, 3), options(), classes=3)
    images = RANDOM.uniform(-1, 1, (3, 16, 16, 3)).astype("float32")
    embedding = next(layer for layer in discriminator.layers if isinstance(layer, keras.layers.Embedding))
    features = keras.Model(
        discriminator.inputs[0],
        next(layer for layer in discriminator.layers if isinstance(layer, keras.layers.EinsumDense)).output,
    )(images)
    labels = np.array([2, 0, 2], "int32")
    expected = np.sum(numpy(features) * numpy(embedding.embeddings)[labels], axis=1, keepdims=True)
    np.testing.assert_allclose(numpy(discriminator([images, labels])), expected, atol=1e-5)
