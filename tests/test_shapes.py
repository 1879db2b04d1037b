"""Pictures that are not square, and with transparency: as written, from files, in networks, grids and scores."""

from __future__ import annotations

import hashlib
import json

import numpy as np
import pytest
import torch
from keras import ops
from PIL import Image
from shapes_probe import SHAPE, SMALL
from support import BACKENDS, photos, probe

import ganforge
from ganforge import GANForgeError, Images, UsageError, halvings, plan_upsampling
from ganforge.balance import ada, augmenting, diffaugment
from ganforge.data.blank import blank
from ganforge.data.critters import draw_critters
from ganforge.data.folder import load_folder
from ganforge.data.load import load_images
from ganforge.media.animation import make_animation
from ganforge.media.grids import cells, make_grid, on_checkerboard, read_png, save_png
from ganforge.metrics.critters import critter_coverage, reader_accuracy
from ganforge.metrics.diversity import diversity
from ganforge.metrics.memorising import nearest
from ganforge.metrics.swd import swd
from ganforge.metrics.transparency import over
from ganforge.plugin.dataset import DatasetSource
from ganforge.plugin.registry import Choice, Entry, load_plugins
from ganforge.plugin.sizes import parse_size, sides, written_size
from ganforge.study.plan import read_study
from ganforge.testing import CHECKS
from ganforge.testing.cases import make_case
from ganforge.testing.framework import Advice
from ganforge.training.config import TrainConfig
from ganforge.training.resolve import resolve

RANDOM = np.random.default_rng(8)
NOTHING = (255, 255, 255, 0)


# ------------------------------------------------------------------ as written


@pytest.mark.parametrize(
    ("given", "size", "written"),
    [
        (64, 64, 64),
        ("64", 64, 64),
        ("128x64", (64, 128), "128x64"),
        (" 128 × 64 ", (64, 128), "128x64"),
        ("32X32", 32, 32),
        ((128, 64), (64, 128), "128x64"),
        ([np.int64(16), 8], (8, 16), "16x8"),
        (np.int32(1024), 1024, 1024),
    ],
)
def test_a_size_is_a_side_or_width_before_height(given, size, written):
    assert parse_size(given) == size
    assert written_size(parse_size(given)) == written
    config = TrainConfig.of({"image_size": given})
    assert config.image_size == written
    assert TrainConfig.of(config.model_dump()) == config


@pytest.mark.parametrize(
    "wrong",
    [7, 1025, "7x64", "64x", "x64", "64x64x3", "-8", "64.0", 64.0, True, (64,), (64, True), (1, 2, 3), {}, "9" * 400],
)
def test_what_is_no_size_is_one_line(wrong):
    with pytest.raises(
        UsageError, match=r"^invalid --image-size .{0,40}: expected 8 to 1,024 pixels, or WIDTHxHEIGHT"
    ):
        TrainConfig.of({"image_size": wrong})


def test_files_of_settings_and_studies_have_it_as_the_flag_does(tmp_path, ganforge_cli):
    (tmp_path / "s.toml").write_text('[common]\nepochs = 1\n[[grid]]\nimage-size = ["32x16", 16]\n')
    entries = read_study(tmp_path / "s.toml").entries
    assert [TrainConfig.of(entry.settings).image_size for entry in entries] == ["32x16", 16]
    (tmp_path / "t.toml").write_text(
        'image-size = "24x16"\nchannels = 4\ndata = "critters:count=8"\nbatch-size = 4\n'
    )
    code, out, _ = ganforge_cli("train", "--config", tmp_path / "t.toml", "--arch", "fcgan:hidden=8", "--dry-run")
    assert code == 0
    assert "8 drawn cats and dogs (24x16, colour with transparency)" in out


def test_squares_in_grey_and_colour_are_known_as_ever(tmp_path):
    """What the cache and a run of before call them, computed as 0.1 wrote it down."""
    folder = photos(tmp_path / "photos", 3)
    for channels in (1, 3):
        digest = hashlib.sha256(json.dumps([2, 16, channels, "crop"]).encode())
        for name in ("0.png", "1.png", "2.png"):
            digest.update(f"\n{name}\0".encode() + hashlib.sha256((folder / name).read_bytes()).digest())
        read = load_folder(folder, image_size=16, channels=channels, cache_dir=tmp_path)
        assert read.fingerprint == digest.hexdigest()
        choice = load_plugins().choose("dataset", "critters:count=4")
        drawn = load_images("critters", choice, image_size=16, channels=channels)
        assert drawn.fingerprint == hashlib.sha256(f"critters 1 4 16 {channels} 0".encode()).hexdigest()


# ------------------------------------------------------------------ files


@pytest.fixture
def read(tmp_path):
    """Read pictures from files: uint8 (N, H, W, 4)."""

    def load(*pictures: Image.Image, size=(16, 24), **how):
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        for i, picture in enumerate([*pictures, pictures[-1]]):
            picture.save(folder / f"{i}.png")
        found = load_folder(folder, image_size=size, channels=4, cache_dir=tmp_path / "cache", **how)
        return np.asarray(found.array)

    return load


def test_a_picture_of_the_size_stays_as_it_is_but_where_nothing_is_seen(read):
    pixels = RANDOM.integers(0, 256, (16, 24, 4), dtype=np.uint8)
    pixels[3:5, :9, 3] = 0
    expected = np.where(pixels[..., 3:] == 0, np.uint8((16, 32, 48, 0)), pixels)
    assert np.array_equal(read(Image.fromarray(pixels), background="#102030")[0], expected)


def test_colours_are_not_premultiplied_and_what_is_unseen_does_not_bleed(read):
    half = np.zeros((64, 96, 4), np.uint8)
    half[:, :50] = (200, 100, 50, 128)
    half[:, 50:] = (0, 255, 0, 0)
    small = read(Image.fromarray(half)).astype(int)[0]
    assert np.abs(small[:, :9] - (200, 100, 50, 128)).max() <= 1
    assert (small[:, 16:] == NOTHING).all()
    seen = small[small[..., 3] > 8]
    assert np.abs(seen[:, :3] - (200, 100, 50)).max() <= 16  # eight bits of a colour times a small opacity are few


def test_fits_are_those_of_the_shape(read):
    left, right = (255, 0, 0, 255), (0, 0, 255, 255)
    picture = np.zeros((32, 96, 4), np.uint8)
    picture[:, :48], picture[:, 48:] = left, right
    wide = Image.fromarray(picture)
    padded = read(wide, fit="pad", background="black")[0]
    assert padded.shape == (16, 24, 4)
    assert (padded[:4] == (0, 0, 0, 0)).all()  # three times as wide as high: 24 by 8
    assert (padded[12:] == (0, 0, 0, 0)).all()
    assert (padded[4:12, :8] == left).all()
    assert (padded[4:12, 16:] == right).all()
    stretched = read(wide, fit="stretch")[0]
    assert (stretched[:, :8] == left).all()
    assert (stretched[:, 16:] == right).all()
    tall = picture.transpose(1, 0, 2)  # red above blue
    cropped = read(Image.fromarray(tall), fit="crop", size=(24, 16))[0]
    assert (cropped[:8] == left).all()
    assert (cropped[16:] == right).all()


def test_what_has_no_transparency_is_opaque_whatever_its_depth(read):
    deep = Image.fromarray(np.linspace(0, 65535, 24 * 24, dtype=np.uint16).reshape(24, 24))
    grey = deep.point(lambda level: level / 256).convert("L")
    for picture in (deep, grey, grey.convert("CMYK").convert("RGB"), grey.convert("P")):
        found = read(picture, fit="pad")[0]  # 16 by 16 in the middle of 24
        assert (found[:, 4:20, 3] == 255).all()
        assert (found[:, :4] == NOTHING).all()
        assert (found[:, 20:] == NOTHING).all()
        assert int(found[0, 4, 0]) < 12 < 240 < int(found[-1, 19, 0])


def test_a_set_with_nothing_to_be_seen_is_called_so():
    unseen = np.full((20, 8, 12, 4), NOTHING, np.uint8)
    assert blank(unseen)[0].startswith("all pictures are (nearly) transparent")
    unseen[:, 2:6, 2:9, 3] = 255  # a white shape on nothing
    assert blank(unseen) == []


def test_turned_photographs_are_read_by_the_shape_they_are_seen_in(tmp_path):
    pixels = np.zeros((400, 800, 3), np.uint8)
    pixels[:, :400] = 255  # the left half is white: on the right when turned by 180 degrees, above by 90
    folder = tmp_path / "turned"
    folder.mkdir()
    for i, orientation in enumerate((1, 6)):
        exif = Image.Exif()
        exif[0x0112] = orientation
        Image.fromarray(pixels).save(folder / f"{i}.jpg", exif=exif, quality=95)
    found = load_folder(folder, image_size=(8, 16), fit="stretch", cache_dir=tmp_path).array
    for light, dark in ((found[0, :, :7], found[0, :, 9:]), (found[1, :3], found[1, 5:])):
        assert light.min() > 240
        assert dark.max() < 15


def test_critters_stand_in_the_middle_of_the_lower_edge():
    square, factors = draw_critters(6, 32, seed=3)
    wide, same = draw_critters(6, (32, 80), seed=3)
    tall, _ = draw_critters(6, (80, 32), seed=3)
    assert all(np.array_equal(factors[name], same[name]) for name in factors)
    background = square[:, :1, :1].astype(int)
    assert np.abs(wide[:, :, 24:56].astype(int) - square).max() <= 2
    assert np.abs(tall[:, 48:].astype(int) - square).max() <= 2
    for beside in (wide[:, :, :24], wide[:, :, 56:], tall[:, :46]):  # the tips of ears are not cut off
        assert np.abs(beside - background).max() <= 2
    alone, _ = draw_critters(6, 32, 4, seed=3)
    opacity = alone[..., 3:] / 255
    assert np.abs(alone[..., :3] * opacity + background * (1 - opacity) - square).max() <= 2


# ------------------------------------------------------------------ sources


def choice(load, **more) -> Choice:
    source = DatasetSource("mine", load, **more)
    return Choice(Entry("dataset", "mine", source, "here", "1", 1), source.options())


def made(shape) -> Images:
    return Images(np.zeros((4, *shape), np.uint8), "ab", "4 of them")


def asked_of(source: Choice, size, channels: int = 3) -> Images:
    return load_images("mine", source, image_size=size, channels=channels)


def test_a_source_that_knows_sides_alone_is_asked_for_squares_alone():
    asked = []

    def old(image_size, channels):
        asked.append((image_size, channels))
        return made((image_size, image_size, channels))

    assert asked_of(choice(old), 16).array.shape == (4, 16, 16, 3)
    assert asked_of(choice(old), 16, 4).array.shape == (4, 16, 16, 4)
    with pytest.raises(
        UsageError, match=r"--data mine only gives square pictures; expected --image-size 16 .*, not 24x16"
    ):
        asked_of(choice(old), (16, 24))
    assert asked == [(16, 3), (16, 4)]


def test_a_source_that_names_the_shape_is_asked_for_any():
    assert asked_of(choice(lambda image_shape: made(image_shape)), (16, 24), 4).array.shape == (4, 16, 24, 4)
    assert asked_of(choice(lambda image_shape: made(image_shape)), 16).array.shape == (4, 16, 16, 3)
    with pytest.raises(GANForgeError, match=r"returned pictures of shape \(16, 16, 3\); expected \(16, 24, 3\)"):
        asked_of(choice(lambda image_shape: made((16, 16, 3))), (16, 24))
    with pytest.raises(GANForgeError, match=r"this --image-size or --channels"):
        asked_of(choice(lambda image_size: made((16, 16, 3))), 16, 4)


def test_defaults_may_be_of_any_shape_and_a_run_refuses_what_its_source_cannot(tmp_path):
    plugin = tmp_path / "wide.py"
    plugin.write_text(
        "from ganforge import Architecture, DatasetSource, hookimpl\n"
        "from ganforge_fcgan import FCGANOptions, discriminator, generator\n"
        "def old(image_size, channels): ...\n"
        "@hookimpl\n"
        "def register_architectures(register):\n"
        "    defaults = {'image_size': '48x16'}\n"
        "    register(Architecture('wide', generator, discriminator, FCGANOptions, defaults=defaults))\n"
        "@hookimpl\n"
        "def register_datasets(register):\n"
        "    register(DatasetSource('old', old))\n"
        "    register(DatasetSource('tall', lambda image_shape: ..., image_size='16x40', channels=4))\n"
    )
    from ganforge.plugin.trust import given

    def chosen(**settings):
        return resolve(TrainConfig.of(settings), given([str(plugin)]))

    assert chosen(arch="wide").image_size == (16, 48)
    assert chosen(arch="wide", image_size=24, data="old").image_size == 24
    tall = chosen(arch="fcgan", data="tall")
    assert (tall.image_size, tall.channels) == ((40, 16), 4)
    with pytest.raises(UsageError, match=r"--data old only gives square pictures"):
        chosen(arch="wide", data="old")


# ------------------------------------------------------------------ networks


@pytest.mark.parametrize(("size", "layers", "kernel", "stride"), [((48, 32), 3, 4, 2), ((18, 45), 2, 9, 3)])
def test_transposed_convolutions_end_at_both_sides_as_torch_has_them(size, layers, kernel, stride):
    plan = plan_upsampling(size, layers, kernel, stride)
    x = torch.zeros(1, 1, *plan.start)
    sizes = [tuple(x.shape[2:])]
    for each in plan.strides:
        x = torch.nn.functional.conv_transpose2d(
            x, torch.zeros(1, 1, kernel, kernel), stride=each, padding=plan.padding
        )
        sizes.append(tuple(x.shape[2:]))
    assert plan.sizes == tuple(sizes)
    assert sizes[-1] == size
    with pytest.raises(
        UsageError, match=r"cannot end at 36x20 pixels; layers=1 to 2 can; or use --image-size 32x16$"
    ):
        plan_upsampling((20, 36), 3)


def test_maps_halve_both_ways_as_pooling_does():
    for size, smallest in (((48, 32), 4), ((8, 1024), 4), ((20, 36), 2), ((7, 8), 4), ((64, 64), 8)):
        x, sizes = torch.zeros(1, 1, *size), [size]
        while all(n % 2 == 0 and n // 2 >= smallest for n in sizes[-1]):
            x = torch.nn.functional.avg_pool2d(x, 2)
            sizes.append(tuple(x.shape[2:]))
        assert halvings(size, smallest) == tuple(sizes)
    assert halvings(64, times=2) == ((64, 64), (32, 32), (16, 16))


SIZES = [(16, 24), (24, 16), (32, 80), (8, 136), (20, 36), (9, 16), (66, 130), (40, 1000), (8, 1024), (1024, 8)]


@pytest.mark.parametrize("name", SMALL)
def test_architectures_make_the_shape_that_is_asked_for_or_name_one_that_they_make(name):
    chosen = load_plugins().choose("architecture", SMALL[name])

    def build(size, channels):
        shape = (*size, channels)
        networks = chosen.value.generator(shape, 5, chosen.options), chosen.value.discriminator(shape, chosen.options)
        assert networks[0].output_shape == (None, *shape)
        assert networks[1].input_shape == (None, *shape)

    refused = {}
    for size, channels in zip(SIZES, (1, 3, 4) * 4):
        try:
            build(size, channels)
        except UsageError as error:
            refused[size] = str(error)
    for size, said in refused.items():
        assert f"cannot end at {written_size(size)} pixels" in said
        build(sides(parse_size(said.rpartition("use --image-size ")[2])), 3)
    uneven, long = [(9, 16)], [(66, 130), (8, 1024), (1024, 8)]
    known = {"dcgan": uneven, "sngan": uneven, "r3gan": long, "fastgan": [*uneven, *long, (40, 1000)]}
    known["projected"] = long
    assert set(refused) == set(known.get(name, ()))


KIT = """
import numpy as np
from ganforge import Architecture, DatasetSource, Images, hookimpl
from ganforge_fcgan import FCGANOptions, discriminator, generator

def squares(image_shape, latent_dim, options):
    side, _, channels = image_shape
    return generator((side, side, channels), latent_dim, options)

def load(image_shape, limit):
    return Images(np.ones((limit, *image_shape[:2], 3), np.uint8), "ab", "ones")

@hookimpl
def register_architectures(register):
    register(Architecture("squares", squares, discriminator, FCGANOptions))

@hookimpl
def register_datasets(register):
    register(DatasetSource("opaque", load))
"""


@pytest.mark.parametrize(
    ("kind", "name", "check", "words"),
    [
        ("architecture", "squares:hidden=8,discriminator_hidden=8", "other-sizes", "at 48x32, 3 channel"),
        (
            "dataset",
            "opaque",
            "gives-other-shapes",
            r"16x24 with 1 channel\(s\), pictures are \(24, 16, 3\)",
        ),
    ],
)
def test_the_kit_advises_on_shapes_that_a_plugin_gets_wrong(tmp_path, kind, name, check, words):
    (tmp_path / "kit.py").write_text(KIT)
    case = make_case(kind, name, [str(tmp_path / "kit.py")], tmp_path, first=True)
    (function,) = (one.function for one in CHECKS[kind] if one.name == check)
    with pytest.raises(Advice, match=words):
        function(case)


@pytest.mark.parametrize("backend", BACKENDS)
def test_a_run_is_trained_stopped_resumed_and_drawn_from_on_each_backend(backend):
    found = dict(probe("shapes_probe.py", backend))
    reference = probe("shapes_probe.py", "torch")["numbers"]
    for name, numbers in found.pop("numbers").items():
        assert numbers == pytest.approx(reference[name], abs=2e-4), name
    assert found == {
        "state": "stopped",
        "config": ["16x24", 4],
        "image_shape": list(SHAPE),
        "same_lines": True,
        "same_grids": True,
        "cells": [100, *SHAPE],
        "sample": [3, *SHAPE],
        "walk": [2, 3, *SHAPE],
        "film_keeps_opacity": True,
    }


# ------------------------------------------------------------------ augmentations


class Some:
    """Random numbers of their own for each call, the same in each order of calls."""

    def __init__(self):
        self.random = np.random.default_rng(3)

    def uniform(self, shape, low=0.0, high=1.0, dtype="float32"):
        return ops.convert_to_tensor(self.random.uniform(low, high, shape).astype("float32"))

    def normal(self, shape, dtype="float32"):
        return ops.convert_to_tensor(self.random.standard_normal(shape).astype("float32"))

    def bernoulli(self, shape, probability, dtype="float32"):
        return ops.convert_to_tensor((self.random.random(shape) < probability).astype("float32"))


@pytest.mark.parametrize("strategy", [ada.ADA(ada.ADA.Options(geometry=False)), diffaugment.DiffAugment()])
def test_augmentations_change_the_colours_as_without_transparency_and_leave_the_opacity(strategy):
    pictures = RANDOM.uniform(-1, 1, (3, 6, 10, 4)).astype("float32")

    def seen(images):
        given = {"state": {"p": 0.9}} if strategy.name == "ada" else {"controls": {"probability": 0.9}}
        return ops.convert_to_numpy(
            strategy.discriminator_images(ops.convert_to_tensor(images), random=Some(), **given)
        )

    both, plain = seen(pictures), seen(pictures[..., :3])
    np.testing.assert_allclose(both[..., :3], plain, atol=1e-6)
    assert np.abs(plain - pictures[..., :3]).max() > 0.1
    if strategy.name == "ada":
        np.testing.assert_array_equal(both[..., 3], pictures[..., 3])
    else:  # moved and cut as the colours are: what opens is 0 in all of them
        gone = (plain == 0).all(-1)
        assert gone.any()
        assert (both[..., 3][gone] == 0).all()


def test_geometry_moves_all_channels_alike():
    colours = RANDOM.uniform(-1, 1, (3, 8, 12, 1)).astype("float32")
    turned = ops.convert_to_numpy(ada.geometry(ops.convert_to_tensor(np.repeat(colours, 4, 3)), Some(), 0.9))
    assert np.abs(turned - colours).max() > 0.1
    for channel in range(1, 4):
        np.testing.assert_array_equal(turned[..., channel], turned[..., 0])
    assert augmenting.coloured(colours, lambda x: x + 1) is not colours


# ------------------------------------------------------------------ to look at


def composed(pixels: np.ndarray, colour) -> np.ndarray:
    """Pillow's own: a picture laid on a colour."""
    picture = Image.fromarray(pixels)
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, (*colour, 255)), picture))[..., :3]


def test_a_grid_is_kept_without_loss_and_cut_into_its_pictures(tmp_path):
    for channels in (1, 3, 4):
        pictures = RANDOM.integers(0, 256, (12, 10, 22, channels), dtype=np.uint8)
        save_png(make_grid(pictures, 4), tmp_path / "grid.png")
        assert np.array_equal(cells(tmp_path / "grid.png", (10, 22, channels)), pictures)
    grid = read_png(tmp_path / "grid.png")
    assert (grid[:2] == 255).all()  # opaque and white between them


def test_what_is_transparent_lies_on_a_checkerboard():
    pixels = RANDOM.integers(0, 256, (40, 60, 4), dtype=np.uint8)
    seen = on_checkerboard(pixels)
    dark, light = composed(pixels, (204,) * 3).astype(int), composed(pixels, (238,) * 3).astype(int)
    squares = (np.arange(40)[:, None] // 4 + np.arange(60) // 4) % 2
    assert np.abs(seen - np.where(squares[..., None], light, dark)).max() <= 1
    assert np.array_equal(on_checkerboard(pixels[..., :3]), pixels[..., :3])


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_animations_keep_transparency_or_show_it(tmp_path, suffix):
    frames = [RANDOM.integers(0, 256, (40, 60, 4), dtype=np.uint8) // 64 * 85] * 3
    frames[1] = frames[0].copy()
    frames[1][:8, :8, 3] = 0  # opacity alone changes
    frames[2] = frames[1].copy()
    frames[2][20:30, 9:50, :3] ^= 255  # colours alone change
    make_animation(frames, list("abc"), tmp_path / f"x{suffix}", caption=suffix == ".webp")
    with Image.open(tmp_path / f"x{suffix}") as film:
        assert film.n_frames == 3
        for i, frame in enumerate(frames):
            film.seek(i)
            shown = np.asarray(film.convert("RGBA"))[:40]
            if suffix == ".gif":
                assert (shown[..., 3] == 255).all()
                assert np.abs(shown[..., :3].astype(int) - on_checkerboard(frame)).mean() < 12
                continue
            assert np.array_equal(shown[..., 3], frame[..., 3])
            there = frame[..., 3] > 0
            assert np.array_equal(shown[there], frame[there])


# ------------------------------------------------------------------ scores


def test_what_nobody_sees_counts_nowhere():
    pictures = RANDOM.integers(0, 256, (24, 16, 32, 4), dtype=np.uint8)
    pictures[:, :, ::2, 3] = 0
    others = pictures.copy()
    others[:, :, ::2, :3] = RANDOM.integers(0, 256, (24, 16, 16, 3))
    assert diversity(pictures) == diversity(others)
    assert swd(pictures, others)["mean"] == 0
    index, ratio = nearest(others, pictures)
    assert index.tolist() == list(range(24))
    assert ratio.max() < 1e-3
    assert np.array_equal(over(pictures, (9, 99, 199)), over(others, (9, 99, 199)))
    expected = np.stack([composed(one, (9, 99, 199)) for one in pictures]).astype(int)
    assert np.abs(over(pictures, (9, 99, 199)) - expected).max() <= 1
    # And what is seen does: half as opaque is another picture.
    pictures[0, :, 1::2, 3] //= 2
    assert diversity(pictures) != diversity(others)


@pytest.mark.parametrize(("size", "channels", "modes"), [((32, 48), 3, 270), ((40, 24), 4, 54)])
def test_critters_of_any_shape_are_read_back(size, channels, modes):
    accuracy = reader_accuracy(size, channels)
    assert ("background" in accuracy) == (channels == 3)
    assert accuracy["mode"] > 0.97
    found = critter_coverage(draw_critters(200, size, channels, seed=5)[0])
    assert (found["of"], found["precision"] > 0.9) == (modes, True)
    assert found["modes"] == pytest.approx(found["expected"], rel=0.1)


def test_a_run_is_measured_reported_and_shown(tmp_path, ganforge_cli):
    for i in range(24):
        pixels = RANDOM.integers(0, 256, (20 + i, 40, 4), dtype=np.uint8)
        pixels[:8, :, 3] = 0
        (tmp_path / "photos").mkdir(exist_ok=True)
        Image.fromarray(pixels).save(tmp_path / "photos" / f"{i:02d}.png")
    settings = {"arch": "fcgan:hidden=8,discriminator_hidden=8", "data": str(tmp_path / "photos"), "batch_size": 8}
    settings |= {"image_size": "24x16", "channels": 4, "background": "#204060"}
    run = ganforge.train(**settings, epochs=2, runs_dir=tmp_path)
    for words in (
        ("evaluate", run.path, "--samples", "16"),
        ("diagnose", run.path),
        ("report", run.path, "--output", tmp_path / "report.html"),
        ("sample", run.path, "-n", "2", "--output", tmp_path / "each"),
        ("sample", run.path, "--grid", "3x2", "--output", tmp_path / "grid.png"),
        ("sample", run.path, "--interpolate", "--frames", "3", "--output", tmp_path / "walk.gif"),
        ("show", run.path),
    ):
        code, out, err = ganforge_cli(*words)
        assert code == 0, err
    assert "24×16, colour with transparency" in out
    drawn = run.sample(6)
    assert np.array_equal(cells(tmp_path / "grid.png", (16, 24, 4)), drawn)
    assert np.array_equal(np.asarray(Image.open(tmp_path / "each" / "sample_seed_0_00001.png")), run.sample(2)[1])
    evaluation = json.loads((run.path / "evaluation.json").read_text())
    assert "failed" not in evaluation
    from ganforge.metrics.tone import tone
    from ganforge.study.evaluate import training_images

    training = training_images(run)
    real = training[np.random.default_rng([0, 2]).permutation(24)[:12]]
    flat = [np.stack([composed(one, (32, 64, 96)) for one in some]) for some in (real, run.sample(16)[:12])]
    assert evaluation["tone"]["distance"] == pytest.approx(tone(*flat)["distance"], abs=0.5)
