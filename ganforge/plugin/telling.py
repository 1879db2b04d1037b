"""What a plugin says of itself."""

from __future__ import annotations

import inspect

from ganforge.plugin.kinds import KINDS
from ganforge.plugin.options import describe_options
from ganforge.plugin.registry import Entry


def text_of(entry: Entry) -> str:
    """Return all a plugin says about itself, a paragraph a line; docstrings are wrapped for the source."""
    parts = [inspect.getdoc(entry.value) if KINDS[entry.kind].by_class else entry.value.summary]
    if entry.kind == "architecture":
        parts.append(inspect.getdoc(inspect.getmodule(entry.value.generator)))
    elif entry.kind in ("optimizer", "logger"):
        parts.append(inspect.getdoc(entry.value.build if entry.kind == "optimizer" else entry.value.make))
    elif entry.kind == "loss":
        parts += [inspect.getdoc(entry.value.discriminator), inspect.getdoc(entry.value.generator)]
    paragraphs = [paragraph for part in parts if part for paragraph in part.split("\n\n")]
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def example_of(entry: Entry) -> str:
    """Return a command that uses it, with one of its options spelt out."""
    options = describe_options(entry.options)
    known = next((o for o in options if o.default != "None"), None)
    name = f"{entry.name}:{known.name}={known.default}" if known else entry.name
    return f"ganforge train {KINDS[entry.kind].flag} {name}"
