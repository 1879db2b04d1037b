"""A run while it is trained, for those who ask again and again: what is new is read, looked at and told once."""

from __future__ import annotations

import os
import re
import threading
from pathlib import Path
from typing import Any

from ganforge.diagnosis.evidence import gather, latest
from ganforge.diagnosis.rules import diagnose
from ganforge.errors import GANForgeError, reason
from ganforge.metrics.columns import History
from ganforge.report.render import curves
from ganforge.runs import list_snapshots, read_manifest
from ganforge.runs.metrics import NAME, Reader


class Following:
    """Reads what a run logs as it grows. Its methods may be called from many threads."""

    def __init__(self, run: Path) -> None:
        self.run = run
        self._lock = threading.Lock()
        self._begin()

    def _begin(self) -> None:
        # A name that nobody has heard: who has seen anything else is told everything.
        self._telling, self._file = os.urandom(4).hex(), 0
        self._lines, self._at = History(), 0
        self._found: tuple[int, list[dict[str, str]]] = (-1, [])

    def state(self, seen: str = "") -> dict[str, Any]:
        """Return how the run is now, JSON-able: progress, and of curves and grids what came after ``seen``.

        ``seen`` is that of the answer before. ``fresh``: nothing of what was told before holds any more, as when the
        run went back to a checkpoint, or there was none.

        Raises:
            GANForgeError: the run is damaged, or gone.
        """
        with self._lock:
            manifest = read_manifest(self.run)
            self._read()
            lines, grids = self._lines, list_snapshots(self.run)
            match = re.fullmatch(r"(\w+)\.([0-9]{1,18})\.([0-9]{1,18})", seen)
            known = match is not None and match[1] == self._telling
            first, grid = (int(match[2]), int(match[3])) if match and known else (0, 0)
            if first > len(lines) or grid > len(grids):
                known, first, grid = False, 0, 0
            last = lines[-1] if lines else {}
            config = manifest["config"]
            return {
                "name": self.run.name,
                "state": manifest["state"],
                "about": f"{config['arch']} · {' + '.join(config['balance']) or 'no balancing'}",
                # run.json says how far the last checkpoint is; the logged lines are ahead of it.
                "step": max(manifest["progress"]["step"], last.get("step", 0)),
                "steps": manifest["progress"]["steps"],
                "epochs": manifest["progress"]["epochs"],
                "last": {k: v for k, v in last.items() if isinstance(v, (int, float))},
                "curves": curves(lines[first:] if first else lines),
                "grids": [[grid.title, grid.path.name] for grid in grids[grid:]],
                "findings": self._findings(),
                "fresh": not known,
                "seen": f"{self._telling}.{len(lines)}.{len(grids)}",
            }

    def _read(self) -> None:
        """Read the lines that were added; all of them where the file is another one by now."""
        try:
            about = os.stat(self.run / NAME, follow_symlinks=False)
        except OSError:
            about = None
        if about is None or about.st_ino != self._file or about.st_size < self._at:
            self._begin()
            self._file = about.st_ino if about else 0
        try:
            with Reader(self.run, self._at) as reader:
                for _, line in reader:
                    if line is None:
                        raise GANForgeError(
                            f"{self.run / NAME} has a damaged line; expected a JSON object with a step"
                        )
                    self._lines.append(line)
                self._at = reader.at
        except (GANForgeError, ValueError) as error:
            self._begin()
            raise GANForgeError(reason(error, kind=False)) from None

    def _findings(self) -> list[dict[str, str]]:
        count, found = self._found
        if count != len(self._lines) or not count:
            about = diagnose(gather(self.run, latest(self._lines)))
            found = [{"title": f.title, "numbers": f.numbers, "why": f.why} for f in about]
            self._found = (len(self._lines), found)
        return found
