"""What sngan and fastgan are made of, at every size and colour, against the same arithmetic in NumPy."""

from __future__ import annotations

import ganforge_fastgan as fastgan
import ganforge_sngan as sngan
import keras
import numpy as np
import pytest
from keras import layers

import ganforge
from ganforge.engine.engine import Engine
from ganforge.engine.keras_internals import all_layers
from ganforge.plugin.registry import load_plugins
from ganforge.plugin.types import Batch, Progress

RANDOM = np.random.default_rng(8)
SMALL = {"sngan": sngan.SNGANOptions(width=2, discriminator_width=2)}
SMALL |= {"sngan-conditional": SMALL["sngan"], "fastgan": fastgan.FastGANOptions(width=2, discriminator_width=2)}
# The side of the first map in the generator, of the last in the discriminator, and how many logits a picture has.
SIDES = {
    ("sngan", 32): (4, 4, 1),
    ("sngan", 64): (4, 4, 1),
    ("sngan", 128): (4, 4, 1),
    ("sngan", 256): (4, 4, 1),
    ("sngan", 28): (7, 7, 1),
    ("fastgan", 16): (4, 4, 1),
    ("fastgan", 32): (4, 8, 25),
    ("fastgan", 128): (4, 8, 25),
    ("fastgan", 256): (4, 8, 25),
    ("fastgan", 48): (6, 12, 81),
}


def numpy(x) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


def pictures(count: int, *shape: int) -> np.ndarray:
    return RANDOM.uniform(-1, 1, (count, *shape)).astype("float32")


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("name", "size"), SIDES)
def test_every_size_is_reached_from_a_small_map(name, size, channels):
    module, options, (first, last, logits) = globals()[name], SMALL[name], SIDES[name, size]
    generator = module.generator((size, size, channels), 5, options)
    discriminator = module.discriminator((size, size, channels), options)
    made = numpy(generator(RANDOM.standard_normal((2, 5)).astype("float32")))
    assert made.shape == (2, size, size, channels)
    assert np.abs(made).max() <= 1
    assert next(x for x in generator.layers if isinstance(x, layers.Reshape)).output.shape[1] == first
    maps = [x.output.shape[1] for x in discriminator.layers if not isinstance(x.output, dict) and x.output.ndim == 4]
    said = discriminator(made)
    if name == "fastgan":
        smallest = max(1, last - 3)  # patches of 4 x 4
        assert min(maps) == smallest
        assert said["logits"].shape == (2, smallest, smallest, 1)
        assert {x.shape for x in said["features"].values()} == {
            (2, min(128, size // 2), min(128, size // 2), channels)
        }
        said = said["logits"]
    else:
        assert min(maps) == last
    assert int(np.prod(said.shape[1:])) == logits


@pytest.mark.parametrize("module", [sngan, fastgan])
def test_pictures_need_not_be_square_and_what_cannot_be_is_one_line(module):
    options = SMALL[module.__name__.removeprefix("ganforge_")]
    assert module.generator((32, 64, 3), 5, options).output_shape == (None, 32, 64, 3)
    module.discriminator((32, 64, 3), options)
    for size in (7, 9):
        with pytest.raises(ganforge.UsageError, match=f"cannot end at {size} pixels; use --image-size 8$"):
            module.generator((size, size, 3), 5, options)
    with pytest.raises(ganforge.UsageError, match=r"128 pixels with blocks=7; use --image-size 256$"):
        sngan.generator((128, 128, 3), 5, sngan.SNGANOptions(blocks=7))


@pytest.mark.parametrize("name", ["sngan", "sngan-conditional", "fastgan"])
def test_a_saved_generator_has_layers_of_keras_alone(name):
    entry = load_plugins().get("architecture", name).value
    more = (3,) if entry.conditional else ()
    model = entry.generator((32, 32, 3), 5, SMALL[name], *more)
    assert {type(layer).__module__.split(".")[0] for layer in all_layers(model)} == {"keras"}


def test_sngan_divides_each_kernel_by_its_largest_singular_value_and_learns_through_it():
    """In NumPy, with u the left vector itself: W / σ, and the gradient of a function f of it by small differences."""
    layer = sngan.SpectralDense(4)
    layer.build((None, 3))
    kernel, x, c = RANDOM.normal(size=(3, 4)), RANDOM.normal(size=(5, 3)), RANDOM.normal(size=(5, 4))
    u = np.linalg.svd(kernel)[2][:1]  # kernel is (in, out): its right vectors are the layer's left ones
    layer.kernel.assign(kernel.astype("float32"))
    layer.u.assign(u.astype("float32"))
    np.testing.assert_allclose(numpy(layer(x.astype("float32"))), x @ (kernel / np.linalg.norm(kernel, 2)), atol=1e-5)

    def f(kernel):
        return float((c * (x @ (kernel / np.linalg.norm(kernel, 2)))).sum())

    slopes = np.zeros_like(kernel)
    for place in np.ndindex(*kernel.shape):
        step = np.zeros_like(kernel)
        step[place] = 1e-6
        slopes[place] = (f(kernel + step) - f(kernel - step)) / 2e-6
    factors = keras.ops.convert_to_tensor(c.astype("float32"))
    loss = keras.ops.sum(layer(x.astype("float32"), training=True) * factors)
    loss.backward()
    np.testing.assert_allclose(numpy(layer.kernel.value.grad), slopes, rtol=1e-3, atol=1e-4)


def test_a_class_adds_its_normalised_direction_to_sngan_s_verdict():
    model = sngan.conditional_discriminator((8, 8, 1), SMALL["sngan"], 3)
    embedding = next(layer for layer in model.layers if isinstance(layer, sngan.SpectralEmbedding))
    dense = next(layer for layer in model.layers if isinstance(layer, sngan.SpectralDense))
    given, labels = pictures(4, 8, 8, 1), np.array([2, 0, 1, 2], "int32")
    h = numpy(keras.Model(model.inputs[0], dense.input)(given))

    def normal(kernel, u):
        v = u @ kernel.T / np.linalg.norm(u @ kernel.T)
        return kernel / np.linalg.norm(v @ kernel)

    table = normal(numpy(embedding.embeddings), numpy(embedding.u))
    w = normal(numpy(dense.kernel), numpy(dense.u))
    expected = h @ w + numpy(dense.bias) + (h * table[labels]).sum(1, keepdims=True)
    np.testing.assert_allclose(numpy(model([given, labels])), expected, rtol=1e-4, atol=1e-5)


def test_each_class_scales_and_shifts_sngan_s_maps():
    model = sngan.conditional_generator((8, 8, 1), 4, SMALL["sngan"], 2)
    add = next(x for x in model.layers if isinstance(x, layers.Add))
    norm = next(x for x in model.layers if isinstance(x, layers.BatchNormalization))
    scale, shift = [x for x in model.layers if isinstance(x, layers.Embedding)][:2]
    for embedding in (scale, shift):
        embedding.set_weights([RANDOM.normal(size=x.shape) for x in embedding.get_weights()])
    latents, labels = RANDOM.standard_normal((3, 4)).astype("float32"), np.array([1, 0, 1], "int32")
    before, after = (numpy(x) for x in keras.Model(model.inputs, [norm.output, add.output])([latents, labels]))
    (gamma,), (beta,) = scale.get_weights(), shift.get_weights()
    expected = before * gamma[labels][:, None, None] + beta[labels][:, None, None]
    np.testing.assert_allclose(after, expected, rtol=1e-4, atol=1e-5)
    assert norm.gamma is None
    assert norm.beta is None


# ------------------------------------------------------------------ fastgan


def test_a_small_map_decides_how_much_each_channel_of_a_large_one_counts():
    small, large = keras.Input((8, 8, 3)), keras.Input((16, 16, 2))
    model = keras.Model([small, large], fastgan._excite(small, large))
    a, b = pictures(2, 8, 8, 3), pictures(2, 16, 16, 2)
    first, second = (x.get_weights() for x in model.layers if isinstance(x, layers.Conv2D))
    pooled = a.reshape(2, 4, 2, 4, 2, 3).mean((2, 4))
    hidden = np.einsum("bijc,ijco->bo", pooled, first[0]) + first[1]
    hidden = np.where(hidden > 0, hidden, 0.1 * hidden)
    gates = 1 / (1 + np.exp(-(hidden @ second[0][0, 0] + second[1])))
    np.testing.assert_allclose(numpy(model([a, b])), b * gates[:, None, None], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("size", "skip", "gates"), [(32, 0, 1), (64, 0, 1), (256, 0, 3), (64, 2, 3), (64, 8, 1)])
def test_maps_are_gated_by_those_four_doublings_before(size, skip, gates):
    options = fastgan.FastGANOptions(width=1, skip=skip)
    model = fastgan.generator((size, size, 3), 4, options)
    ones = [x for x in model.layers if isinstance(x, layers.Conv2D) and x.activation is keras.activations.sigmoid]
    assert len(ones) == gates


class Given:
    def iterate(self, start, stop):
        for step in range(start, stop):
            yield step, Batch(np.full((4, 32, 32, 3), 255, "uint8"), None)


class Halved(ganforge.Strategy):
    """What D sees is half as bright."""

    name = "halved"

    @ganforge.hookimpl
    def discriminator_images(self, images):
        return 0.5 * images


@pytest.mark.parametrize(
    "balance", [[], [fastgan.Redraw()], [Halved(), fastgan.Redraw(fastgan.Redraw.Options(weight=3.0))]]
)
def test_the_discriminator_learns_to_redraw_the_real_pictures_that_it_sees(balance):
    options = SMALL["fastgan"]
    discriminator = fastgan.discriminator((32, 32, 3), options)
    # White pictures stay white when they are made smaller; half as bright, they are 0.5.
    seen = np.full((4, 32, 32, 3), 0.5 if len(balance) == 2 else 1.0, "float32")
    said = discriminator(seen)["features"]
    np.testing.assert_allclose(numpy(said["seen"]), seen[:, ::2, ::2], rtol=1e-6)
    expected = np.abs(numpy(said["redrawn"]) - seen[:, ::2, ::2]).mean() * (3.0 if len(balance) == 2 else 1.0)
    drawing = [
        x for x in discriminator.layers if isinstance(x, layers.Conv2D) and x.activation is keras.activations.tanh
    ]
    before = [numpy(w.value) for w in drawing[0].weights]
    loss = load_plugins().get("loss", "hinge").value
    engine = Engine(
        fastgan.generator((32, 32, 3), 4, options), discriminator, loss, strategies=balance, batch_size=4,
        latent_dim=4, learning_rate=1e-3, seed=0,
    )  # fmt: skip
    (step,) = engine.steps(Given(), lambda s: Progress(s, 1, 0, 1), 0, 1)
    metrics = step.read()
    engine.adapter.sync_to_keras()
    moved = [not np.array_equal(a, numpy(w.value)) for a, w in zip(before, drawing[0].weights)]
    assert moved == [bool(balance)] * 2
    if balance:
        assert metrics["redraw/penalty"] == pytest.approx(expected, rel=1e-5)


def test_redraw_refuses_a_discriminator_that_does_not(tmp_path):
    tiny = {"data": "critters:count=16", "image_size": 16, "batch_size": 8, "epochs": 1, "runs_dir": str(tmp_path)}
    with pytest.raises(ganforge.UsageError, match="real_features"):
        ganforge.train("fcgan:hidden=4", "redraw", **tiny)
    for features in ({"other": 1}, keras.ops.ones((2, 3))):
        with pytest.raises(ganforge.UsageError, match="expected one that does, such as --arch fastgan"):
            fastgan.Redraw().discriminator_penalty(features, {"weight": 1.0})


# ------------------------------------------------------------------ recipes


@pytest.mark.parametrize(
    ("name", "recipe"),
    [
        ("sngan", ("hinge", ("generator-steps:generator=1,discriminator=5",), "adam:beta_2=0.9", 128, 0.0)),
        pytest.param(
            *("fastgan", ("hinge", ("mirror", "diffaugment", "redraw"), None, 256, 0.5)), marks=pytest.mark.slow
        ),
    ],
)
def test_the_name_alone_is_the_recipe_and_a_run_of_it_is_resumed(name, recipe, tmp_path):
    tiny = {"data": "critters:count=16", "image_size": 16, "batch_size": 8, "runs_dir": str(tmp_path)}
    run = ganforge.train(f"{name}:width=2,discriminator_width=2", **tiny, epochs=2)
    config = run.config
    assert (config.loss, config.balance, config.optimizer, config.latent_dim, config.beta_1) == recipe
    assert (config.ema, config.learning_rate) == (0.999, 2e-4)
    assert run.resume(epochs=3).sample(2).shape == (2, 16, 16, 3)
