"""Faults put into the code on purpose: the tests must see every one.

``python -m tests.mutants`` puts each into a copy of the repository, runs the tests that should see it, and names
those that none saw. A fault is one exact replacement in one file (``fault.py``), so a change to that place makes it
stale, which is said; write it again for the code as it is, and see a test fail for it.

What belongs here: a sign, a factor, a wrong tensor, one off, an order, a forgotten call, such as happen when code is
changed in good faith. What does not: what no test could see (an equivalent), and what every test sees (a name that
does not exist).
"""

from __future__ import annotations

from tests.mutants import (
    adapters,
    backends,
    balance,
    cluster,
    core,
    data,
    devices,
    engine,
    export,
    losses,
    media,
    metrics,
    objects,
    optimizers,
    runs,
    scale,
    strangers,
    takeaway,
    unlucky,
)
from tests.mutants.fault import Fault

PARTS = (
    *(engine, backends, losses, balance, optimizers, metrics, data, adapters, objects, media, runs, strangers),
    *(unlucky, core, cluster, devices, scale, export, takeaway),
)
FAULTS: tuple[Fault, ...] = tuple(fault for part in PARTS for fault in part.FAULTS)
