"""TensorFlow: ``tf.function`` without XLA, which on a CPU is slower."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tensorflow as tf
from tensorflow.python.framework import config as tf_config
from tensorflow.python.framework.ops import gradient_registry

from ganforge.backend import quietly
from ganforge.engine.backends.as_keras import AsKeras
from ganforge.engine.traits import call_once
from ganforge.errors import GANForgeError, UsageError
from ganforge.plugin.types import Batch


def _make_resizing_differentiable_twice() -> None:
    """Give the gradients of picture resizing gradients of their own.

    TensorFlow declares bilinear resizing not to have a second derivative, so that a penalty on the slopes of a
    discriminator that resizes would leave out all that comes after it, without a word; the nearest and the bicubic
    kind raise. Resizing is linear: the gradient of its transpose is the resizing itself.
    """
    raw = tf.raw_ops

    def nearest_transposed(grads: Any, original_image: Any, **settings: bool) -> Any:
        return raw.ResizeNearestNeighborGrad(grads=grads, size=tf.shape(original_image)[1:3], **settings)

    def gradient_of(resize: Callable[..., Any], transposed: Callable[..., Any]) -> Callable[..., Any]:
        def gradient(op: Any, slope: Any) -> list[Any]:
            settings = {name: op.get_attr(name) for name in ("align_corners", "half_pixel_centers")}

            def back(slope: Any) -> tuple[Any, Callable[[Any], Any]]:
                size = tf.shape(slope)[1:3]
                return transposed(grads=slope, original_image=op.inputs[0], **settings), lambda upstream: resize(
                    images=upstream, size=size, **settings
                )

            return [tf.custom_gradient(back)(slope), None]

        return gradient

    for name, resize, transposed in (
        ("ResizeBilinear", raw.ResizeBilinear, raw.ResizeBilinearGrad),
        ("ResizeBicubic", raw.ResizeBicubic, raw.ResizeBicubicGrad),
        ("ResizeNearestNeighbor", raw.ResizeNearestNeighbor, nearest_transposed),
    ):
        gradient_registry._registry.pop(name, None)  # noqa: SLF001 (there is no other way to replace one)
        tf.RegisterGradient(name)(gradient_of(resize, transposed))


_make_resizing_differentiable_twice()


class Adapter(AsKeras):
    """See ``ganforge.engine.adapter``."""

    def __init__(
        self, variables: Sequence[Any], compile: bool | None = None, devices: int = 1, batch_size: int = 1
    ) -> None:
        if devices > 1:
            raise UsageError(
                f"--devices {devices} does not apply to TensorFlow; expected --backend torch or jax, or one device"
            )
        self.compiles = compile is not False
        self.traces: Counter[str] = Counter()

    def value_and_gradients(
        self, function: Callable[..., Any], variables: Sequence[Any], *inputs: Any
    ) -> tuple[Any, ...]:
        with tf.GradientTape(watch_accessed_variables=bool(variables)) as tape:
            tape.watch(inputs)
            value, aux = function(*inputs)
        gradients = _gradients(tape, value, [*(v.value for v in variables), *inputs])
        return (value, aux), gradients[: len(variables)], gradients[len(variables) :]

    def vjp(self, function: Callable[..., Any], variables: Sequence[Any]) -> tuple[Any, ...]:
        with tf.GradientTape() as tape:
            outputs = function()
        return outputs, lambda cotangents: _gradients(tape, outputs, [v.value for v in variables], cotangents)

    def gradient(self, function: Callable[..., Any], x: Any) -> Any:
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(x)
            total = tf.reduce_sum(function(x))
        return tape.gradient(total, x)

    def normal(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        return tf.random.stateless_normal(shape, _at(key, stream), dtype=dtype)

    def uniform(self, key: Any, stream: int, shape: Any, dtype: str) -> Any:
        return tf.random.stateless_uniform(shape, _at(key, stream), dtype=dtype)

    def compile(self, update: Callable[..., Any], name: str) -> Callable[..., Any]:
        def counted(*arrays: Any) -> Any:
            self.traces[name] += 1
            return update(*arrays)

        compiled = tf.function(counted) if self.compiles else counted

        def run(*arrays: Any) -> Any:
            # Tensors, not arrays: a Python number or a numpy array of another value must never trace again.
            tensors = [a.map(tf.constant) if isinstance(a, Batch) else tf.constant(a) for a in arrays]
            if self.traces[name]:
                with _deterministic():
                    return compiled(*tensors)
            try:
                # The graph optimizer complains, harmlessly, about what it leaves as it is.
                with _deterministic(), quietly():
                    return compiled(*tensors)
            except Exception as error:  # AutoGraph wraps it and tells the whole way there
                if (ours := _ours(error)) is None:
                    raise
                raise ours from None

        return run

    def try_out(self, model: Any) -> Callable[..., tuple[Any, ...]]:
        def call(values: Sequence[Any], inputs: Sequence[Any]) -> tuple[Any, ...]:
            output, added, assigned = call_once(model, values, [tf.constant(x) for x in inputs])
            return output.numpy(), [float(loss) for loss in added], assigned

        return call

    def inference(self, model: Any) -> Callable[..., np.ndarray]:
        forward = tf.function(lambda *inputs: tf.cast(model(_one_or_all(inputs), training=False), tf.float32))
        return lambda *inputs: forward(*(tf.constant(x) for x in inputs)).numpy()

    def slopes(
        self,
        model: Any,
        judge: Callable[..., Any],
    ) -> Callable[..., tuple[np.ndarray, np.ndarray]]:
        def both(x: Any, *others: Any) -> Any:
            with tf.GradientTape(watch_accessed_variables=False) as tape:
                tape.watch(x)
                values = judge(x, *others)
            return values, tape.gradient(values, x)

        graph = tf.function(both)

        def call(*arrays: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
            values, slopes = graph(*(tf.constant(one) for one in arrays))
            return values.numpy(), slopes.numpy()

        return call

    def sync_to_keras(self) -> None:
        """Nothing to do: the Keras variables are the state."""

    def sync_from_keras(self) -> None:
        """Nothing to do: the Keras variables are the state."""


@contextmanager
def _deterministic() -> Iterator[None]:
    """Have TensorFlow sum in one order, whatever its threads do: else the slope of upsampling differs now and then.

    For the step alone: for the whole process it would refuse a person's own random operations without a seed.
    """
    if tf_config.is_op_determinism_enabled():
        yield
        return
    tf_config.enable_op_determinism()
    try:
        yield
    finally:
        tf_config.disable_op_determinism()


def _ours(error: BaseException | None) -> GANForgeError | None:
    while error is not None and not isinstance(error, GANForgeError):
        error = error.__cause__ or error.__context__
    return error


def _one_or_all(inputs: Sequence[Any]) -> Any:
    return inputs[0] if len(inputs) == 1 else list(inputs)


def _at(key: Any, stream: int) -> Any:
    return tf.bitcast(tf.bitwise.bitwise_xor(key, tf.constant([stream, 0], tf.uint32)), tf.int32)


def _gradients(tape: Any, value: Any, tensors: Sequence[Any], cotangents: Any = None) -> list[Any]:
    gradients: list[Any] = tape.gradient(
        value, tensors, output_gradients=cotangents, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return gradients
