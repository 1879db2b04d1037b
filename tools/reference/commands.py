"""Every command with its options, from the command line's own definitions."""

from __future__ import annotations

import inspect
import re

import click

from tools.reference.markdown import cell, code, mono, table

HEAD = """\
# Commands

What `ganforge COMMAND --help` says, on one page. `ganforge --debug COMMAND …` shows the traceback of an error.
`RUN` is a name such as `run_12`, its number, a path, or `latest`. `NAME[:OPTIONS]` stands for
`NAME:key=value,key=value`; the names and their options: [architectures](architectures.md),
[strategies](strategies.md), [losses](losses.md), [optimizers](optimizers.md), [data sources](data-sources.md) and
[loggers](loggers.md).

Exit codes: 0 done; 1 failed, with one line that says why; 2 wrong usage; 130 stopped by Ctrl-C, after saving.

"""


def page() -> str:
    """Return the whole page; commands that other packages bring are not on it."""
    from ganforge.cli.group import COMMANDS, cli

    parts = [HEAD]
    for name in COMMANDS:
        command = cli.get_command(click.Context(cli, info_name="ganforge"), name)
        assert command is not None, name
        parts.append(section(name, command))
    return "".join(parts).rstrip() + "\n"


def section(name: str, command: click.Command) -> str:
    from ganforge.cli.grouped import GroupedCommand

    ctx = click.Context(command, info_name=name)
    usage = " ".join(["ganforge", name, *command.collect_usage_pieces(ctx)])
    said = inspect.cleandoc(command.help or "").partition("\f")[0].replace("\b\n", "")
    parts = [f"## {name}\n", f"{code(said)}\n", f"Usage: {mono(usage)}\n"]
    if isinstance(command, GroupedCommand):
        for title, params in command.grouped(ctx):
            parts += [f"**{title}**\n", options(params)]
    else:
        parts.append(options(command.get_params(ctx)))
    return "\n".join([*parts, *epilog(command), ""])


def options(params: list[click.Parameter]) -> str:
    """Return the options as a table; an argument stands in the usage, and ``--help`` is every command's."""
    found = [one for one in params if isinstance(one, click.Option) and not one.hidden and "--help" not in one.opts]
    return table(["option", "meaning"], [[flags(one), meaning(one)] for one in found])


def flags(option: click.Option) -> str:
    names = "/".join([*sorted(option.opts, key=len), *option.secondary_opts])
    if option.is_flag or option.count:
        return mono(names)
    choices = "|".join(map(str, option.type.choices)) if isinstance(option.type, click.Choice) else ""
    return mono(f"{names} {option.metavar or choices or option.type.name.upper()}")


def meaning(option: click.Option) -> str:
    """Return the help, with the bounds of a number and the default last."""
    words, notes = split(option)
    limits = {"from": getattr(option.type, "min", None), "to": getattr(option.type, "max", None)}
    bounds = " ".join(f"{word} {limit:g}" for word, limit in limits.items() if limit is not None)
    said = [*filter(None, [bounds]), *(f"{name}: {value}" for name, value in notes.items())]
    return cell(words) + (f" *({cell('; '.join(said))})*" if said else "")


def split(option: click.Option) -> tuple[str, dict[str, str]]:
    """Return what a help says, and the notes in brackets at its end, such as ``[default: 3]``."""
    words = option.help or ""
    notes = dict(re.findall(r"\[(default|without a value): (.+?)\](?=$| \[)", words))
    if option.show_default and option.default is not None:
        notes["default"] = str(option.default)
    return re.split(r" \[(?:default|without a value): ", words)[0], notes


def epilog(command: click.Command) -> list[str]:
    """Return what stands below the options: the examples as a block, and what follows them."""
    parts = []
    for paragraph in inspect.cleandoc(command.epilog or "").replace("\b\n", "").split("\n\n"):
        if paragraph.startswith("Examples:"):
            lines = paragraph.splitlines()[1:]
            parts.append("```\n" + "\n".join(re.sub(r"^  ", "", line) for line in lines) + "\n```\n")
        elif paragraph.strip():
            parts.append(f"{code(paragraph)}\n")
    return parts
