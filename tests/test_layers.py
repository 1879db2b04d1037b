"""Which part of ``ganforge`` imports which: the arrows of docs/architecture.md, read off the source.

Every import counts: inside functions, under ``TYPE_CHECKING``, and by a name given to ``import_module``. Parts are
the folders of ``ganforge/`` and the modules beside them. ``BREACHES`` and ``CIRCLES`` may only shrink: what is mended
is taken off.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest
from support import ROOT

pytestmark = pytest.mark.quick

FACE = "ganforge"  # ganforge/__init__.py: the public names, each looked up when first used
VERSION = "ganforge.__version__"  # the one name of the face that stands behind nothing

# What each part may import beside itself; "data.critters" is that module of data/ and no other.
MAY: dict[str, tuple[str, ...]] = {
    # ground
    "errors": (),
    "files": ("errors",),
    "hints": (),
    "memory": (),
    "processes": (),
    "backend": ("errors",),
    # the contract with plugins, and those that come in the box
    "plugin": ("errors", "files"),
    "balance": (FACE,),
    "losses": (FACE,),
    "optimizers": (FACE,),
    "loggers": (FACE, "files", "media"),
    # the parts of a run, which know nothing of one another
    "engine": ("backend", "errors", "plugin", "processes"),
    "data": ("errors", "files", "plugin"),
    "media": ("errors", "files", "memory", "metrics.columns"),
    "runs": ("errors", "files", "media.animation", "memory", "metrics.columns"),
    "metrics": ("data.critters", "data.greys", "data.kept", "data.stacked", "errors", "files", "plugin.sizes"),
    # a run
    "training": (
        *("backend", "data", "engine", "errors", "files", "hints", "media", "memory", "metrics", "plugin"),
        *("processes", "runs", VERSION),
    ),
    # what people look at, and ask for
    "showing": (FACE, "diagnosis", "errors", "media", "processes", "runs", "training"),
    "latent": (
        *(FACE, "data", "engine.backends", "engine.keras_internals", "engine.randomness", "errors", "files", "media"),
        *("metrics.imagenet", "plugin.sizes", "report", "showing", "training.config"),
    ),
    "looking": ("diagnosis", "files", "media", "report", "runs", "showing", "study", "training.config"),
    "export": (
        *(FACE, "backend", "errors", "files", "plugin", "report.render", "runs", "showing.words", "study.in_words"),
        "training.saved_generator",
    ),
    "taking": (FACE, "export", "files", "looking", "showing.tables"),
    "api": (
        *("backend", "engine.backends", "engine.randomness", "errors", "files", "latent", "media", "plugin", "runs"),
        *("showing", "study", "taking", "training"),
    ),
    "commands": ("api", "backend", "errors", "files", "plugin", "runs", "showing", "study"),
    # what uses it
    "diagnosis": (FACE, "errors", "media", "metrics", "runs", "training.config"),
    "report": (FACE, "diagnosis", "errors", "files", "media", "metrics", "runs", "study", "training.config"),
    "study": (
        *(FACE, "backend", "data", "diagnosis", "errors", "files", "media", "memory", "metrics", "plugin", "runs"),
        *("showing.words", "training"),
    ),
    "testing": ("backend", "data", "engine", "errors", "plugin"),
    "scaffold": ("errors", "plugin"),
    "cli": (
        *(FACE, "api", "backend", "data", "diagnosis", "errors", "export", "files", "hints", "latent", "media"),
        *("metrics", "plugin", "processes"),
        *("report", "runs", "scaffold", "showing", "study", "testing", "training"),
    ),
    "__main__": ("cli",),
}

# (importing module, imported module): against the table, for now.
BREACHES: set[tuple[str, str]] = set()
CIRCLES: set[frozenset[str]] = set()


def modules(folder: Path) -> dict[str, Path]:
    """Return the modules of a package by their names within it; the package itself goes by its own."""
    found = {}
    for path in sorted(folder.rglob("*.py")):
        parts = path.relative_to(folder).with_suffix("").parts
        found[".".join(p for p in parts if p != "__init__") or folder.name] = path
    return found


def imports(path: Path, package: str, known: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Yield (module of ``package``, name taken from it) for each import in a file; "" where it is all of it."""
    known = set(known)
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            targets = [(alias.name, "") for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{path}:{node.lineno}: a relative import; expected the whole name"
            targets = [(node.module or "", alias.name) for alias in node.names]
        elif isinstance(node, ast.Call) and _called(node) in ("import_module", "__import__") and node.args:
            targets = [(_beginning(node.args[0]), "")]
        else:
            continue
        for module, name in targets:
            if module != package and not module.startswith(f"{package}."):
                continue
            inner = module[len(package) + 1 :]
            whole = f"{inner}.{name}".strip(".")
            found = (whole, "") if whole in known else (inner or package, name)
            yield (VERSION, "") if found == (FACE, "__version__") else found


def _called(call: ast.Call) -> str:
    return getattr(call.func, "attr", getattr(call.func, "id", ""))


def _beginning(name: ast.expr) -> str:
    """Return a module's name as far as it is written out: ``ganforge.cli.*`` of ``f"ganforge.cli.{name}"``."""
    whole = not isinstance(name, ast.JoinedStr)
    first = name if whole else name.values[0]
    text = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    return text if whole else f"{text.rpartition('.')[0]}.*"


def graph(folder: Path) -> dict[str, set[str]]:
    """Return what each module of a package imports of it; the face shows what lies above it, and imports nothing."""
    known = modules(folder)
    found = {name: {t for t, _ in imports(path, folder.name, known)} - {name} for name, path in known.items()}
    return found | {folder.name: set()}


def breaches(edges: Mapping[str, set[str]], may: Mapping[str, tuple[str, ...]]) -> set[tuple[str, str]]:
    """Return the edges that the table does not allow."""

    def allowed(source: str, target: str) -> bool:
        part = source.partition(".")[0]
        return any(target == beneath or target.startswith(f"{beneath}.") for beneath in (part, *may[part]))

    return {(s, t) for s, targets in edges.items() if s != FACE for t in targets if not allowed(s, t)}


def circles(edges: Mapping[str, set[str]]) -> set[frozenset[str]]:
    """Return the strongly connected components of more than one module: each reaches every other and is reached."""

    def reached(start: str) -> set[str]:
        seen, ahead = set(), [start]
        while ahead:
            for target in edges.get(ahead.pop(), set()) - seen:
                seen.add(target)
                ahead.append(target)
        return seen

    from_each = {name: reached(name) for name in edges}
    return {
        frozenset(other for other in beyond if name in from_each.get(other, ()))
        for name, beyond in from_each.items()
        if name in beyond
    }


@cache
def ours() -> dict[str, set[str]]:
    return graph(ROOT / "ganforge")


def _said(pairs: Iterable[tuple[str, str]]) -> str:
    return ", ".join(f"{source} → {target}" for source, target in sorted(pairs))


def test_the_table_names_every_part():
    assert {name.partition(".")[0] for name in ours()} - {FACE} == set(MAY)


def test_imports_point_one_way():
    found = breaches(ours(), MAY)
    assert not found - BREACHES, f"against the arrows of docs/architecture.md: {_said(found - BREACHES)}"
    assert not BREACHES - found, f"mended: take off BREACHES: {_said(BREACHES - found)}"


def test_no_modules_import_one_another_in_a_circle():
    found = circles(ours())
    assert not found - CIRCLES, f"in a circle: {[sorted(circle) for circle in found - CIRCLES]}"
    assert not CIRCLES - found, f"smaller or gone: mend CIRCLES: {[sorted(circle) for circle in CIRCLES - found]}"


@pytest.mark.parametrize(
    "folder", ["ganforge/balance", *sorted(f"plugins/{p.name}" for p in (ROOT / "plugins").glob("ganforge_*"))]
)
def test_what_comes_in_the_box_imports_public_names_alone(folder):
    """No module of ``ganforge`` but the face, and of that only what ``__all__`` lists."""
    face = ast.parse((ROOT / "ganforge" / "__init__.py").read_text(encoding="utf-8"))
    (public,) = (
        ast.literal_eval(node.value)
        for node in face.body
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__"
    )
    files = sorted((ROOT / folder).rglob("*.py"))
    assert files
    for path in files:
        taken = {pair for pair in imports(path, FACE, ours()) if f"ganforge/{pair[0].partition('.')[0]}" != folder}
        assert taken <= {(FACE, name) for name in public}, path


def test_every_kind_of_import_is_seen(tmp_path):
    """On a made-up package: at the top, in a function, for types, by name; and that its circles are found."""
    package = tmp_path / FACE
    for name, text in {
        "__init__": "from ganforge.api import train",
        "errors": "",
        "data/__init__": "",
        "data/files": "import ganforge.errors",
        "data/images": "from ganforge.data import files\nfrom ganforge import Run, __version__",
        "engine/__init__": "from importlib import import_module\ndef f(x): return import_module(f'ganforge.cli.{x}')",
        "engine/loop": "def f():\n    from ganforge.runs import find_run",
        "runs": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ganforge.session import Session",
        "session": "import ganforge.runs, os\nfrom pathlib import Path",
        "cli": "from ganforge import session",
        "api": "def train(): ...",
    }.items():
        path = package / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    edges = graph(package)
    assert edges == {
        "ganforge": set(),
        "errors": set(),
        "data": set(),
        "data.files": {"errors"},
        "data.images": {"data.files", "ganforge", VERSION},
        "engine": {"cli.*"},
        "engine.loop": {"runs"},
        "runs": {"session"},
        "session": {"runs"},
        "cli": {"session"},
        "api": set(),
    }
    assert circles(edges) == {frozenset({"runs", "session"})}
    may = {name.partition(".")[0]: () for name in edges} | {
        "data": ("errors",),
        "session": ("runs",),
        "cli": ("session",),
    }
    against = {
        ("data.images", "ganforge"),
        ("data.images", VERSION),
        ("engine", "cli.*"),
        ("engine.loop", "runs"),
        ("runs", "session"),
    }
    assert breaches(edges, may) == against
    assert breaches(edges, may | {"engine": ("runs.find",), "runs": ("session",)}) == against - {("runs", "session")}
    assert breaches(edges, may | {"data": ("errors", VERSION)}) == against - {("data.images", VERSION)}
