"""How a command starts: in a process of its own, since it is about the whole process."""

import os
import subprocess
import sys

SET = ("OPENBLAS_NUM_THREADS", "ARROW_DEFAULT_MEMORY_POOL")
LOOK = """
import gc, os, sys
from bucket_loader.cli.warmup import import_libraries

import_libraries()
print("pyarrow" in sys.modules, "duckdb" in sys.modules, gc.isenabled(), gc.get_freeze_count() > 10_000)
print(os.environ["OPENBLAS_NUM_THREADS"], sys.modules["pyarrow"].default_memory_pool().backend_name)
import duckdb

frozen = gc.get_freeze_count()
import_libraries()
print(gc.get_freeze_count() == frozen)
"""


def test_what_is_large_is_imported_once_and_duckdb_stays_in_sight():
    """All libraries but DuckDB are frozen; when they are there already, nothing is: a host's objects are its own."""
    environment = {name: value for name, value in os.environ.items() if name not in SET}
    words = [sys.executable, "-c", LOOK]
    ended = subprocess.run(words, env=environment, capture_output=True, text=True, check=True)

    assert ended.stdout.split() == ["True", "False", "True", "True", "1", "system", "True"]
    assert ended.stderr == ""  # nothing is called a leak
