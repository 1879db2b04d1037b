"""How much memory there is, asked before something that a file declares is believed and made."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

UNKNOWN = 2**40


def memory_left() -> int:
    """Return how many bytes this process may still take: what the machine has free, and its control group allows.

    Where the system tells nothing (Windows), all is allowed.
    """
    left = UNKNOWN
    with suppress(OSError, ValueError):
        for line in Path("/proc/meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                left = int(line.split()[1]) * 1024
    if left == UNKNOWN and "SC_PHYS_PAGES" in getattr(os, "sysconf_names", {}):
        with suppress(OSError, ValueError):
            left = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    with suppress(OSError, ValueError):
        group = Path("/sys/fs/cgroup")
        left = min(left, int((group / "memory.max").read_text()) - int((group / "memory.current").read_text()))
    return max(left, 0)
