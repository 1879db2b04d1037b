"""Augmentation of what the discriminator sees: each change as its paper writes it, by NumPy, and ada's steering."""

from __future__ import annotations

import math

import numpy as np
import pytest
from keras import ops

from ganforge import UsageError
from ganforge.balance import ada, augmenting, diffaugment, mirror

pytestmark = pytest.mark.quick


class Fixed:
    """Random numbers that a test chooses: uniform gives one place between its bounds, normal one number."""

    def __init__(self, place, number=0.0, happens=True):
        self.place, self.number, self.happens = place, number, happens

    def uniform(self, shape, low=0.0, high=1.0, dtype="float32"):
        return ops.full(shape, low + self.place * (high - low))

    def normal(self, shape, dtype="float32"):
        return ops.full(shape, self.number)

    def bernoulli(self, shape, probability, dtype="float32"):
        return ops.full(shape, float(self.happens))


def numbered(height=8, width=8, channels=3):
    count = 2 * height * width * channels
    return np.arange(count, dtype="float32").reshape(2, height, width, channels) / count


def applied(function, pictures, *arguments):
    return ops.convert_to_numpy(function(ops.convert_to_tensor(pictures), *arguments))


# ------------------------------------------------------------------ mirror and diffaugment


def test_mirror_turns_left_to_right():
    pictures = numbered(4, 6)
    turned = ops.convert_to_numpy(mirror.Mirror().discriminator_images(ops.convert_to_tensor(pictures), Fixed(0.5)))
    np.testing.assert_array_equal(turned, pictures[:, :, ::-1])
    same = mirror.Mirror().discriminator_images(ops.convert_to_tensor(pictures), Fixed(0.5, happens=False))
    np.testing.assert_array_equal(ops.convert_to_numpy(same), pictures)


def test_translation_shifts_whole_pixels_and_opens_grey():
    pictures = numbered()
    # 0.25 of 8 pixels: -2 … 2; the lowest place shifts by -2, the middle one not at all.
    moved = applied(diffaugment.translation, pictures, Fixed(0.0), 0.25)
    np.testing.assert_allclose(moved[:, 2:, 2:], pictures[:, :-2, :-2], rtol=1e-6)
    assert not moved[:, :2].any()
    assert not moved[:, :, :2].any()
    still = applied(diffaugment.translation, pictures, Fixed(0.5), 0.25)
    np.testing.assert_allclose(still, pictures, rtol=1e-6)


def test_cutout_blanks_a_square_of_the_given_side():
    cut = applied(diffaugment.cutout, np.ones((2, 8, 8, 3), "float32"), Fixed(0.5), 0.5)
    assert (cut == 0).sum() == 2 * 4 * 4 * 3
    assert not cut[:, 2:6, 2:6].any()


def test_colour_keeps_what_its_random_numbers_leave_alone():
    pictures = numbered()
    # The middle of every range: brightness + 0, saturation x 1, contrast x 1.
    same = applied(diffaugment.colour, pictures, Fixed(0.5))
    np.testing.assert_allclose(same, pictures, atol=1e-6)
    grey = applied(diffaugment.colour, pictures, Fixed(0.0))
    assert np.ptp(grey, axis=3).max() < 1e-6


@pytest.mark.parametrize("name", ["mirror", "diffaugment", "ada"])
def test_what_changes_pictures_refuses_vectors(name, tmp_path):
    from ganforge.training.config import TrainConfig
    from ganforge.training.setup import Setup

    given = {"arch": "mlp", "data": "gaussians:count=512", "balance": name, "runs_dir": tmp_path, "epochs": 1}
    with pytest.raises(UsageError, match=f"'{name}' changes pictures; expected a dataset of pictures"):
        Setup.new(TrainConfig.of(given))


# ------------------------------------------------------------------ ada's changes


def looked_up(picture, rows, columns):
    """Bilinear interpolation of (H, W, C) with mirrored edges, one pixel after the other."""
    height, width, _ = picture.shape

    def at(row, column):
        def inside(n, size):
            n %= max(1, 2 * size - 2)
            return 2 * size - 2 - n if n >= size else n

        return picture[inside(row, height), inside(column, width)].astype(float)

    result = np.empty((*rows.shape, picture.shape[-1]))
    for place in np.ndindex(*rows.shape):
        y, x = rows[place], columns[place]
        top, left = math.floor(y), math.floor(x)
        b, a = y - top, x - left
        result[place] = (1 - b) * ((1 - a) * at(top, left) + a * at(top, left + 1))
        result[place] += b * ((1 - a) * at(top + 1, left) + a * at(top + 1, left + 1))
    return result


def test_pictures_are_sampled_bilinearly_and_mirrored_at_the_edges():
    pictures = numbered(5, 7)
    random = np.random.default_rng(0)
    rows, columns = (random.uniform(-1.5 * n, 2.5 * n, (2, 5, 7)).astype("float32") for n in (5, 7))
    expected = np.stack([looked_up(*each) for each in zip(pictures, rows, columns, strict=True)])
    got = applied(augmenting.sampled, pictures, ops.convert_to_tensor(rows), ops.convert_to_tensor(columns))
    np.testing.assert_allclose(got, expected, atol=1e-5)


def test_geometry_leaves_pictures_alone_where_nothing_is_chosen():
    pictures = numbered(6, 6)
    got = applied(ada.geometry, pictures, Fixed(0.9, 1.0, happens=False), 0.0)
    np.testing.assert_allclose(got, pictures, atol=1e-5)


def test_geometry_mirrors_then_scales_then_turns_then_shifts():
    side, place, number = 6, 0.7, 0.4
    pictures = numbered(side, side)
    # What is done last is undone first: the formulas take a place in
    # the new picture to one in the old, in [-1, 1] with rows downwards.
    shift, scale = -0.125 + 0.25 * place, 2.0 ** (0.2 * number)
    angle = -math.pi + 2 * math.pi * place + math.floor(4 * place) * math.pi / 2
    turn = np.array([[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]])
    line = (np.arange(side) - (side - 1) / 2) / ((side - 1) / 2)
    grid = np.stack(np.meshgrid(line, line, indexing="ij")) - 2 * shift
    y, x = np.einsum("ab,bij->aij", turn, grid)
    y, x = y / (scale / scale), -x / (scale * scale)  # stretch is as large as scale here; mirrored
    half = (side - 1) / 2
    expected = np.stack([looked_up(picture, (y + 1) * half, (x + 1) * half) for picture in pictures])
    got = applied(ada.geometry, pictures, Fixed(place, number), 1.0)
    np.testing.assert_allclose(got, expected, atol=1e-4)


@pytest.mark.parametrize("channels", [1, 3])
def test_colours_are_changed_by_the_papers_matrices(channels):
    place, number = 0.8, 0.6
    pictures = numbered(4, 4, channels) * 2 - 1
    # Appendix B's homogeneous matrices, each from the left.
    v = np.ones(3) / math.sqrt(3)
    angle = -math.pi + 2 * math.pi * place
    cross = np.array([[0, -v[2], v[1]], [v[2], 0, -v[0]], [-v[1], v[0], 0]])
    hue = math.cos(angle) * np.eye(3) + math.sin(angle) * cross + (1 - math.cos(angle)) * np.outer(v, v)
    turned = np.eye(3) - 2 * np.outer(v, v)
    saturated = np.outer(v, v) + (np.eye(3) - np.outer(v, v)) * 2.0**number
    linear = 2.0 ** (0.5 * number) * saturated @ hue @ turned
    colours = np.repeat(pictures, 3 // channels, axis=3)
    expected = np.einsum("ab,nijb->nija", linear, colours + 0.2 * number)[..., :channels]
    np.testing.assert_allclose(applied(ada.colour, pictures, Fixed(place, number), 1.0), expected, atol=1e-5)


# ------------------------------------------------------------------ ada's steering


def steered(signs, **options):
    strategy = ada.ADA(ada.ADA.Options(**options))
    state = {name: ops.convert_to_tensor(value) for name, value in strategy.initial_state(batch_size=64).items()}
    controls, path = strategy.plan_step(), []
    for sign in signs:
        metrics = {} if sign is None else {"d_real_sign": ops.convert_to_tensor(sign)}
        answer = strategy.update_state(state, controls, metrics)
        state = answer[0] if isinstance(answer, tuple) else answer
        path.append(float(state["p"]))
    return path


def test_p_moves_every_four_steps_by_its_pace_towards_what_the_target_asks():
    pace = 64 * 4 / 10_000
    # Four above 0.6 in the mean, four below, and four of which a step without an update of D is none.
    signs = [0.9, 0.5, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1, None, 1.0, 1.0, 1.0, None, 1.0]
    expected = [0, 0, 0, pace, pace, pace, pace, 0, 0, 0, 0, 0, 0, pace]
    np.testing.assert_allclose(steered(signs, kimg=10), expected, atol=1e-7)


def test_p_stays_between_nothing_and_its_most():
    assert steered([-1.0] * 8)[-1] == 0.0
    assert steered([1.0] * 4000, kimg=10, most=0.5)[-1] == pytest.approx(0.5)
