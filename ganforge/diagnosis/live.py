"""The diagnosis during training: an observer that reports each problem once, when it is sure."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable
from typing import Any

from ganforge import hookimpl
from ganforge.diagnosis.evidence import LATEST, LEAST, Evidence, Finding, look_at
from ganforge.diagnosis.rules import diagnose
from ganforge.errors import GANForgeError

# Looked at every CHECK logged lines, once START of the run and FIRST lines are behind; sure after TIMES in a row.
CHECK, START, FIRST, TIMES = 5, 0.15, 30, 4
URGENT = ("diverged", "diverging")


class Watcher:
    """Calls ``say(finding)`` for each problem of the current training."""

    def __init__(self, say: Callable[[Finding], None]) -> None:
        self.say = say
        self.manifest: dict[str, Any] | None = None
        self.first: dict[str, Any] | None = None
        self.lines: deque[dict[str, Any]] = deque(maxlen=LATEST)
        self.logged = 0
        self.grids: deque[tuple[int, Any]] = deque(maxlen=4)
        self.seen: dict[str, int] = {}
        self.said: set[str] = set()

    @hookimpl
    def run_started(self, run: Any) -> None:
        from ganforge.runs import read_manifest
        from ganforge.runs.metrics import each_line

        self.steps = run.steps
        try:
            self.manifest = read_manifest(run.directory)
            for line in each_line(run.directory):
                self._hear(line)
        except GANForgeError:
            self.manifest = None

    @hookimpl
    def step_ended(self, step: Any) -> None:
        if not step.metrics or self.manifest is None:
            return
        line = {k: v if not isinstance(v, float) or math.isfinite(v) else None for k, v in step.metrics.items()}
        self._hear(line)
        if self.logged % CHECK == 0 or None in line.values():
            self._check(step.progress)

    def _hear(self, line: dict[str, Any]) -> None:
        self.first = self.first or line
        self.lines.append(line)
        self.logged += 1

    @hookimpl
    def snapshot_taken(self, snapshot: Any) -> None:
        if snapshot.images.ndim == 4:  # of vectors, nothing is said of how they look
            self.grids.append((snapshot.epoch or snapshot.step, snapshot.images))

    def _check(self, progress: Any) -> None:
        assert self.manifest is not None
        now = {**self.manifest, "progress": {**self.manifest["progress"], "step": progress.step + 1}}
        lines = list(self.lines)
        if self.first is not None and self.logged > len(lines):  # as ``latest`` has it
            lines.insert(0, self.first)
        early = self.logged < FIRST or (progress.step + 1) < START * progress.steps
        found = {f.kind: f for f in diagnose(Evidence(now, lines, look_at(self.grids)))}
        self.seen = {kind: self.seen.get(kind, 0) + 1 for kind in found}
        for kind, finding in found.items():
            sure = kind == "diverged" or (self.seen[kind] >= TIMES and not early)
            if sure and kind not in self.said and self.logged >= (1 if kind in URGENT else LEAST):
                self.said.add(kind)
                self.say(finding)
