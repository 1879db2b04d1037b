"""Run in a process of its own for each backend: ``python -m tests.exact.probe BACKEND`` prints one JSON line."""

from __future__ import annotations

import json
import sys
from time import perf_counter

from ganforge.backend import choose_backend

choose_backend(sys.argv[1])

import keras  # noqa: E402

from tests.exact import draws, pairs  # noqa: E402

seconds = {}


def timed(function, *arguments, **keywords):
    begun = perf_counter()
    result = function(*arguments, **keywords)
    seconds[f"{function.__name__} {' '.join(arguments)}"] = round(perf_counter() - begun, 2)
    return result


taken, refused = timed(pairs.every_pair)
report = {
    "backend": keras.backend.backend(),
    "pairs": taken,
    "refused": refused,
    "together": timed(pairs.several_at_once),
    "far": timed(pairs.far_logits),
    "noise": {name: timed(draws.noise, name) for name in draws.NOISY},
    "labels": {
        "label-noise": timed(draws.labels, "label-noise", flip=0.3, smooth=0.25),
        "auto": timed(draws.labels, "auto", start=1.0, flip=0.3, noise=0.0, fade=0.0, gamma=0.0),
    },
    "fresh": timed(draws.fresh),
    "statistics": timed(draws.statistics),
    "precision": timed(draws.precision),
    "seconds": seconds,
}
print(json.dumps(report))
