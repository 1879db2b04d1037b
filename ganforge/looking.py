"""Inspecting a run on disk: its settings, its progress, its problems, and pages and animations about it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ganforge.showing.tables import File, Part, Picture, Shown, Table

if TYPE_CHECKING:
    from ganforge.runs.snapshots import Grid
    from ganforge.showing.results import Diagnosis
    from ganforge.training.config import TrainConfig


class RunOnDisk(Shown):
    """A run directory, to be inspected; ``ganforge.Run`` can also draw samples from it and train it further."""

    path: Path

    def __repr__(self) -> str:
        return f"Run({str(self.path)!r})"

    __str__ = __repr__  # print(run) stays a line; run.show() tells more

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  (IPython gives both)
        printer.text(repr(self))

    @property
    def id(self) -> str:
        """The directory's name, such as ``run_12``."""
        return self.path.name

    @property
    def manifest(self) -> dict[str, Any]:
        """The content of ``run.json``."""
        from ganforge.runs import read_manifest

        return read_manifest(self.path)

    @property
    def config(self) -> TrainConfig:
        """The settings of the run, with all defaults filled in."""
        from ganforge.training.config import read_config

        return read_config(self.path)

    @property
    def state(self) -> str:
        """``running``, ``finished``, ``stopped``, ``failed``, or ``killed`` if its process ended abruptly."""
        from ganforge.runs import run_state

        return run_state(self.path, self.manifest)

    def metrics(self) -> list[dict[str, Any]]:
        """Return the log lines of ``metrics.jsonl``, oldest first.

        Raises:
            GANForgeError: a line before the last is damaged, or the file cannot be read.
        """
        from ganforge.runs import read_metrics

        return read_metrics(self.path)

    def snapshots(self) -> list[Grid]:
        """Return (epoch, path) of each saved grid, oldest first; the epoch may be a fraction."""
        from ganforge.runs import list_snapshots

        return list_snapshots(self.path)

    def told(self) -> Iterator[Part]:
        """Yield the parts that ``show`` displays: a table of the run's state, its last grid and its curves."""
        from ganforge.media.grids import read_png
        from ganforge.runs import read_history
        from ganforge.showing.pictures import overview
        from ganforge.showing.results import run_rows

        manifest, snapshots = self.manifest, self.snapshots()
        yield self.id
        yield Table(run_rows(manifest, self.state, self.path))
        grid = read_png(snapshots[-1].path) if snapshots else None
        if picture := overview(grid, read_history(self.path), len(manifest["image_shape"]) == 1):
            yield Picture(picture)

    def diagnose(self) -> Diagnosis:
        """Return what is wrong with the run, judged by its numbers, and what to try next; empty if nothing is."""
        from ganforge.diagnosis.advice import command
        from ganforge.diagnosis.evidence import gather
        from ganforge.diagnosis.rules import diagnose, not_looked_at
        from ganforge.showing.results import Advice, Diagnosis

        seen = gather(self.path)
        found = [Advice(f.kind, f.title, f.numbers, f.why, command(seen, f)) for f in diagnose(seen)]
        notes = []
        if not found:
            count = len(seen.lines)
            too_early = f"Too early to say: only {count} log line{'s' * (count != 1)} so far."
            notes.append(too_early if seen.too_early else "The numbers show no problem.")
        if left_out := not_looked_at(seen):
            notes.append(f"Not checked, because the loss '{seen.loss}' has no D(real): {', '.join(left_out)}.")
        if seen.evaluation is None:
            notes.append("To check whether it copies training pictures: run.evaluate().")
        progress = seen.manifest["progress"]
        return Diagnosis(found, f"{self.id} at step {progress['step']:,} of {progress['steps']:,}", notes)

    def report(self, output: str | Path | None = None, *, title: str | None = None, frames: int = 12) -> File:
        """Write one self-contained HTML page about the run, to ``output`` or beside the run directory.

        ``frames`` is the maximum number of grids on the page.

        Raises:
            UsageError: ``output`` is a folder.
            GANForgeError: the page cannot be written.
        """
        from ganforge.files import require_file
        from ganforge.report.report import write_report
        from ganforge.study.summary import summarise

        path = Path(output) if output else self.path.parent / f"{self.id}.html"
        require_file(path)
        write_report([summarise(self.id, self.path)], path, title or self.id, frames)
        return File(path)

    def animate(self, output: str | Path | None = None, *, every: int = 1, **settings: Any) -> File:
        """Animate the pictures of the same latents over the epochs; the suffix of ``output`` chooses the format.

        The formats are .gif, .webp, .png and .mp4; without ``output``, it writes the run's progression.gif. ``every``
        uses every n-th snapshot. ``settings`` are ``fps`` (8), ``scale`` (1), ``hold`` in seconds (2) and
        ``caption`` (True).

        Raises:
            UsageError: the suffix or a setting is invalid.
            GANForgeError: the run has no snapshots, or the file cannot be written.
        """
        from ganforge.runs.progression import make_progression

        return File(make_progression(self.path, Path(output) if output else None, every=every, **settings))

    make_gif = animate
