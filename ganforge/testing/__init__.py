"""The conformance kit: does a plugin keep what the contract promises, on every backend that is installed?

In a plugin's own tests, three lines, one pytest test for each check and backend::

    from ganforge.testing import architecture_tests

    test_tiny = architecture_tests("tiny:width=4")

and ``strategy_tests``, ``loss_tests``, ``dataset_tests``, ``optimizer_tests``, ``logger_tests`` likewise.
``ganforge check tiny`` prints the same. Each backend runs once, in a process of its own; no Keras is loaded here.
``GANFORGE_CHECK_BACKENDS=torch`` (names parted by commas) narrows the backends down.
"""

from __future__ import annotations

import ganforge.testing.checks  # noqa: F401  (fills CHECKS)
from ganforge.testing.framework import CHECKS, Check, Result
from ganforge.testing.pytest_tests import (
    architecture_tests,
    dataset_tests,
    logger_tests,
    loss_tests,
    optimizer_tests,
    strategy_tests,
)
from ganforge.testing.runner import Report, Subject, backends_to_check, run_checks

__all__ = [
    "CHECKS",
    "Check",
    "Report",
    "Result",
    "Subject",
    "architecture_tests",
    "backends_to_check",
    "dataset_tests",
    "logger_tests",
    "loss_tests",
    "optimizer_tests",
    "run_checks",
    "strategy_tests",
]
