"""Run in a process of its own for each backend; prints one JSON line.

``python latent_probe.py BACKEND`` takes the slopes of the distance at latents, and by differences of what is drawn.
"""

from __future__ import annotations

import json
import sys

import numpy as np

from ganforge.backend import choose_backend

choose_backend(sys.argv[1])

import keras  # noqa: E402
from keras import layers  # noqa: E402

from ganforge.engine.backends import make_adapter  # noqa: E402
from ganforge.engine.networks import seeded  # noqa: E402
from ganforge.latent.distance import judging  # noqa: E402

LATENT, CLASSES, ROWS, STEP = 5, 3, 4, 1e-2


def network() -> keras.Model:
    """Return a conditional generator that goes beyond [-1, 1], with statistics that differ in training."""
    latents, labels = keras.Input((LATENT,)), keras.Input((), dtype="int32")
    x = layers.Concatenate()([latents, layers.Embedding(CLASSES, 2, embeddings_initializer="normal")(labels)])
    x = layers.Reshape((4, 4, 3))(layers.Dense(48)(x))
    x = layers.BatchNormalization()(layers.UpSampling2D()(x))
    x = layers.Conv2D(3, 3, padding="same")(layers.Activation("tanh")(x))
    return keras.Model([latents, labels], layers.Rescaling(2.0)(x))


with seeded(5):
    model = network()
random = np.random.default_rng(1)
latents = random.standard_normal((ROWS, LATENT), dtype=np.float32)
labels = np.array([0, 2, 1, 2], np.int32)
pictures = np.clip(2 * random.standard_normal((ROWS, 8, 8, 3), dtype=np.float32), -1, 1)
adapter = make_adapter(model.variables)
generate = adapter.inference(model)
values, slopes = adapter.slopes(model, judging(model, "pixels"))(latents, pictures, labels)


def distances(at: np.ndarray) -> np.ndarray:
    """An output beyond white is no error where the picture is white, and so with black."""
    made = generate(at, labels).astype(np.float64)
    beyond = ((pictures == 1) & (made > 1)) | ((pictures == -1) & (made < -1))
    assert beyond.mean() > 0.01
    return (np.where(beyond, 0, made - pictures) ** 2).mean((1, 2, 3))


by_hand = np.zeros_like(slopes)
for i in range(LATENT):
    off = STEP * np.eye(LATENT, dtype=np.float32)[i]
    by_hand[:, i] = (distances(latents + off) - distances(latents - off)) / (2 * STEP)
print(
    json.dumps(
        {
            "values": float(np.abs(values - distances(latents)).max()),
            "slopes": float(np.abs(slopes - by_hand).max()),
            "largest": float(np.abs(by_hand).max()),
        }
    )
)
