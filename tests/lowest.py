"""The lowest versions that ``pyproject.toml`` allows, as constraints for pip.

``python -m tests.lowest > lowest.txt`` prints ``name==floor`` for each dependency, and for those of extras that are
named after it (``python -m tests.lowest test jax``). CONTRIBUTING.md says what to do with them.
"""

from __future__ import annotations

import re
import sys
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?>=(?P<floor>[0-9][0-9a-z.]*)")


def lowest(project: dict, extras: Iterable[str] = ()) -> Iterator[str]:
    """Yield ``name==floor`` for the dependencies of a ``[project]`` table, and for those of ``extras``.

    Raises ``ValueError`` for one that has no floor, which nobody could have tried.
    """
    optional = project["optional-dependencies"]
    for text in [*project["dependencies"], *(one for extra in extras for one in optional[extra])]:
        if text.startswith(f"{project['name']}["):
            continue
        found = REQUIREMENT.fullmatch(text)
        if found is None:
            raise ValueError(f"'{text}' has no floor: expected NAME>=VERSION")
        yield f"{found['name']}=={found['floor']}"


if __name__ == "__main__":
    text = (Path(__file__).parents[1] / "pyproject.toml").read_text("utf-8")
    print(*lowest(tomllib.loads(text)["project"], sys.argv[1:]), sep="\n")
