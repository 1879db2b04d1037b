"""What can be named on the command line: every kind of plugin that comes with GANForge, with its options."""

from __future__ import annotations

import inspect
import re
from typing import Any

from ganforge.plugin.kinds import KINDS
from ganforge.plugin.options import OptionInfo, describe_options, written
from ganforge.plugin.registry import Entry, Registry
from ganforge.plugin.telling import example_of, text_of
from tools.reference.markdown import cell, code, mono, table

# The pages: file, kind, and what stands above the list.
PAGES = {
    "architectures": (
        "architecture",
        "Choose with `--arch NAME:key=value,…`. What an architecture *sets* holds unless a flag or `--config` says\n"
        "otherwise. [How each is built](../strategies.md#architectures).",
    ),
    "strategies": (
        "strategy",
        "Choose with `--balance NAME:key=value,…`, as often as you like; `--balance none` means none.\n"
        "[The formulas, and when each helps or hurts](../strategies.md#strategies); "
        "[what can be combined](../strategies.md#composition-and-conflicts).",
    ),
    "losses": (
        "loss",
        "Choose with `--loss NAME`. [Their formulas with labels](../strategies.md#losses), and "
        "[which strategy goes with which](../strategies.md#with-each-loss-and-step).",
    ),
    "optimizers": (
        "optimizer",
        "Choose with `--optimizer NAME:key=value,…`, and `--discriminator-optimizer` for the discriminator alone.\n"
        "[Where the learning rate comes from](../strategies.md#optimizers), and the formulas.",
    ),
    "data-sources": (
        "dataset",
        "Choose with `--data NAME:key=value,…`. Your own folders and files are given by their path: see\n"
        "[data](../data.md).",
    ),
    "loggers": (
        "logger",
        "Choose with `--log NAME:key=value,…`, as often as you like. `metrics.jsonl` is always written.\n"
        "[What each writes](../strategies.md#loggers).",
    ),
}


def page(name: str, registry: Registry) -> str:
    """Return the page of one kind."""
    kind, said = PAGES[name]
    entries = {entry.name: entry for entry in registry.of(kind) if entry.package == "ganforge"}
    parts = [f"# {KINDS[kind].title}\n", f"{said} `ganforge plugins NAME` shows the same.\n"]
    for entry in entries.values():
        if family(entry.name, entries) == entry.name:
            parts.append(section(entry))
            kin = [one for one in entries.values() if one is not entry and family(one.name, entries) == entry.name]
            parts.append(variants(entry, kin))
    return "\n".join(part for part in parts if part).rstrip() + "\n"


def family(name: str, entries: dict[str, Entry]) -> str:
    """Return what a variant, such as ``dcgan-2``, is a variant of."""
    base = re.sub(r"-\d+$", "", name)
    return base if base in entries else name


def section(entry: Entry) -> str:
    parts = [f"## {entry.name}\n", *(f"{escaped(paragraph)}\n" for paragraph in said(entry))]
    if conflicts := getattr(entry.value, "conflicts", ()):
        parts.append(f"Cannot be combined with: {', '.join(f'`{name}`' for name in conflicts)}.\n")
    if sets := getattr(entry.value, "defaults", {}):
        parts.append(f"Sets: {', '.join(flag(name, value) for name, value in sets.items())}.\n")
    options = describe_options(entry.options)
    rows = [[f"`{one.name}`", default_of(one), values_of(one), cell(one.help)] for one in options]
    parts += [table(["option", "default", "values", "meaning"], rows) or "No options.\n"]
    return "\n".join([*parts, f"```\n{example_of(entry)}\n```\n"])


def said(entry: Entry) -> list[str]:
    """Return what a plugin says of itself, by paragraphs; of a loss, which network each part of it is for."""
    summary, *paragraphs = text_of(entry).split("\n\n")
    if entry.kind == "loss":
        loss = entry.value
        of = {"*Discriminator*": loss.discriminator, "*Generator*": loss.generator, "*Penalty*": loss.penalty}
        texts = {whose: inspect.getdoc(function) for whose, function in of.items() if function}
        paragraphs = [f"{whose}: {' '.join(text.split())}" for whose, text in texts.items() if text]
    return [f"{summary.rstrip('.')}.", *paragraphs]


def variants(entry: Entry, others: list[Entry]) -> str:
    """Return a table of the variants: what each sets otherwise."""
    usual = {one.name: one.default for one in describe_options(entry.options)}
    rows = []
    for other in others:
        own = [one for one in describe_options(other.options) if usual.get(one.name) != one.default]
        rows.append([f"`{other.name}`", ", ".join(f"`{one.name}={one.default}`" for one in own) or "the same"])
    return table(["variant", "its defaults"], rows)


def default_of(option: OptionInfo) -> str:
    """Return a default as it is written; a dash where there is none, and what happens then is in the meaning."""
    return "–" if option.default in ("None", "") else mono(option.default)


def values_of(option: OptionInfo) -> str:
    if "|" in option.type:
        return ", ".join(f"`{one}`" for one in option.type.split("|") if one)
    kinds = {"int": "whole number", "float": "number", "bool": "`true`, `false`", "list": "numbers", "str": "text"}
    bounds = re.sub(r"(?<=\d) below", " to below", option.bounds)
    return f"{kinds.get(option.type, option.type)} {bounds}".strip()


def flag(name: str, value: Any) -> str:
    """Return a recommended setting as the flags that say the same."""
    flags = [value] if isinstance(value, str) or not isinstance(value, (list, tuple)) else value
    called = f"--{name.replace('_', '-')}"
    return " ".join(f"`{called} {written(one)}`" for one in flags)


def escaped(paragraph: str) -> str:
    """Return a paragraph of a docstring in which a star multiplies."""
    return re.sub(r"(?<= )\*(?= )", r"\\*", code(paragraph))
