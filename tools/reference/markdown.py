"""What the pages of the reference are made of: docstrings, signatures and tables as Markdown."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterable, Sequence
from typing import Any

WIDTH = 118  # of a line of code, as everywhere here: the formatter looks into the blocks of Markdown too
LISTS = {"Args:": "Arguments:", "Attributes:": "Attributes:", "Raises:": "Raises:", "Returns:": "Returns:"}
MARKS: dict[Any, str] = {inspect.Parameter.VAR_POSITIONAL: "*", inspect.Parameter.VAR_KEYWORD: "**"}


def code(docstring: str) -> str:
    """Return a docstring with its code in single backticks."""
    return docstring.replace("``", "`")


def mono(words: str) -> str:
    """Return words as code that a cell of a table may hold."""
    return f"<code>{words.replace('|', '&#124;')}</code>" if "|" in words else f"`{words}`"


def cell(words: str) -> str:
    """Return a sentence for a cell of a table."""
    return code(" ".join(words.split())).replace("|", "\\|")


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of cells that are Markdown already; an empty string without rows."""
    lines = [f"| {' | '.join(row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(head)} |", "|---" * len(head) + "|", *lines]) + "\n" if lines else ""


def text(thing: object) -> str:
    """Return an object's docstring as Markdown."""
    return prose(inspect.getdoc(thing) or "")


def prose(docstring: str) -> str:
    """Return a docstring as Markdown: its code in single backticks, ``Args:`` and its like as lists, no example."""
    result: list[str] = []
    for line in re.split(r"(?m)^Examples?:$", code(docstring))[0].splitlines():
        if line.startswith("    ") and (match := re.match(r"    (\w+): (.*)", line)):
            result.append(f"- `{match[1]}`: {match[2]}")
        elif line.startswith("    "):
            result.append(f"  {line.strip()}")
        elif line.rstrip() in LISTS:
            result.append(f"{LISTS[line.rstrip()]}\n")
        else:
            result.append(line)
    return "\n".join(result).strip() + "\n"


def signature(name: str, function: Any) -> str:
    """Return a function's signature as a block of Python, formatted; of a class, how it is called."""
    shown = inspect.signature(function)
    called = isinstance(function, type)
    parts: list[str] = []
    starred = False
    for parameter in shown.parameters.values():
        if parameter.name == "self":
            continue
        if parameter.kind is parameter.KEYWORD_ONLY and not starred:
            parts.append("*")
        starred = starred or parameter.kind in (parameter.KEYWORD_ONLY, parameter.VAR_POSITIONAL)
        untyped = called or parameter.annotation is parameter.empty
        kind = "" if untyped else f": {annotation(parameter.annotation)}"
        default = "" if parameter.default is parameter.empty else f"{'=' if untyped else ' = '}{parameter.default!r}"
        parts.append((MARKS.get(parameter.kind, "") + parameter.name + kind + default).replace("'", '"'))
    returned = shown.return_annotation
    after = "" if returned in (shown.empty, None, "None") else f" -> {annotation(returned)}"
    before, after = ("", "") if called else ("def ", f"{after}: ...")
    return f"```python\n{wrapped(before + name, parts, after)}\n```\n"


def annotation(kind: Any) -> str:
    """Return a type as the source writes it."""
    return kind if isinstance(kind, str) else getattr(kind, "__name__", str(kind))


def wrapped(before: str, names: Sequence[str], after: str = "") -> str:
    """Return ``before(names)after`` as the formatter has it."""
    line = f"{before}({', '.join(names)}){after}"
    if len(line) <= WIDTH:
        return line
    return f"{before}(\n" + "".join(f"    {name},\n" for name in names) + f"){after}"
