"""Another Python that runs this package: it finds the modules that this one finds, and no others."""

import os
import sys
from typing import Final

# Without -P the folder that it is started in comes first: a `queue.py` of the user's would be taken for Python's own.
PYTHON: Final = (sys.executable, "-P")


def as_imported_here() -> dict[str, str]:
    """Return the environment in which it finds the modules that this process finds."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
