"""Another Python that runs this package: it finds the modules that this one finds, and no others."""

import os
import signal
import sys
from typing import Final

# Without -P the folder that it is started in comes first: a `queue.py` of the user's would be taken for Python's own.
PYTHON: Final = (sys.executable, "-P")


def as_imported_here() -> dict[str, str]:
    """Return the environment in which it finds the modules that this process finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def how_it_ended(code: int) -> tuple[str, str]:
    """Return in words how a process ended that should not have, and what can be done about it.

    Args:
        code: its exit code, or minus the signal that killed it.
    """
    how = f"was killed by signal {-code}" if code < 0 else f"ended with exit code {code}"
    if code == -signal.SIGKILL:
        return how, "the system kills what takes too much memory: fewer processes take less"
    return how, "what it said itself stands above"
