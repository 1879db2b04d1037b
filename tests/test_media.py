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
