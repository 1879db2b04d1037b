"""What a run draws, of a generator so simple that every picture is known beforehand."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from ganforge import Run
from ganforge.media.grids import to_uint8
from ganforge.runs import create_run

pytestmark = pytest.mark.quick

SHRINK = 0.2  # latents are pictures of one pixel after this


def run_of(tmp_path, classes=()) -> Run:
    """A run whose generator shows 0.2 z in one pixel, and with classes half as bright a blue for each further one."""
    latents = keras.Input((3,))
    dense = layers.Dense(3, use_bias=False)
    x = dense(latents)
    inputs = latents
    if classes:
        labels = keras.Input((), dtype="int32")
        embedding = layers.Embedding(len(classes), 3)
        x, inputs = layers.Add()([x, embedding(labels)]), [latents, labels]
    model = keras.Model(inputs, layers.Reshape((1, 1, 3))(x))
    dense.set_weights([SHRINK * np.eye(3)])
    if classes:
        embedding.set_weights([np.outer(np.arange(len(classes)), [0, 0, 0.25])])
    path = create_run(
        tmp_path,
        {
            "config": {"arch": "x", "latent_dim": 3},
            "state": "finished",
            "data": {"classes": [*classes]},
            "image_shape": [*model.output_shape[1:]],
        },
    )
    model.save(path / "generator.keras")
    return Run(path)


def test_pictures_are_those_of_their_latents_however_many(tmp_path):
    run = run_of(tmp_path)
    latents = np.random.default_rng(0).standard_normal((131, 3)).astype("float32")
    pictures = run.decode(latents)
    assert pictures.shape == (131, 1, 1, 3)
    assert np.abs(pictures[:, 0, 0].astype(int) - to_uint8(SHRINK * latents)).max() <= 1


def test_another_seed_draws_other_pictures(tmp_path):
    run = run_of(tmp_path)
    assert np.array_equal(run.sample(5, seed=3), run.sample(5, seed=3))
    assert not np.array_equal(run.sample(5, seed=3), run.sample(5, seed=4))
    assert np.array_equal(run.sample(5, seed=3), run.sample(9, seed=3)[:5])


def test_a_walk_passes_its_stations_and_ends_where_it_began(tmp_path):
    run = run_of(tmp_path)
    walk = run.interpolate(frames=8, n=2, seed=3).astype(int)
    stations = run.sample(8, seed=3).reshape(4, 2, 1, 1, 3).astype(int)
    assert np.abs(walk[::2] - stations).max() <= 1
    # Half way home: the sum of both ends, as long as an arc between vectors of theirs makes it.
    a, b = ((stations[i, :, 0, 0] / 127.5 - 1) / SHRINK for i in (3, 0))
    angle = np.arccos((a * b).sum(1) / np.linalg.norm(a, axis=1) / np.linalg.norm(b, axis=1))
    middle = (a + b) / (2 * np.cos(angle / 2))[:, None]
    assert np.abs(walk[7, :, 0, 0] - to_uint8(SHRINK * middle)).max() <= 3


def test_classes_take_turns_and_begin_again_with_each_frame(tmp_path):
    run = run_of(tmp_path, ("cat", "dog"))
    blue = run.decode(np.zeros((10, 3), "float32"), period=5)[:, 0, 0, 2].astype(int)
    assert (blue == np.array([128, 159] * 2 + [128] + [128, 159] * 2 + [128])).all()
    assert (run.decode(np.zeros((4, 3), "float32"), "dog")[:, 0, 0, 2] == 159).all()
    assert run.classes == ("cat", "dog")
    with pytest.raises(Exception, match="expected cat, dog"):
        run.sample(1, class_name="bird")
