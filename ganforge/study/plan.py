"""A study file: the runs it asks for, each with every setting of ``ganforge train``."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ganforge.errors import UsageError, closest, shown
from ganforge.files import read_toml
from ganforge.study.space import Search, read_search
from ganforge.training.config import LISTS, TrainConfig

SECTIONS = ("name", "description", "common", "run", "grid", "search")
NEEDS = ("cpus", "gpus", "minutes")  # of a machine: how a run is placed, not what it computes


@dataclass(frozen=True)
class Entry:
    """One run of a study: its name, its settings by the names of ``TrainConfig``, and the epochs of its stages.

    ``needs``: the ``cpus`` and ``gpus`` it is given, and the ``minutes`` for which a scheduler lets it run at a time.
    ``beside``: the name of the run that it was added to be compared with, if it was added.
    """

    name: str
    settings: dict[str, Any]
    stages: tuple[int, ...] = ()
    needs: dict[str, int] = field(default_factory=dict)
    beside: str = ""


@dataclass(frozen=True)
class Study:
    """A study: its name, its description, its runs in order, and its search, if any."""

    name: str
    description: str = ""
    entries: list[Entry] = field(default_factory=list)
    search: Search | None = None
    trial: Callable[[dict[str, Any]], Entry] = lambda table: Entry(str(table["name"]), table)


def read_study(path: Path, **overrides: Any) -> Study:
    """Read a study file; ``overrides`` (such as ``data``) take precedence over its settings.

    ::

        name = "noise"                      # by default the file's name
        [common]                            # settings of every run: the flags of train, dashes or underscores
        epochs = 50
        [[run]]                             # one run
        name = "plain"
        [[grid]]                            # every combination of what is given as a list
        arch = ["fcgan-3", "dcgan-3"]
        balance = ["input-noise:sigma=0.1", ["input-noise:sigma=0.2", "label-noise"]]
        seed = [0, 1]

    In a run, ``stages = [100, 250]`` trains to 100 epochs and then, resumed, to 250. ``cpus``, ``gpus`` and
    ``minutes`` are not settings of training: they say what a run is given. ``[search]`` is read by ``space.py``.

    Raises:
        UsageError: the file cannot be read, or a name or value is invalid; the message says in which run.
    """
    values = read_toml(path, f"the study {path}")
    for name in values:
        if name not in SECTIONS:
            raise UsageError(
                f"the study {path}: there is no '{name}'; expected {', '.join(SECTIONS)}.{closest(name, SECTIONS)}"
            )
    common = _settings(values.get("common", {}), f"{path}, [common]")
    entries: list[Entry] = []
    for i, table in enumerate(_tables(values, "run", path), 1):
        entries.append(_entry(dict(table), common, overrides, f"{path}, run {i}"))
    for i, table in enumerate(_tables(values, "grid", path), 1):
        entries += _grid(dict(table), common, overrides, f"{path}, grid {i}")

    def trial(table: dict[str, Any]) -> Entry:
        return _entry(dict(table), common, overrides, f"{path}, [search]")

    search = read_search(values["search"], f"{path}, [search]") if "search" in values else None
    for table in search.probes if search else ():
        trial({**table, "name": "a trial"})
    if not entries and search is None:
        raise UsageError(f"the study {path} has no runs; expected [[run]] or [[grid]] tables, or [search]")
    names = [entry.name for entry in entries]
    names += [f"trial {number}" for number in range(search.trials if search else 0)]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"the study {path} has two runs named '{name}'; give each a name of its own")
    title = str(values.get("name", path.stem))
    if not re.fullmatch(r"[\w.-]+", title):
        raise UsageError(
            f"the study {path}: invalid name '{title}': expected letters, digits, dots, dashes and underscores"
        )
    return Study(title, str(values.get("description", "")), entries, search, trial)


def _tables(values: dict[str, Any], name: str, path: Path) -> list[dict[str, Any]]:
    tables = values.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise UsageError(f"the study {path}: invalid '{name}': expected [[{name}]] tables")
    return tables


def _grid(table: dict[str, Any], common: dict[str, Any], overrides: dict[str, Any], where: str) -> list[Entry]:
    """Return a run for each combination; a name, if given, is put before what varies."""
    prefix = table.pop("name", "")
    varied = {key: value for key, value in table.items() if isinstance(value, list) and key != "stages"}
    for key, value in varied.items():
        if not value:
            raise UsageError(f"{where}: {key} is an empty list; expected at least one value")
    entries = []
    for values in itertools.product(*varied.values()):
        chosen = dict(zip(varied, values))
        words = [prefix] if prefix else []
        # Only what differs within the grid is in the name.
        words += [_word(key, value, varied[key]) for key, value in chosen.items() if len(varied[key]) > 1]
        name = " ".join(words) or " ".join(_word(key, value, varied[key]) for key, value in chosen.items())
        entries.append(_entry({**table, **chosen, "name": name}, common, overrides, where))
    return entries


def short_architectures(texts: Sequence[str]) -> dict[str, str]:
    """Return what to call each architecture: without the options that it shares with all its relatives.

    ``dcgan-3:width=24`` is ``dcgan-3`` beside ``dcgan-1:width=24`` and ``fcgan-2``, but not beside ``dcgan-1``.
    """

    def family(text: str) -> str:
        return re.sub(r"\d+", "#", text.partition(":")[0])

    options: dict[str, set[str]] = {}
    for text in texts:
        options.setdefault(family(text), set()).add(text.partition(":")[2])
    return {text: text.partition(":")[0] if len(options[family(text)]) == 1 else text for text in texts}


def _word(key: str, value: Any, varied: Sequence[Any]) -> str:
    text = " + ".join(map(str, value)) if isinstance(value, list) else str(value)
    if key == "arch":
        text = short_architectures([str(each) for each in varied])[text]
    return text if key in ("arch", "balance", "loss") else f"{key.replace('_', '-')}={text}"


def _entry(table: dict[str, Any], common: dict[str, Any], overrides: dict[str, Any], where: str) -> Entry:
    name, stages = table.pop("name", None), table.pop("stages", ())
    settings = {**common, **_settings(table, where), **overrides}
    needs = {key: settings.pop(key) for key in NEEDS if key in settings}
    for key, value in needs.items():
        least = 0 if key == "gpus" else 1
        if type(value) is not int or value < least:
            raise UsageError(f"{where}: invalid {key} = {shown(value)}: expected a whole number, {least} or more")
    if name is None:
        name = " ".join(str(settings[key]) for key in ("arch", "balance") if key in settings) or "run"
    if stages:
        if not (isinstance(stages, list) and all(isinstance(n, int) and n > 0 for n in stages)) or stages != sorted(
            set(stages)
        ):
            raise UsageError(
                f"{where}: invalid stages = {stages}: expected increasing numbers of epochs, such as [100, 250]"
            )
        settings["epochs"] = stages[0]
    try:
        TrainConfig.of(settings)
    except UsageError as error:
        raise UsageError(f"{where} ('{name}'): {error}") from None
    return Entry(str(name), settings, tuple(stages), needs)


def _settings(table: Any, where: str) -> dict[str, Any]:
    if not isinstance(table, dict):
        raise UsageError(f"{where} is invalid: expected a table of settings")
    settings = {key.replace("-", "_"): value for key, value in table.items()}
    if "plugin" in settings:
        settings["plugins"] = settings.pop("plugin")
    if "from" in settings:
        settings["from_run"] = settings.pop("from")
    for key in LISTS:
        if isinstance(settings.get(key), str):
            settings[key] = [settings[key]]
    return settings
