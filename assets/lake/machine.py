"""What this process may use of its machine."""

import os


def cores() -> int:
    """The cores that this process may use, which a container or a batch system may hold below those of the machine."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
