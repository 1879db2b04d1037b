"""Runs the tests of each fault on a copy of the repository, so that the checkout is never touched, even by a kill."""

from __future__ import annotations

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
# A fault may make a loop endless. Nothing that a fault is tested by takes a quarter of this.
PATIENCE = 600.0
PYTEST = ("-m", "pytest", "-x", "-q", "-o", "addopts=", "-p", "no:xdist", "-p", "no:cacheprovider", "--tb=line")


class NoVerdict(Exception):
    """The tests do not run, or fail without any fault: nothing they say of a fault counts."""


@dataclass(frozen=True)
class Verdict:
    """What became of a fault, by which test (or why nothing can be said), and the seconds that took."""

    fault: Fault
    state: Literal["killed", "survived", "no verdict"]
    by: str
    seconds: float


@contextmanager
def copies(root: Path, count: int) -> Iterator[queue.Queue[Path]]:
    """Give copies of the repository to take and put back; they are removed in the end."""
    with TemporaryDirectory(prefix="ganforge-mutants-") as folder:
        free: queue.Queue[Path] = queue.Queue()
        for number in range(count):
            copy = Path(folder) / f"copy_{number}"
            copy.mkdir()
            for name in COPIED:
                if (root / name).is_dir():
                    shutil.copytree(root / name, copy / name, ignore=shutil.ignore_patterns("__pycache__", "*.pyc"))
                elif (root / name).is_file():
                    shutil.copy2(root / name, copy / name)
            free.put(copy)
        yield free


def environment(copy: Path) -> dict[str, str]:
    """Return the environment in which a copy, and nothing else, is what Python imports."""
    # What a test session has told its own processes is not for ours.
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("PYTEST_", "GANFORGE_")) and k != "KERAS_BACKEND"
    }
    path = [str(copy), str(copy / "plugins"), *filter(None, [os.environ.get("PYTHONPATH")])]
    # No .pyc: it is told from a newer source by the second, and two faults may come in one.
    more = {"PYTHONPATH": os.pathsep.join(path), "PYTHONDONTWRITEBYTECODE": "1", "OMP_NUM_THREADS": "1"}
    return {**kept, **more}


def run_tests(copy: Path, tests: Sequence[str], patience: float = PATIENCE) -> tuple[bool, str]:
    """Run tests in a copy; return whether one failed, and which. Raises ``NoVerdict`` when none could run."""
    command = [sys.executable, *PYTEST, *tests]
    try:
        done = subprocess.run(
            command, cwd=copy, env=environment(copy), capture_output=True, text=True, timeout=patience
        )
    except subprocess.TimeoutExpired:
        return True, f"no end within {patience:.0f} seconds"
    if done.returncode == 0:
        return False, ""
    said = done.stdout + done.stderr
    seen = re.search(r"^(?:FAILED|ERROR) (\S+)", said, flags=re.M)
    if done.returncode == 1 and seen:
        return True, seen[1]
    raise NoVerdict(f"pytest {' '.join(tests)} ended with code {done.returncode}:\n{said[-3000:]}")


def require_sound(copy: Path, tests: Sequence[str]) -> None:
    """Make sure that the copy is what is imported, and that the tests pass while nothing is wrong."""
    code = "import ganforge; print(ganforge.__file__)"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=copy, env=environment(copy), capture_output=True, text=True
    )
    if not done.stdout.startswith(str(copy)):
        raise NoVerdict(f"not the copy is imported, but {done.stdout.strip() or done.stderr[-500:]}")
    failed, by = run_tests(copy, tests)
    if failed:
        raise NoVerdict(f"{by} fails without any fault")


def try_faults(
    faults: Sequence[Fault], root: Path, jobs: int = 2, told: Callable[[Verdict], None] = lambda verdict: None
) -> list[Verdict]:
    """Return a verdict on each fault, in their order; ``told`` hears each as it comes, in no order.

    Raises:
        NoVerdict: the tests fail without any fault.
        Stale: a fault does not fit the code.
    """
    tests = list(dict.fromkeys(test for fault in faults for test in fault.tests))

    with copies(root, jobs) as free:
        require_sound(first := free.get(), tests)
        free.put(first)

        def one(fault: Fault) -> Verdict:
            copy, begun = free.get(), time.monotonic()
            path = copy / fault.file
            right = path.read_bytes()
            try:
                path.write_text(fault.applied(copy), "utf-8")
                killed, by = run_tests(copy, fault.tests)
                state: Any = "killed" if killed else "survived"
            except NoVerdict as error:
                state, by = "no verdict", str(error)
            finally:
                path.write_bytes(right)
                free.put(copy)
            return Verdict(fault, state, by, time.monotonic() - begun)

        with ThreadPoolExecutor(jobs) as pool:
            futures = {pool.submit(one, fault): i for i, fault in enumerate(faults)}
            verdicts: dict[int, Verdict] = {}
            try:
                for future in as_completed(futures):
                    verdicts[futures[future]] = future.result()
                    told(verdicts[futures[future]])
            except BaseException:
                pool.shutdown(wait=True, cancel_futures=True)
                raise
    return [verdicts[i] for i in range(len(faults))]
