"""``python -m tests.mutants``: put faults into the code, one at a time, and see whether a test notices each."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

from tests.mutants import FAULTS
from tests.mutants.fault import Fault, check
from tests.mutants.runner import NoVerdict, Verdict, try_faults

ROOT = Path(__file__).parent.parent.parent


def chosen(patterns: Sequence[str], faults: Sequence[Fault] = FAULTS) -> list[Fault]:
    """Return the faults whose name, kind or file holds one of the words, or fits one as a pattern; all of none."""
    if not patterns:
        return list(faults)

    def fits(fault: Fault) -> bool:
        texts = (fault.name, fault.kind, fault.file)
        return any(word in text or fnmatchcase(text, word) for word in patterns for text in texts)

    return [fault for fault in faults if fits(fault)]


def main(arguments: Sequence[str] | None = None, faults: Sequence[Fault] = FAULTS, root: Path = ROOT) -> int:
    """Run the command; return 0, or 1 when a fault survives, or 2 when nothing can be said."""
    parser = argparse.ArgumentParser("python -m tests.mutants", description=(__doc__ or "").partition(": ")[2])
    parser.add_argument("patterns", nargs="*", help="words or patterns of names, kinds or files; without any, all")
    parser.add_argument("--jobs", type=int, default=2, help="faults at a time (2)")
    parser.add_argument("--list", action="store_true", help="show the faults and the tests that should see them")
    flags = parser.parse_args(arguments)
    some = chosen(flags.patterns, faults)
    if not some or flags.jobs < 1:
        print("no fault fits; --list shows them all" if not some else "--jobs: expected at least 1", file=sys.stderr)
        return 2
    if flags.list:
        for fault in some:
            print(f"{fault.name}  ({fault.kind}, {fault.file})")
            print(*(f"    {test}" for test in fault.tests), sep="\n")
        return 0
    if stale := check(some, root):
        print(*stale, sep="\n", file=sys.stderr)
        print(f"{len(stale)} stale: the code has changed; write each again for the code as it is", file=sys.stderr)
        return 2

    begun, count = time.monotonic(), 0

    def told(verdict: Verdict) -> None:
        nonlocal count
        count += 1
        said = f"killed by {verdict.by}" if verdict.state == "killed" else f"{verdict.state.upper()} {verdict.by}"
        print(f"{count:3}/{len(some)} {verdict.seconds:5.0f} s  {verdict.fault.name}: {said}".rstrip(), flush=True)

    try:
        verdicts = try_faults(some, root, flags.jobs, told)
    except NoVerdict as error:
        print(error, file=sys.stderr)
        return 2
    survivors = [verdict.fault for verdict in verdicts if verdict.state == "survived"]
    silent = [verdict.fault.name for verdict in verdicts if verdict.state == "no verdict"]
    print(f"{len(some)} faults, {len(survivors)} survived, {time.monotonic() - begun:.0f} seconds")
    for fault in survivors:
        print(f"  {fault.name}  ({fault.kind}, {fault.file}); its tests: {', '.join(fault.tests)}")
    if silent:
        print(f"no verdict on {', '.join(silent)}: pytest could not run their tests", file=sys.stderr)
        return 2
    return 1 if survivors else 0


if __name__ == "__main__":
    sys.exit(main())
