"""A training started from Python: its display, and its warnings."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from ganforge.errors import log, on_one_line
from ganforge.processes import place
from ganforge.showing.notebook import NotebookDisplay, Output
from ganforge.showing.pictures import in_notebook
from ganforge.showing.terminal import Display, reading
from ganforge.showing.words import console, duration

if TYPE_CHECKING:
    from ganforge.diagnosis.evidence import Finding
    from ganforge.training.setup import Setup
    from ganforge.training.trainer import Outcome, Trainer


def follow(trainer: Trainer, observers: Sequence[object] = (), progress: bool | None = None) -> Outcome:
    """Run a training with its display; ``progress=False`` shows none.

    Warnings always go to ``logging.getLogger("ganforge")``, which Python prints on stderr unless it has a handler.
    """
    from ganforge.diagnosis.live import Watcher

    hear(trainer.setup)
    display: Display | NotebookDisplay | None = None
    if progress is not False and place().first:
        shown_here = in_notebook()
        display = NotebookDisplay() if shown_here else _on_stderr(trainer)
    said = "failed"
    try:
        outcome = trainer.run([*observers, Watcher(_warn), *([display] if display else [])])
        said = ending(outcome)
        return outcome
    except KeyboardInterrupt:
        said = "stopped immediately"
        raise
    finally:
        if display:
            display.close(said)


def _on_stderr(trainer: Trainer) -> Display:
    return Display(console(stderr=True), trainer.setup.steps, trainer.start.step)


def ending(outcome: Outcome) -> str:
    """Say in a line how a training ended, and where its run is."""
    early = f"; stopped early, because {outcome.early}" if outcome.early else ""
    epochs = f"{outcome.epoch} epoch{'s' * (outcome.epoch != 1)}"
    how = f"{outcome.state}, {epochs}, {duration(outcome.seconds)}{early}"
    return on_one_line(f"{outcome.run.name}: {how}; saved in {outcome.run}")


def hear(setup: Setup) -> None:
    """Log warnings before training: plugins left out, pictures that cannot be read."""
    for line in setup.choices.warnings:
        log.warning("%s", on_one_line(line))
    if skipped := setup.images.skipped:
        first = ", ".join(f"{name} ({why})" for name, why in skipped[:3])
        more = f" and {len(skipped) - 3} more" if len(skipped) > 3 else ""
        files = f"{len(skipped)} file{'s' * (len(skipped) != 1)}"
        log.warning("%s", on_one_line(f"{files} could not be read: {first}{more}; run.json lists all"))


def _warn(finding: Finding) -> None:
    log.warning("%s", on_one_line(f"{finding.title}: {finding.numbers}. More: run.diagnose()"))


@contextmanager
def decoding(progress: bool | None, what: str = "reading pictures") -> Iterator[Callable[[int, int], None] | None]:
    """Yield a callback that shows the progress of ``what``; None if nothing is to be shown."""
    if progress is False or not in_notebook():
        with reading(progress is False, what) as show:
            yield show
        return
    output, said = Output(), time.perf_counter()

    def tell(done: int, total: int) -> None:
        nonlocal said
        if time.perf_counter() - said > 0.5:
            said = time.perf_counter()
            output.say(f"{what}: {done:,} of {total:,}")

    yield tell
    output.clear()


@contextmanager
def saying(progress: bool | None) -> Iterator[Callable[[str], None] | None]:
    """Yield a callback that shows the name of the metric being measured; None if nothing is to be shown."""
    if in_notebook() and progress is not False:
        output = Output()
        yield lambda what: output.say(f"measuring {what} …")
        output.clear()
    elif progress or (progress is None and sys.stderr.isatty()):
        out = console(stderr=True)
        yield lambda what: out.print(f"measuring {what} …", markup=False)
    else:
        yield None
