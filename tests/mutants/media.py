"""Faults in pictures that people look at: grids, walks, animations, curves and diagrams."""

from __future__ import annotations

from tests.mutants.fault import Fault

GRIDS, LATENTS, ANIMATION = "ganforge/media/grids.py", "ganforge/media/latents.py", "ganforge/media/animation.py"
ENCODERS = "ganforge/media/encoders.py"
CURVES, DIAGRAM = "ganforge/media/curves.py", "ganforge/media/diagram.py"
T = "tests/test_media.py::"
GIF = (T + "test_a_gif_has_one_palette_a_caption_below_and_holds_at_the_end",)
WALK = (T + "test_a_walk_keeps_to_the_sphere",)

FAULTS = [
    Fault(
        "levels-by-127",
        "factor",
        GRIDS,
        "+ 1.0) * 127.5",
        "+ 1.0) * 127.0",
        (T + "test_floats_become_the_nearest_bytes",),
    ),
    Fault(
        "levels-from-minus-one-forgotten",
        "sign",
        GRIDS,
        "np.nan_to_num(images) + 1.0",
        "np.nan_to_num(images) - 1.0",
        (T + "test_floats_become_the_nearest_bytes",),
    ),
    Fault(
        "levels-rounded-down",
        "constant",
        GRIDS,
        "np.rint((",
        "np.floor((",
        (T + "test_floats_become_the_nearest_bytes",),
    ),
    Fault(
        "a-checkerboard-over-all",
        "sign",
        GRIDS,
        "+ board * (1 - opacity)",
        "+ board",
        ("tests/test_shapes.py::test_what_is_transparent_lies_on_a_checkerboard",),
    ),
    Fault(
        "films-that-see-opacity-alone-change",
        "condition",
        ENCODERS,
        "getbbox(alpha_only=False)",
        "getbbox()",
        ("tests/test_shapes.py::test_animations_keep_transparency_or_show_it",),
    ),
    Fault(
        "a-grid-column-by-column",
        "order",
        GRIDS,
        "y, x = self.count // self.columns",
        "x, y = self.count // self.columns",
        (T + "test_a_grid_places_every_picture_row_by_row",),
    ),
    Fault(
        "a-grid-without-its-left-edge",
        "forgotten",
        GRIDS,
        "self.count % self.columns * width + self.pad",
        "self.count % self.columns * width",
        (T + "test_a_grid_places_every_picture_row_by_row",),
    ),
    Fault(
        "a-walk-that-begins-at-its-end",
        "tensor",
        LATENTS,
        "np.sin((1.0 - t) * angle) / sine * a + np.sin(t * angle) / sine * b",
        "np.sin((1.0 - t) * angle) / sine * b + np.sin(t * angle) / sine * a",
        WALK,
    ),
    Fault("a-walk-off-the-sphere", "factor", LATENTS, "np.sin(t * angle) / sine * b", "t * b", WALK),
    Fault(
        "a-walk-by-the-cosine",
        "tensor",
        LATENTS,
        "sine = np.sin(angle)",
        "sine = np.sqrt(1 - np.cos(angle))",
        WALK,
    ),
    Fault("a-tenth-of-a-frame", "factor", ANIMATION, "round(1000 / fps)", "round(100 / fps)", GIF),
    Fault("the-first-frame-is-held", "tensor", ANIMATION, "durations[-1] += round", "durations[0] += round", GIF),
    Fault("wider-but-not-higher", "forgotten", ANIMATION, "picture.height * self.scale", "picture.height", GIF),
    Fault(
        "progress-a-frame-behind",
        "off by one",
        ANIMATION,
        "(i + 1) / len(self)",
        "i / len(self)",
        (T + "test_an_animation_keeps_order_scale_time_and_says_how_far_it_is",),
    ),
    Fault(
        "a-film-that-does-not-hold",
        "factor",
        ENCODERS,
        "round(duration * fps / 1000)",
        "round(fps / 1000)",
        (T + "test_the_name_decides_the_format",),
    ),
    Fault(
        "an-odd-side-left-odd",
        "off by one",
        ENCODERS,
        "(0, frame.shape[1] % 2)",
        "(0, (frame.shape[1] + 1) % 2)",
        (T + "test_a_film_of_an_odd_side_gains_a_column_and_loses_nothing",),
    ),
    Fault(
        "curves-named-for-each-other",
        "tensor",
        CURVES,
        '{"d_real": ("D(real)", DISCRIMINATOR), "d_fake": ("D(fake)", GENERATOR)}',
        '{"d_fake": ("D(real)", DISCRIMINATOR), "d_real": ("D(fake)", GENERATOR)}',
        (T + "test_curves_show_what_was_logged",),
    ),
    Fault(
        "a-mean-that-lags",
        "off by one",
        CURVES,
        "low, high = index - reach, index + reach + 1",
        "low, high = index - reach, index + reach",
        (T + "test_curves_show_what_was_logged",),
    ),
    Fault(
        "a-mean-over-gaps",
        "tensor",
        CURVES,
        "number = counts[high] - counts[low]",
        "number = high - low",
        (T + "test_curves_show_what_was_logged",),
    ),
    Fault(
        "parameters-of-the-largest-layer",
        "tensor",
        DIAGRAM,
        'total = sum(row["parameters"] for row in rows)',
        'total = max(row["parameters"] for row in rows)',
        (T + "test_an_architecture_is_a_table_and_a_drawing",),
    ),
]
