"""What a row costs, without a clock: Python's own calls, counted. A loop over rows that slips in multiplies them.

The figures are differences between two sizes, so that what is done once does not count.
"""

import json
import sys
import threading
from collections import Counter

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from bench import Bench

from bucket_loader.runs.begin import begin_run
from bucket_loader.runs.deliver import deliver_run
from bucket_loader.runs.job import opened
from bucket_loader.runs.plan import make_plan

pytestmark = pytest.mark.long

ROWS, MORE = 20_000, 60_000
CALLS_A_ROW_MAX = 0.02  # planning works in batches of 16,384: measured 0.006
CALLS_A_NESTED_ROW_MAX = 0.3  # a statement more for each batch: measured 0.03 to 0.11
CALLS_A_CHUNK_MAX = 500  # measured 430, some more where the machine makes it wait; 20 of them ask whose the state is


@pytest.fixture
def counted():
    """Count the calls of Python functions, C's too, in this thread and those that it starts."""
    calls = Counter()

    def count(_frame, event, _argument):
        if event in {"call", "c_call"}:
            calls["calls"] += 1

    def counting(work, *arguments):
        calls.clear()
        threading.setprofile(count)
        sys.setprofile(count)
        try:
            given = work(*arguments)
        finally:
            sys.setprofile(None)
            threading.setprofile(None)
        return calls["calls"], given

    return counting


PROPS = {
    "flat": lambda number: f"note {number}",
    "struct": lambda number: {"plan": "pro", "seats": number, "geo": {"lat": number / 8}},
    "list": lambda number: ["a", "b"][: number % 3],
    "json": lambda number: json.dumps({"plan": "pro", "seats": number, "geo": {"lat": number / 8}, "on": None}),
}


ATTRIBUTES = {"json": {"note": {"column": "note", "type": "json"}}}


def events(folder, rows, shape):
    """Write so many events to a Parquet file, and give a stream of them."""
    numbers = range(rows)
    table = pa.table({
        "id": pa.array(numbers, pa.int64()), "user": [f"u{number % 500}" for number in numbers],
        "at": pa.array([1_700_000_000_000_000 + number for number in numbers], pa.timestamp("us", "UTC")),
        "note": [PROPS[shape](number) for number in numbers], "on": [number % 2 == 0 for number in numbers],
    })  # fmt: skip
    pq.write_table(table, folder / f"{rows}.parquet")
    return {
        "name": "events", "record": "event", "source": {"type": "parquet", "path": f"{rows}.parquet"}, "key": ["id"],
        "fields": {"userId": "user", "event": {"value": "did"}, "timestamp": "at",
                   "attributes": ATTRIBUTES.get(shape, "*")},
    }  # fmt: skip


def effort(counted, folder, url, rows, shape="flat"):
    """Return the calls that planning takes, and those of delivering."""
    bench = Bench(folder / f"{shape}-{rows}", url)
    bench.folder.mkdir()
    job = bench.job(events(bench.folder, rows, shape), concurrency=1)
    with opened(job) as state:
        planning, planned = counted(make_plan, job, state)
        begin_run(planned, state, job)
        delivering, summary = counted(deliver_run, job, state, planned)
    assert summary.streams["events"].delivered == rows
    return planning, delivering


def test_the_calls_that_a_row_costs(counted, tmp_path, emulator):
    """Planning calls Python for batches, never for rows; delivery for chunks."""
    _first, little, much = (effort(counted, tmp_path, emulator.url, rows) for rows in (100, ROWS, MORE))
    planning, delivering = ((after - before) / (MORE - ROWS) for before, after in zip(little, much, strict=True))

    assert 0 < planning <= CALLS_A_ROW_MAX
    assert 0 < delivering * 100 <= CALLS_A_CHUNK_MAX


@pytest.mark.parametrize("shape", ["struct", "list", "json"])
def test_the_calls_that_a_row_with_nested_values_costs(counted, tmp_path, emulator, shape):
    """Nested values of one shape are spelt by DuckDB, so that they call Python no oftener than others do."""
    _first, little, much = (effort(counted, tmp_path, emulator.url, rows, shape)[0] for rows in (100, ROWS, MORE))

    assert little > 0
    assert (much - little) / (MORE - ROWS) <= CALLS_A_NESTED_ROW_MAX
