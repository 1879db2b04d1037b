"""Grids, animations, curves and diagrams."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageSequence

from ganforge.errors import GANForgeError, UsageError
from ganforge.media.animation import make_animation
from ganforge.media.curves import plot_losses
from ganforge.media.diagram import architecture_text, draw_architecture
from ganforge.media.grids import make_grid, save_png, to_uint8
from ganforge.media.latents import spherical

pytestmark = pytest.mark.quick

RANDOM = np.random.default_rng(0)


def test_a_grid_places_every_picture_row_by_row(tmp_path):
    pictures = RANDOM.integers(0, 255, (5, 4, 6, 3), dtype=np.uint8)
    grid = make_grid(pictures, 3, pad=2)
    assert grid.shape == (2 * 6 + 2, 3 * 8 + 2, 3)
    for i, picture in enumerate(pictures):
        y, x = 2 + 6 * (i // 3), 2 + 8 * (i % 3)
        assert np.array_equal(grid[y : y + 4, x : x + 6], picture)
    assert (grid[8:12, 18:24] == 255).all()
    save_png(grid, tmp_path / "a.png")
    assert np.array_equal(np.asarray(Image.open(tmp_path / "a.png")), grid)
    save_png(grid[..., :1], tmp_path / "g.png")
    assert Image.open(tmp_path / "g.png").mode == "L"
    assert len(list(tmp_path.iterdir())) == 2


def test_floats_become_the_nearest_bytes():
    values = np.array([-1.0, 1.0, 0.0, -5.0, 5.0, np.nan])
    assert to_uint8(values).tolist() == [0, 255, 128, 0, 255, 128]
    everything = np.arange(256)
    assert np.array_equal(to_uint8(everything / 127.5 - 1), everything)


@pytest.fixture
def frames(tmp_path):
    paths = []
    for i in range(4):
        colours = np.zeros((60, 80, 3), np.uint8)
        colours[..., i % 3] = 60 + 60 * i
        colours[:30] += RANDOM.integers(0, 40, (30, 80, 3), dtype=np.uint8)
        Image.fromarray(colours).save(tmp_path / f"{i}.png")
        paths.append(tmp_path / f"{i}.png")
    return paths


def test_a_gif_has_one_palette_a_caption_below_and_holds_at_the_end(frames, tmp_path):
    make_animation(frames, ["a", "b", "c", "d"], tmp_path / "x.gif", fps=10, hold=1.5, scale=2)
    with Image.open(tmp_path / "x.gif") as gif:
        assert gif.n_frames == 4
        assert gif.info["loop"] == 0
        durations = [frame.info["duration"] for frame in ImageSequence.Iterator(gif)]
        pictures = [np.asarray(frame.convert("RGB"), int) for frame in ImageSequence.Iterator(gif)]
    assert durations == [100, 100, 100, 1600]
    content = (tmp_path / "x.gif").read_bytes()
    flags = content[10]
    assert flags & 0x80, "no palette for the whole file"
    # Every image descriptor (0x2C) of the file says in its ninth byte whether it brings a palette of its own.
    assert _local_palettes(content) == 0
    for path, picture in zip(frames, pictures):
        original = np.asarray(Image.open(path).resize((160, 120), 0), int)
        assert picture.shape[0] > 120
        assert np.abs(picture[:120] - original).mean() < 6
        assert (picture[120:] < 128).any(), "the caption has ink"


def _local_palettes(content: bytes) -> int:
    at, count = 13 + 3 * 2 ** ((content[10] & 7) + 1), 0
    while content[at] != 0x3B:
        if content[at] == 0x21:
            at += 2
        else:
            count += bool(content[at + 9] & 0x80)
            at += 11 + (3 * 2 ** ((content[at + 9] & 7) + 1) if content[at + 9] & 0x80 else 0)
        while content[at]:
            at += content[at] + 1
        at += 1
    return count


@pytest.mark.parametrize("suffix", [".webp", ".png", ".mp4"])
def test_the_name_decides_the_format(frames, tmp_path, suffix):
    if suffix == ".mp4":
        pytest.importorskip("imageio_ffmpeg")
        import imageio.v3 as iio

    output = tmp_path / f"x{suffix}"
    make_animation(frames, list("abcd"), output, fps=8, hold=1)
    if suffix == ".mp4":
        assert len(iio.imread(output)) == 3 + 1 + 8
    else:
        assert Image.open(output).n_frames == 4


def test_without_a_caption_the_frame_is_the_picture(frames, tmp_path):
    make_animation(frames, [""] * 4, tmp_path / "x.webp", caption=False)
    with Image.open(tmp_path / "x.webp") as animation:
        assert np.array_equal(np.asarray(animation.convert("RGB")), np.asarray(Image.open(frames[0])))


def test_a_film_of_an_odd_side_gains_a_column_and_loses_nothing(tmp_path):
    pytest.importorskip("imageio_ffmpeg")
    import imageio.v3 as iio

    stripes = np.tile(np.uint8([[30], [220]] * 41)[:81].reshape(1, 81, 1), (60, 1, 3))
    make_animation([stripes] * 2, ["", ""], tmp_path / "x.mp4", caption=False, hold=0)
    film = iio.imread(tmp_path / "x.mp4").astype(int)
    assert film.shape == (2, 60, 82, 3)
    assert np.abs(np.diff(film[0, 30, :81, 1])).min() > 100  # scaled to 82 instead, the stripes would blur


def test_what_cannot_be_animated_is_said(frames, tmp_path):
    with pytest.raises(UsageError, match=r"\.gif, \.webp, \.png or \.mp4"):
        make_animation(frames, list("abcd"), tmp_path / "x.avi")
    with pytest.raises(GANForgeError, match="no frames"):
        make_animation([], [], tmp_path / "x.gif")
    Image.new("RGB", (3, 3)).save(frames[1])
    with pytest.raises(GANForgeError, match="different sizes"):
        make_animation(frames, list("abcd"), tmp_path / "x.gif")
    (tmp_path / "file").write_text("")
    with pytest.raises(GANForgeError, match="cannot be written"):
        make_animation(frames[:1], ["a"], tmp_path / "file" / "x.gif")


def test_curves_are_drawn_from_whatever_was_logged(tmp_path):
    full = [
        {"step": i, "epoch": i / 10, "d_loss": 1 / i, "g_loss": i / 50, "d_real": 0.6, "d_fake": 0.4}
        for i in range(1, 90)
    ]
    for line in full:
        line["noise-anneal/sigma"] = 0.1 / line["step"]
    full[3]["d_loss"] = None
    for name, lines in [("full", full), ("bare", [{"step": 1, "d_loss": 0.5}]), ("none", [{"step": 1}, {"step": 2}])]:
        plot_losses(lines, tmp_path / f"{name}.png", title=name)
        with Image.open(tmp_path / f"{name}.png") as picture:
            assert picture.width > 800
    tall = [Image.open(tmp_path / f"{name}.png").height for name in ("full", "bare")]
    assert tall[0] > tall[1], "what a strategy planned has a panel of its own"


def test_an_architecture_is_a_table_and_a_drawing(tmp_path):
    networks = {
        "generator": [
            {"name": "dense", "kind": "Dense", "output_shape": [1024], "parameters": 103424, "detail": ""},
            {
                "name": "up",
                "kind": "Conv2DTranspose",
                "output_shape": [8, 8, 3],
                "parameters": 771,
                "detail": "4×4, tanh",
            },
        ],
        "discriminator": [{"name": "d", "kind": "Dense", "output_shape": [1], "parameters": 193, "detail": ""}],
    }
    text = architecture_text(networks)
    for words in ("Conv2DTranspose (4×4, tanh)", "8 × 8 × 3", "104,195 parameters", "193 parameters"):
        assert words in text
    assert len({len(line) for line in text.splitlines()[1:6]}) == 1, "the columns line up"
    draw_architecture(networks, tmp_path / "a.png", title="tiny")
    assert Image.open(tmp_path / "a.png").width > 600


def test_a_walk_keeps_to_the_sphere():
    a, b = RANDOM.standard_normal((2, 64)).astype(np.float32)
    b *= np.linalg.norm(a) / np.linalg.norm(b)
    assert np.allclose(spherical(a, b, 0.0), a)
    assert np.allclose(spherical(a, b, 1.0), b, atol=1e-6)
    for t in (0.25, 0.5, 0.9):
        assert np.linalg.norm(spherical(a, b, t)) == pytest.approx(np.linalg.norm(a), rel=1e-5)
    assert np.allclose(spherical(a, a, 0.3), a)


def test_a_grid_of_given_rows_is_cut_or_left_white():
    pictures = RANDOM.integers(0, 255, (5, 4, 4, 1), dtype=np.uint8)
    cut = make_grid(pictures, 2, rows=2, pad=0)
    assert np.array_equal(cut, np.concatenate([np.concatenate(pictures[i : i + 2], 1) for i in (0, 2)]))
    taller = make_grid(pictures, 2, rows=4, pad=0)
    assert np.array_equal(taller[:8], cut)
    assert np.array_equal(taller[8:12, :4], pictures[4])
    assert (taller[8:12, 4:] == 255).all()
    assert (taller[12:] == 255).all()


def test_a_walk_goes_at_one_speed_from_the_first_to_the_second():
    a, b = np.array([2.0, 0.0, 0.0]), np.array([0.0, 2.0, 0.0])
    for t in (0.0, 1 / 3, 0.5, 0.8, 1.0):
        assert spherical(a, b, t) == pytest.approx(
            [2 * np.cos(t * np.pi / 2), 2 * np.sin(t * np.pi / 2), 0], abs=1e-6
        )
    # Of different lengths, by the formula of the source: w = 60°, sin 20° / sin 60° and sin 40° / sin 60°.
    c = np.array([1.5, 1.5 * np.sqrt(3), 0.0])
    weights = np.sin(np.radians([20, 40])) / np.sin(np.radians(60))
    assert spherical(a, c, 2 / 3) == pytest.approx(weights[0] * a + weights[1] * c, rel=1e-6)


def test_curves_show_what_was_logged(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    save = Figure.savefig
    monkeypatch.setattr(Figure, "savefig", lambda figure, *a, **b: (drawn.append(figure), save(figure, *a, **b)))
    random = np.random.default_rng(1)
    names = ("d_loss", "g_loss", "d_real", "d_fake")
    lines = [{"step": 3 * i, "epoch": i / 10, **dict(zip(names, random.random(4)))} for i in range(200)]
    for i, line in enumerate(lines):
        line |= {"auto/rate": 1 + i / 100, "auto/constant": 2.0, "r1/penalty": float(i)}
    lines[50]["d_loss"] = None
    plot_losses(lines, tmp_path / "a.png")
    plot_losses([{"step": 3 * i, "d_loss": i} for i in range(4)], tmp_path / "b.png")
    axes = drawn[0].axes
    assert len(axes) == 3
    shown = {line.get_label(): line for axis in axes for line in axis.get_lines()}
    labels = {"discriminator loss": "d_loss", "generator loss": "g_loss", "D(real)": "d_real", "D(fake)": "d_fake"}
    for label, name in labels.items():
        values = [np.nan if line[name] is None else line[name] for line in lines]
        # A mean over 3 lines to either side, fewer at the ends.
        reach = [min(3, i, 199 - i) for i in range(200)]
        means = [np.nanmean(values[i - r : i + r + 1]) for i, r in enumerate(reach)]
        assert shown[label].get_ydata() == pytest.approx(means)
        assert shown[label].get_xdata() == pytest.approx(np.arange(200) / 10)
        assert shown[label].get_color() == ("#0072B2" if name.startswith("d_") and name != "d_fake" else "#D55E00")
    assert [line.get_label() for line in axes[2].get_lines()] == ["auto/rate"]
    assert axes[2].get_lines()[0].get_ydata() == pytest.approx(1 + np.arange(200) / 100)
    assert axes[1].get_ylim() == (0, 1)
    assert axes[-1].get_xlabel() == "epoch"
    assert drawn[1].axes[-1].get_xlabel() == "step"
    assert drawn[1].axes[0].get_lines()[0].get_xdata().tolist() == [0, 3, 6, 9]


@pytest.mark.parametrize("suffix", ["gif", "webp", "apng"])
def test_an_animation_keeps_order_scale_time_and_says_how_far_it_is(tmp_path, suffix):
    frames = [np.full((40, 60, 1), level, np.uint8) for level in (20, 90, 160)]
    frames[1][:20, :30] = 220
    output = tmp_path / f"x.{suffix}"
    make_animation(frames, list("abc"), output, fps=4, hold=1, scale=2)
    with Image.open(output) as animation:
        seen = []
        for i in range(animation.n_frames):
            animation.seek(i)
            animation.load()
            seen.append((animation.info["duration"], np.asarray(animation.convert("RGB"), int)))
    assert [duration for duration, _ in seen] == [250, 250, 1250]
    for i, (frame, (_, picture)) in enumerate(zip(frames, seen)):
        large = frame[..., 0].repeat(2, 0).repeat(2, 1)[..., None]
        assert np.abs(picture[:80] - large).max() < 5
        # The line below the picture: a third of the width, two thirds, all of it, in the accent's colour.
        filled = np.abs(picture[80] - (92, 107, 192)).max(1) < 5
        assert filled.tolist() == [x < 40 * (i + 1) for x in range(120)]


def test_a_long_curve_keeps_its_ends_and_gaps_in_few_points():
    from ganforge.media.curves import PARTS, _thinned

    x = np.arange(1_000_000) / 7
    y = np.sin(x) * np.linspace(1, 3, len(x))
    y[123_456], y[400_000:500_000] = 99.0, np.nan
    few, drawn = _thinned(x, y)
    assert len(few) == len(drawn) == 2 * PARTS
    assert (np.nanmax(drawn), np.nanmin(drawn)) == (99.0, np.nanmin(y))
    assert np.isnan(drawn).mean() == pytest.approx(0.1)
    for start in (0, 200_000, 999_800):  # of parts of 200 lines
        part, at = y[start : start + 200], start // 100
        assert (drawn[at], drawn[at + 1], few[at]) == (part.min(), part.max(), x[start])
    short = np.arange(2 * PARTS)
    assert _thinned(short, short)[1] is short


@pytest.mark.parametrize("wrong", [{"fps": 0}, {"scale": 0}, {"hold": -1}])
def test_numbers_that_cannot_be_are_refused(tmp_path, wrong):
    with pytest.raises(UsageError, match="expected fps above 0"):
        make_animation([np.zeros((4, 4, 1), np.uint8)], ["a"], tmp_path / "x.gif", **wrong)


def test_a_drawing_gathers_small_layers_and_names_what_is_drawn(tmp_path, monkeypatch):
    from matplotlib.figure import Figure

    drawn = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, *_, **__: drawn.append(figure))

    def layer(kind, shape, parameters=0, detail=""):
        return {"name": kind.lower(), "kind": kind, "output_shape": shape, "parameters": parameters, "detail": detail}

    networks = {
        "generator": [
            layer("Dense", [48], 500),
            layer("Reshape", [4, 4, 3]),
            layer("Conv2DTranspose", [8, 8, 5], 1000, "5×5"),
            layer("BatchNormalization", [8, 8, 5], 20),
            layer("LeakyReLU", [8, 8, 5]),
        ],
        "discriminator": [layer("Conv2D", [None, 4, 7], 1234)],
    }
    draw_architecture(networks, tmp_path / "a.png", "named")
    generator, discriminator = drawn[0].axes
    assert generator.get_title("left") == "Generator: 1,520 parameters"
    assert discriminator.get_title("left") == "Discriminator: 1,234 parameters"
    written = [text.get_text() for text in generator.texts if text.get_text()]
    assert written == [
        "Dense",
        "4 × 4 × 3\nReshape",
        "Conv2DTranspose\n5×5",
        "8 × 8 × 5\nbatch norm\nleaky ReLU",
    ]
    assert [text.get_text() for text in discriminator.texts] == ["Conv2D", "? × 4 × 7"]
    rows = architecture_text(networks).splitlines()
    assert rows[-1] == "1,234 parameters"
    assert [row.split()[-1] for row in rows[4:9]] == ["500", "0", "1,000", "20", "0"]


def test_an_animation_may_have_more_frames_than_its_bar_has_pixels(tmp_path):
    frames = [np.full((12, 16, 3), 255 * (i % 2), np.uint8) for i in range(400)]
    make_animation(frames, [""] * 400, tmp_path / "long.gif")
    with Image.open(tmp_path / "long.gif") as animation:
        bars = []
        for i in (0, 15, 200, 399):
            animation.seek(i)
            row = np.asarray(animation.convert("RGB"), dtype=int)[12]
            bars.append(int((np.abs(row - (92, 107, 192)).sum(-1) < 60).sum()))
    assert bars == [round(16 * (i + 1) / 400) for i in (0, 15, 200, 399)]
