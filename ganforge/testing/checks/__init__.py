"""The checks, a file for each kind of plugin: importing this fills ``ganforge.testing.framework.CHECKS``."""

from __future__ import annotations

# In the order that they run in: what every kind is held to comes first.
from ganforge.testing.checks import (  # noqa: F401
    architecture,
    common,
    dataset,
    logger,
    loss,
    optimizer,
    strategy,
    traced,
    training,
)
