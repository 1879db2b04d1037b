"""A command whose many options are shown in groups, and whose mistakes are answered with the right form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from ganforge.errors import closest
from ganforge.hints import hint


class GroupedCommand(click.Command):
    """Shows its options under the titles of ``groups``, in its order; those of no group come in the last."""

    groups: Sequence[tuple[str, Sequence[str]]] = ()

    def grouped(self, ctx: click.Context) -> list[tuple[str, list[click.Parameter]]]:
        """Return the parameters under their titles."""
        left = {param.name: param for param in self.get_params(ctx)}
        named = {name for _, names in self.groups for name in names}
        *first, (last, its) = self.groups
        # What no group names, such as --help, stands in the last.
        rest = [name for name in left if name and name not in named]
        order = [*first, (last, [*its, *rest])]
        return [(title, [left.pop(name) for name in names if name in left]) for title, names in order]

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the groups."""
        for title, params in self.grouped(ctx):
            if rows := [row for param in params if (row := param.get_help_record(ctx))]:
                with formatter.section(title):
                    formatter.write_dl(rows)


def mistaken(error: click.ClickException) -> str:
    """Return the message of a wrong command line: the option or argument, and what it is called here."""
    command: Any = error.ctx.command if isinstance(error, click.UsageError) and error.ctx else None
    if isinstance(error, click.NoSuchOption):
        known = [opt for param in command.params for opt in param.opts] if command else []
        train = getattr(command, "name", "") in ("train", "resume")
        said = hint(error.option_name) if train else ""
        return f"there is no option '{error.option_name}'.{said or closest(error.option_name, known, 0.75)}"
    message = error.format_message()
    given = message.partition("unexpected extra argument")[2]
    if given and getattr(command, "name", "") == "train":
        place = given.partition("(")[2].rstrip(")")
        return f"unexpected '{place}'; to train on these pictures, write --data {place}"
    return message
