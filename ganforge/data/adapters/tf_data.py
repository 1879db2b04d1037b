"""A ``tf.data.Dataset``, batched or not, such as ``keras.utils.image_dataset_from_directory`` gives."""

from __future__ import annotations

from typing import Any

from ganforge.data.adapters.streams import Stream

_INFINITE = -1


def tf_stream(data: Any) -> Stream:
    """Return the stream of a ``tf.data.Dataset``."""
    count = int(data.cardinality())
    return Stream(
        kind="tf.data",
        name="a tf.data.Dataset",
        iterate=data.as_numpy_iterator,
        length=count if count >= 0 else None,
        endless=count == _INFINITE,
        classes=tuple(getattr(data, "class_names", None) or ()),
    )
