"""Objects given from Python instead of names: two networks, a strategy, a loss, an optimizer, data.

Each becomes a choice under a name of its own, so that everything else works as with names. ``run.json`` lists them
(``needed``); to resume, the same ones are given again, or found on disk if they are plain Keras.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field, replace
from os import PathLike, fspath
from typing import Any
from weakref import WeakKeyDictionary

from ganforge.errors import GANForgeError, UsageError, shown
from ganforge.files import at_home
from ganforge.plugin.architecture import Architecture
from ganforge.plugin.loss import Loss
from ganforge.plugin.optimizer import Optimizer
from ganforge.plugin.options import Options, Spec
from ganforge.plugin.registry import Choice, Entry, Registry
from ganforge.plugin.sizes import parse_size, spoken_size
from ganforge.plugin.strategy import Strategy
from ganforge.plugin.validation import check_value
from ganforge.training.objects.networks import Networks
from ganforge.training.objects.wrapped import keras_loss, keras_optimizer

PACKAGE = "python"  # where run.json says that such a thing comes from
# What a strategy remembered when it was first given: the same object gives the same run again.
_first: WeakKeyDictionary[Strategy, dict[str, Any]] = WeakKeyDictionary()


@dataclass(frozen=True)
class Objects:
    """Objects, by kind and by the text that stands for each in the settings.

    ``networks`` is a pair of Keras models, whose architecture is among the choices; ``source`` is the source of data
    given as an object. ``kept`` is what ``run.json`` stores, by kind and text, of objects that it can rebuild.
    """

    choices: Mapping[tuple[str, str], Choice] = field(default_factory=dict)
    strategies: Mapping[str, Strategy] = field(default_factory=dict)
    networks: Networks | None = None
    source: Choice | None = None
    kept: Mapping[tuple[str, str], dict[str, Any]] = field(default_factory=dict)

    @contextmanager
    def left_trainable(self) -> Iterator[None]:
        """Afterwards make the given networks' weights as trainable as they are now, whatever a run froze."""
        models = (self.networks.generator, self.networks.discriminator) if self.networks is not None else ()
        before = [(variable, variable.trainable) for model in models for variable in model.variables]
        try:
            yield
        finally:
            for variable, trainable in before:
                variable.trainable = trainable

    def choose(self, registry: Registry, kind: str, text: str) -> Choice:
        """Return what ``text`` stands for: an object, or the entry registered under the name.

        If an object is registered too, the registered entry is returned.
        """
        given = self.choices.get((kind, text))
        if given is None:
            return registry.choose(kind, text)
        same = [one for one in registry.entries[kind].get(given.name, []) if one.value is given.value]
        return replace(given, entry=same[0]) if same else given


NO_OBJECTS = Objects()


def take(settings: Mapping[str, Any]) -> tuple[dict[str, Any], Objects]:
    """Return the settings with a text in place of each object, and the objects.

    Raises:
        UsageError: an object is of a kind that its setting does not take, or does not fit the other settings.
        GANForgeError: a strategy's hooks are wrong.
    """
    values, taken = dict(settings), _Taken()
    optimizers = values.get("optimizer")
    if isinstance(optimizers, (tuple, list)):
        if len(optimizers) != 2:
            raise UsageError(
                f"optimizer has {len(optimizers)} entries; expected one, or two: the generator's and the "
                "discriminator's"
            )
        if values.get("discriminator_optimizer") is not None:
            raise UsageError("the discriminator's optimizer is given twice; leave out discriminator_optimizer")
        values["optimizer"], values["discriminator_optimizer"] = optimizers
    if (arch := values.get("arch")) is not None and not isinstance(arch, str):
        values |= taken.architecture(arch, values)
    if (balance := values.get("balance")) is not None and not isinstance(balance, str):
        each = balance if isinstance(balance, Sequence) else [balance]
        values["balance"] = tuple(one if isinstance(one, str) else taken.strategy(one) for one in each)
    if (loss := values.get("loss")) is not None and not isinstance(loss, str):
        values["loss"] = taken.loss(loss, values.get("backend"))
    source = _data(values, taken.networks)
    for name in ("optimizer", "discriminator_optimizer"):
        if (optimizer := values.get(name)) is not None and not isinstance(optimizer, str):
            values[name] = taken.optimizer(optimizer, name)
    return values, Objects(taken.choices, taken.strategies, taken.networks, source, taken.kept)


def _data(values: dict[str, Any], networks: Networks | None) -> Choice | None:
    """Take the data and their labels from the settings if the data are an object."""
    from ganforge.data.adapters import source_of

    labels, data = values.pop("labels", None), values.get("data")
    if folders := _folders(data):
        values["data"] = data = ",".join(folders)
    if data is None or isinstance(data, (str, PathLike)):
        if labels is not None:
            raise UsageError("labels= applies to an array or a list of paths; in a folder, each subfolder is a class")
        return None
    source = source_of(data, labels)
    values["data"] = source.name
    size, own = values.get("image_size"), source.value.image_size  # the networks' own, where they say it
    if networks is not None and source.name == "array" and None not in (size, own) and size != own:
        raise UsageError(
            f"the networks take {_spoken(size)} pictures, but the data are {_spoken(own)}; resize the data to "
            f"{_spoken(size)}, or build the networks for {_spoken(own)}"
        )
    return source


def _folders(data: Any) -> list[str]:
    """Return the paths of a list that names folders, zips or tars instead of holding pictures; else none."""
    if not isinstance(data, (list, tuple)) or not data or not all(isinstance(one, (str, PathLike)) for one in data):
        return []
    paths = [fspath(one) for one in data]
    whole = all(at_home(path).is_dir() or path.lower().endswith((".zip", ".tar")) for path in paths)
    return paths if whole else []


def _spoken(size: Any) -> str:
    return spoken_size(parse_size(size))


class _Taken:
    def __init__(self) -> None:
        self.choices: dict[tuple[str, str], Choice] = {}
        self.strategies: dict[str, Strategy] = {}
        self.kept: dict[tuple[str, str], dict[str, Any]] = {}
        self.networks: Networks | None = None

    def architecture(self, value: Any, settings: Mapping[str, Any]) -> dict[str, Any]:
        """Take an architecture or a pair of models, and return the settings that follow from it."""
        if isinstance(value, Architecture):
            return {"arch": self._choice("architecture", value)}
        self.networks = Networks.of(value)
        architecture = self.networks.architecture
        return {"arch": self._choice("architecture", architecture), **self.networks.settings(settings)}

    def strategy(self, value: Any) -> str:
        if isinstance(value, type) and issubclass(value, Strategy):
            value = value()
        if not isinstance(value, Strategy):
            raise UsageError(
                f"balance contains {shown(value)}; expected names such as 'r1:gamma=1', or ganforge.Strategy objects"
            )
        values = value.options.model_dump(exclude_unset=True)
        text = str(Spec(value.name, values))
        choice = Choice(_entry("strategy", type(value)), value.options)
        if value in _first:
            value.set_state(deepcopy(_first[value]))
        else:
            _first[value] = deepcopy(value.get_state())
        self.choices["strategy", text], self.strategies[text] = choice, value
        return text

    def loss(self, value: Any, backend: str | None) -> str:
        return self._wrapped("loss", *((value, None) if isinstance(value, Loss) else keras_loss(value, backend)))

    def optimizer(self, value: Any, setting: str) -> str:
        own = isinstance(value, Optimizer)
        return self._wrapped("optimizer", *((value, None) if own else keras_optimizer(value, setting)))

    def _wrapped(self, kind: str, value: Any, kept: dict[str, Any] | None) -> str:
        """Keep a choice, and the description from which a built-in Keras object can be rebuilt."""
        text = self._choice(kind, value)
        if kept:
            self.kept[kind, text] = kept
        return text

    def _choice(self, kind: str, value: Any) -> str:
        """Keep a choice and return the text that stands for it, which is unique."""
        text, number = str(value.name), 2
        while self.choices.get((kind, text), value) is not value and self.choices[kind, text].value is not value:
            text, number = f"{value.name}-{number}", number + 1
        self.choices[kind, text] = Choice(_entry(kind, value), _defaults(value))
        return text


def _defaults(value: Any) -> Options:
    options: Options = value.options()
    return options


def _entry(kind: str, value: Any) -> Entry:
    try:
        name = check_value(kind, value)
    except UsageError:
        raise
    except GANForgeError as error:
        raise UsageError(str(error)) from None
    return Entry(kind, name, value, PACKAGE, "", PACKAGE)
