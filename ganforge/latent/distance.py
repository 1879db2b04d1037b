"""How far what a generator draws is from a picture: as people see it, or by a network's features as well."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ganforge.errors import GANForgeError, UsageError

FEATURES = ("pixels", "imagenet")


def require_features(features: str) -> None:
    """Raise where there are no such features, or their network cannot be asked for slopes here.

    Raises:
        UsageError: there are none of this name.
        GANForgeError: the extra is not installed, or Keras runs on another backend than torch.
    """
    if features not in FEATURES:
        raise UsageError(f"invalid --features {features}: expected {' or '.join(FEATURES)}")
    if features == "imagenet":
        from ganforge.metrics.imagenet import require_imagenet

        require_imagenet()
        import keras

        if keras.backend.backend() != "torch":
            raise GANForgeError("--features imagenet is a network of torch's; expected KERAS_BACKEND=torch")


def judging(model: Any, features: str) -> Callable[..., Any]:
    """Return ``judge(latents, pictures, *labels)`` to distances, float32 (K,): of each latent's picture to its own.

    ``pictures`` are float32 (K, H, W, C) in [-1, 1]. The distance is the mean squared error of what is drawn, which
    is cut off at -1 and 1: an output beyond white is no error where the picture is white. ``imagenet`` adds the
    distance of an ImageNet network's maps (``ganforge.metrics.imagenet.maps``): channels of length 1 at each place,
    squared differences summed over channels and averaged over places and maps.

    Source: Zhang et al. 2018, "The Unreasonable Effectiveness of Deep Features as a Perceptual Metric", equation 1
    with all weights 1.
    """
    from keras import ops

    def drawn(latents: Any, labels: tuple[Any, ...]) -> Any:
        return ops.cast(model([latents, *labels] if labels else latents, training=False), "float32")

    def pixels(pictures: Any, made: Any) -> Any:
        error = made - pictures
        error = ops.where(pictures >= 1, ops.minimum(error, 0.0), error)
        error = ops.where(pictures <= -1, ops.maximum(error, 0.0), error)
        return ops.mean(ops.square(error), axis=(1, 2, 3))

    if features == "pixels":
        return lambda latents, pictures, *labels: pixels(pictures, drawn(latents, labels))

    from ganforge.metrics.imagenet import maps

    def both(latents: Any, pictures: Any, *labels: Any) -> Any:
        made = drawn(latents, labels)
        apart = [_apart(one, other) for one, other in zip(maps(made), maps(pictures))]
        return pixels(pictures, made) + (sum(apart) / len(apart)).to(made.device)

    def _apart(one: Any, other: Any) -> Any:
        one, other = (ops.normalize(x, axis=1, epsilon=1e-8) for x in (one, other))
        return ops.mean(ops.sum(ops.square(one - other), axis=1), axis=(1, 2))

    return both
