"""A process that has imported what takes seconds, and forks for every run of tests, which so begins at once.

It runs in a copy of the repository and imports nothing of it: a fork finds the code as it is when it is born. A line
of JSON on its input asks for a run, ``[arguments of pytest, file for what it prints, seconds]``; a line on its output
is the exit code, or null where the run came to no end.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import signal
import sys
import time

HEAVY = ("numpy", "pytest", "hypothesis", "PIL.Image", "pydantic", "torch", "keras")


def child(arguments: list[str], output: str) -> int:
    """Run pytest in this process, for good."""
    os.setsid()  # what its tests start is found again, and ended with it
    file = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number, target in ((os.open(os.devnull, os.O_RDONLY), 0), (file, 1), (file, 2)):
        os.dup2(number, target)
    importlib.invalidate_caches()
    import pytest

    return int(pytest.main(arguments))


def awaited(pid: int, patience: float) -> int | None:
    """Return a process's exit code; end it and everything it started when it takes longer than ``patience``."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        done, status = os.waitpid(pid, os.WNOHANG)
        if done:
            return os.waitstatus_to_exitcode(status)
        time.sleep(0.02)
    with contextlib.suppress(OSError):
        os.killpg(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    return None


def main() -> None:
    sys.path[0] = os.getcwd()  # not this file's folder
    for name in HEAVY:
        with contextlib.suppress(ImportError):
            importlib.import_module(name)
    assert "ganforge" not in sys.modules
    for line in sys.stdin:
        arguments, output, patience = json.loads(line)
        pid = os.fork()
        if pid == 0:
            code = 3  # pytest's own for what went wrong inside
            try:
                code = child(arguments, output)
            finally:
                sys.stdout.flush()
                os._exit(code)
        print(json.dumps(awaited(pid, patience)), flush=True)


if __name__ == "__main__":
    main()
