"""Data that are not pictures: vectors from the batch to the report, and the mixtures whose modes are counted."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import BACKENDS, one_line, printed

import ganforge
from ganforge.data.gaussians import GaussianOptions, load_gaussians, mixture
from ganforge.errors import GANForgeError, UsageError
from ganforge.metrics.modes import mode_coverage

SMALL = {
    "arch": "mlp:width=8,layers=1",
    "data": "gaussians:count=128",
    "batch_size": 32,
    "latent_dim": 4,
    "log_every": 1,
}
PLUGIN = """
import numpy as np
from ganforge import DatasetSource, Images, hookimpl

def load(limit, seed):
    points = np.random.default_rng(seed).normal(0, 5, (64, {d})).astype("{dtype}")
    points[0] = {first}
    return Images(array=points, fingerprint="ab", description="64 vectors", found=64)

@hookimpl
def register_datasets(register):
    register(DatasetSource("mine", load=load, image_size=None))
"""


def plugin(folder: Path, d: int = 3, dtype: str = "float64", first: str = "0") -> str:
    path = folder / "mine.py"
    path.write_text(PLUGIN.format(d=d, dtype=dtype, first=first))
    return str(path)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return ganforge.train(**SMALL, epochs=2, runs_dir=str(tmp_path_factory.mktemp("vectors")))


# ------------------------------------------------------------------ the mixtures


def test_the_ring_and_the_grid_are_those_of_the_papers():
    means, sigma = mixture(GaussianOptions(kind="ring"))
    expected = [(math.cos(2 * math.pi * k / 8), math.sin(2 * math.pi * k / 8)) for k in range(8)]
    np.testing.assert_allclose(means, expected, atol=1e-12)
    assert sigma == 0.01
    means, sigma = mixture(GaussianOptions())
    assert sorted(map(tuple, means)) == [(x, y) for x in (-4, -2, 0, 2, 4) for y in (-4, -2, 0, 2, 4)]
    assert sigma == 0.05
    means, _ = mixture(GaussianOptions(n=4, spacing=3))
    assert sorted(map(tuple, means)) == [(-1.5, -1.5), (-1.5, 1.5), (1.5, -1.5), (1.5, 1.5)]
    np.testing.assert_allclose(np.linalg.norm(mixture(GaussianOptions(kind="ring", radius=3))[0], axis=1), 3)


@pytest.mark.parametrize("kind", ["ring", "grid"])
def test_points_lie_about_their_modes_as_gaussians_do(kind):
    options = GaussianOptions(kind=kind, count=20_000)
    means, sigma = mixture(options)
    images = load_gaussians(options, seed=3)
    assert images.array.dtype == np.float32
    apart = (images.array - means[images.labels]) / sigma
    # Standard errors: of a mean 1/sqrt(40,000), of a variance sqrt(2/40,000).
    assert abs(apart.mean()) < 5 / 200
    assert abs(apart.var() - 1) < 5 * math.sqrt(2 / 40_000)
    counts = np.bincount(images.labels, minlength=len(means))
    assert np.abs(counts - 20_000 / len(means)).max() < 5 * math.sqrt(20_000 / len(means))


def test_points_are_a_function_of_the_seed():
    one, same, other = (load_gaussians(GaussianOptions(count=50), seed=s) for s in (1, 1, 2))
    np.testing.assert_array_equal(one.array, same.array)
    assert one.fingerprint == same.fingerprint != other.fingerprint
    assert len(load_gaussians(GaussianOptions(count=50), limit=20)) == 20


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"n": 24}, "n=16 or n=25"),
        ({"radius": 2.0}, "expected spacing"),
        ({"kind": "ring", "spacing": 2.0}, "expected radius"),
    ],
)
def test_a_mixture_that_cannot_be_is_refused(options, said):
    from ganforge.plugin.options import make_options

    with pytest.raises(UsageError, match=said):
        make_options("data source 'gaussians'", GaussianOptions, options)


# ------------------------------------------------------------------ modes


def test_modes_are_counted_as_by_hand():
    means, sigma = np.array([[0.0, 0.0], [2.0, 0.0], [0.0, 2.0]]), 0.1
    points = [
        *[(0.0, 0.29)] * 4,  # within 0.3 of the first
        *[(2.2, 0.2)] * 2,  # 0.283 from the second
        (0.0, 1.69),  # 0.31 from the third: near none
        (math.nan, 0.0),
        (math.inf, 1.0),
        (0.0, 0.31),
    ]
    found = mode_coverage(np.array(points), means, sigma)
    assert found["counts"] == [4, 2, 0]
    assert (found["covered"], found["of"]) == (2, 3)
    assert found["high_quality"] == 0.6
    p = (4 / 6, 2 / 6)
    assert found["reverse_kl"] == pytest.approx(sum(x * math.log(x / (1 / 3)) for x in p))


def test_modes_agree_with_another_computation():
    random = np.random.default_rng(0)
    means, sigma = mixture(GaussianOptions())
    points = means[random.integers(0, 20, 3000)] + 0.08 * random.standard_normal((3000, 2))
    counts = [0] * 25
    for x, y in points:
        for k, (a, b) in enumerate(means):  # balls of radius 0.15 do not meet
            counts[k] += math.hypot(x - a, y - b) < 3 * sigma
    found = mode_coverage(points, means, sigma)
    assert found["counts"] == counts
    assert found["covered"] == 20
    assert found["high_quality"] == pytest.approx(sum(counts) / 3000)
    assert found["reverse_kl"] >= math.log(25 / 20)


def test_a_perfect_and_a_lost_generator():
    options = GaussianOptions(count=20_000)
    perfect = mode_coverage(load_gaussians(options, seed=5).array, *mixture(options))
    assert perfect["covered"] == 25
    assert perfect["high_quality"] == pytest.approx(1 - math.exp(-4.5), abs=5 * math.sqrt(0.0111 * 0.9889 / 20_000))
    assert perfect["reverse_kl"] < 0.005
    lost = mode_coverage(np.full((10, 2), 1.0), *mixture(options))
    assert (lost["covered"], lost["high_quality"], lost["reverse_kl"]) == (0, 0.0, None)
    one = mode_coverage(np.zeros((10, 2)), *mixture(options))
    assert one["reverse_kl"] == pytest.approx(math.log(25))


# ------------------------------------------------------------------ a run


def test_a_run_on_vectors_leaves_all_that_a_run_leaves(run):
    assert run.manifest["image_shape"] == [2]
    assert run.manifest["config"]["image_size"] is None
    assert "128 points of 25 Gaussians on a grid" in run.manifest["data"]["description"]
    snapshots = [path for _, path in run.snapshots()]
    assert [epoch for epoch, _ in run.snapshots()] == [0, 1, 2]
    assert len({Image.open(path).size for path in snapshots}) == 1
    assert len({path.read_bytes() for path in snapshots}) == 3
    with Image.open(run.path / "progression.gif") as animation:
        assert animation.n_frames == 3
    points = run.sample(70, seed=4)
    assert points.shape == (70, 2)
    assert points.dtype == np.float32
    np.testing.assert_array_equal(points, run.sample(70, seed=4))


def test_networks_see_vectors_unscaled():
    """With D(x) = x₀ the mean logit of the reals is the mean of their first coordinate."""
    from ganforge.training.config import TrainConfig
    from ganforge.training.setup import Setup

    setup = Setup.new(TrainConfig.of({**SMALL, "arch": "mlp:width=2,layers=1,activation=relu", "epochs": 1}))
    for variable, value in zip(
        setup.engine.discriminator.trainable_variables, ([[1, -1], [0, 0]], [0, 0], [[1], [-1]], [0])
    ):
        variable.assign(value)
    setup.engine.adapter.sync_from_keras()
    (step,) = setup.engine.steps(setup.batches, setup.progress, 0, 1)
    expected = setup.batches.batch(0).images[:, 0].mean()
    assert abs(expected) > 0.05
    assert step.read()["d_real_logit"] == pytest.approx(expected, rel=1e-4)


def test_vectors_resume_to_the_bit(run, tmp_path):
    whole = ganforge.train(**SMALL, epochs=2, runs_dir=str(tmp_path / "a"))
    halves = ganforge.train(**SMALL, epochs=1, runs_dir=str(tmp_path / "b")).resume(epochs=2)
    np.testing.assert_array_equal(whole.sample(20), halves.sample(20))
    np.testing.assert_array_equal(whole.sample(20), run.sample(20))


def test_evaluate_counts_the_modes(run, ganforge_cli):
    code, out, err = ganforge_cli("evaluate", run.path, "--samples", "64", "--json")
    assert code == 0, err
    found = json.loads(out)
    means, sigma = mixture(GaussianOptions())
    near = np.linalg.norm(run.sample(64)[:, None] - means, axis=-1).min(1) < 3 * sigma
    assert found["modes"]["high_quality"] == near.mean()
    assert found["modes"]["of"] == 25
    assert not {"swd", "kid", "tone", "memorising"} & found.keys()
    assert "of 25 covered" in " ".join(ganforge_cli("evaluate", run.path, "--samples", "64")[1].split())
    for more in (("--inception", __file__), ("--features", "imagenet"), ("--data", ".")):
        assert more[0] in (line := one_line(ganforge_cli("evaluate", run.path, *more)[2]))
        assert "is for pictures" in line


def test_sample_writes_numbers_or_a_plot(run, ganforge_cli, tmp_path):
    for name in ("a.npy", "a.csv", "a.png"):
        assert ganforge_cli("sample", run.path, "-n", "30", "--output", tmp_path / name)[0] == 0
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), run.sample(30))
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "a.csv", delimiter=",", dtype=np.float32), run.sample(30))
    assert Image.open(tmp_path / "a.png").size == Image.open(run.snapshots()[0][1]).size
    assert ganforge_cli("sample", run.path)[0] == 0
    assert np.load(run.path / "samples_seed_0.npy").shape == (2500, 2)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--interpolate",), "--interpolate is for pictures"),
        (("--grid", "2x2"), "--grid is for pictures"),
        (("--output", "here"), "expected a .npy, .csv or .png"),
    ],
)
def test_what_needs_pictures_is_refused_in_one_line(run, ganforge_cli, words, said):
    code, _, err = ganforge_cli("sample", run.path, *words)
    assert code == 2
    assert said in " ".join(err.split())


def test_the_other_commands_tell_of_vectors(run, ganforge_cli, tmp_path):
    assert "of 2 numbers" in ganforge_cli("show", run.path)[1]
    for words in (("runs",), ("diagnose", run.path), ("gif", run.path, "--output", tmp_path / "a.gif")):
        code, _, err = ganforge_cli(*words, *(("--runs-dir", run.path.parent) if words == ("runs",) else ()))
        assert code == 0, err
    assert ganforge_cli("report", run.path, run.path, "--output", tmp_path / "r.html")[0] == 0
    page = (tmp_path / "r.html").read_text()
    assert page.count("data:image/webp") >= 3
    assert f"<title>{run.path.name}, {run.path.name}</title>" in page  # and not where it is


def test_sizes_of_pictures_are_refused(ganforge_cli, tmp_path):
    for flag in (("--image-size", "16"), ("--channels", "3")):
        code, _, err = ganforge_cli("train", "--arch", "mlp", "--data", "gaussians", *flag, "--runs-dir", tmp_path)
        assert code == 2
        assert f"{flag[0]} does not apply to --data gaussians" in one_line(err)


def test_an_architecture_of_pictures_says_so(tmp_path):
    with pytest.raises(GANForgeError, match="for vectors instead of pictures, use arch mlp"):
        ganforge.train("dcgan", data="gaussians:count=64", epochs=1, runs_dir=str(tmp_path))


def test_a_bounded_generator_is_warned_of(tmp_path, caplog):
    ganforge.train("fcgan:hidden=4", data="gaussians:count=64", epochs=1, runs_dir=str(tmp_path), batch_size=32)
    assert "--arch mlp has no such bounds" in caplog.text


@pytest.mark.parametrize("d", [1, 3])
def test_vectors_of_any_length_by_a_plugin(tmp_path, d):
    made = ganforge.train(
        **{**SMALL, "data": "mine"}, plugins=plugin(tmp_path, d), epochs=1, runs_dir=str(tmp_path / "runs")
    )
    assert made.manifest["image_shape"] == [d]
    assert made.sample(5).shape == (5, d)
    assert len({Image.open(path).size for _, path in made.snapshots()}) == 1


@pytest.mark.parametrize(
    ("how", "said"), [({"first": "np.nan"}, "not finite"), ({"dtype": "int32"}, r"expected uint8 \(N, H, W, C\)")]
)
def test_vectors_that_will_not_train_are_refused(tmp_path, how, said):
    with pytest.raises(GANForgeError, match=said):
        ganforge.train(
            **{**SMALL, "data": "mine"}, plugins=plugin(tmp_path, **how), epochs=1, runs_dir=str(tmp_path / "runs")
        )


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_step_on_every_backend(backend, tmp_path):
    program = (
        "import json, sys, ganforge\n"
        "run = ganforge.train('mlp:width=8', data='gaussians:count=64', batch_size=32, epochs=1, "
        f"backend='{backend}', runs_dir=sys.argv[1])\n"
        "print(json.dumps([run.sample(3).shape, run.manifest['versions']['backend']]))"
    )
    assert printed(program, backend, tmp_path) == [[3, 2], backend]


# ------------------------------------------------------------------ pictures without bounds


def test_pictures_of_an_unbounded_generator_are_clipped_when_drawn(tmp_path):
    settings = {"data": "critters:count=32", "image_size": 8, "batch_size": 16, "latent_dim": 16, "epochs": 1}
    made = ganforge.train("mlp:width=8", **settings, runs_dir=str(tmp_path))
    raw = np.asarray(made.generator()(np.full((4, 16), 9.0, np.float32)).detach())
    assert np.abs(raw).max() > 1
    pictures = made.decode(np.full((4, 16), 9.0, np.float32))
    np.testing.assert_array_equal(pictures, np.clip(np.rint((raw + 1) * 127.5), 0, 255).astype(np.uint8))


def test_a_rare_mode_is_drawn_as_rarely_and_measured_by_its_share():
    options = GaussianOptions(kind="ring", rare=0.1, count=50_000)
    images = load_gaussians(options)
    p = np.array([0.1, *[1.0] * 7]) / 7.1
    drawn = np.bincount(images.labels, minlength=8) / 50_000
    np.testing.assert_allclose(drawn, p, atol=0.006)
    q = drawn  # what of these points lies within three deviations is nearly all of each mode alike
    found = mode_coverage(images.array, *mixture(options), p)
    assert found["reverse_kl"] == pytest.approx((q * np.log(q / p)).sum(), abs=2e-4)
    uniform = mode_coverage(images.array, *mixture(options))
    assert uniform["reverse_kl"] == pytest.approx((q * np.log(q * 8)).sum(), abs=2e-3)
    plain = load_gaussians(GaussianOptions(kind="ring", count=100))
    assert plain.fingerprint == load_gaussians(GaussianOptions(kind="ring", count=100, rare=1)).fingerprint
