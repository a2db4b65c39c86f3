"""How many cores a process may use."""

from __future__ import annotations

import os


def cores() -> int:
    """Return the cores that this process may run on; where the system does not say, as macOS, all of the machine."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
