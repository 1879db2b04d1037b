"""Finding plugins, keeping broken ones from stopping the rest, and looking things up by name."""

from __future__ import annotations

import hashlib
import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

from ganforge.errors import GANForgeError, UsageError, closest, reason
from ganforge.plugin import hookspecs
from ganforge.plugin.architecture import Architecture
from ganforge.plugin.dataset import DatasetSource
from ganforge.plugin.options import Options, make_options, parse_spec
from ganforge.plugin.strategy import Loss, Strategy
from ganforge.plugin.types import FixedSetting
from ganforge.plugin.validation import (
    HOOKS,
    call_by_name,
    check_marked,
    check_strategy,
    check_unmarked,
    implementation,
)

GROUP = "ganforge"
KINDS = ("architecture", "strategy", "loss", "dataset")
_HOOK_OF = dict(zip(KINDS, hookspecs.REGISTRATION_HOOKS))
_TYPE_OF = {"architecture": Architecture, "strategy": Strategy, "loss": Loss, "dataset": DatasetSource}
_FLAG_OF = {"architecture": "--arch", "strategy": "--balance", "loss": "--loss", "dataset": "--data"}
_PLURAL = {"architecture": "architectures", "strategy": "strategies", "loss": "losses", "dataset": "datasets"}


@dataclass(frozen=True)
class Entry:
    """Something registered: its kind, name and value, and where it comes from."""

    kind: str
    name: str
    value: Any
    package: str
    version: str
    plugin: str
    sha256: str | None = None

    @property
    def options(self) -> type[Options]:
        """The ``Options`` subclass it takes."""
        found: type[Options] = self.value.Options if self.kind == "strategy" else self.value.options
        return found


@dataclass(frozen=True)
class Choice:
    """What ``NAME:key=value,…`` names: an entry, and the options it is used with."""

    entry: Entry
    options: Options

    @property
    def name(self) -> str:
        """The entry's name."""
        return self.entry.name

    @property
    def value(self) -> Any:
        """What was registered."""
        return self.entry.value


@dataclass(frozen=True)
class Broken:
    """A plugin that was left out, and why, in one line."""

    plugin: str
    package: str
    version: str
    reason: str


@dataclass
class Registry:
    """What is installed. Plugins that failed are in ``broken``; the rest works."""

    entries: dict[str, dict[str, list[Entry]]] = field(default_factory=lambda: {kind: {} for kind in KINDS})
    broken: list[Broken] = field(default_factory=list)
    observers: list[tuple[str, object]] = field(default_factory=list)

    def get(self, kind: str, name: str) -> Entry:
        """Return what is registered under a name.

        Raises:
            UsageError: nothing is, or two packages claim it; names the closest, or both packages.
        """
        found = self.entries[kind].get(name, [])
        if len(found) == 1:
            return found[0]
        if found:
            raise UsageError(
                f"{_kind(kind)} '{name}' is claimed by two packages, {found[0].package} and {found[1].package}; "
                f"uninstall one, or leave it out with GANFORGE_DISABLE_PLUGINS={found[1].plugin}"
            )
        names = ", ".join(self.entries[kind]) or "none"
        message = f"there is no {_kind(kind)} '{name}'; installed: {names}.{closest(name, self.entries[kind])}"
        for broken in self.broken:
            message += f" (plugin '{broken.plugin}' of {broken.package} is left out: {broken.reason})"
        raise UsageError(message)

    def choose(self, kind: str, text: str) -> Choice:
        """Return what a ``NAME:key=value,…`` names, its options typed.

        Raises:
            UsageError: the text, the name, an option or a value is wrong; says what was expected.
        """
        spec = parse_spec(text)
        entry = self.get(kind, spec.name)
        return Choice(entry, make_options(f"{_kind(kind)} '{entry.name}'", entry.options, spec.values))

    def of(self, kind: str) -> list[Entry]:
        """Return all of one kind, in order of registration."""
        return [entry for entries in self.entries[kind].values() for entry in entries]

    def warnings(self) -> list[str]:
        """Return one line for each plugin left out and each name claimed twice."""
        lines = [f"plugin '{b.plugin}' ({b.package} {b.version}) is left out: {b.reason}" for b in self.broken]
        for kind in KINDS:
            for name, entries in self.entries[kind].items():
                if len(entries) > 1:
                    both = " and ".join(entry.package for entry in entries)
                    lines.append(f"{_kind(kind)} '{name}' is claimed by {both}; it cannot be used until one is gone")
        return lines


def load_plugins(files: Sequence[str | Path] = ()) -> Registry:
    """Return everything installed, and what ``files`` (Python files) bring.

    The backend must have been chosen before, since a plugin may import Keras at its top.

    Raises:
        UsageError: a file does not exist.
        GANForgeError: a file fails; it was asked for by name, so it is not left out.
    """
    installed = _installed()
    if not files:
        return installed
    registry = Registry(
        {kind: {name: list(found) for name, found in entries.items()} for kind, entries in installed.entries.items()},
        list(installed.broken),
        list(installed.observers),
    )
    for file in dict.fromkeys(Path(file) for file in files):
        _add_file(registry, file)
    return registry


def _installed() -> Registry:
    return _all_but(os.environ.get("GANFORGE_DISABLE_PLUGINS", ""))


@cache
def _all_but(disabled_names: str) -> Registry:
    registry = Registry()
    disabled = {name.strip() for name in disabled_names.split(",")}
    points = {(p.name, p.value): p for p in importlib.metadata.entry_points(group=GROUP)}

    def order(point: importlib.metadata.EntryPoint) -> tuple[bool, str]:
        return (point.dist is None or point.dist.name != "ganforge", point.name)

    for point in sorted(points.values(), key=order):
        if point.name in disabled:
            continue
        package = point.dist.name if point.dist else "?"
        version = point.dist.version if point.dist else "?"
        try:
            module = point.load()
            _register(registry, module, package, version, point.name, None)
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            # One at a time: pluggy's own loader stops at the first, and one bad package must not stop the others.
            registry.broken.append(Broken(point.name, package, version, reason(error)))
    return registry


def _add_file(registry: Registry, file: Path) -> None:
    if not file.is_file():
        raise UsageError(f"--plugin {file}: there is no such file; expected a Python file that registers something")
    try:
        content = file.read_bytes()
    except OSError as error:
        raise GANForgeError(f"--plugin {file} cannot be read: {reason(error, kind=False)}") from None
    digest = hashlib.sha256(content).hexdigest()
    name = f"ganforge_plugin_{file.stem}_{digest[:8]}"
    try:
        module = sys.modules.get(name)
        if module is None:
            spec = importlib.util.spec_from_file_location(name, file)
            if spec is None or spec.loader is None:
                raise ImportError("it is not a Python file (.py)")
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module
            try:
                # The bytes that were hashed, not the file again, nor a .pyc that lies beside it and says otherwise.
                exec(compile(content, str(file), "exec"), vars(module))
            except BaseException:
                del sys.modules[name]
                raise
        _register(registry, module, file.name, "file", str(file), digest)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise GANForgeError(f"--plugin {file}: {reason(error)}") from error


# ------------------------------------------------------------------ registering


def _register(
    registry: Registry, module: ModuleType, package: str, version: str, plugin: str, digest: str | None
) -> None:
    """Add what a module registers, all of it or, when anything is wrong, nothing."""
    _check_version(module)
    check_marked(module)
    new: list[Entry] = []
    for kind in KINDS:

        def register(value: Any, kind: str = kind) -> None:
            name = _check_value(kind, value)
            if any(entry.kind == kind and entry.name == name for entry in new):
                raise GANForgeError(f"{_kind(kind)} '{name}' is registered twice")
            new.append(Entry(kind, name, value, package, version, plugin, digest))

        if (hook := implementation(module, _HOOK_OF[kind])) is not None:
            call_by_name(hook)(register=register)
    check_unmarked(module, [entry.value for entry in new])
    for entry in new:
        registry.entries[entry.kind].setdefault(entry.name, []).append(entry)
    if any(implementation(module, name) for name in hookspecs.OBSERVER_HOOKS):
        registry.observers.append((plugin, module))


def _check_version(module: ModuleType) -> None:
    """Refuse a plugin whose ``ganforge_api`` names a version of the hooks that this GANForge does not speak."""
    made_for = getattr(module, "ganforge_api", hookspecs.HOOK_API_VERSION)
    if isinstance(made_for, bool) or not isinstance(made_for, int):
        raise GANForgeError(f"ganforge_api = {made_for!r} will not do; expected a whole number, such as 1")
    if made_for > hookspecs.HOOK_API_VERSION:
        raise GANForgeError(
            f"it was made for version {made_for} of the hooks and this GANForge has version "
            f"{hookspecs.HOOK_API_VERSION}; pip install --upgrade ganforge"
        )
    if made_for < hookspecs.OLDEST_HOOK_API_VERSION:
        raise GANForgeError(
            f"it was made for version {made_for} of the hooks and this GANForge has versions "
            f"{hookspecs.OLDEST_HOOK_API_VERSION} to {hookspecs.HOOK_API_VERSION}; look for a newer release of it"
        )


def _check_value(kind: str, value: Any) -> str:
    wanted = _TYPE_OF[kind]
    fits = (
        (isinstance(value, type) and issubclass(value, wanted)) if wanted is Strategy else isinstance(value, wanted)
    )
    if not fits:
        form = "a subclass of Strategy (the class itself)" if wanted is Strategy else f"{wanted.__name__}(...)"
        got = value.__name__ if isinstance(value, type) else type(value).__name__
        raise GANForgeError(f"{_HOOK_OF[kind]} registered {got}; expected {form}")
    name = value.name
    if not isinstance(name, str) or not re.fullmatch(r"[a-z0-9][a-z0-9.-]*", name):
        raise GANForgeError(f"the name {name!r} will not do; expected lower-case letters, digits and dashes")
    options = value.Options if wanted is Strategy else value.options
    if not (isinstance(options, type) and issubclass(options, Options)):
        raise GANForgeError(f"{_kind(kind)} '{name}': its options are not a subclass of ganforge.Options")
    for option, info in options.model_fields.items():
        if info.is_required():
            raise GANForgeError(f"{_kind(kind)} '{name}': option '{option}' has no default; every option needs one")
    if wanted is Strategy:
        check_strategy(value, f"strategy '{name}'")
    return name


def _kind(kind: str) -> str:
    return "data source" if kind == "dataset" else kind


# ------------------------------------------------------------------ calling


def strategy_hooks(strategy: Any) -> dict[str, Callable[..., Any]]:
    """Return the hooks a strategy implements, each taking all its arguments by name and passing on those it names.

    The signature is read once, here: nothing of the plugin machinery is left when the step runs. What a host hook
    raises becomes a ``GANForgeError`` that names the strategy.
    """
    name = getattr(strategy, "name", "") or type(strategy).__name__
    found = _hooks(strategy, HOOKS)
    # Traced hooks stay bare: a compiler looks into them.
    return {
        hook: function if hook in hookspecs.TRACED_HOOKS else _named(name, hook, function)
        for hook, function in found.items()
    }


def observer_hooks(observer: Any) -> dict[str, Callable[..., Any]]:
    """Return the hooks an observer implements, as ``strategy_hooks`` does; what they raise is left as it is."""
    return _hooks(observer, hookspecs.OBSERVER_HOOKS)


def _hooks(owner: Any, names: Iterable[str]) -> dict[str, Callable[..., Any]]:
    members = {name: implementation(owner, name) for name in names}
    return {name: call_by_name(member) for name, member in members.items() if member is not None}


def _named(strategy: str, hook: str, function: Callable[..., Any]) -> Callable[..., Any]:
    def call(**keywords: Any) -> Any:
        try:
            return function(**keywords)
        except (GANForgeError, MemoryError):
            raise
        except FixedSetting as error:
            raise GANForgeError(f"strategy '{strategy}': {error}") from error
        except Exception as error:
            raise GANForgeError(f"strategy '{strategy}': {hook} raised {reason(error)}") from error

    return call
