"""The settings of a run: the same names as the command line's flags, typed, with their defaults."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from ganforge.data.settings import parse_background, parse_range
from ganforge.errors import GANForgeError, UsageError, closest, in_our_words, shown
from ganforge.files import default_runs_dir
from ganforge.hints import hint
from ganforge.plugin.averaging import written_ema
from ganforge.plugin.options import written
from ganforge.plugin.sizes import parse_size, written_size
from ganforge.runs.manifest import read_manifest
from ganforge.training.schedule import parse_every, written_snapshots
from ganforge.training.stopping import written_rule

# Settings that take several texts; one alone may be given as it is.
LISTS = ("balance", "log", "plugins")


class TrainConfig(BaseModel):
    """The settings of a run as the user gave them. ``None`` means that a default is chosen later.

    ``data`` may name several folders, zips and tars, separated by commas (``ganforge.data.several``). ``steps`` is
    for data from Python that never end: the run trains this many steps, each on new pictures. ``learning_rate`` is
    that of both networks (strategies can multiply it for one of them). So is ``optimizer``, unless
    ``discriminator_optimizer`` is given. ``image_size`` is in pixels: the side of a square, ``WIDTHxHEIGHT``, or a
    pair (width, height); vectors have none. ``range`` holds the values of black and white in pictures deeper than
    8 bits; if None, it is measured on the whole set. ``step`` is how the two networks learn (see
    ``ganforge.engine.engine.Engine``); ``compile`` overrides the backend's default. ``batch_size`` is the total of
    all ``devices``. ``ema`` is the decay, or the half-life such as ``500kimg``, of the running mean of the
    generator's weights that pictures are drawn from; 0 or ``none`` turns it off. ``from_run`` is a run whose weights
    this one starts with, and the three settings after it say how (``ganforge.training.earlier``).
    """

    model_config = ConfigDict(extra="forbid", validate_assignment=True)

    arch: str | None = None
    balance: tuple[str, ...] | None = None
    loss: str | None = None
    optimizer: str | None = None
    discriminator_optimizer: str | None = None
    data: str = "critters"
    image_size: int | str | None = None
    channels: Literal[1, 3, 4] | None = None
    fit: Literal["crop", "stretch", "pad"] = "crop"
    background: str = "white"
    range: tuple[float, float] | None = None
    frames: Literal["first", "all"] = "first"
    limit: int | None = Field(None, ge=2)
    strict: bool = False
    epochs: int | None = Field(None, ge=1)
    steps: int | None = Field(None, ge=1, description="How many steps to train on data that never end.")
    batch_size: int | None = Field(None, ge=1)
    latent_dim: int | None = Field(None, ge=1)
    learning_rate: float | None = Field(None, gt=0)
    beta_1: float | None = Field(None, ge=0, lt=1)
    seed: int = Field(0, ge=0, lt=2**63)
    precision: Literal["float32", "mixed_bfloat16"] = "float32"
    step: Literal["two-stage", "one-stage"] = "two-stage"
    compile: bool | None = None
    ema: float | str | None = None
    backend: Literal["torch", "jax", "tensorflow"] | None = None
    devices: int | None = Field(None, ge=1)
    snapshot_every: int | str | None = None
    checkpoint_every: int | str | None = None
    keep: int = Field(2, ge=1)
    stop_when: str | None = None
    on_nan: Literal["stop", "rollback"] = "stop"
    log_every: int = Field(10, ge=1)
    log: tuple[str, ...] = ()
    plugins: tuple[str, ...] = ()
    runs_dir: str = Field(default_factory=default_runs_dir)
    from_run: str | None = None
    from_optimizers: bool = False
    from_partial: bool = False
    freeze_discriminator: int = Field(0, ge=0)

    @classmethod
    def of(cls, values: dict[str, Any]) -> TrainConfig:
        """Validate ``values``. Raises ``UsageError`` in one line, with the closest name for an unknown one."""
        for name in values:
            if name == "callbacks":
                raise UsageError("there is no setting 'callbacks'; pass Keras callbacks as observers=[…]")
            if name not in cls.model_fields:
                raise UsageError(f"there is no setting '{name}'.{hint(name) or closest(name, cls.model_fields)}")
        values = {name: value for name, value in values.items() if value is not None}
        for name in LISTS:
            if isinstance(values.get(name), str):
                values[name] = (values[name],)
        values = {name: str(value) if isinstance(value, Path) else value for name, value in values.items()}
        if isinstance(values.get("data"), (list, tuple)) and all(isinstance(one, str) for one in values["data"]):
            values["data"] = ",".join(values["data"])
        if (every := values.get("checkpoint_every")) is not None:
            parse_every(every)
        if (every := values.get("snapshot_every")) is not None:
            values["snapshot_every"] = written_snapshots(every)
        if "image_size" in values:
            values["image_size"] = written_size(parse_size(values["image_size"]))
        if "stop_when" in values:
            values["stop_when"] = written_rule(values["stop_when"])
        if "ema" in values:
            values["ema"] = written_ema(values["ema"])
        if "range" in values:
            values["range"] = parse_range(values["range"])
        if isinstance(values.get("background"), str):
            parse_background(values["background"])
        try:
            return cls(**values)
        except ValidationError as error:
            first = error.errors()[0]
            name = str(first["loc"][0])
            flag = "--from" if name == "from_run" else "--" + name.replace("_", "-")
            raise UsageError(f"invalid {flag} {_written(values.get(name))}: {in_our_words(first['msg'])}") from None


class Settings(TrainConfig):
    """What a run is trained with: as ``TrainConfig``, with nothing left to be chosen (``resolve.fill_in``).

    Only vectors have neither an ``image_size`` nor ``channels``.
    """

    model_config = ConfigDict(frozen=True)

    arch: str
    balance: tuple[str, ...]
    loss: str
    epochs: int
    batch_size: int
    latent_dim: int
    learning_rate: float
    beta_1: float
    backend: Literal["torch", "jax", "tensorflow"]
    devices: int
    snapshot_every: int | str
    checkpoint_every: int | str


def _written(value: Any) -> str:
    return shown(written(value) if isinstance(value, (bool, list, tuple)) else value)


# A flag in a message, but not one in a command that it proposes, which goes on to the next punctuation.
_COMMAND = re.compile(r"(ganforge [a-z][^;:,()]*)")
_FLAG = re.compile(r"--([a-z][a-z0-9]*(?:-[a-z0-9]+)*)")


@contextmanager
def in_python() -> Iterator[None]:
    """Have the errors of a call from Python name its arguments, where the command line names flags."""
    try:
        yield
    except GANForgeError as error:
        parts = _COMMAND.split(str(error))
        parts[::2] = [_FLAG.sub(_argument, part) for part in parts[::2]]
        error.args = ("".join(parts),)
        raise


# Arguments of methods of a run that are no settings of one.
_ALSO = ("data_changed", "class_name", "count", "features", "output", "seeds", "starts", "strength")
_CALLED = {"plugin": "plugins", "from": "from_run", "class": "class_name", "directions": "count"}


def _argument(flag: re.Match[str]) -> str:
    name = _CALLED.get(flag[1], flag[1].replace("-", "_"))
    return name if name in TrainConfig.model_fields or name in _ALSO else flag[0]


def range_of_run(manifest: Mapping[str, Any]) -> tuple[float, float] | None:
    """Return the range that a run's pictures were read with, to read others in the same way; None if there is none.

    Raises ``GANForgeError`` when ``run.json`` does not hold a valid range.
    """
    known = manifest.get("data", {}).get("range")
    try:
        return None if known is None else parse_range(known)
    except UsageError as error:
        raise GANForgeError(f"run.json is damaged: {error}") from None


def read_config(run: Path) -> TrainConfig:
    """Return a run's settings. Raises ``GANForgeError`` when ``run.json`` is damaged or holds what cannot be."""
    manifest = read_manifest(run)
    try:
        return TrainConfig.of(manifest["config"])
    except UsageError as error:
        # Nobody typed this: the exit code is that of a failure, not of wrong usage.
        raise GANForgeError(f"{run / 'run.json'} is damaged, or from another version: {error}") from None
