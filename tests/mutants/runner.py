"""Runs the tests of each fault on a copy of the repository, so that the checkout is never touched, even by a kill."""

from __future__ import annotations

import json
import os
import queue
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

from tests.mutants.fault import Fault

COPIED = ("ganforge", "plugins", "examples", "tests", "docs", "pyproject.toml", "mkdocs.yml")
COPIED += ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "LICENSE", "constraints.txt", ".ci", "justfile")
COPIED += ("SECURITY.md", "CODE_OF_CONDUCT.md", "CITATION.cff", "tools", ".github")
# A fault may make a loop endless. Nothing that a fault is tested by takes a quarter of this.
PATIENCE = 600.0
PYTEST = ("-x", "-q", "-o", "addopts=", "-p", "no:xdist", "-p", "no:cacheprovider", "--tb=line")


class NoVerdict(Exception):
    """The tests do not run, or fail without any fault: nothing they say of a fault counts."""


@dataclass(frozen=True)
class Verdict:
    """What became of a fault, by which test (or why nothing can be said), and the seconds that took."""

    fault: Fault
    state: Literal["killed", "survived", "no verdict"]
    by: str
    seconds: float


class Copy:
    """A copy of the repository, and the process in it that runs its tests (``nursery.py``)."""

    def __init__(self, root: Path, path: Path) -> None:
        self.path, self.output = path, path.with_suffix(".out")
        path.mkdir()
        for name in COPIED:
            if (root / name).is_dir():
                shutil.copytree(root / name, path / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
            elif (root / name).is_file():
                shutil.copy2(root / name, path / name)
        command = [sys.executable, str(Path(__file__).with_name("nursery.py"))]
        pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        self._process = subprocess.Popen(command, cwd=path, env=self.environment(), **pipes)

    def environment(self) -> dict[str, str]:
        """Return the environment in which the copy, and nothing else, is what Python imports."""
        # What a test session has told its own processes is not for ours.
        ours = ("PYTEST_", "GANFORGE_", "KERAS_BACKEND")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        path = [str(self.path), str(self.path / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
        # No .pyc: it is told from a newer source by the second, and two faults may come in one.
        more = {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1"}
        return {**kept, **more, "OMP_NUM_THREADS": "1", "KERAS_BACKEND": "torch"}

    def run_tests(self, tests: Sequence[str], patience: float = PATIENCE) -> tuple[bool, str]:
        """Return whether one of the tests failed, and which. Raises ``NoVerdict`` when none could run."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps([[*PYTEST, *tests], str(self.output), patience]) + "\n")
        self._process.stdin.flush()
        answer = self._process.stdout.readline()
        if not answer:
            raise NoVerdict("the process that runs the tests has ended")
        code = json.loads(answer)
        if code is None:
            return True, f"no end within {patience:.0f} seconds"
        if code == 0:
            return False, ""
        said = self.output.read_text("utf-8", errors="replace")
        seen = re.search(r"^(?:FAILED|ERROR) (.+?)(?: - .*)?$", said, flags=re.M)
        if code == 1 and seen:
            return True, seen[1]
        raise NoVerdict(f"pytest {' '.join(tests)} ended with code {code}:\n{said[-3000:]}")

    def require_sound(self, tests: Sequence[str]) -> None:
        """Make sure that the copy is what is imported, and that the tests pass while nothing is wrong."""
        command = [sys.executable, "-c", "import ganforge; print(ganforge.__file__)"]
        done = subprocess.run(command, cwd=self.path, env=self.environment(), capture_output=True, text=True)
        if not done.stdout.startswith(str(self.path)):
            raise NoVerdict(f"not the copy is imported, but {done.stdout.strip() or done.stderr[-500:]}")
        failed, by = self.run_tests(tests)
        if failed:
            raise NoVerdict(
                f"{by} fails without any fault:\n{self.output.read_text('utf-8', errors='replace')[-3000:]}"
            )

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe:
                pipe.close()


@contextmanager
def copies(root: Path, count: int) -> Iterator[queue.Queue[Copy]]:
    """Give copies of the repository to take and put back; they are removed in the end."""
    with TemporaryDirectory(prefix="ganforge-mutants-") as folder:
        free: queue.Queue[Copy] = queue.Queue()
        made = [Copy(root, Path(folder).resolve() / f"copy_{number}") for number in range(count)]
        try:
            for copy in made:
                free.put(copy)
            yield free
        finally:
            for copy in made:
                copy.close()


def try_faults(
    faults: Sequence[Fault], root: Path, jobs: int = 2, told: Callable[[Verdict], None] = lambda verdict: None
) -> list[Verdict]:
    """Return a verdict on each fault, in their order; ``told`` hears each as it comes, in no order.

    Raises:
        NoVerdict: the tests fail without any fault.
        Stale: a fault does not fit the code.
    """
    tests = list(dict.fromkeys(test for fault in faults for test in fault.tests))

    with copies(root, jobs) as free, ThreadPoolExecutor(jobs) as pool:
        # Each copy its share: they are also what a fault's run is told from.
        parts = [tests[number::jobs] for number in range(jobs)]
        list(pool.map(lambda part: _sound(free, part), [part for part in parts if part]))
        futures = {pool.submit(_try, free, fault): i for i, fault in enumerate(faults)}
        verdicts: dict[int, Verdict] = {}
        try:
            for future in as_completed(futures):
                verdicts[futures[future]] = future.result()
                told(verdicts[futures[future]])
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return [verdicts[i] for i in range(len(faults))]


def _sound(free: queue.Queue[Copy], tests: Sequence[str]) -> None:
    copy = free.get()
    try:
        copy.require_sound(tests)
    finally:
        free.put(copy)


def _try(free: queue.Queue[Copy], fault: Fault) -> Verdict:
    copy, begun = free.get(), time.monotonic()
    path = copy.path / fault.file
    right = path.read_bytes()
    try:
        path.write_text(fault.applied(copy.path), "utf-8")
        killed, by = copy.run_tests(fault.tests)
        state: Any = "killed" if killed else "survived"
    except NoVerdict as error:
        state, by = "no verdict", str(error)
    finally:
        path.write_bytes(right)
        free.put(copy)
    return Verdict(fault, state, by, time.monotonic() - begun)
