"""Finding pictures in the latent space, and directions in it. The generators are known: linear, in one pixel."""

from __future__ import annotations

import base64
import io
import json
import re

import keras
import numpy as np
import pytest
from browser import inside
from keras import layers
from PIL import Image
from support import BACKENDS, SMALL, one_line, photos, probe
from test_api import SHRINK, run_of

from ganforge import GANForgeError, Run, UsageError, train
from ganforge.data.decode import Reading
from ganforge.data.load import load_images
from ganforge.data.reading import read_picture
from ganforge.latent.directions import directions, weights_of
from ganforge.latent.projection import psnr
from ganforge.latent.search import RATE, descend, starting
from ganforge.media.grids import cells
from ganforge.runs import create_run

QUIET = {"progress": False}


@pytest.fixture
def run(tmp_path):
    return run_of(tmp_path / "runs")


def saved(folder, model, classes=()) -> Run:
    """A run that has this generator and nothing else."""
    latent_dim = int(model.inputs[0].shape[1])
    about = {"config": {"arch": "x", "latent_dim": latent_dim}, "state": "finished", "data": {"classes": [*classes]}}
    about["data"]["description"], about["progress"] = "a picture", {"step": 5, "steps": 5, "epoch": 1, "epochs": 1}
    path = create_run(folder, {**about, "image_shape": [*model.output_shape[1:]]})
    model.save(path / "generator.keras")
    return Run(path)


# ------------------------------------------------------------------ looking for a picture


@pytest.mark.parametrize("backend", BACKENDS)
def test_every_backend_has_the_slopes_of_the_distance(backend):
    report = probe("latent_probe.py", backend)
    assert report["values"] < 1e-5
    assert report["largest"] > 0.05
    assert report["slopes"] < 1e-3 * report["largest"]


def test_the_search_goes_down_from_each_start_and_keeps_the_nearest():
    aim = np.array([1.0, -2.0, 0.5])
    starts = np.array([[9, 9, 9], [0, 0, 0], [np.nan, 0, 0]], np.float32)
    found = descend(lambda z: (((z - aim) ** 2).sum(1), 2 * (z - aim)), starts, 250)
    assert found.start == 1
    assert np.abs(found.latent - aim).max() < 1e-3
    assert np.array_equal(found.way[0], starts[1])
    assert np.array_equal(found.way[-1], found.latent)
    # Adam's first step goes as far in each number, whatever the slope; a tenth of the rate, which grows from there.
    assert np.allclose(found.way[1], 0.1 * RATE * np.sign(aim), atol=1e-5)
    away = descend(lambda z: (((z - aim) ** 2).sum(1), -2 * (z - aim)), starts, 20)
    assert np.array_equal(away.latent, starts[1])
    assert away.way.shape == (1, 3)


def test_it_starts_from_what_is_nearest_and_from_every_class():
    distances = np.array([5.0, 1, 4, 2, 3, 9])
    assert starting(distances, None, 3).tolist() == [1, 3, 4]
    assert starting(distances, np.array([0, 1, 1, 1, 1, 2]), 4).tolist() == [1, 0, 5, 3]


def test_the_latent_of_a_picture_is_found(run):
    colours = np.array([[[[30, 128, 200]]], [[[255, 0, 90]]]], np.uint8)
    found = run.project(colours, **QUIET)
    wanted = (colours[:, 0, 0] / 127.5 - 1) / SHRINK
    inner = np.array([[True, True, True], [False, False, True]])  # beyond white and black there is nothing to see
    assert np.abs(found.latents - wanted)[inner].max() < 0.02
    assert np.array_equal(found.pictures, colours)
    assert np.isinf(found.psnr).all()
    assert found.classes == [None, None]
    assert "identical" in found.text()
    assert found.ways.shape == (2, 48, 1, 1, 3)
    walk = found.interpolate(0, 1, frames=5)
    assert walk.shape == (10, 1, 1, 1, 3)
    assert np.array_equal(walk[[0, 4, 5, 9], 0], colours[[0, 1, 1, 0]])


def test_a_class_that_can_draw_it_is_found(tmp_path):
    latents, labels = keras.Input((3,)), keras.Input((), dtype="int32")
    embedding = layers.Embedding(2, 3)
    faint = layers.Rescaling(0.2)(layers.Activation("tanh")(layers.Dense(3, name="mixing")(latents)))
    model = keras.Model([latents, labels], layers.Reshape((1, 1, 3))(layers.Add()([faint, embedding(labels)])))
    embedding.set_weights([np.array([[-0.6] * 3, [0.6] * 3])])
    run = saved(tmp_path, model, ("dark", "bright"))
    bright = np.full((1, 1, 1, 3), 205, np.uint8)
    found = run.project(bright, starts=2, **QUIET)
    assert found.classes == ["bright"]
    assert found.psnr[0] > 40
    assert run.project(bright, class_name="dark", **QUIET).classes == ["dark"]
    assert run.project(bright, class_name="dark", **QUIET).psnr[0] < 20


def test_maps_of_an_imagenet_network_are_those_of_its_features_with_slopes():
    pytest.importorskip("efficientnet_lite_pytorch")
    import torch

    from ganforge.latent.distance import judging
    from ganforge.metrics.imagenet import features, maps

    pictures = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), np.uint8)
    at = torch.from_numpy(pictures / np.float32(127.5) - 1).requires_grad_()
    made = maps(at)
    sizes = [(16, 112), (24, 56), (40, 28), (112, 14), (320, 7)]
    assert [tuple(one.shape[1:]) for one in made] == [(depth, side, side) for depth, side in sizes]
    # The network's features are one convolution behind its last map: to tell pictures apart, as far as they do.
    assert features(pictures).shape == (2, 1280)

    def model(x, training):
        return x

    judge = judging(model, "imagenet")
    other = torch.from_numpy(np.roll(pictures, 1, 0) / np.float32(127.5) - 1)
    apart = judge(at, other)
    expected = ((at - other) ** 2).mean((1, 2, 3)).detach().numpy()
    for one, two in zip(made, maps(other)):
        units = [np.asarray(x.detach()) / np.linalg.norm(x.detach(), axis=1, keepdims=True) for x in (one, two)]
        expected = expected + ((units[0] - units[1]) ** 2).sum(1).mean((1, 2)) / 5
    assert np.allclose(apart.detach().numpy(), expected, rtol=1e-3)
    assert torch.autograd.grad(apart.sum(), at)[0].abs().max() > 0


def test_a_picture_that_a_generator_made_is_found_again(tmp_path):
    run = train(**SMALL, epochs=2, runs_dir=tmp_path, **QUIET)
    found = run.project(np.asarray(run.sample(seeds=range(6))), **QUIET)
    assert (found.psnr >= 30).all()
    error = ((found.pictures.astype(float) - found.targets) ** 2).mean((1, 2, 3))
    assert np.allclose(found.psnr, 20 * np.log10(255) - 10 * np.log10(error))
    assert psnr(found.targets[0], found.targets[0]) == np.inf


def test_its_files_open_elsewhere(run, ganforge_cli, tmp_path):
    photo = photos(tmp_path / "photos", 2, 1)
    code, out, _ = ganforge_cli("project", run.path, photo / "0.png", photo / "1.png", "--output", "found/them.png")
    assert code == 0
    assert "0.png" in out
    assert "identical" in out
    strip = cells(tmp_path / "found/them.png", (1, 1, 3)).reshape(2, 8, 3)
    wanted = [np.asarray(Image.open(photo / f"{i}.png"))[0, 0] for i in range(2)]
    assert np.array_equal(strip[:, 7], wanted)
    assert np.array_equal(strip[:, 6], wanted)
    assert not np.array_equal(strip[:, 0], wanted)
    with Image.open(tmp_path / "found/them.gif") as animation:
        assert animation.n_frames > 10
    assert ganforge_cli("sample", run.path, "--latents", "found/them.npy", "--output", "again/")[0] == 0
    again = [np.asarray(Image.open(tmp_path / f"again/sample_latents_them_{i:05d}.png"))[0, 0] for i in range(2)]
    assert np.array_equal(again, wanted)
    np.save(tmp_path / "one.npy", np.load(tmp_path / "found/them.npy")[:1])
    words = ("--interpolate", "one.npy", photo / "1.png", "--output", "walk.webp")
    assert ganforge_cli("project", run.path, *words)[0] == 0
    with Image.open(tmp_path / "walk.webp") as animation:
        assert np.array_equal(np.asarray(animation.convert("RGB"))[0, 0], wanted[0])
        assert animation.n_frames > 10


@pytest.mark.parametrize(
    ("words", "code", "why"),
    [
        ((), 2, "nothing to project"),
        (("photo.png", "--interpolate", "photo.png", "photo.png"), 2, "do not go together"),
        (("missing.png",), 1, "there is no file 'missing.png'"),
        (("text.png",), 1, "'text.png' cannot be read"),
        (("photo.png", "--output", "x.jpg"), 2, "expected a .png"),
        (("photo.png", "--features", "lpips"), 2, "expected pixels or imagenet"),
        (("photo.png", "--class", "cat"), 2, "knows no classes"),
        (("--interpolate", "two.npy", "photo.png"), 2, "it holds 2 latents; expected one"),
        (("--interpolate", "photo.png", "photo.png", "--output", "x.txt"), 2, "expected a name ending in"),
    ],
)
def test_what_cannot_be_projected_is_one_line(run, ganforge_cli, tmp_path, words, code, why):
    Image.new("RGB", (3, 3)).save(tmp_path / "photo.png")
    (tmp_path / "text.png").write_text("no picture")
    np.save(tmp_path / "two.npy", np.zeros((2, 3), np.float32))
    result = ganforge_cli("project", run.path, *words)
    assert result[0] == code
    assert why in one_line(result[2])


def test_arrays_and_vectors_are_refused_in_python(run, tmp_path):
    for array in (np.zeros((1, 2, 2, 3), np.uint8), np.zeros((1, 1, 1, 3)), np.zeros((0, 1, 1, 3), np.uint8)):
        with pytest.raises(UsageError, match=re.escape("expected uint8 (n, 1, 1, 3)")):
            run.project(array, **QUIET)
    with pytest.raises(UsageError, match="invalid starts 0"):
        run.project(np.zeros((1, 1, 1, 3), np.uint8), starts=0, **QUIET)
    inputs = keras.Input((3,))
    vectors = saved(tmp_path / "vectors", keras.Model(inputs, layers.Dense(2)(inputs)))
    with pytest.raises(UsageError, match="makes vectors"):
        vectors.project(tmp_path / "photo.png", **QUIET)
    with pytest.raises(UsageError, match="makes vectors"):
        vectors.explore()


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_file_is_read_as_it_is_in_a_set(tmp_path, channels):
    random = np.random.default_rng(0)
    folder = tmp_path / "set"
    folder.mkdir()
    clear = random.integers(0, 256, (20, 30, 4), np.uint8)
    Image.fromarray(clear).save(folder / "a.png")
    Image.fromarray(random.integers(0, 60000, (20, 30), np.uint16)).save(folder / "b.png")
    Image.fromarray(clear[..., :3]).convert("CMYK").save(folder / "c.jpg")
    Image.fromarray(random.integers(0, 300, (20, 30)).astype(np.float32)).save(folder / "d.tif")
    how = {"image_size": (8, 12), "channels": channels, "fit": "pad", "background": "#102030"}
    together = load_images(str(folder), None, value_range=(0, 40000), **how).array
    reading = Reading(**how)
    alone = [read_picture(path, reading, (0, 40000)) for path in sorted(folder.iterdir())]
    assert np.array_equal(together, alone)
    assert len(np.unique(alone[1])) > 20


# ------------------------------------------------------------------ directions


def generator(build) -> keras.Model:
    """A generator of four latents whose first layers ``build`` makes of them."""
    inputs = keras.Input((4,))
    x = layers.Dense(12)(layers.Flatten()(build(inputs)))
    return keras.Model(inputs, layers.Reshape((2, 2, 3))(x))


def kernel(model: keras.Model, name: str) -> np.ndarray:
    """The weights of a layer, (4, outputs)."""
    found = model.get_layer(name)
    return np.asarray((found.layer if hasattr(found, "layer") else found).get_weights()[0], float)


CASES = {
    "dense": (lambda z: layers.Dense(9, "relu", name="first")(z), lambda k: k),
    "scaled": (lambda z: layers.Dense(9, name="first")(layers.UnitNormalization()(z)), lambda k: k),
    "normalized": (lambda z: layers.SpectralNormalization(layers.Dense(9), name="first")(z), lambda k: k),
    "transposed": (
        lambda z: layers.Conv2DTranspose(5, 3, name="first")(layers.Reshape((1, 1, 4))(z)),
        lambda k: k.transpose(3, 0, 1, 2).reshape(4, -1),
    ),
    "within": (
        lambda z: keras.Sequential([layers.Input((4,)), layers.Dense(9, name="inner")], name="first")(z),
        lambda k: k,
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_directions_are_the_singular_vectors_of_the_first_weights(case):
    build, flat = CASES[case]
    model = generator(build)
    first = model.get_layer("first").get_layer("inner") if case == "within" else None
    matrix = flat(np.asarray(first.get_weights()[0], float) if first else kernel(model, "first"))
    left, values, _ = np.linalg.svd(matrix)
    found = directions(model, _never, 4, 3)
    assert found.vectors.shape == (3, 4)
    assert np.allclose(np.abs((found.vectors * left.T[:3]).sum(1)), 1, atol=1e-5)
    assert np.allclose(found.shares, values[:3] ** 2 / (values**2).sum(), atol=1e-5)
    assert all(vector[np.abs(vector).argmax()] > 0 for vector in found.vectors)


def _never(latents):
    raise AssertionError("the weights say it")


def test_all_layers_that_take_the_latents_count_and_an_embedding_does_not():
    latents, labels = keras.Input((4,)), keras.Input((), dtype="int32")
    both = layers.Concatenate()([layers.Embedding(3, 6)(labels), latents])
    x = layers.Add()([layers.Dense(12, name="one")(both), layers.Dense(12, name="two")(latents)])
    model = keras.Model([latents, labels], layers.Reshape((2, 2, 3))(x))
    one, two = kernel(model, "one")[6:], kernel(model, "two")
    found = weights_of(model, 4)
    assert np.allclose(found["one"], one.T)
    assert np.allclose(found["two"], two.T)
    left = np.linalg.svd(np.concatenate([one, two], 1))[0]
    assert np.allclose(np.abs((directions(model, _never, 4, 2).vectors * left.T[:2]).sum(1)), 1, atol=1e-5)


def test_of_unknown_layers_the_pictures_are_looked_at(tmp_path):
    model = generator(lambda z: layers.EinsumDense("bi,io->bo", 7)(z))
    weights = [w for w in model.get_weights() if w.ndim == 2]
    left, values, _ = np.linalg.svd(weights[0].astype(float) @ weights[1])
    run = saved(tmp_path, model)
    found = run.directions(2)
    assert found.layers == ()
    assert np.allclose(np.abs((found.vectors * left.T[:2]).sum(1)), 1, atol=1e-3)
    assert np.allclose(found.shares, values[:2] ** 2 / (values**2).sum(), atol=1e-3)


@pytest.fixture
def explored(tmp_path):
    kernel_of_three = np.diag([0.05, 0.2, 0.1])
    inputs = keras.Input((3,))
    dense = layers.Dense(3, use_bias=False, name="mixing")
    model = keras.Model(inputs, layers.Reshape((1, 1, 3))(dense(inputs)))
    dense.set_weights([kernel_of_three])
    run = saved(tmp_path / "runs", model)
    return run, run.explore(tmp_path / "page.html", count=2, seeds=2, strength=2.0)


def test_the_page_has_a_sheet_for_each_direction(explored):
    run, page = explored
    assert np.array_equal(np.load(page.with_suffix(".npy")), np.eye(3, dtype=np.float32)[[1, 2]])
    text = page.read_text()
    assert not re.search(r"(src|href)=[\"']?http", text)
    data = json.loads(re.search(r'<script id="data"[^>]*>(.*?)</script>', text, re.DOTALL)[1])
    assert "mixing" in data["about"]
    assert np.allclose([one["share"] for one in data["directions"]], [0.04 / 0.0525, 0.01 / 0.0525], atol=1e-6)
    content = base64.b64decode(data["directions"][0]["sheet"]["source"].partition(",")[2])
    sheet = np.asarray(Image.open(io.BytesIO(content)))[2::3, 2::3].astype(int)
    assert sheet.shape == (2, 9, 3)
    assert np.array_equal(sheet[:, 4], run.sample(seeds=[0, 1])[:, 0, 0])
    # From one end to the other 4 in the second number, of which the picture shows a fifth.
    assert np.abs((sheet[:, 8] - sheet[:, 0])[:, 1] - 4 * 0.2 * 127.5).max() <= 1
    assert np.array_equal(sheet[:, 0][:, [0, 2]], sheet[:, 8][:, [0, 2]])


@pytest.mark.slow
def test_its_sliders_move_the_pictures(explored):
    script = """
        const section = document.querySelectorAll("section")[1], slider = section.querySelector("input");
        const image = section.querySelector(".now img"), before = parseFloat(image.style.left);
        slider.value = 5; slider.oninput();
        const times = parseFloat(image.style.width) / 29;
        return [document.querySelectorAll("section").length, (before - parseFloat(image.style.left)) / times];
    """
    page = explored[1]
    open_page = page.with_name("open.html")  # without the policy, which lets no script of the test's in
    open_page.write_text(re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", page.read_text()))
    assert inside(open_page, script) == [2, 3]


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (("--strength", "0"), "invalid --strength 0: expected a number above 0"),
        (("--class", "cat"), "knows no classes"),
        (("--output", "x.txt"), "expected a .html"),
    ],
)
def test_what_cannot_be_explored_is_one_line(run, ganforge_cli, words, why):
    code, _, err = ganforge_cli("explore", run.path, *words)
    assert code == 2
    assert why in one_line(err)


def test_a_generator_that_is_not_there_is_said(tmp_path):
    run = create_run(tmp_path, {"config": {"arch": "x", "latent_dim": 3}, "data": {}, "image_shape": [1, 1, 3]})
    with pytest.raises(GANForgeError, match="has no generator"):
        Run(run).project(np.zeros((1, 1, 1, 3), np.uint8), **QUIET)
