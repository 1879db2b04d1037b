"""Options and arguments that several commands share."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import click
from click.shell_completion import CompletionItem

from ganforge.cli.completion import complete_plugin, complete_run, complete_spec
from ganforge.files import default_runs_dir


def _complete_file(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    return [CompletionItem(incomplete, type="file")]


def _complete_plugin(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return complete_plugin(incomplete)


def together(_ctx: click.Context, _param: click.Parameter, given: tuple[str, ...]) -> str | None:
    """Return what --data was given, once or several times, as the one text that a setting is."""
    return ",".join(given) if given else None


def _leave_out(ctx: click.Context, _param: click.Parameter, names: tuple[str, ...]) -> None:
    """Leave plugins out while a command runs, as GANFORGE_DISABLE_PLUGINS does."""
    if not names:
        return
    from ganforge.errors import UsageError, closest

    known = complete_plugin("")
    for name in names:
        if name not in known:
            raise UsageError(f"--no-plugin {name}: there is no such plugin.{closest(name, known)}")
    before = os.environ.get("GANFORGE_DISABLE_PLUGINS")
    os.environ["GANFORGE_DISABLE_PLUGINS"] = ",".join([*([before] if before else []), *names])

    def restore() -> None:
        if before is None:
            del os.environ["GANFORGE_DISABLE_PLUGINS"]
        else:
            os.environ["GANFORGE_DISABLE_PLUGINS"] = before

    ctx.call_on_close(restore)


runs_dir_option = click.option(
    "--runs-dir",
    envvar="GANFORGE_RUNS_DIR",
    default="runs",
    show_default=True,
    metavar="DIR",
    help="Where runs are kept (environment: GANFORGE_RUNS_DIR).",
)
plugin_option = click.option(
    "--plugin",
    "plugins",
    multiple=True,
    metavar="FILE.py",
    shell_complete=_complete_file,
    help="Load a Python file as a plugin (repeatable).",
)
no_plugin_option = click.option(
    "--no-plugin",
    multiple=True,
    metavar="NAME",
    expose_value=False,
    is_eager=True,
    callback=_leave_out,
    shell_complete=_complete_plugin,
    help="Ignore an installed plugin (repeatable; environment: GANFORGE_DISABLE_PLUGINS).",
)


def spec_completion(*kinds: str) -> Callable[..., list[str]]:
    """Return a completion of NAME[:OPTIONS] for some kinds of plugin, or for all."""

    def complete(_ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
        return complete_spec(kinds, incomplete)

    return complete


def _complete_run(ctx: click.Context, _param: click.Parameter, incomplete: str) -> list[str]:
    return complete_run(incomplete, ctx.params.get("runs_dir") or default_runs_dir())


def run_argument(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add the argument RUN: ``run_12``, ``12``, a path, or ``latest``."""
    return click.argument("run", metavar="RUN", shell_complete=_complete_run)(function)
