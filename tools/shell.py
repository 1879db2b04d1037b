"""Commands that the tools run, and what they say when one fails."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path


class Failed(Exception):
    """Why a step failed, in one line."""


def run(*command: object, cwd: Path) -> str:
    """Return what a command prints. It imports nothing from this checkout by ``PYTHONPATH``.

    Raises ``Failed`` with its last line of trouble if it cannot be started or does not end with 0.
    """
    words = [str(word) for word in command]
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    try:
        done = subprocess.run(words, cwd=cwd, env=environment, capture_output=True, text=True, errors="replace")
    except OSError as error:
        raise Failed(f"{words[0]}: {error.strerror}") from error
    if done.returncode:
        lines = [line.strip() for line in (done.stdout + "\n" + done.stderr).splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith(("error", "fatal"))]
        name = " ".join([Path(words[0]).name, *words[1:4]])
        raise Failed(f"{name}: {(errors or lines or [f'exit code {done.returncode}'])[-1]}")
    return done.stdout


def git(root: Path, *words: str) -> str:
    return run("git", *words, cwd=root).strip()


def read(file: Path) -> str:
    try:
        return file.read_text("utf-8")
    except OSError as error:
        raise Failed(f"{file.name}: {error.strerror}") from error
