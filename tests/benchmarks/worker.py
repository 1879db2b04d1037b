"""One contender in a process of its own: ``python -m tests.benchmarks.worker CASE CONTENDER`` (two numbers).

Reads a number of steps a line, trains them and answers with a line of JSON.
"""

from __future__ import annotations

import json
import resource
import sys
import time

from tests.benchmarks.cases import CASES, CONTENDERS, make_stepper


def main() -> None:
    case, contender = CASES[int(sys.argv[1])], CONTENDERS[int(sys.argv[2])]
    begun = time.perf_counter()
    run = make_stepper(case, contender)
    built = time.perf_counter()
    run(1)
    first = time.perf_counter()
    print(json.dumps({"build": built - begun, "first_step": first - built}), flush=True)
    for line in sys.stdin:
        start = time.perf_counter()
        losses = run(int(line))
        seconds = time.perf_counter() - start
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps({"seconds": seconds, "peak_mib": peak, **losses}), flush=True)


if __name__ == "__main__":
    main()
