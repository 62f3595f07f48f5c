"""The start of a command: what is large is imported once, quickly, and then left alone by the garbage collector.

Python looks through all that was ever made for garbage, while it is made and once more at the end: a fifth of a short
run. What a library makes as it is imported stays to the end. Only for a process that is all ours, since it holds for
everything that is there by then.
"""

import contextlib
import ctypes
import gc
import os
import sys
from typing import Final

_HEAPS_MAX: Final = (-8, 2)  # glibc's M_ARENA_MAX: else each thread has a heap of its own, and keeps it
_MAPPED_FROM: Final = (
    -3,
    4 * 1024 * 1024,
)  # its M_MMAP_THRESHOLD, bytes: what is larger is given back when it is freed


def import_libraries() -> None:
    """Import the modules that stand on large libraries; does nothing when they are there already.

    DuckDB is not among them: its types have to be found and freed at the end, or it prints what it calls leaks.
    """
    if "pyarrow" in sys.modules:
        return
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # numpy's; they wait for work by spinning, and get none
    os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")  # Arrow's own keeps 70 MB and more of what is freed
    with contextlib.suppress(OSError, AttributeError):  # only glibc has it
        for parameter, value in (_HEAPS_MAX, _MAPPED_FROM):
            ctypes.CDLL(None).mallopt(parameter, value)
    gc.disable()
    try:
        from bucket_loader.config import load_pipeline  # noqa: F401
        from bucket_loader.delivery import Client  # noqa: F401
        from bucket_loader.planning import Plan  # noqa: F401
        from bucket_loader.state import Ledger  # noqa: F401
    finally:
        gc.enable()
    gc.freeze()
