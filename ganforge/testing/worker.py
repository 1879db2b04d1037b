"""The process that checks on one backend: reads an order as JSON, writes what it found to a file."""

from __future__ import annotations

import json
import sys
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

from ganforge.backend import choose_backend
from ganforge.errors import GANForgeError, UsageError
from ganforge.testing.framework import CHECKS, Result, perform


def work(order: dict[str, Any]) -> dict[str, Any]:
    """Return every result and fact; an error of the order itself comes back as one line."""
    warnings.simplefilter("ignore")
    backend = choose_backend(order["backend"])
    from ganforge.testing.cases import make_case

    results: list[Result] = []
    facts: dict[str, Any] = {}
    for subject in order["subjects"]:
        kind, spec = subject["kind"], subject["spec"]
        case = make_case(kind, spec, order["plugins"], Path(order["folder"]), order["first"])
        for one in CHECKS[kind]:
            if not (one.everywhere or order["first"]):
                continue
            if case.hopeless:
                results.append(Result(spec, one.name, backend, "skipped", "it does not build"))
                continue
            results.append(perform(one, case, spec, backend))
        facts[spec] = case.facts
    return {"results": [asdict(result) for result in results], "facts": facts}


def main() -> None:
    try:
        answer = work(json.load(sys.stdin))
    except GANForgeError as error:
        answer = {"error": str(error), "usage": isinstance(error, UsageError)}
    Path(sys.argv[1]).write_text(json.dumps(answer), "utf-8")


if __name__ == "__main__":
    main()
