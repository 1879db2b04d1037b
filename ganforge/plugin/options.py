"""``NAME:key=value,…`` to typed options: the one notation for anything pluggable."""

from __future__ import annotations

import types
import typing
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from ganforge.errors import UsageError, closest, in_our_words


class Options(BaseModel):
    """Base class of every plugin's options: a pydantic model whose fields all have defaults.

    Numbers, booleans and strings are written as they are; a list is written with dashes,
    ``hidden=128-256-512`` for a field of type ``tuple[int, ...]``.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _split_lists(cls, values: Any) -> Any:
        if not isinstance(values, dict):
            return values
        result = dict(values)
        for name, field in cls.model_fields.items():
            value = result.get(name)
            if isinstance(value, str) and _is_tuple(field.annotation):
                result[name] = tuple(part for part in value.split("-") if part)
            elif isinstance(value, int) and not isinstance(value, bool) and _is_tuple(field.annotation):
                result[name] = (value,)
        return result


def _is_tuple(annotation: Any) -> bool:
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return any(_is_tuple(part) for part in typing.get_args(annotation))
    return typing.get_origin(annotation) is tuple or annotation is tuple


@dataclass(frozen=True)
class Spec:
    """A parsed ``NAME:key=value,…``: the name and the options as written, not yet typed."""

    name: str
    values: dict[str, Any]

    def __str__(self) -> str:
        if not self.values:
            return self.name
        return self.name + ":" + ",".join(f"{key}={written(value)}" for key, value in self.values.items())


def _no_option(piece: str, text: str, name: str, before: dict[str, Any]) -> str:
    said = f"'{piece}' in '{text}' is not an option; expected {name}:key=value,key=value"
    if before and piece.strip() and "=" not in piece:  # hidden=256,512
        key, value = list(before.items())[-1]
        return f"{said}. Lists are written with dashes: {key}={value}-{piece.strip()}"
    return said


def parse_spec(text: str) -> Spec:
    """Split ``NAME:key=value,…``. Raises ``UsageError`` when a piece is not ``key=value``."""
    name, colon, rest = text.strip().partition(":")
    if not name:
        raise UsageError(f"'{text}' has no name; expected NAME or NAME:key=value,key=value")
    values: dict[str, Any] = {}
    for piece in rest.split(",") if colon and rest else []:
        key, equals, value = (part.strip() for part in piece.partition("="))
        if not equals or not key or not value:
            raise UsageError(_no_option(piece, text, name, values))
        if key in values:
            raise UsageError(f"'{key}' is given twice in '{text}'")
        values[key] = value
    return Spec(name, values)


def make_options(owner: str, options_class: type[Options], values: dict[str, Any]) -> Options:
    """Validate ``values`` into ``options_class``.

    Raises ``UsageError`` in one line: an unknown key gets the closest one, a wrong value what was expected.
    """
    known = options_class.model_fields
    for key in values:
        if key not in known:
            has = f"its options are {', '.join(known)}" if known else "it has no options"
            raise UsageError(f"{owner} has no option '{key}'; {has}.{closest(key, known)}")
    try:
        return options_class(**values)
    except ValidationError as error:
        first = error.errors()[0]
        if not first["loc"]:
            raise UsageError(f"{owner}: {first['msg'].removeprefix('Value error, ')}") from None
        key = str(first["loc"][0])
        got = values.get(key, first.get("input"))
        raise UsageError(f"{owner}: invalid {key}={written(got)}: {in_our_words(first['msg'])}") from None


def written(value: Any) -> str:
    """Return a value as it is written on the command line (a list with dashes)."""
    if isinstance(value, (list, tuple)):
        return "-".join(str(part) for part in value)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


@dataclass(frozen=True)
class OptionInfo:
    """One option for a help table: name, type and default as written, bounds such as ``from 1 to 8``, description."""

    name: str
    type: str
    default: str
    help: str
    bounds: str = ""


def describe_options(options_class: type[Options]) -> list[OptionInfo]:
    """List a plugin's options for ``ganforge plugins`` and the documentation."""
    rows = []
    for name, field in options_class.model_fields.items():
        annotation = field.annotation
        if typing.get_origin(annotation) in (typing.Union, types.UnionType):
            parts = [part for part in typing.get_args(annotation) if part is not type(None)]
            annotation = parts[0] if len(parts) == 1 else annotation
        if typing.get_origin(annotation) is typing.Literal:
            kind = "|".join(str(choice) for choice in typing.get_args(annotation))
        elif _is_tuple(annotation):
            kind = "list"
        else:
            kind = getattr(annotation, "__name__", str(annotation))
        rows.append(OptionInfo(name, kind, written(field.default), field.description or "", _bounds(field.metadata)))
    return rows


def _bounds(metadata: list[Any]) -> str:
    words = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    found = [f"{word} {getattr(m, key):g}" for key, word in words.items() for m in metadata if hasattr(m, key)]
    return " ".join(found)
