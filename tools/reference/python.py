"""The Python API, from signatures and docstrings."""

from __future__ import annotations

import importlib
import inspect
import re
from typing import Any

import click

from tools.reference.commands import split
from tools.reference.markdown import annotation, cell, mono, prose, signature, table, text

HEAD = """\
# Python

`import ganforge` has all of this. [From Python](../python.md) shows how the parts go together, and the
[plugin reference](../plugins/reference.md) describes what plugins are made of.

"""
FUNCTIONS = ("train", "runs", "compare", "study", "pack", "plugins")
ERRORS = ("UsageError", "GANForgeError")
LEARNT = "imagenet_weights"
SIZES = ("conv_size", "transposed_conv_size", "halvings", "plan_upsampling", "refused_size")


def page(plugins: str) -> str:
    """Return the whole page. Raises ``ValueError`` for a public name that is not on it, nor on that of plugins."""
    import ganforge
    from ganforge import commands

    known = {*FUNCTIONS, *ERRORS, *SIZES, LEARNT, "Run", "__version__", "hookimpl"}
    known |= {name for name in ganforge.__all__ if f"### {name}\n" in plugins}
    if missing := set(ganforge.__all__) - known:
        raise ValueError(f"{', '.join(sorted(missing))}: expected on the page of Python or of plugins")
    parts = [HEAD, "## Functions\n\n"]
    for name in FUNCTIONS:
        # Two of them are packages too, which can be called.
        parts.append(member(name, getattr(commands, name, None) or getattr(ganforge, name)))
        if name == "train":
            parts.append(settings())
    parts.append(f"## Run\n\n{signature('Run', ganforge.Run)}\n{text(ganforge.Run)}\n")
    for name, value in members(ganforge.Run):
        parts.append(member(name, value))
    parts.append("## Errors\n\n")
    parts += [f"### {name}\n\n{text(getattr(ganforge, name))}\n" for name in ERRORS]
    parts.append("## Sizes, for authors of architectures\n\n")
    parts += [member(name, getattr(ganforge, name)) for name in SIZES]
    parts += ["## A network trained on photographs\n\n", member(LEARNT, getattr(ganforge, LEARNT))]
    return "".join(parts).rstrip() + "\n"


def member(name: str, value: Any) -> str:
    if isinstance(value, property):
        kind = annotation(inspect.signature(value.fget).return_annotation) if value.fget else ""
        return f"### {name}\n\nAttribute, {mono(kind)}. {text(value.fget)}\n"
    said = re.sub(r"\s*For the (arguments and )?errors,\s+see\s+`\S+`\.", "", text(value))
    return f"### {name}\n\n{signature(name, value)}\n{said.rstrip()}\n\n{elsewhere(value)}"


def elsewhere(function: Any) -> str:
    """Return the arguments and errors that a docstring refers to: "For the errors, see ``ganforge.a.b``."."""
    found = re.search(r"errors,\s+see\s+``(ganforge[\w.]+)\.(\w+)``", inspect.getdoc(function) or "")
    if found is None:
        return ""
    said = inspect.getdoc(getattr(importlib.import_module(found[1]), found[2])) or ""
    lists = re.search(r"^(Args|Raises):\n.*", said, flags=re.M | re.S)
    # How it tells of its progress is said by the docstring that refers to it.
    return re.sub(r"^- `progress`: .*\n(  .*\n)*", "", prose(lists[0]), flags=re.M) + "\n" if lists else ""


def members(kind: type) -> list[tuple[str, Any]]:
    """Return the public methods and properties of a class and of those of this package that it is made of."""
    found: dict[str, Any] = {}
    for base in kind.__mro__:
        for name, value in vars(base).items():
            plain = getattr(value, "__func__", value)
            public = not name.startswith("_") and (inspect.isfunction(plain) or isinstance(plain, property))
            if public and base.__module__.startswith("ganforge.") and inspect.getdoc(plain):
                found.setdefault(name, plain)
    return list(found.items())


def settings() -> str:
    """Return the table of settings: what ``TrainConfig`` takes, in the words of the flags."""
    from ganforge.cli.train import command
    from ganforge.training.config import TrainConfig

    flags = {param.name: param for param in command.params if isinstance(param, click.Option)}
    rows = []
    for name, field in TrainConfig.model_fields.items():
        words, notes = split(flags[name]) if name in flags else (field.description or "", {})
        usual = None if field.default_factory else field.default
        default = notes.get("default") or ("–" if usual in (None, ()) else repr(usual))
        rows.append([f"`{name}`", cell(default), cell(words)])
    return "The settings of `train`:\n\n" + table(["setting", "default", "meaning"], rows) + "\n"
