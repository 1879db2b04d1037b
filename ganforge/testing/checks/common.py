"""What every kind of plugin is held to: its options, and keras.ops instead of one backend's own functions."""

from __future__ import annotations

import ast
import sys
import typing
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import ValidationError

from ganforge.plugin.kinds import KINDS
from ganforge.plugin.options import Options
from ganforge.testing.framework import Advice, Nonconformity, check

FORBIDDEN = {"torch", "jax", "jaxlib", "tensorflow", "flax"}


@check(*KINDS)
def describes_itself(case: Any) -> None:
    """It has a summary, and every option a help text."""
    missing = [name for name, field in case.options_class.model_fields.items() if not field.description]
    if not case.entry.summary:
        where = "a docstring on the class" if KINDS[case.entry.kind].by_class else "summary=…"
        raise Advice(f"`ganforge plugins` has nothing to say about it: add {where}")
    if missing:
        raise Advice(
            f"no help text for {', '.join(missing)}: write Field(…, description='…') and `ganforge plugins "
            f"{case.entry.name}` shows it"
        )


@check(*KINDS)
def imports_no_backend(case: Any) -> None:
    """It does not import torch, JAX or TensorFlow: keras.ops is enough."""
    for module in _modules(case):
        for line, name in _imports(module):
            if name.split(".")[0] in FORBIDDEN or name.startswith("keras.src"):
                raise Nonconformity(
                    f"{Path(module.__file__ or '').name} line {line} imports {name}",
                    "use keras.ops, keras.layers and keras.random's stateless equivalents in their place",
                )


@check(*KINDS)
def refuses_wrong_options(case: Any) -> None:
    """Unknown options and values of the wrong type are refused."""
    if _valid(case.options_class, {"no_such_option": 1}):
        raise Nonconformity(
            "it accepts an option that does not exist",
            "leave model_config as ganforge.Options has it (extra='forbid')",
        )
    for name, field in case.options_class.model_fields.items():
        numeric = {int, float, bool} & set(_types(field.annotation))
        if numeric and str not in _types(field.annotation) and _valid(case.options_class, {name: "no number"}):
            raise Nonconformity(f"option {name} accepts text for a number", f"annotate it: {name}: int = …")


def candidates(options_class: type[Options], name: str, value: Any) -> list[Any]:
    """Return other valid values of an option, near its value first."""
    field = options_class.model_fields[name]
    kinds = _types(field.annotation)
    tries: list[Any] = []
    for annotation in _parts(field.annotation):
        if typing.get_origin(annotation) is typing.Literal:
            tries += typing.get_args(annotation)
    if bool in kinds:
        tries += [not value]
    elif int in kinds and isinstance(value, (int, type(None))):
        tries += [value + 1, value - 1, 2 * value] if value is not None else [2, 1, 3, 4]
    elif float in kinds:
        tries += [0.5] if value is None else [value + 0.5, value / 2, value + 0.01, 2.0 * value, value + 2]
    if float in kinds and value is not None:  # halfway to each bound
        limits = [getattr(m, key) for m in field.metadata for key in ("ge", "gt", "le", "lt") if hasattr(m, key)]
        tries = [(value + limit) / 2 for limit in limits] + tries
    if isinstance(value, (list, tuple)) and value:
        tries += [(*value, value[-1]), value[:-1], tuple(2 * v for v in value if not isinstance(v, str))]
    if value is not None:
        tries.append(None)
    return [t for t in tries if t != value and _valid(options_class, {name: t})]


def changed(case: Any, name: str, value: Any) -> Options:
    """Return the options under check with one of them changed."""
    options: Options = case.options_class(**{**case.options.model_dump(), name: value})
    return options


def below(case: Any, name: str) -> list[Options]:
    """Return options with an absurd value for one of them, if validation lets it pass: 0, and a negative number."""
    if not {int, float} & set(_types(case.options_class.model_fields[name].annotation)):
        return []
    passed = []
    for value in (-1, 0):
        try:
            passed.append(changed(case, name, value))
        except ValidationError:
            continue
    return passed


def _valid(options_class: type[Options], values: dict[str, Any]) -> bool:
    try:
        options_class(**values)
    except ValidationError:
        return False
    return True


def _parts(annotation: Any) -> list[Any]:
    if typing.get_origin(annotation) in (typing.Annotated,):
        return _parts(typing.get_args(annotation)[0])
    if typing.get_origin(annotation) in (typing.Union, type(int | None)):
        return [part for arg in typing.get_args(annotation) for part in _parts(arg)]
    return [annotation]


def _types(annotation: Any) -> list[Any]:
    return [part for part in _parts(annotation) if isinstance(part, type)]


def _modules(case: Any) -> list[ModuleType]:
    """Return the modules a plugin is written in, as far as they are its own."""
    value = case.value
    owners = [
        *(
            cls
            for cls in getattr(value, "__mro__", ())
            if cls.__module__ not in ("builtins", "ganforge.plugin.strategy")
        ),
        *(getattr(value, role, None) for role in ("generator", "discriminator", "penalty", "load")),
    ]
    modules = {sys.modules[owner.__module__] for owner in owners if hasattr(owner, "__module__")}
    packages = {module.__name__.split(".")[0] for module in modules} - {"ganforge"}
    modules |= {m for name, m in list(sys.modules.items()) if name.split(".")[0] in packages and m is not None}
    return sorted((m for m in modules if getattr(m, "__file__", None)), key=lambda m: m.__name__)


def _imports(module: ModuleType) -> list[tuple[int, str]]:
    path = Path(module.__file__ or "")
    if path.suffix != ".py":
        return []
    found = []
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found += [(node.lineno, alias.name) for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.append((node.lineno, node.module))
    return found
