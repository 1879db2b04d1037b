"""What a check is, and what it can say."""

from __future__ import annotations

import re
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from ganforge.errors import GANForgeError

State = Literal["passed", "advice", "failed", "skipped"]


class Nonconformity(Exception):
    """The plugin breaks a promise: what is wrong, and what to change."""

    def __init__(self, wrong: str, change: str) -> None:
        super().__init__(f"{wrong}; {change}")
        self.wrong, self.change = wrong, change


class Advice(Exception):
    """The plugin keeps its promises, but could do better; never a failure."""


class Skip(Exception):
    """The check does not apply here."""


@dataclass(frozen=True)
class Result:
    """What one check found on one backend. ``message`` is one line, empty when the check passed."""

    subject: str
    check: str
    backend: str
    state: State
    message: str = ""


@dataclass(frozen=True)
class Check:
    """One promise of the contract. ``everywhere``: it is held to on each backend, else on the first one alone."""

    kind: str
    name: str
    function: Callable[[Any], None]
    everywhere: bool

    @property
    def summary(self) -> str:
        """The promise in one line."""
        return (self.function.__doc__ or "").strip().splitlines()[0]


# The checks of each kind in the order they run; the modules that hold them fill it.
CHECKS: dict[str, list[Check]] = {}


def check(*kinds: str, everywhere: bool = False) -> Callable[[Callable[[Any], None]], Callable[[Any], None]]:
    """Mark a function ``(case) -> None`` as a check; it raises ``Nonconformity``, ``Advice`` or ``Skip``."""

    def mark(function: Callable[[Any], None]) -> Callable[[Any], None]:
        name = function.__name__.strip("_").replace("_", "-")
        for kind in kinds:
            CHECKS.setdefault(kind, []).append(Check(kind, name, function, everywhere))
        return function

    return mark


def perform(one: Check, case: Any, subject: str, backend: str) -> Result:
    """Run one check and put what it says in one line."""
    try:
        one.function(case)
    except Nonconformity as found:
        return Result(subject, one.name, backend, "failed", f"{found.wrong}. To change: {found.change}")
    except Advice as found:
        return Result(subject, one.name, backend, "advice", str(found))
    except Skip as found:
        return Result(subject, one.name, backend, "skipped", str(found))
    except GANForgeError as error:
        return Result(subject, one.name, backend, "failed", str(error))
    except Exception as error:
        return Result(subject, one.name, backend, "failed", unexpected(error))
    return Result(subject, one.name, backend, "passed")


def unexpected(error: Exception) -> str:
    """Return an unforeseen error as one line that says where in the plugin it came from."""
    # Keras fails to retell some errors of JAX's; the error itself is behind.
    while "_error_repr" in str(error) and isinstance(error.__context__, Exception):
        error = error.__context__
    # TensorFlow tells the whole way there first.
    parts = [line.strip() for line in str(error).splitlines() if line.strip()]
    said = parts[-1] if parts and parts[0] == "in user code:" else str(error)
    text = " ".join(re.sub(r"\x1b\[[0-9;]*m", "", said).split())
    own = [f for f in traceback.extract_tb(error.__traceback__) if not _is_ours_or_a_librarys(f.filename)]
    where = f", from {Path(own[-1].filename).name} line {own[-1].lineno} ({own[-1].line})" if own else ""
    return f"{type(error).__name__}: {text[:300]}{where}"


def _is_ours_or_a_librarys(filename: str) -> bool:
    parts = Path(filename).parts
    libraries = ("keras", "torch", "jax", "tensorflow", "numpy", "pydantic", "pluggy")
    return "ganforge" in parts or any(name in parts for name in libraries) or filename.startswith("<")
