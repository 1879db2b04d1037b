"""The contents of a run's files, as types: they may be damaged or come from anywhere, and are checked here, once.

A missing entry is not damage until it is asked for (``Held``), since older versions wrote fewer.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from ganforge.errors import GANForgeError, in_our_words, on_one_line

Count = Annotated[int, Field(ge=0, lt=2**63)]
Number = Annotated[FiniteFloat, Field(ge=-1e300, le=1e300)]
Seconds = Annotated[FiniteFloat, Field(ge=0, le=1e12)]
Texts = list[str]
Pair = Annotated[list[Any], Field(min_length=2, max_length=2)]
Shape = Annotated[list[Annotated[int, Field(ge=1, le=2**20)]], Field(min_length=1, max_length=3)]


class Typed(BaseModel):
    """Values must have exactly these types; unknown names may hold anything."""

    model_config = ConfigDict(strict=True, extra="allow")


class Config(Typed):
    """The settings that are read before ``TrainConfig`` checks all of them."""

    arch: str = ""
    balance: Texts = []
    loss: str = ""
    optimizer: str | None = None
    discriminator_optimizer: str | None = None
    data: str = ""
    image_size: Count | Annotated[str, Field(pattern=r"^[0-9]{1,6}x[0-9]{1,6}$")] | None = None
    channels: Count | None = None
    limit: Count | None = None
    epochs: Count = 0
    batch_size: Count = 0
    latent_dim: Count = 0
    learning_rate: Number = 0.0
    beta_1: Number = 0.0
    seed: Count = 0
    precision: str = ""
    ema: Number | str | None = None
    backend: str | None = None
    plugins: Texts | None = None
    runs_dir: str = ""


class Chosen(Typed):
    """Something a plugin registered, with its options."""

    name: str
    package: str = ""
    version: str = ""
    options: dict[str, Any]
    learning_rate: Number = 0.0


class Stage(Typed):
    """From a step on, a run was trained with the same settings."""

    step: Count
    reason: str = ""
    balance: Texts = []
    learning_rate_scale: Number = 1.0


class PluginRecord(Typed):
    """A plugin file."""

    file: str
    sha256: str


class Layer(Typed):
    """A layer of a network."""

    name: str
    kind: str
    output_shape: list[Count | None]
    parameters: Count
    detail: str


class Networks(Typed):
    """Both networks' layers."""

    generator: list[Layer]
    discriminator: list[Layer]


class Parameters(Typed):
    """The number of parameters of each network."""

    generator: Count
    discriminator: Count


class Spread(Typed):
    """How different pictures are."""

    mean: Number
    nearest: Number


class Data(Typed):
    """The data of a run."""

    description: str = ""
    fingerprint: str = ""
    path: str | None = None
    count: Count = 0
    classes: Texts = []
    skipped: list[Texts] = []
    range: list[Number] | None = None
    notes: Texts = []
    spread: Spread | None = None


class Progress(Typed):
    """The progress of a run."""

    step: Count
    steps: Count
    epoch: Count
    epochs: Count


class Seen(Typed):
    """The number that ``--stop-when`` looked at with a snapshot."""

    step: Count
    value: Number | None = None


class EarlyEnd(Typed):
    """What ``--stop-when`` has seen, and why it ended the run, if it did."""

    when: str
    since: Count
    seen: list[Seen]
    met: str = ""


class Process(Typed):
    """The process that trains it."""

    pid: Count = 0
    host: str = ""


class Account(Typed):
    """A network given as an object: its weights' names and shapes, and a hash of its configuration."""

    weights: list[Pair]
    sha256: str


class GivenNetworks(Typed):
    """Both networks given as objects."""

    generator: Account
    discriminator: Account


class KeptObject(Typed):
    """A plain Keras loss or optimizer given as an object, to be rebuilt."""

    kind: str
    text: str


class FromPython(Typed):
    """The objects that were given instead of names."""

    needed: list[Annotated[Texts, Field(min_length=2, max_length=2)]] = []
    kept: list[KeptObject] = []
    data: bool = False
    networks: GivenNetworks | None = None


class Origin(Typed):
    """The run from whose weights another started, and what was copied."""

    run: str
    path: str
    step: Count
    sha256: str
    taken: Count
    left_out: Texts
    average: bool
    optimizers: bool
    frozen: Texts


class Manifest(Typed):
    """``run.json``."""

    id: str = ""
    state: Literal["running", "finished", "stopped", "failed"] = "running"
    created: str = ""
    updated: str = ""
    seconds: Seconds = 0.0
    config: Config
    architecture: Chosen = Chosen.model_construct()
    loss: Chosen = Chosen.model_construct()
    optimizer: Chosen = Chosen.model_construct()
    discriminator_optimizer: Chosen = Chosen.model_construct()
    given: Texts = []
    strategies: list[Chosen] = []
    plugins: list[PluginRecord] = []
    objects: FromPython = FromPython.model_construct()
    origin: Origin | None = Field(None, alias="from")
    draws: Count = 0
    process: Process = Process.model_construct()
    stages: list[Stage] = []
    data: Data = Data.model_construct()
    image_shape: Shape = [1]
    steps_per_epoch: Annotated[Count, Field(ge=1)] = 1
    networks: Networks = Networks.model_construct()
    parameters: Parameters = Parameters.model_construct()
    progress: Progress = Progress.model_construct()
    early_end: EarlyEnd | None = None
    metrics: dict[str, Number | None] = {}
    versions: dict[str, str] = {}
    peak_memory: Count = 0


class State(Typed):
    """The contents of a checkpoint besides arrays."""

    signals: dict[str, Number | None] = {}
    strategies: dict[str, dict[str, Any]] = {}
    kept: dict[str, Number] = {}
    seconds: Seconds = 0.0


class CheckpointAbout(Typed):
    """``state.json`` of a checkpoint."""

    step: Count
    sha256: str
    scalars: Texts
    state: State


class Distances(Typed):
    """A distance between pictures and training pictures."""

    mean: Number = 0.0
    floor: Number | None = None


class Kernel(Typed):
    """The kernel distance."""

    value: Number
    floor: Number | None = None
    features: str


class Copies(Typed):
    """How many pictures repeat training pictures."""

    share: Number
    real_share: Number


class Evaluation(Typed):
    """``evaluation.json``, those entries that are read back."""

    step: Count
    samples: Count
    real: Count
    swd: Distances = Distances.model_construct()
    tone: Distances = Distances.model_construct()
    kid: Kernel = Kernel.model_construct()
    memorising: Copies = Copies.model_construct()
    failed: dict[str, str] = {}


class Held(dict[str, Any]):
    """An object of a file; asking for a missing entry raises a one-line error."""

    def __init__(self, values: dict[str, Any], where: str) -> None:
        super().__init__({name: _held(value, where, name) for name, value in values.items()})
        self.where = where

    def __missing__(self, name: str) -> Any:
        raise GANForgeError(f"{self.where} is damaged: it has no {on_one_line(str(name))}")

    def __reduce__(self) -> Any:
        return Held, (dict(self), self.where)


def _held(value: Any, where: str, name: str) -> Any:
    if isinstance(value, dict):
        return Held(value, where)
    return [_held(one, where, name) for one in value] if isinstance(value, list) else value


def wrong(kind: type[Typed], values: Any) -> str | None:
    """Return the place of the first value of a wrong type, and what was expected; None if there is none."""
    try:
        kind.model_validate(values)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"]) or "content"
        return on_one_line(f"invalid {place}: {in_our_words(first['msg'])}")
    except (OverflowError, ValueError, RecursionError) as error:
        return on_one_line(f"invalid content: {error}")
    return None


def held(path: Path, kind: type[Typed], values: Any) -> Held:
    """Return the object in a file, after checking the types of its values.

    Raises:
        GANForgeError: a value has a wrong type; or, later, a missing entry is asked for.
    """
    if why := wrong(kind, values):
        raise GANForgeError(f"{path} is damaged: {why}")
    return Held(values, str(path))
