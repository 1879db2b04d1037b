"""The settings of ``ganforge.train`` as a type checker and an editor see them; ``TrainConfig`` checks the values."""

from __future__ import annotations

from os import PathLike
from typing import TYPE_CHECKING, Any, Literal, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    import keras

    from ganforge.plugin.loss import Loss
    from ganforge.plugin.optimizer import Optimizer

Backend = Literal["torch", "jax", "tensorflow"]


class TrainSettings(TypedDict, total=False):
    """Every setting of a run but ``arch`` and ``balance``, named as its flag is; see ``TrainConfig``."""

    # A path, a name, an array, or any of the data sets that Python knows: their types are their libraries'.
    data: Any
    labels: Any
    # A name, or a Keras loss, or a function (y_true, logits).
    loss: str | Loss | Any | None
    optimizer: (
        str
        | Optimizer
        | keras.optimizers.Optimizer
        | tuple[keras.optimizers.Optimizer, keras.optimizers.Optimizer]
        | None
    )
    discriminator_optimizer: str | Optimizer | keras.optimizers.Optimizer | None
    image_size: int | str | tuple[int, int] | None
    channels: Literal[1, 3, 4] | None
    fit: Literal["crop", "stretch", "pad"]
    background: str
    range: str | tuple[float, float] | None
    frames: Literal["first", "all"]
    limit: int | None
    strict: bool
    epochs: int | None
    steps: int | None
    batch_size: int | None
    latent_dim: int | None
    learning_rate: float | None
    beta_1: float | None
    seed: int
    precision: Literal["float32", "mixed_bfloat16"]
    step: Literal["two-stage", "one-stage"]
    compile: bool | None
    ema: bool | float | str | None
    backend: Backend | None
    devices: int | None
    snapshot_every: int | str | None
    checkpoint_every: int | str | None
    keep: int
    stop_when: str | None
    on_nan: Literal["stop", "rollback"]
    log_every: int
    log: str | Sequence[str]
    plugins: str | PathLike[str] | Sequence[str | PathLike[str]]
    runs_dir: str | PathLike[str]
    # Whose weights it begins with: a run, its directory or its name.
    from_run: Any
    from_optimizers: bool
    from_partial: bool
    freeze_discriminator: int


class ResumeSettings(TypedDict, total=False):
    """What ``Run.resume`` may change, and the objects that a run from Python is given back."""

    balance: str | Sequence[Any] | None
    backend: Backend | None
    devices: int | None
    data: Any
    labels: Any
    data_changed: Literal["ok"] | None
    on_nan: Literal["stop", "rollback"] | None
    stop_when: str | None
    learning_rate: float | None
    ema: bool | float | str | None
    log: str | Sequence[str] | None
    snapshot_every: int | str | None
    plugins: Sequence[Any]
    arch: Any
    loss: Any
    optimizer: Any
    discriminator_optimizer: Any
