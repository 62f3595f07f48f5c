"""`history`: past runs as tables that say what the ledger and the dead letters say; a query reaches nothing else."""

import csv
import io
import json
import shutil
import time
from contextlib import closing

import duckdb
import pytest
from workplace import Workplace

from bucket_loader.model.attempts import Attempt
from bucket_loader.model.chunks import Chunk
from bucket_loader.model.counts import COUNTS, Counts
from bucket_loader.runs.history.tables import HISTORY_TABLES
from bucket_loader.state.ledger import Concluded, Intent, Ledger, NewStream

PLANTED = "zq-planted-7"
USERS = """
- name: people
  record: user
  source: {type: csv, path: people.csv}
  sync: full
  fields: {userId: id, attributes: {seats: {column: seats, type: integer}, note: note}}
"""
ROWS = ["id,seats,note", *(f"u{number},{number},n" for number in range(38)), *[f"x,{PLANTED},{PLANTED}"] * 2]


@pytest.fixture(scope="module")
def ran(tmp_path_factory, shared_emulator):
    """A workplace with two runs of forty rows, two of which are rejected, against an API that often fails."""
    place = Workplace(tmp_path_factory.mktemp("history"), shared_emulator.url)
    shared_emulator.call("POST", "/_emulator/reset")
    place.write("people.csv", "\n".join(ROWS))
    pipeline = place.pipeline(USERS)
    pipeline.write_text(pipeline.read_text().replace("patience: 1s", "patience: 60s\n  chunk: {records: 10}"))
    shared_emulator.faults({"kind": "status", "status": 500, "rate": 0.3})
    place.names = [place.run().summary["run"] for _ in range(2)]
    place.requests = len({entry["request"] for entry in shared_emulator.journal()})
    return place


@pytest.fixture
def people(ran, tmp_path):
    """A copy of it."""
    place = Workplace(tmp_path / "copy", ran.url)
    shutil.copytree(ran.folder, place.folder)
    place.names, place.requests = ran.names, ran.requests
    return place


def rows(place, sql):
    """Return the rows of a query."""
    found = place.command("history", "--json", "--sql", sql)
    assert (found.exit_code, found.stderr) == (0, ""), found.stderr
    return found.summary["rows"]


def ledger_of(place):
    """Open the ledger of a workplace."""
    (path,) = place.folder.glob(".bucket_loader/*/ledger.db")
    return closing(Ledger(path))


# --- what the tables say --------------------------------------------------------------------------------------------


def test_runs_and_streams_say_what_status_says(people):
    """Every count of every stream, and how each run ended."""
    told = people.command("status", "--json").summary["runs"]
    runs = rows(people, "from runs order by number desc")
    streams = rows(people, "from streams order by run desc")

    assert [row["run"] for row in runs] == [one["run"] for one in told] == people.names[::-1]
    for row, one in zip(runs, told, strict=True):
        names = ("status", "exit_code", "as_of", "created_at", "ended_at", "requests", "retries")
        assert {name: row[name] for name in names} == {name: one[name] for name in names}
        assert row["seconds"] > 0
    assert [{name: row[name] for name in (count.name for count in COUNTS)} for row in streams] == [
        one["streams"]["people"] for one in told]  # fmt: skip


def test_attempts_are_the_requests_that_were_made_each_with_its_status(people):
    """As many as the runs and the chunks count; those that the API answered well are those that it has journalled."""
    by_run = rows(people, "select run, count(*) as n from attempts group by all order by run")
    requests = rows(people, "select run, requests as n from runs order by run")
    chunks = rows(people, "select run, sum(attempts) as n from chunks group by all order by run")
    good = rows(people, "select count(*) as n from attempts where status = 200")
    within = rows(
        people,
        """select count(*) as n from attempts join runs using (run)
        where attempts.ended_at between created_at and runs.ended_at and attempts.seconds between 0 and 5""",
    )

    assert by_run == requests == chunks
    assert good == [{"n": people.requests}]
    assert within == [{"n": sum(row["n"] for row in by_run)}]
    assert {row["status"] for row in rows(people, "select distinct status from attempts")} == {200, 500}


def test_rejections_are_added_up_by_what_the_dead_letters_say(people):
    """As many rows as were rejected; where letters are gone nothing is said of them."""
    found = rows(people, "select * exclude (first_at, last_at) from rejections where run = (select max(run) from runs)")

    assert found == [{
        "run": people.names[1], "stream": "people", "source": "people.csv", "stage": "map", "code": "integer",
        "field": "attributes.seats", "message": "column 'seats' is not a whole number", "rows": 2}]  # fmt: skip
    (letters,) = people.folder.glob(f".bucket_loader/*/dead_letters/{people.names[1]}.jsonl")
    letters.unlink()
    assert rows(people, "select run, sum(rows) as n from rejections group by all") == [
        {"run": people.names[0], "n": 2}]  # fmt: skip


def test_what_is_folded_says_so(people):
    """Its chunks are few rows, its attempts are counted by their answers, and its counts stay."""
    before = rows(people, "select run, sum(delivered) as n from streams group by all order by run")
    status = rows(
        people, "select status, count(*) as n from attempts where run = (select min(run) from runs) group by all"
    )
    with ledger_of(people) as ledger:
        ledger.fold(people.names[0], letters_stay=True)

    assert rows(people, "select run, sum(delivered) as n from streams group by all order by run") == before
    assert rows(people, "select run, folded from runs order by run") == [
        {"run": people.names[0], "folded": True}, {"run": people.names[1], "folded": False}]  # fmt: skip
    assert rows(people, "select distinct run from attempts") == [{"run": people.names[1]}]
    assert rows(people, "select answers from streams order by run limit 1") == [
        {"answers": {str(row["status"]): row["n"] for row in status}}]  # fmt: skip
    assert rows(people, "select sum(folded) as n from chunks") == [{"n": 4}]


def test_no_table_holds_a_value_of_a_row(people):
    """Whatever is asked, and in whatever form."""
    for table in HISTORY_TABLES:
        for form in ("csv", "json", "table"):
            found = people.command("history", "--sql", f"from {table}", "--format", form)
            assert found.exit_code == 0
            assert PLANTED not in found.stdout + found.stderr


@pytest.mark.long
def test_sums_over_a_thousand_runs_are_those_of_audit_and_take_two_seconds(companies):
    """Also of runs that are folded; in two seconds of this process, however busy the machine is."""
    companies.run()
    with ledger_of(companies) as ledger:
        _thousand(ledger)
    began = time.process_time()
    (sums,) = rows(
        companies, "select sum(delivered) as delivered, sum(rejected) as rejected, sum(read) as read from streams"
    )
    took_s = time.process_time() - began
    told = companies.command("status", "--last", "1001", "--json").summary["runs"]
    audited = [companies.command("audit", one["run"], "--json").summary for one in told[::50]]

    assert sums == {name: sum(stream[name] for one in told for stream in one["streams"].values()) for name in sums}
    assert rows(companies, "select count(*) as n from chunks where folded is not null")[0]["n"] > 100
    sql = """select run, sum(coalesce(folded, 1)) as chunks, sum(records) filter (state <> 'split') as records
             from chunks group by all"""
    by_run = {row["run"]: row for row in rows(companies, sql)}
    assert all(one["sound"] for one in audited)
    assert [{name: one[name] for name in ("run", "chunks", "records")} for one in audited] == [
        by_run[one["run"]] for one in audited]  # fmt: skip
    assert took_s < 2.0


def _thousand(ledger):
    """Put a thousand runs of ten chunks into a ledger; the first three hundred are folded."""
    for number in range(1_000):
        run, at = f"2025{number:04d}", f"2025-01-{number // 40 + 1:02d}T{number % 24:02d}:00:00.000Z"
        counts = Counts(read=100 + number % 7, rejected=number % 7, pending=100)
        ledger.add_run(run, as_of=at, interval=None, plan_digest="d", created_at=at,
                       streams=[NewStream(0, "companies", "m", counts)])  # fmt: skip
        entries = []
        for first in range(0, 100, 10):
            chunk = Chunk(0, tuple(range(first, first + 10)), (b"{}",) * 10)
            tries = (Attempt(1_736_000_000_000 + number, 200, 40),)
            entries += [Intent(chunk), Concluded(chunk, "delivered", 1, 0, 200, tries=tries)]
        ledger.commit(run, entries)
        ledger.settle(run, 0, stream="companies", part=None)
        ledger.end_run(run, "succeeded", exit_code=0, ended_at=at)
        if number < 300:
            ledger.fold(run, letters_stay=False)


# --- how they are made ----------------------------------------------------------------------------------------------


def test_only_what_a_query_names_is_read(people, monkeypatch):
    """Who asks for runs does not wait for the dead letters of years."""
    monkeypatch.setattr("bucket_loader.state.letters.WithLetters.letters_of", lambda *_: 1 / 0)
    monkeypatch.setattr("bucket_loader.state.ledger.past.Past.chunk_pages", lambda *_: 1 / 0)

    assert len(rows(people, "from runs join streams using (run)")) == 2
    for table in ("rejections", "chunks", "attempts"):
        with pytest.raises(ZeroDivisionError):
            raise people.command("history", "--sql", f"from {table}").exception


def test_a_table_shows_one_moment_whatever_a_run_does_beside_it(people, monkeypatch):
    """What is committed while the tables are filled is in none of them."""
    from bucket_loader.runs.history import filling

    def meanwhile(ledger):
        with ledger_of(people) as other:
            other.add_traffic(people.names[0], requests=1_000, retries=0)
            chunk = Chunk(0, (90_000,), (b"{}",))
            other.commit(people.names[0], [Intent(chunk), Concluded(chunk, "delivered", 1, 0, 200)])
        return real(ledger)

    real = filling._streams
    monkeypatch.setattr(filling, "_streams", meanwhile)
    asked = """select (select sum(requests) from runs) as a, (select sum(delivered) from streams) as b,
               (select count(*) from chunks where members = '90000-90000') as c"""
    (during,) = rows(people, asked)
    monkeypatch.undo()
    (after,) = rows(people, asked)

    assert (during["c"], after["c"]) == (0, 1)
    assert (after["a"], after["b"]) == (during["a"] + 1_000, during["b"] + 1)


def test_before_the_first_run_all_tables_are_empty(companies):
    """A dashboard's query works on its first day, and makes no state."""
    assert rows(companies, "select count(*) as n from runs, streams, chunks, attempts, rejections") == [{"n": 0}]
    assert "no run yet" in companies.command("history").stderr
    assert not (companies.folder / ".bucket_loader").exists()


def test_what_tables_there_are_can_be_asked(companies):
    """`show tables` and `describe` say what `--help` says."""
    tables = rows(companies, "show tables")
    described = {one["name"]: rows(companies, f"describe {one['name']}") for one in tables}
    helped = companies.command_of("history", "--help").stdout

    assert sorted(described) == sorted(HISTORY_TABLES)
    for name, table in HISTORY_TABLES.items():
        assert [row["column_name"] for row in described[name]] == [column.name for column in table.columns]
        assert f"Table {name}:" in helped
        assert all(column.name in helped for column in table.columns)


# --- what a query may do --------------------------------------------------------------------------------------------

READS = ["from '{}'", "from read_csv('{}')", "select * from read_text('{}')", "select * from glob('{}*')",
         "select content from read_blob('{}')"]  # fmt: skip
WRITES = ["copy runs to '{}'", "copy (select 1) to '{}' (format json)", "export database '{}'", "attach '{}' as x",
          "set temp_directory = '{}'", "install httpfs", "load '{}'", "create table t as select 1",
          "drop table runs", "delete from runs", "insert into runs (run) values ('x')", "call duckdb_settings()",
          "pragma database_list", "select 1; select 2", ""]  # fmt: skip


@pytest.mark.parametrize("sql", READS + WRITES)
def test_a_hostile_query_reads_no_file_and_writes_none(companies, sql):
    """It ends with 2, and the folder is as it was."""
    secret = companies.write("secret.csv", PLANTED)
    before = {path: path.read_bytes() for path in companies.folder.iterdir() if path.is_file()}
    found = companies.command("history", "--format", "csv", "--sql", sql.format(secret))

    assert (found.exit_code, found.stdout, found.exception) == (2, "", None)
    assert "error: the query" in found.stderr
    assert PLANTED not in found.stderr
    assert {path: path.read_bytes() for path in companies.folder.iterdir() if path.is_file()} == before


@pytest.mark.parametrize(
    ("sql", "words"),
    [
        ("from run", "there is no table or source run; did you mean `runs`?"),
        ("select runn from runs", "there is no column runn; did you mean `run`?"),
        ("select nothing(1)", "there is no function nothing"),
        ("select from", "the query cannot be read"),
        ("select 1 as a, 2 as a", "the query gives 'a' more than once"),
        ("from 'nowhere.csv'", "the query"),
    ],
)
def test_a_mistake_is_told_in_plain_words(companies, sql, words):
    """With what was meant, and where the tables are listed."""
    found = companies.command("history", "--sql", sql)

    assert (found.exit_code, found.exception) == (2, None)
    assert words in found.stderr
    assert "hint: " in found.stderr


@pytest.mark.parametrize(
    ("error", "exit_code", "words"),
    [
        (
            duckdb.OutOfMemoryException("failed to offload"),
            2,
            "the query needs more than 1 GB of memory and 1 GB of disk",
        ),
        (RuntimeError("Query interrupted"), 130, ""),
    ],
)
def test_what_ends_a_query_that_asks_for_too_much(companies, monkeypatch, error, exit_code, words):
    """It gets a bounded room, so that a run beside it keeps its disk; Ctrl-C ends it as it ends any command."""

    def fail(*_):
        raise error

    monkeypatch.setattr("bucket_loader.sources.duck.batches", fail)
    found = companies.command("history", "--sql", "from runs")

    assert (found.exit_code, found.exception) == (exit_code, None)
    assert words in found.stderr


# --- how it is told -------------------------------------------------------------------------------------------------


def test_csv_and_json_say_the_same(people):
    """Times as on the wire, nothing for null, JSON for what has an inside; also without `--sql`."""
    sql = """select run, ended_at, aside, part, attempts, [1, 2] as l, 1.5::decimal(4, 2) as d, sum(1) as h,
             'a,b' || chr(10) as t, date '2026-01-31' as day, map {'x': 1} as m from chunks join runs using (run)
             group by all order by all"""
    for words in ((), ("--sql", sql)):
        told = people.command("history", "--format", "json", *words).summary["rows"]
        table = list(csv.DictReader(io.StringIO(people.command("history", "--format", "csv", *words).stdout)))
        assert table == [{name: "" if value is None else value if isinstance(value, str) else json.dumps(value)
                          for name, value in row.items()} for row in told]  # fmt: skip
    assert (told[0]["l"], told[0]["d"], told[0]["m"]) == ([1, 2], 1.5, {"x": 1})
    assert isinstance(told[0]["h"], int)
    assert told[0]["ended_at"].endswith("Z")


def test_the_last_runs_are_a_table_with_what_is_drawn_of_them(people):
    """Newest first, as `status` has them; a sign for each run, within eighty columns."""
    told = people.command("history", COLUMNS="80").stderr.splitlines()
    status = people.command("status", COLUMNS="80").stderr.splitlines()

    assert told[:3] == status[:3]
    assert [line.split()[0] for line in told[-3:]] == ["delivered", "rejected", "took"]
    assert "██  most 38, last 38" in told[-3]
    assert max(map(len, told)) <= 80


def test_rows_that_are_wider_than_the_screen_are_lists(people):
    """Nothing is cut, and nothing is torn into columns of three letters."""
    wide = people.command("history", "--sql", "from runs order by number", COLUMNS="80").stderr.splitlines()
    narrow = people.command("history", "--sql", "select state, sum(records) as n from chunks group by all order by n")

    assert wide[:3] == ["row 1", f"  run             {people.names[0]}", "  number          1"]
    assert narrow.stderr.splitlines()[0].split() == ["state", "n"]
    assert narrow.stderr.splitlines()[-1].startswith("delivered  ")


def test_a_thousand_rows_are_shown_and_the_rest_are_counted(companies):
    """Who wants all of them takes CSV."""
    told = companies.command("history", "--sql", "select * from range(1234)").stderr.splitlines()

    assert len(told) == 1_002
    assert told[-1] == "... and 234 more: `--format csv` writes all rows"
