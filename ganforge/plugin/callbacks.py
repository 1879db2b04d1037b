"""Keras callbacks as observers; for those that make no sense for two networks, a message with the alternative."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

from ganforge.errors import UsageError, log
from ganforge.plugin.hookspecs import hookimpl
from ganforge.plugin.types import EpochInfo, RunInfo, StepInfo

# Called, each beside the hook it is called by; ``on_batch_…`` is what Keras itself calls from ``on_train_batch_…``.
CALLED = (
    *("on_train_begin", "on_train_end", "on_epoch_begin", "on_epoch_end"),
    *("on_train_batch_begin", "on_train_batch_end", "on_batch_begin", "on_batch_end"),
)
# Callbacks of Keras that act on one model, or do what a run does itself; and those made from them.
RATE = 'use balance="lr-decay", or a strategy of your own that plans generator_lr'
CHECKPOINTS = 'use checkpoint_every="6,10min" and keep=2; run.resume() continues'
INSTEAD = {
    "EarlyStopping": 'use stop_when="kid:patience=3"',
    "MonitorCallback": 'use stop_when="kid:patience=3", which watches a metric',
    "ModelCheckpoint": CHECKPOINTS,
    "BackupAndRestore": CHECKPOINTS,
    "OrbaxCheckpoint": CHECKPOINTS,
    "ReduceLROnPlateau": RATE,
    "LearningRateScheduler": RATE,
    "TensorBoard": 'use log="tensorboard"',
    "TerminateOnNaN": 'use on_nan="stop", the default',
    "SwapEMAWeights": "use ema=0.999",
    "ProgbarLogger": "use progress=True",
    "CallbackList": "pass the callbacks themselves",
}


def is_callback(observer: object) -> bool:
    """Say whether it is a Keras callback, or one of the Keras before it."""
    return any(
        kind.__name__ == "Callback" and kind.__module__.partition(".")[0] in ("keras", "tf_keras", "tensorflow")
        for kind in type(observer).__mro__
    )


def as_observer(callback: Any) -> CallbackObserver:
    """Return an observer that calls a Keras callback.

    Raises:
        UsageError: it is one of ``INSTEAD``, of Keras 2, or would never be called.
    """
    name, line = type(callback).__name__, type(callback).__mro__
    for kind in line:
        if kind.__name__ in INSTEAD and kind.__module__.startswith("keras."):
            made = "" if kind.__name__ == name else f", a subclass of {kind.__name__},"
            raise UsageError(
                f"the Keras callback '{name}'{made} is made for training one model, but a run has two networks; "
                f"{INSTEAD[kind.__name__]}"
            )
    base = next(kind for kind in line if kind.__name__ == "Callback")
    if not base.__module__.startswith("keras."):
        raise UsageError(f"the callback '{name}' is from Keras 2; expected a keras.callbacks.Callback of Keras 3")
    # LambdaCallback sets them on the object.
    own = {
        hook
        for hook in dir(base)
        if hook.startswith("on_")
        and (hook in vars(callback) or inspect.getattr_static(type(callback), hook) is not vars(base)[hook])
    }
    if not own & {*CALLED}:
        raise UsageError(
            f"the Keras callback '{name}' would never be called; expected one that implements some of "
            f"{', '.join(CALLED)}"
        )
    if never := sorted(own - {*CALLED}):
        log.warning("the methods %s of the Keras callback '%s' are never called in a run", ", ".join(never), name)
    return CallbackObserver(callback)


class Networks:
    """What ``self.model`` is in a callback: both networks, as in Keras's own GAN examples, and a way to stop.

    Attributes:
        stop_training: set to true, it ends the run after the running step; it can be resumed.
    """

    def __init__(self, run: RunInfo) -> None:
        self.generator, self.discriminator = run.generator, run.discriminator
        self.stop_training = False
        self.jax_state_sync: Callable[[], None] = run.sync  # asked for by Keras, where weights live elsewhere

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(
            f"self.model has generator, discriminator and stop_training, but no {name}; use one of the two networks"
        )


class CallbackObserver:
    """Calls a Keras callback: epochs and batches from 0, ``logs`` what was logged last, as observers are told it.

    ``logs`` of a batch is empty where the step was not logged, so that nothing waits for the device.
    """

    def __init__(self, callback: Any) -> None:
        self.callback, self.__name__ = callback, type(callback).__name__

    @hookimpl
    def run_started(self, run: RunInfo) -> None:
        self.run, self.networks = run, Networks(run)
        epochs = run.steps // run.steps_per_epoch
        self.callback.set_params({"epochs": epochs, "steps": run.steps_per_epoch, "verbose": 0})
        self.callback.set_model(self.networks)
        epoch, batch = divmod(run.start_step, run.steps_per_epoch)
        self._call("on_train_begin")
        if run.start_step < run.steps:
            self._call("on_epoch_begin", epoch)
            self._call("on_train_batch_begin", batch)

    @hookimpl
    def step_ended(self, step: StepInfo) -> None:
        batch = step.progress.step % self.run.steps_per_epoch
        self._call("on_train_batch_end", batch, logs=step.metrics)
        if batch + 1 < self.run.steps_per_epoch:
            self._call("on_train_batch_begin", batch + 1)

    @hookimpl
    def epoch_ended(self, epoch: EpochInfo) -> None:
        self._call("on_epoch_end", epoch.epoch - 1, logs=epoch.metrics)
        if epoch.epoch < epoch.epochs:
            self._call("on_epoch_begin", epoch.epoch)
            self._call("on_train_batch_begin", 0)

    @hookimpl
    def run_ended(self) -> None:
        self._call("on_train_end")

    def _call(self, name: str, *args: int, logs: Mapping[str, float] | None = None) -> None:
        getattr(self.callback, name)(*args, dict(logs or {}))
        if self.networks.stop_training:
            self.run.stop()
