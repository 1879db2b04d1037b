"""What data sets of TensorFlow and Keras give, in a process of its own: ``data_probe.py FOLDER``."""

from __future__ import annotations

import sys
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ganforge.data.adapters import source_of
from ganforge.data.load import load_images
from ganforge.errors import GANForgeError

FOLDER = Path(sys.argv[1])
HELD = np.load(FOLDER / "x.npz")
X, Y = HELD["x"], HELD["y"]


def load(data, **how):
    return load_images("x", source_of(data), image_size=8, channels=3, **how)


class Batches(keras.utils.PyDataset):
    def __len__(self):
        return 4

    def __getitem__(self, i):
        return X[6 * i : 6 * i + 6], Y[6 * i : 6 * i + 6]


single = tf.data.Dataset.from_tensor_slices((X, Y))
for data in (
    single,
    single.batch(5),
    single.shuffle(24).batch(5),
    Batches(),
    single.batch(5).map(lambda x, y: {"image": x, "label": y}),
):
    print(load(data).fingerprint)
photos = keras.utils.image_dataset_from_directory(
    str(FOLDER / "photos"), image_size=(8, 8), batch_size=5, verbose=False
)
found = load(photos)
same = all(any(np.array_equal(one, x) for x in X[found.labels[i] :: 2]) for i, one in enumerate(found.array))
print(len(found), found.classes, found.range, same)
try:
    load(single.repeat())
except GANForgeError as error:
    print(error)
print(len(load(single.repeat(), limit=9)))
