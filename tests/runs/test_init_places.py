"""`init` of what holds several sources: a folder, a database, a workbook; and of URLs with and without a password."""

import json
import sqlite3

import duckdb
import openpyxl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from bucket_loader.cli.commands import main
from bucket_loader.config import load_pipeline

KEY = {"BUCKET_SECRET_KEY": "sec_test_0123456789abcdef0123"}
MOMENT = "2024-01-{:02d}T10:00:00Z"
TABLES = """
CREATE TABLE users (id VARCHAR, email VARCHAR, plan VARCHAR);
CREATE TABLE companies (id VARCHAR, name VARCHAR, seats INTEGER);
CREATE TABLE events (id VARCHAR, user_id VARCHAR, event VARCHAR, created_at VARCHAR);
CREATE TABLE invoices (id VARCHAR, company_id VARCHAR, amount INTEGER);
CREATE VIEW pro_users AS SELECT * FROM users WHERE plan = 'pro';
"""


@pytest.fixture
def here(tmp_path, monkeypatch):
    """Stand in an empty folder."""
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*words, exit_code=0):
    """Run `init`; return what it printed, and said."""
    result = CliRunner().invoke(main, ["init", *words], env={"COLUMNS": "200"})
    assert result.exit_code == exit_code, result.output
    return result.stdout, result.stderr


def loaded(text, folder, name="pipeline.yaml", **variables):
    """Return the pipeline of a text; its kinds of records by the streams' names, in order."""
    file = folder / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(text, "utf-8")
    pipeline = load_pipeline(file, variables={**KEY, **variables})
    return pipeline, {stream.name: stream.record for stream in pipeline.streams}


def filled(connection):
    """Make the tables, with some rows in them; none in the last one."""
    for statement in filter(str.strip, TABLES.split(";")):
        connection.execute(statement)
    for number in range(1, 21):
        connection.execute(f"INSERT INTO users VALUES ('u{number}', 'u{number}@x.org', 'pro')")
        connection.execute(f"INSERT INTO companies VALUES ('c{number}', 'Acme {number}', {number})")
        connection.execute(
            f"INSERT INTO events VALUES ('e{number}', 'u{number % 7}', 'login', '{MOMENT.format(number)}')"
        )
        connection.execute(f"INSERT INTO invoices VALUES ('i{number}', 'c{number}', {number})")


@pytest.fixture
def databases(here):
    """Two databases, each in a file."""
    with sqlite3.connect(here / "app.db") as connection:
        filled(connection)
    connection.close()
    with duckdb.connect(str(here / "app.duckdb")) as connection:
        filled(connection)
    return here


@pytest.mark.parametrize("source", ["app.db", "sqlite:///app.db", "app.duckdb", "duckdb:///app.duckdb"])
def test_the_tables_of_a_database_are_streams(databases, source):
    """Those that look like records, users first; the others are named with what they hold, and no view is read."""
    text, _ = init(source)
    pipeline, kinds = loaded(text, databases)

    assert kinds == {"users": "user", "companies": "company", "events": "event"}
    assert [pipeline.source_of(stream).table for stream in pipeline.streams] == ["users", "companies", "events"]
    assert "#   invoices (20 rows, 3 columns): " in text
    assert "  # 20 rows, 4 columns" in text
    assert "Views may show the same rows again, and were not looked at: pro_users." in text
    assert "x.org" not in text


def test_one_table_of_a_database(databases):
    """By a sign and its name behind the file; a wrong one is told, with those that there are."""
    text, _ = init("app.db#users")
    _, told = init("app.db#user", exit_code=2)

    assert loaded(text, databases)[1] == {"users": "user"}
    assert "no table 'user'" in told
    assert "users" in told.partition("no table")[2]


def test_a_file_in_another_folder_finds_its_database(databases, emulator):
    """The URL is written relative to the file, and the whole rehearses as it is."""
    (databases / "pipelines").mkdir()
    init("app.db", "-o", "pipelines/app.yaml")
    result = CliRunner().invoke(main, ["rehearse", "pipelines/app.yaml", "--json"])

    assert result.exit_code == 0, result.output
    streams = json.loads(result.stdout.splitlines()[-1])["streams"]
    assert {name: counts["delivered"] for name, counts in streams.items()} == dict.fromkeys(streams, 20)
    assert list(streams) == ["users", "companies", "events"]


def test_a_database_without_tables_says_so(here):
    """There is nothing to guess."""
    sqlite3.connect(here / "empty.db").execute("PRAGMA user_version = 1").connection.close()
    duckdb.connect(str(here / "empty.duckdb")).close()

    assert "has no tables" in init("empty.duckdb", exit_code=2)[1]


@pytest.mark.parametrize(
    ("url", "written"),
    [
        ("postgresql://localhost:1/app#users", "postgresql://localhost:1/app"),
        ("postgresql://ann@localhost:1/app#users", "postgresql://ann@localhost:1/app"),
        ("postgresql://localhost:1/app?sslmode=require#users", "postgresql://localhost:1/app?sslmode=require"),
        ("postgresql://ann:s3cr3t@localhost:1/app#users", None),
        ("postgresql://localhost:1/app?password=s3cr3t#users", None),
    ],
)
def test_a_url_is_written_as_it_is_unless_it_holds_a_password(here, url, written):
    """A password is neither written nor shown: the file refers to a variable, and says so once."""
    from bucket_loader.runs.init.places import places_of

    (place,), notes = places_of(url).members, places_of(url).notes

    assert ("s3cr3t" in "".join([place.shown, place.line, *notes])) is False
    assert place.words["url"] == (written or "${DATABASE_URL}")
    assert bool(notes) == (written is None)
    assert place.model.url.get_secret_value() == url.partition("#")[0]


def test_a_folder_of_exports(here):
    """One stream for each export, files that differ in digits alone are one, and what is no record is named."""
    folder = here / "exports"
    folder.mkdir()
    (folder / "users.csv").write_text("user_id,plan\n" + "".join(f"u{n},pro\n" for n in range(9)))
    for month in (1, 2):
        rows = "".join(f"u{n},login,2024-{month:02d}-01T00:00:0{n}Z\n" for n in range(9))
        (folder / f"events-2024-{month:02d}.csv").write_text("user_id,event,timestamp\n" + rows)
    lines = [json.dumps({"account_id": f"a{n}", "name": f"Acme {n}"}) + "\n" for n in range(9)]
    (folder / "accounts.jsonl").write_text("".join(lines))
    pq.write_table(pa.table({"invoice_id": ["i1", "i2"], "amount": [1, 2]}), folder / "invoices.parquet")
    (folder / "notes.pdf").write_text("none")
    text, _ = init("exports")
    pipeline, kinds = loaded(text, here)

    assert list(kinds.values()) == ["user", "company", "event"]
    assert [pipeline.source_of(one).path for one in pipeline.streams] == [
        "exports/users.csv", "exports/accounts.jsonl", "exports/events-*-*.csv"]  # fmt: skip
    assert "#   invoices (2 rows, 2 columns): " in text
    assert "Not looked at in exports: notes.pdf." in text


def test_a_folder_of_parts_of_one_table_is_one_source(here):
    """As a warehouse unloads it."""
    folder = here / "users"
    folder.mkdir()
    for number in range(2):
        pq.write_table(pa.table({"user_id": [f"u{number}"], "plan": ["pro"]}), folder / f"part-{number}.parquet")
    text, _ = init("users")
    pipeline, _ = loaded(text, here)

    assert [pipeline.source_of(one).path for one in pipeline.streams] == ["users"]


def test_all_sheets_of_a_workbook_are_looked_at(here):
    """With titles above a header; hidden and empty sheets are none; one with notes is named."""
    book = openpyxl.Workbook()
    users = book.active
    users.title = "Our users"
    for row in (["Export of our users"], [], ["User ID", "Plan", "Seats"], *([f"u{n}", "pro", n] for n in range(9))):
        users.append(row)
    accounts, hidden = book.create_sheet("Accounts"), book.create_sheet("Hidden")
    for row in (["Account ID", "Name"], *([f"a{n}", f"Acme {n}"] for n in range(9))):
        accounts.append(row)
        hidden.append(row)
    hidden.sheet_state = "hidden"
    book.create_sheet("Empty")
    book.create_sheet("Notes").append(["written by hand"])
    book.save(here / "book.xlsx")
    text, _ = init("book.xlsx")
    pipeline, kinds = loaded(text, here)
    sources = [pipeline.source_of(one) for one in pipeline.streams]

    assert list(kinds.values()) == ["user", "company"]
    assert [(one.sheet, one.header_row) for one in sources] == [("Our users", 3), ("Accounts", 1)]
    assert "Notes" in text
    assert "Hidden" not in text


def test_the_only_sheet_needs_no_name(here):
    """As before; beside an empty one that is shown it needs it."""
    book = openpyxl.Workbook()
    for row in (["User ID", "Plan"], *([f"u{n}", "pro"] for n in range(9))):
        book.active.append(row)
    book.save(here / "users.xlsx")
    book.create_sheet("Empty")
    book.save(here / "two.xlsx")

    assert "source: {type: excel, path: users.xlsx}" in init("users.xlsx")[0]
    assert "source: {type: excel, path: two.xlsx, sheet: Sheet}" in init("two.xlsx")[0]


def test_nothing_of_a_folder_is_a_record(here):
    """All of it is named, and the exit code says that there is no pipeline."""
    (here / "x").mkdir()
    (here / "x" / "invoices.csv").write_text("invoice_id,amount\n1,2\n3,4\n")
    (here / "x" / "prices.csv").write_text("sku,price\na,2\nb,4\n")
    _, told = init("x", exit_code=2)

    assert "nothing in x looks like users" in told
    assert "invoices" in told
    assert "prices" in told
