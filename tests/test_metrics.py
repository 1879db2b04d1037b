"""The metrics against closed forms, reference libraries and pictures made worse on purpose."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ganforge.data.critters import FACTORS, draw_critters
from ganforge.errors import GANForgeError
from ganforge.study.metrics.cost import cost, flops
from ganforge.study.metrics.critters import critter_coverage, read_critters, reader_accuracy
from ganforge.study.metrics.features import features
from ganforge.study.metrics.gap import gap
from ganforge.study.metrics.kid import kid, mmd
from ganforge.study.metrics.memorising import memorising, nearest
from ganforge.study.metrics.spread import spread
from ganforge.study.metrics.swd import down, laplacian_pyramid, sliced_wasserstein, swd, up


@pytest.fixture(scope="module")
def critters():
    return draw_critters(300, 32, seed=11)


@pytest.fixture(scope="module")
def others():
    return draw_critters(300, 32, seed=12)[0]


def noisy(images, deviation):
    noise = np.random.default_rng(0).normal(0, deviation, images.shape)
    return np.clip(images + noise, 0, 255).astype(np.uint8)


# ------------------------------------------------------------------ sliced Wasserstein distance


def test_a_shifted_cloud_is_as_far_as_its_shift_projects():
    random = np.random.default_rng(0)
    cloud = random.standard_normal((500, 12)).astype(np.float32)
    shift = random.standard_normal(12).astype(np.float32)
    found = sliced_wasserstein(cloud, cloud + shift, np.random.default_rng(1), projections=4096)
    # Every projection moves by v · u, and E|v · u| = |v| Γ(d/2) / (√π Γ((d+1)/2)) over directions u of the sphere.
    expected = np.linalg.norm(shift) * math.gamma(6) / (math.sqrt(math.pi) * math.gamma(6.5))
    assert found == pytest.approx(expected, rel=0.03)
    assert sliced_wasserstein(cloud, cloud[::-1], np.random.default_rng(1)) == pytest.approx(0, abs=1e-6)


def test_the_pyramid_adds_up_and_blurs_as_scipy_does():
    ndimage = pytest.importorskip("scipy.ndimage")
    images = np.random.default_rng(0).random((2, 64, 64, 3), dtype=np.float32)
    levels = laplacian_pyramid(images)
    assert [level.shape[1] for level in levels] == [64, 32, 16]
    back = levels[-1]
    for level in reversed(levels[:-1]):
        back = level + up(back)
    assert np.abs(back - images).max() < 1e-5
    kernel = np.outer([1, 4, 6, 4, 1], [1, 4, 6, 4, 1]) / 256
    reference = ndimage.convolve(images, kernel[None, :, :, None], mode="mirror")[:, ::2, ::2]
    assert np.abs(down(images) - reference).max() < 1e-5


def test_swd_is_0_for_the_same_and_grows_with_noise_at_the_finest_level(critters, others):
    images = critters[0]
    assert swd(images, images)["mean"] == 0
    plain, little, much = (swd(images, x) for x in (others, noisy(others, 10), noisy(others, 40)))
    assert plain["32"] < little["32"] < much["32"]
    assert much["16"] - plain["16"] < (much["32"] - plain["32"]) / 2
    assert plain["mean"] == pytest.approx((plain["32"] + plain["16"]) / 2)


@pytest.mark.parametrize(("side", "levels"), [(8, ["8"]), (28, ["28"]), (64, ["64", "32", "16"])])
def test_swd_takes_any_size(side, levels):
    images = np.random.default_rng(0).integers(0, 256, (20, side, side, 1), dtype=np.uint8)
    assert list(swd(images, images[::-1]))[:-1] == levels


# ------------------------------------------------------------------ kernel distance


def test_mmd_equals_the_double_sum_and_the_reference_library():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((20, 5)), random.standard_normal((25, 5)) + 0.3

    def kernel(x, y):
        return (x @ y / 5 + 1) ** 3

    within = np.mean([kernel(a[i], a[j]) for i in range(20) for j in range(20) if i != j])
    within += np.mean([kernel(b[i], b[j]) for i in range(25) for j in range(25) if i != j])
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert mmd(a, b) == pytest.approx(within - 2 * between)
    torchmetrics = pytest.importorskip("torchmetrics.image.kid")
    import torch

    x, y = torch.from_numpy(a), torch.from_numpy(b[:20])
    assert mmd(a, b[:20]) == pytest.approx(float(torchmetrics.poly_mmd(x, y)), abs=1e-9)


def test_kid_knows_noise_blur_and_missing_modes(critters, others):
    images, factors = critters
    real = features(images)
    same, error = kid(real, features(others))
    assert abs(same) < 0.02
    assert 0 < error < 0.06
    blurred = np.stack([others, np.roll(others, 1, 1), np.roll(others, 1, 2), np.roll(others, -1, 2)]).mean(0)
    cats = images[factors["species"] == 0]
    for worse in (noisy(others, 25), blurred.astype(np.uint8), np.repeat(cats[:20], 15, 0)):
        assert kid(real, features(worse))[0] > 5 * max(abs(same), 0.01)


def test_features_are_the_same_everywhere(critters):
    first = features(critters[0][:3])
    assert first.shape == (3, 480)
    assert np.allclose(first[:1], features(critters[0][:1]), atol=1e-4)
    # Not those of another version: evaluations must stay comparable.
    assert np.allclose(
        features(np.full((1, 16, 16, 3), 255, np.uint8))[0, 32:35], [-4.6052, -1.1155, -0.2761], atol=1e-3
    )
    assert features(np.zeros((2, 8, 8, 1), np.uint8)).shape == (2, 480)


def test_published_scores_by_a_network_of_ones_own(tmp_path):
    pytest.importorskip("torchmetrics")
    import torch

    from ganforge.study.evaluate import inception_scores_of

    class Means(torch.nn.Module):
        def forward(self, x):
            return x.float().mean((2, 3)) / 255

    torch.jit.script(Means()).save(tmp_path / "means.pt")
    random = np.random.default_rng(0)
    level = random.normal(100, 8, (400, 1, 1, 3))
    real = np.broadcast_to(level, (400, 8, 8, 3)).astype(np.uint8)
    scores = inception_scores_of(real, real + np.uint8(51), tmp_path / "means.pt")
    # Means 0.2 apart in three channels and the same covariance: the Fréchet distance is 3 · 0.2².
    assert scores["fid"] == pytest.approx(0.12, rel=1e-3)
    (tmp_path / "broken.pt").write_bytes(b"nothing")
    with pytest.raises(GANForgeError, match="expected a TorchScript file"):
        inception_scores_of(real, real, tmp_path / "broken.pt")
    with pytest.raises(GANForgeError, match="there is no such file"):
        inception_scores_of(real, real, tmp_path / "missing.pt")


# ------------------------------------------------------------------ critters


@pytest.mark.parametrize(("side", "channels", "least"), [(32, 3, 0.99), (64, 3, 0.99), (16, 3, 0.99), (32, 1, 0.85)])
def test_the_reader_reads_nearly_every_critter(side, channels, least):
    accuracy = reader_accuracy(side, channels)
    assert accuracy["mode"] >= least
    assert accuracy["species"] == 1
    if channels == 3:
        assert accuracy["clear"] >= 0.99


def test_no_mode_is_seen_in_noise_smears_and_mixtures(critters):
    images = critters[0]
    random = np.random.default_rng(0).integers(0, 256, images.shape, dtype=np.uint8)
    mixtures = ((images.astype(int) + images[::-1]) // 2).astype(np.uint8)
    smears = images.reshape(300, 4, 8, 4, 8, 3).mean((2, 4), keepdims=True)
    smears = np.broadcast_to(smears, (300, 4, 8, 4, 8, 3)).reshape(images.shape).astype(np.uint8)
    assert read_critters(random).clear.mean() == 0
    assert read_critters(mixtures).clear.mean() < 0.05
    assert read_critters(smears).clear.mean() < 0.05


def test_coverage_counts_the_modes_that_are_there(critters):
    images, factors = critters
    found = critter_coverage(images)
    truth = {tuple(int(factors[name][i]) for name in FACTORS) for i in range(300)}
    assert (found["modes"], found["of"], found["precision"]) == (len(truth), 270, 1.0)
    assert found["expected"] == pytest.approx(len(truth), abs=15)
    assert found["shares"]["species"]["dog"] == pytest.approx(factors["species"].mean())
    few = critter_coverage(np.repeat(images[:7], 20, 0))
    assert few["modes"] == len({tuple(int(factors[name][i]) for name in FACTORS) for i in range(7)})


# ------------------------------------------------------------------ copies, spread, balance


def test_copies_are_found_and_new_pictures_are_not():
    random = np.random.default_rng(0)
    training = random.integers(0, 256, (400, 16, 16, 3), dtype=np.uint8)
    new = random.integers(0, 256, (100, 16, 16, 3), dtype=np.uint8)
    new[:25] = noisy(training[40:65], 4)
    found = memorising(new, training)
    assert found["share"] == 0.25
    assert found["real_share"] == 0
    assert found["real_ratio"] == pytest.approx(found["ratio"], abs=0.05)
    index, ratio = nearest(new, training)
    assert index[:25].tolist() == list(range(40, 65))
    assert ratio[:25].max() < 0.2 < 0.8 < ratio[25:].min()
    # Blurred pictures are near to everything, and copies of nothing.
    assert memorising(np.full_like(new, 128), training)["share"] == 0


def test_spread_of_two_levels_has_a_closed_form():
    images = np.zeros((100, 4, 4, 1), np.uint8)
    images[50:] = 40
    found = spread(images)
    assert found["mean"] == pytest.approx(40 * 50 * 50 / (100 * 99 / 2))
    assert found["nearest"] == 0


def test_gap_of_known_curves():
    lines = [{"d_loss": 9.0, "g_loss": 0.0, "d_real": 0.0, "d_fake": 0.0, "d_accuracy": 0.0}] * 20
    for i in range(20):
        accuracy = 0.8 if i % 4 else 0.95
        fake = 0.3 + 0.1 * (-1) ** i
        lines.append({"d_loss": 1.0, "g_loss": 1.5, "d_real": 0.7, "d_fake": fake, "d_accuracy": accuracy})
    found = gap(lines)
    assert found["loss_gap"] == pytest.approx(0.5)
    assert found["d_gap"] == pytest.approx(0.4)
    assert (found["balanced"], found["d_wins"]) == (0.75, 0.25)
    assert found["swing"] == pytest.approx(0.1, abs=0.02)
    assert gap([]) == {}
    assert gap([{"d_loss": None, "g_loss": 1.0}] * 9) == {}


# ------------------------------------------------------------------ cost


@pytest.mark.parametrize("arch", ["dcgan:layers=2,width=4,discriminator_width=6", "fcgan:hidden=8-12"])
def test_flops_are_those_that_torch_counts(arch):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from ganforge.config import TrainConfig
    from ganforge.training import Training

    training = Training.new(
        TrainConfig.of({"arch": arch, "data": "critters:count=8", "image_size": 16, "batch_size": 8})
    )
    inputs = {"generator": torch.zeros(1, 100), "discriminator": torch.zeros(1, 16, 16, 3)}
    for role, model in (("generator", training.generator), ("discriminator", training.discriminator)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(inputs[role], training=False)
        counted, unknown = flops(training.networks[role], list(inputs[role].shape[1:]))
        assert counted == counter.get_total_flops()
        assert unknown == []
    about = cost(training.manifest())
    assert about["training_flops"] == 3 * about["flops"]["generator"] + 8 * about["flops"]["discriminator"]


def test_layers_that_cannot_be_counted_are_named():
    layers = [{"kind": "Attention", "output_shape": [4], "parameters": 9, "detail": "", "name": "a"}]
    assert flops(layers, [4]) == (0, ["Attention"])
