"""What a seeded fault is: one exact replacement in one file, and the tests that should see it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

# What a fault does. The first three are faults of the mathematics: of a number's sign or size, or of which it is.
Kind = Literal["sign", "factor", "tensor", "off by one", "order", "forgotten", "condition", "constant"]
MATHEMATICS = ("sign", "factor", "tensor")


class Stale(Exception):
    """A fault no longer fits the code it is meant for; the message says which, and why."""


@dataclass(frozen=True)
class Fault:
    """One thing made wrong on purpose.

    Args:
        name: how ``python -m tests.mutants NAME`` calls it.
        kind: what it does.
        file: the file it is in, from the repository's root.
        old: the text it replaces, which must stand there exactly once.
        new: what stands there instead; the file must still compile, or nothing would be shown.
        tests: what pytest is given, the cheapest tests that should see it.
    """

    name: str
    kind: Kind
    file: str
    old: str
    new: str
    tests: tuple[str, ...]

    def applied(self, root: Path) -> str:
        """Return the file's text with the fault in it. Raises ``Stale``."""
        path = root / self.file
        if not path.is_file():
            raise Stale(f"{self.name}: there is no file {self.file}")
        text = path.read_text("utf-8")
        if (count := text.count(self.old)) != 1:
            raise Stale(f"{self.name}: {self.file} has {count} of {self.old!r}; expected exactly one")
        wrong = text.replace(self.old, self.new)
        if wrong == text:
            raise Stale(f"{self.name}: it changes nothing")
        try:
            compile(wrong, self.file, "exec")
        except SyntaxError as error:
            raise Stale(f"{self.name}: {self.file} would not compile: {error}") from None
        for test in self.tests:
            file, _, function = test.partition("::")
            if not (root / file).is_file() or f"def {function.split('[')[0]}" not in (root / file).read_text("utf-8"):
                raise Stale(f"{self.name}: there is no test {test}")
        return wrong


def check(faults: Sequence[Fault], root: Path) -> list[str]:
    """Return a line for each fault that does not fit the code, and for each name given twice."""
    found = []
    names = [fault.name for fault in faults]
    for fault in faults:
        if names.count(fault.name) > 1:
            found.append(f"{fault.name}: two faults have this name")
        try:
            fault.applied(root)
        except Stale as error:
            found.append(str(error))
    return found
