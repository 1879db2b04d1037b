"""Names and options of what is installed, remembered between processes, for shell completion.

Loading every plugin takes seconds, mostly Keras's; a completion must not. The names are kept in a small file that is
good as long as the same plugins are installed in the same versions.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
import os
import sys
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from ganforge import __version__
from ganforge.files import user_folder, write_atomic
from ganforge.plugin.hookspecs import HOOK_API_VERSION

if TYPE_CHECKING:
    from ganforge.plugin.registry import Registry

Names = dict[str, dict[str, list[str]]]


def installed_names() -> Names:
    """Return, by kind, each installed name with its options; loads the plugins where that is not remembered."""
    path = _file()
    try:
        remembered: Names = json.loads(path.read_text("utf-8"))
        return remembered
    except (OSError, ValueError):
        from ganforge.backend import choose_backend
        from ganforge.plugin.registry import load_plugins

        choose_backend()
        return remember(load_plugins())


def remember(registry: Registry) -> Names:
    """Keep the names of what is installed, whole or not at all; a cache that cannot be written does no harm."""
    names: Names = {
        kind: {name: list(found[0].options.model_fields) for name, found in entries.items()}
        for kind, entries in registry.entries.items()
    }
    path = _file()
    if not registry.broken:  # what is broken may be mended without a new version
        with suppress(OSError):
            path.parent.mkdir(parents=True, exist_ok=True)
            write_atomic(path, json.dumps(names).encode())
    return names


def _file() -> Path:
    # An editable package keeps its version while its file changes, so that the file's time counts as well.
    points = sorted(
        (p.name, p.value, *((p.dist.name, p.dist.version) if p.dist else ()), _changed(p.value))
        for p in importlib.metadata.entry_points(group="ganforge")
    )
    key = [__version__, HOOK_API_VERSION, sys.prefix, os.environ.get("GANFORGE_DISABLE_PLUGINS", ""), points]
    digest = hashlib.sha256(json.dumps(key).encode()).hexdigest()[:16]
    root = os.environ.get("GANFORGE_CACHE_DIR") or user_folder("cache") or os.devnull
    return Path(root) / "names" / f"{digest}.json"


def _changed(module: str) -> float:
    """Return when a plugin's module was last changed, found without importing it; 0 where that cannot be told."""
    top, *rest = module.split(":")[0].split(".")
    for folder in sys.path:
        for candidate in (Path(folder, top, *rest, "__init__.py"), Path(folder, top, *rest).with_suffix(".py")):
            with suppress(OSError):
                return candidate.stat().st_mtime
    return 0.0


# ------------------------------------------------------------------ completing


def complete_spec(kinds: tuple[str, ...], incomplete: str) -> list[str]:
    """Return what ``NAME[:key=value,…]`` of some kinds, or all, may go on with: names, then options not given yet."""
    installed = installed_names()
    names = {name: options for kind in kinds or installed for name, options in installed.get(kind, {}).items()}
    name, colon, rest = incomplete.partition(":")
    if not colon:
        exact = [f"{name}:{option}=" for option in names.get(name, ())]
        return [known for known in names if known.startswith(name)] + exact
    given, comma, last = rest.rpartition(",")
    if "=" in last:
        return []
    used = {part.split("=")[0] for part in given.split(",")}
    begin = f"{name}:{given}{comma}"
    return [f"{begin}{option}=" for option in names.get(name, ()) if option.startswith(last) and option not in used]


def complete_plugin(incomplete: str) -> list[str]:
    """Return the plugins (entry points) that ``--no-plugin`` could leave out."""
    names = {point.name for point in importlib.metadata.entry_points(group="ganforge")}
    return sorted(name for name in names if name.startswith(incomplete))


def complete_run(incomplete: str, runs_dir: str) -> list[str]:
    """Return the runs there are, newest first, and ``latest``."""
    folder = Path(runs_dir)
    runs = [path for path in folder.glob("run_*") if path.name[4:].isdigit()] if folder.is_dir() else []
    names = [path.name for path in sorted(runs, key=lambda path: -int(path.name[4:]))]
    return [name for name in ([*names, "latest"] if names else []) if name.startswith(incomplete)]
