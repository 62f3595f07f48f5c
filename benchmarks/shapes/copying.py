"""DuckDB alone: the statement of BENCHMARK_SQL, in a process of its own."""

import os

import duckdb

from benchmarks.peers.shared import begin

begin()
duckdb.sql(os.environ["BENCHMARK_SQL"])
