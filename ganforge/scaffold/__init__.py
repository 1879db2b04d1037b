"""What ``ganforge new-plugin`` writes: a complete small package of one kind.

The files below are templates: ``$name`` is the plugin's name, ``$package`` the distribution's, ``$module`` the
Python package's, ``$Class`` a name for classes.
"""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from string import Template

from ganforge.errors import GANForgeError, UsageError, reason
from ganforge.plugin.kinds import KINDS

# What is checked of each kind: small options, so that it takes seconds.
CHECKED = {
    **{"architecture": "{name}:width=8", "strategy": "{name}", "loss": "{name}", "dataset": "{name}:count=64"},
    **{"optimizer": "{name}", "logger": "{name}"},
}


def trial(name: str, kind: str) -> str:
    """Return the flags of ``ganforge train`` that try a new plugin."""
    return f"{KINDS[kind].flag} {name} --epochs 5"


def write_plugin(name: str, kind: str, parent: Path) -> Path:
    """Write the package and return its folder, ``parent / ganforge-NAME``.

    Raises:
        UsageError: the name is invalid.
        GANForgeError: the folder is there already, or cannot be written.
    """
    name = name.strip().removeprefix("ganforge-")
    if not re.fullmatch(r"[a-z][a-z0-9]*(-[a-z0-9]+)*", name):
        suggestion = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-0123456789")
        hint = f" Did you mean '{suggestion}'?" if suggestion else ""
        raise UsageError(f"invalid name '{name}': expected lower-case letters, digits and dashes.{hint}")
    module = "ganforge_" + name.replace("-", "_")
    values = {
        "name": name,
        "package": f"ganforge-{name}",
        "module": module,
        "Class": "".join(part.capitalize() for part in name.split("-")),
        "kind": kind,
        "what": {"strategy": "balancing strategy", "dataset": "data source"}.get(kind, kind),
        "try_it": trial(name, kind),
        "checked": CHECKED[kind].format(name=name),
    }
    files = {
        "pyproject.toml": "pyproject.toml",
        "README.md": "README.md",
        ".gitignore": "gitignore",
        f"{module}/__init__.py": f"{kind}.py",
        f"{module}/py.typed": None,
        "tests/test_conformance.py": "test_conformance.py",
    }
    folder = parent / f"ganforge-{name}"
    if folder.exists():
        raise GANForgeError(f"'{folder}' already exists; choose another name, or remove that folder first")
    try:
        for target, template in files.items():
            text = _read(template).substitute(values) if template else ""
            (folder / target).parent.mkdir(parents=True, exist_ok=True)
            (folder / target).write_text(text, "utf-8")
    except OSError as error:
        raise GANForgeError(f"'{folder}' cannot be written: {reason(error, kind=False)}") from None
    return folder


def _read(template: str) -> Template:
    return Template(resources.files(__name__).joinpath(f"{template}.txt").read_text("utf-8"))
