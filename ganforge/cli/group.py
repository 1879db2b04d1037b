"""The ``ganforge`` command itself: finding subcommands without loading them, and turning errors into one line."""

from __future__ import annotations

import atexit
import difflib
import importlib
import logging
import os
import signal
import sys
import warnings
from contextlib import suppress
from typing import Any

import click

from ganforge import __version__
from ganforge.cli.grouped import mistaken
from ganforge.cli.streams import prepare, refused
from ganforge.errors import OUT_OF_MEMORY, GANForgeError, PeerLost, on_one_line, out_of_memory, reason
from ganforge.processes import ended

COMMANDS = {
    "train": "Train a GAN on your pictures, or on the built-in cartoon critters.",
    "resume": "Continue a run exactly where it stopped, or train it further.",
    "gif": "Animate the pictures of the same latents over the epochs.",
    "sample": "Draw new pictures from a trained generator, or animate a walk between them.",
    "project": "Find the latents whose pictures are nearest to yours.",
    "explore": "Show how a generator's pictures change along directions of the latent space.",
    "runs": "List the runs.",
    "show": "Show everything about one run.",
    "diagnose": "Explain what is wrong with a run, and what to try.",
    "evaluate": "Measure the quality of a run's generator: SWD, KID, modes, copies.",
    "study": "Train all runs of a study file, and compare them.",
    "compare": "Compare runs side by side, with a summary in words.",
    "report": "Write one HTML page about a study or several runs.",
    "watch": "Serve a page with a run's live grid and curves, on this machine only.",
    "pack": "Decode pictures once into a set of shards that any machine can open.",
    "export": "Export a run's generator: ONNX, safetensors, or a page.",
    "card": "Write a model card for a run.",
    "push": "Upload a run to the Hugging Face Hub.",
    "pull": "Download a run from the Hugging Face Hub.",
    "plugins": "List installed plugins with their packages and options.",
    "check": "Check a plugin on each installed backend.",
    "new-plugin": "Write a small plugin package that installs and trains at once.",
}
GROUP = "ganforge.commands"


class LazyGroup(click.Group):
    """Knows the names of its commands without importing them, its own and those other packages bring."""

    def _foreign(self) -> dict[str, Any]:
        import importlib.metadata

        return {point.name: point for point in importlib.metadata.entry_points(group=GROUP)}

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*COMMANDS, *sorted(name for name in self._foreign() if name not in COMMANDS)]

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name in COMMANDS:
            own: click.Command = importlib.import_module(f"ganforge.cli.{name.replace('-', '_')}").command
            return own
        point = self._foreign().get(name)
        if point is None:
            return None
        try:
            command = point.load()
        except Exception as error:
            package = point.dist.name if point.dist else "?"
            raise GANForgeError(f"the command '{name}' of {package} cannot be loaded: {reason(error)}") from error
        if not isinstance(command, click.Command):
            raise GANForgeError(f"the command '{name}' is a {type(command).__name__}; expected a click command")
        return command

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        name = args[0]
        if not name.startswith("-") and name not in self.list_commands(ctx):
            near = difflib.get_close_matches(name, self.list_commands(ctx), n=1)
            hint = f" Did you mean '{near[0]}'?" if near else ""
            ctx.fail(f"there is no command '{name}'; expected {', '.join(self.list_commands(ctx))}.{hint}")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            rows = list(COMMANDS.items())
            rows += [
                (name, f"From {point.dist.name if point.dist else 'another package'}.")
                for name, point in sorted(self._foreign().items())
                if name not in COMMANDS
            ]
            formatter.write_dl(rows)


EPILOG = """\b
Examples:
  ganforge train --arch dcgan --balance noise-anneal
  ganforge train --data PHOTOS --image-size 64 --epochs 100
  ganforge gif latest
"""


@click.command(cls=LazyGroup, epilog=EPILOG, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, "--version", message="ganforge %(version)s")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def cli(debug: bool) -> None:
    """Train generative adversarial networks (GANs) on your own pictures. Choose how the two networks are balanced."""


def main(args: list[str] | None = None) -> None:
    """Run the command line and exit: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C."""
    args = sys.argv[1:] if args is None else args
    debug = "--debug" in args
    if "_GANFORGE_COMPLETE" in os.environ:
        from ganforge.cli.bash_completion import install

        install()
    prepare()
    _hear()
    # A run or a picture from anywhere makes NumPy and Pillow speak of it: of what overflows, of a large picture.
    warnings.filterwarnings("ignore", category=RuntimeWarning, module=r"(ganforge|numpy|PIL)\.")
    try:
        given = [a for a in args if a != "--debug"]
        code = cli.main(given, prog_name="ganforge", standalone_mode=False, obj=tuple(args))
    except click.ClickException as error:
        if debug:
            raise
        _say(mistaken(error))
        sys.exit(error.exit_code)
    except (click.Abort, KeyboardInterrupt):
        _say("stopped")
        _end_quietly()
        sys.exit(130)
    except GANForgeError as error:
        if debug:
            raise
        _say(str(error), tell=not isinstance(error, PeerLost))
        sys.exit(error.exit_code)
    except BrokenPipeError:
        sys.exit(1)
    except Exception as error:
        if debug:
            raise
        why = refused(error) if isinstance(error, OSError) else OUT_OF_MEMORY if out_of_memory(error) else None
        _say(why or f"{reason(error)} (--debug shows where)")
        sys.exit(1)
    if (why := refused()) is not None:
        _say(why) if why else None
        sys.exit(code if isinstance(code, int) and code else 1)
    if code == 130:
        _end_quietly()
    sys.exit(code if isinstance(code, int) else 0)


def _end_quietly() -> None:
    """Have Python, which cleans up for a while, not show a traceback when Ctrl-C is pressed once more."""
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def _say(message: str, tell: bool = True) -> None:
    if tell:
        ended(on_one_line(message))
    with suppress(OSError, ValueError):  # nobody hears it; the exit code tells
        click.echo(f"ganforge: {on_one_line(message)}", err=True)


def _hear() -> None:
    """Print what ``logging.getLogger("ganforge")`` says while it works, such as a return to a checkpoint."""
    logger = logging.getLogger("ganforge")
    if not any(isinstance(handler, _Speaker) for handler in logger.handlers):
        logger.addHandler(_Speaker())
        logger.propagate = False


class _Speaker(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        _say(record.getMessage(), tell=False)
