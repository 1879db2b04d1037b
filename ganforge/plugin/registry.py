"""Finding plugins, keeping broken ones from stopping the rest, and looking things up by name."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import inspect
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

from ganforge.errors import OUT_OF_MEMORY, GANForgeError, UsageError, closest, out_of_memory, reason
from ganforge.plugin.calling import call_by_name, implementation, observer_hooks
from ganforge.plugin.hookspecs import HOOK_API_VERSION
from ganforge.plugin.kinds import KINDS
from ganforge.plugin.options import Options, make_options, parse_spec
from ganforge.plugin.trust import PluginFile
from ganforge.plugin.validation import check_marked, check_unmarked, check_value, check_version

GROUP = "ganforge"


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
    api: int = HOOK_API_VERSION  # the version of the hooks that it was written for

    @property
    def options(self) -> type[Options]:
        """The ``Options`` subclass it takes."""
        return KINDS[self.kind].options(self.value)

    @property
    def summary(self) -> str:
        """What it says about itself in one line, if anything."""
        if not KINDS[self.kind].by_class:
            return str(self.value.summary)
        lines = (inspect.getdoc(self.value) or "").splitlines()
        return lines[0] if lines else ""


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
                f"{KINDS[kind].word} '{name}' is registered by two packages, {found[0].package} and "
                f"{found[1].package}; "
                f"uninstall one, or disable one with GANFORGE_DISABLE_PLUGINS={found[1].plugin}"
            )
        parts = [part.strip() for part in name.split(",")]
        if kind in ("strategy", "logger") and len(parts) > 1 and all(part in self.entries[kind] for part in parts):
            flag = "--balance" if kind == "strategy" else "--log"
            each = " ".join(f"{flag}={part}" for part in parts)
            raise UsageError(f"invalid {flag} {name}: expected one at a time, as in {each}")
        names = ", ".join(self.entries[kind]) or "none"
        message = f"there is no {KINDS[kind].word} '{name}'; installed: {names}.{closest(name, self.entries[kind])}"
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
        return Choice(entry, make_options(f"{KINDS[kind].word} '{entry.name}'", entry.options, spec.values))

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
                    lines.append(
                        f"{KINDS[kind].word} '{name}' is registered by {both}; uninstall or disable one to use it"
                    )
        return lines


def load_plugins(files: Sequence[PluginFile] = ()) -> Registry:
    """Return everything installed, and what ``files`` bring, which ``ganforge.plugin.trust`` has let through.

    The backend must have been chosen before, since a plugin may import Keras at its top.

    Raises:
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
    for file in dict.fromkeys(files):
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
            if out_of_memory(error):  # nothing is wrong with it
                raise GANForgeError(f"plugin '{point.name}' cannot be loaded; {OUT_OF_MEMORY}") from error
            # One at a time: pluggy's own loader stops at the first, and one bad package must not stop the others.
            registry.broken.append(Broken(point.name, package, version, reason(error)))
    return registry


def _add_file(registry: Registry, plugin: PluginFile) -> None:
    file = Path(plugin.file)
    # The networks of a run name their own layers' module so; another file whose SHA-256 begins alike is no such one.
    name = f"ganforge_plugin_{file.stem}_{plugin.sha256[:8]}"
    try:
        module = sys.modules.get(name)
        if module is None or vars(module).get("__sha256__") != plugin.sha256:
            spec = importlib.util.spec_from_file_location(name, file)
            if spec is None or spec.loader is None:
                raise ImportError("it is not a Python file (.py)")
            module = importlib.util.module_from_spec(spec)
            vars(module)["__sha256__"] = plugin.sha256
            sys.modules[name] = module
            try:
                # The bytes that were hashed, not the file again, nor a .pyc that lies beside it and says otherwise.
                exec(compile(plugin.source, plugin.file, "exec"), vars(module))
            except BaseException:
                del sys.modules[name]
                raise
        _register(registry, module, file.name, "file", plugin.file, plugin.sha256)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise GANForgeError(f"--plugin {file}: {reason(error)}") from error


# ------------------------------------------------------------------ registering


def _register(
    registry: Registry, module: ModuleType, package: str, version: str, plugin: str, digest: str | None
) -> None:
    """Add what a module registers, all of it or, when anything is wrong, nothing."""
    api = check_version(module)
    check_marked(module)
    new: list[Entry] = []
    for kind in KINDS:

        def register(kind: str, *values: Any) -> None:
            if len(values) != 1:
                word = KINDS[kind].word
                raise GANForgeError(
                    f"register takes one {word} at a time, without a separate name; got {len(values)} values"
                )
            (value,) = values
            name = check_value(kind, value, api)
            if any(entry.kind == kind and entry.name == name for entry in new):
                raise GANForgeError(f"{KINDS[kind].word} '{name}' is registered twice")
            new.append(Entry(kind, name, value, package, version, plugin, digest, api))

        if (hook := implementation(module, KINDS[kind].hook)) is not None:
            call_by_name(hook)(register=partial(register, kind))
    check_unmarked(module, [entry.value for entry in new], api)
    for entry in new:
        registry.entries[entry.kind].setdefault(entry.name, []).append(entry)
    if observer_hooks(module):
        registry.observers.append((plugin, module))
