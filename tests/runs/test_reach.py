"""How far a stream reads with one run, as its pipeline file tells."""

import pytest

from bucket_loader.config.yaml_file import pipeline_from
from bucket_loader.runs.reach import is_cut, reads_all

SQL = {"type": "sql", "url": "postgresql://host/database"}
CASES = {
    "a file": ({"type": "csv", "path": "a-*.csv"}, True, False),
    "each file once": ({"type": "csv", "path": "a-*.csv", "new_files": True}, False, False),
    "a path with the interval": ({"type": "csv", "path": "a-{interval_start:%Y}.csv"}, False, True),
    "a table": ({**SQL, "table": "users"}, True, False),
    "a query": ({**SQL, "query": "select *, 'now()' as today_s from users -- now"}, True, False),
    "a query of the interval": ({**SQL, "query": "select * from users where at >= :interval_start"}, False, True),
    "a query of the time of the run": ({**SQL, "query": "select * from users where at >= :as_of"}, False, False),
    "a query with a clock": ({**SQL, "query": "select * from users where at > current_date - 2"}, False, False),
    "a query that is not seen": ({**SQL, "query_file": "users.sql"}, False, True),
    "over what is whole": ({"type": "query", "sql": "select * from whole"}, True, False),
    "over what is not": ({"type": "query", "sql": "select * from whole join cut using (id)"}, False, True),
    "a DataFrame": ({"type": "frame", "frame": None}, False, False),
}


def stream(source, **words):
    """Return a pipeline of one stream, and the stream."""
    sources = {"whole": {"type": "csv", "path": "a.csv"}, "cut": {"type": "csv", "path": "{interval_start:%Y}.csv"}}
    streams = [{"name": "s", "record": "user", "source": source, "fields": {"userId": "id"}, **words}]
    made = pipeline_from({"name": "p", "destination": {"key": "sec_x"}, "sources": sources, "streams": streams})
    return made, made.streams[0]


@pytest.mark.parametrize("case", CASES)
def test_how_far_a_stream_reads(case):
    """All of its source, or a part that moves on; a window, where it depends on the interval."""
    source, whole, cut = CASES[case]
    found = stream(source)

    assert (reads_all(*found), is_cut(*found)) == (whole, cut)


def test_a_stream_that_moves_on_by_itself_does_not_read_everything():
    """It goes on after what it has read, or keeps what is young."""
    after = {**SQL, "query": "select * from users where at >= :cursor"}

    assert not reads_all(*stream(after, cursor={"column": "at", "start": "2026-01-01"}))
    assert not reads_all(*stream({"type": "csv", "path": "a.csv"}, where="at > :as_of"))
