"""What a row costs, without a clock: Python's own calls, counted. A loop over rows that slips in multiplies them.

The figures are differences between two sizes, so that what is done once does not count.
"""

import json
import sqlite3
import sys
import threading
from collections import Counter
from contextlib import closing

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
import pytest
from bench import Bench
from pyarrow import csv

from bucket_loader.runs.begin import begin_run
from bucket_loader.runs.deliver import deliver_run
from bucket_loader.runs.job import opened
from bucket_loader.runs.plan import make_plan

pytestmark = pytest.mark.long

ROWS, MORE = 20_000, 60_000
CALLS_A_ROW_MAX = 0.02  # planning works in batches of 16,384: measured 0.006
CALLS_A_ROW_OF_SHAPE_MAX = 0.6  # a loop over rows costs one at the least: measured 0.02 to 0.33, more on a busy machine
CALLS_A_CHUNK_MAX = 520  # measured 450, some more where the machine makes it wait; 20 of them ask whose the state is


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
    "map": lambda number: [("plan", number / 8), ("seats", 1.0)],
    "json": lambda number: json.dumps({"plan": "pro", "seats": number, "geo": {"lat": number / 8}, "on": None}),
}


KINDS = {"map": pa.map_(pa.string(), pa.float64())}
ATTRIBUTES = {"json": {"note": {"column": "note", "type": "json"}}}


def events(folder, rows, shape):
    """Write so many events to a Parquet file, and give a stream of them."""
    numbers, values = range(rows), PROPS.get(shape, PROPS["flat"])
    table = pa.table({
        "id": pa.array(numbers, pa.int64()), "user": [f"u{number % 500}" for number in numbers],
        "at": pa.array([1_700_000_000_000_000 + number for number in numbers], pa.timestamp("us", "UTC")),
        "note": pa.array([values(number) for number in numbers], KINDS.get(shape)),
        "on": [number % 2 == 0 for number in numbers],
    })  # fmt: skip
    source, at = SOURCES.get(shape, as_parquet)(table, folder)
    return {
        "name": "events", "record": "event", "source": source, "key": ["id"],
        "fields": {"userId": "user", "event": {"value": "did"}, "timestamp": at,
                   "attributes": ATTRIBUTES.get(shape, "*")},
    }  # fmt: skip


def as_parquet(table, folder):
    """Write a Parquet file; returns the source and how its times are read."""
    pq.write_table(table, folder / "rows.parquet")
    return {"type": "parquet", "path": "rows.parquet"}, "at"


def as_wide(table, folder):
    """Write the same with a hundred more columns."""
    more = {f"c{number}": table["id"] for number in range(100)}
    return as_parquet(pa.table(dict(zip(table.column_names, table.columns, strict=True)) | more), folder)


def as_csv(table, folder, form="%Y-%m-%dT%H:%M:%SZ"):
    """Write a CSV file."""
    texts = table.set_column(2, "at", pc.strftime(table["at"].cast(pa.timestamp("s", "UTC"), safe=False), form))
    csv.write_csv(texts, folder / "rows.csv")
    return {"type": "csv", "path": "rows.csv"}, "at"


def as_local_csv(table, folder):
    """Write a CSV file with times of Berlin."""
    source, at = as_csv(table, folder, "%d.%m.%Y %H:%M")
    return source, {"column": at, "format": "%d.%m.%Y %H:%M", "timezone": "Europe/Berlin"}


def as_jsonl(table, folder):
    """Write JSON Lines."""
    lines = (json.dumps(row | {"at": row["at"].isoformat(), "more": {"seats": 1}}) for row in table.to_pylist())
    (folder / "rows.jsonl").write_text("\n".join(lines))
    return {"type": "jsonl", "path": "rows.jsonl"}, "at"


def as_sqlite(table, folder):
    """Write an SQLite file."""
    with closing(sqlite3.connect(folder / "rows.db")) as database, database:
        database.execute("CREATE TABLE t (id, user, at, note, flag)")
        rows = ([*row.values()] for row in table.to_pylist())
        database.executemany(
            "INSERT INTO t VALUES (?, ?, ?, ?, ?)", ([*row[:2], row[2].isoformat(), *row[3:]] for row in rows)
        )
    return {"type": "sql", "url": "sqlite:///rows.db", "table": "t"}, "at"


SOURCES = {"wide": as_wide, "csv": as_csv, "local csv": as_local_csv, "jsonl": as_jsonl, "sqlite": as_sqlite}


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


@pytest.mark.parametrize("shape", ["struct", "list", "map", "json", "wide", "csv", "local csv", "jsonl", "sqlite"])
def test_the_calls_that_a_row_of_another_shape_costs(counted, tmp_path, emulator, shape):
    """Whatever rows look like, and wherever they come from: Python is called for batches of them."""
    _first, little, much = (effort(counted, tmp_path, emulator.url, rows, shape)[0] for rows in (100, ROWS, MORE))

    assert little > 0
    assert (much - little) / (MORE - ROWS) <= CALLS_A_ROW_OF_SHAPE_MAX
