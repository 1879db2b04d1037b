"""The checks, a file for each kind of plugin: importing this fills ``ganforge.testing.framework.CHECKS``."""

from __future__ import annotations

# In the order that they run in: what every kind is held to comes first.
from ganforge.testing.checks import common  # noqa: F401, I001
from ganforge.testing.checks import architecture, training  # noqa: F401
from ganforge.testing.checks import dataset, loss, strategy  # noqa: F401
