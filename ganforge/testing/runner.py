"""Running checks: a process for each backend, and their results put together."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from ganforge.backend import BACKENDS
from ganforge.errors import GANForgeError, UsageError, closest
from ganforge.testing.framework import Result

TOLERANCE = 2e-3


@dataclass(frozen=True)
class Subject:
    """What is checked: its kind, and its name with options as on the command line."""

    kind: str
    spec: str


@dataclass
class Report:
    """What came of it: every result, and facts such as parameter counts by subject."""

    results: list[Result] = field(default_factory=list)
    facts: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def failed(self) -> list[Result]:
        """The results that failed."""
        return [result for result in self.results if result.state == "failed"]


def backends_to_check(wanted: Sequence[str] = ()) -> list[str]:
    """Return the backends asked for, else those of ``GANFORGE_CHECK_BACKENDS``, else every one installed.

    Raises:
        UsageError: there is no such backend.
        GANForgeError: one that was asked for is not installed.
    """
    narrowed = os.environ.get("GANFORGE_CHECK_BACKENDS", "").split(",")
    wanted = list(wanted) or [name.strip() for name in narrowed if name.strip()]
    for name in wanted:
        if name not in BACKENDS:
            raise UsageError(
                f"there is no backend '{name}'; expected torch, jax or tensorflow.{closest(name, BACKENDS)}"
            )
        if importlib.util.find_spec(name) is None:
            package = "torch" if name == "torch" else f"'ganforge[{name}]'"
            raise GANForgeError(f"the backend '{name}' is not installed; pip install {package}")
    return [b for b in BACKENDS if b in wanted or (not wanted and importlib.util.find_spec(b) is not None)]


def run_checks(
    subjects: Sequence[Subject],
    backends: Sequence[str] = (),
    plugins: Sequence[str | Path] = (),
    elsewhere: Sequence[Subject] | None = None,
) -> Iterator[tuple[str, Report]]:
    """Yield (backend, what it found) for one backend after another; the first one also does what is done once.

    ``elsewhere`` is what is checked on the backends after the first; the same, unless given.

    Raises:
        UsageError: a name or option is wrong, or there is no such backend.
        GANForgeError: a backend is not installed, or its process ended without a word.
    """
    first: Report | None = None
    for backend in backends_to_check(backends):
        here = subjects if first is None or elsewhere is None else elsewhere
        report = _run_one(here, backend, plugins, first is None)
        if first is None:
            first = report
        else:
            report.results += [r for s in here if (r := _agreement(s.spec, backend, report, first)) is not None]
        yield backend, report


def _run_one(subjects: Sequence[Subject], backend: str, plugins: Sequence[str | Path], first: bool) -> Report:
    with tempfile.TemporaryDirectory(prefix="ganforge-check-") as folder:
        output = Path(folder) / "report.json"
        order = {
            "backend": backend,
            "subjects": [asdict(subject) for subject in subjects],
            "plugins": [str(Path(file).resolve()) for file in plugins],
            "first": first,
            "folder": folder,
        }
        # The networks are tiny: one thread is quickest, above all where several processes share the processor.
        environment = {"OMP_NUM_THREADS": "1", "TF_NUM_INTRAOP_THREADS": "1", "TF_NUM_INTEROP_THREADS": "1"}
        environment |= {name: value for name, value in os.environ.items() if name != "KERAS_BACKEND"}
        done = subprocess.run(
            [sys.executable, "-m", "ganforge.testing.worker", str(output)],
            input=json.dumps(order),
            capture_output=True,
            text=True,
            env=environment,
        )
        if not output.is_file():
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            raise GANForgeError(f"the checks on {backend} ended with exit code {done.returncode}: {last}")
        answer = json.loads(output.read_text("utf-8"))
    if "error" in answer:
        raise (UsageError if answer["usage"] else GANForgeError)(answer["error"])
    return Report([Result(**result) for result in answer["results"]], answer["facts"])


def _agreement(subject: str, backend: str, report: Report, first: Report) -> Result | None:
    """Compare a backend's numbers with the first one's: the same weights and inputs must give the same outputs."""
    ours, theirs = (r.facts.get(subject, {}).get("numbers") for r in (report, first))
    if ours is None or theirs is None:
        return None
    for name, values in theirs.items():
        other = ours.get(name, [])
        if len(other) != len(values):
            return Result(subject, "agrees", backend, "failed", f"{name} has a different shape on the first backend")
        worst = max((abs(a - b) / max(1.0, abs(a)) for a, b in zip(values, other)), default=0.0)
        if not worst <= TOLERANCE or not math.isfinite(worst):
            return Result(
                subject,
                "agrees",
                backend,
                "failed",
                f"{name} differs from the first backend by {worst:.2g} from the same weights and inputs. To change: "
                "use only keras.layers and keras.ops, and no random numbers of a layer's own",
            )
    return Result(subject, "agrees", backend, "passed")
