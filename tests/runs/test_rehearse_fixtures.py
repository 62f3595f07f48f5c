"""`rehearse --source NAME=FILE`: fixtures stand for sources, and nothing else is asked."""

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bucket_loader.config import load_pipeline
from bucket_loader.model import BucketLoaderError, UsageError
from bucket_loader.reporting import on_stderr
from bucket_loader.runs import make_job, plan_job
from bucket_loader.runs.fixtures import read_fixtures, require_fixtures
from bucket_loader.runs.job import RunOptions

HEAD = """
destination: {base_url: "${NO_HOST}", key: "${NO_KEY}", environment: "${NO_ENVIRONMENT}", requests_per_second: "${NO}"}
hash_key: ${NO_HASH_KEY}
"""
COMPANY = """
  - name: accounts
    record: company
    source: SOURCE
    fields: {companyId: id, attributes: {seats: seats, mail: {column: mail, hash: hmac}}}
"""
# Sources that cannot be reached from here, and whose variables are not set.
SOURCES = {
    "postgres": '{type: sql, url: "postgresql://${PGHOST}/db", password: "${PW}", query: "select 1"}',
    "a query in a file": '{type: sql, url: "snowflake://u@a/db", query_file: "${SQL}.sql"}',
    "sqlite": "{type: sql, url: 'sqlite:///nowhere.db', table: accounts}",
    "any other database": '{type: sql, url: "oracle://${H}/x", table: t, statement_timeout: 5m}',
    "csv": '{type: csv, path: "${EXPORTS}/accounts.csv", null_values: ["-"]}',
    "an interval's files": '{type: csv, path: "x-{interval_start:%Y}.csv"}',
    "new files": '{type: csv, path: "${EXPORTS}/*.csv", new_files: true}',
    "parquet in a store": '{type: parquet, path: "s3://b/*.parquet", storage: {region: "${REGION}"}}',
    "json over https": '{type: jsonl, path: "${EXPORT_URL}", columns: [id]}',
    "excel": "{type: excel, path: book.xlsx, sheet: one}",
    "arrow": "{type: arrow, path: nowhere.arrow}",
    "delta": '{type: delta, path: "az://c/t", version: 3}',
    "iceberg": '{type: iceberg, table: a.b, catalog: {type: rest, uri: "${URI}", token: "${TOKEN}"}}',
    "a query": "{type: query, sql: 'select id, seats, mail from a.b.c'}",
    "nothing that is known": "{type: sq, urll: x}",
}
CSV = "id,seats,mail\n00123,5,a@x\n7,,\n"
ROWS = [{"id": "00123", "seats": 5, "mail": "a@x"}, {"id": "7", "seats": None, "mail": None}]


def fixture(folder, form):
    """Write the two rows in a form, for the file's path."""
    file = folder / f"rows [1] of {form}.{form}"
    if form == "parquet":
        pq.write_table(pa.Table.from_pylist(ROWS), file)
    else:
        file.write_text(CSV if form == "csv" else "".join(json.dumps(row) + "\n" for row in ROWS))
    return file


def loaded(folder, text, fixtures):
    """Load a pipeline with fixtures and without any variable."""
    file = folder / "pipeline.yaml"
    file.write_text(f"name: t{HEAD}{text}")
    given = {"base_url": "http://127.0.0.1", "key": "pub_x"}
    return load_pipeline(file, variables={}, destination=given, fixtures=fixtures)


def rows_of(folder, text, fixtures, **options):
    """Plan it, for the rows of each stream's plan."""
    pipeline = loaded(folder, text, fixtures)
    require_fixtures(pipeline, options.get("streams", ()))
    options = RunOptions(state=folder / "state", **options)
    job = make_job(pipeline, options, on_stderr(quiet=True), file=folder / "pipeline.yaml")
    plan = plan_job(job).plan
    return {one.name: pq.read_table(plan.records(one).files[0]).to_pylist() for one in plan.manifest.streams}


def planned(folder, text, fixtures, **options):
    """Plan it, for the records of each stream."""
    found = rows_of(folder, text, fixtures, **options)
    return {name: [json.loads(row["record"]) for row in rows] for name, rows in found.items()}


def records_of(folder, text, fixtures, **options):
    """Return the ids and attributes that would be sent for the accounts."""
    found = planned(folder, text, fixtures, **options)["accounts"]
    return [(one["companyId"], one.get("attributes", {})) for one in found]


@pytest.mark.parametrize("source", SOURCES)
def test_a_fixture_stands_for_any_source(source, tmp_path):
    """No variable of the real one is needed, and nothing is left of it that could be asked."""
    streams = f"streams:{COMPANY}".replace("SOURCE", SOURCES[source])
    pipeline = loaded(tmp_path, streams, {"accounts": fixture(tmp_path, "csv")})

    assert [row.source.read.path for row in pipeline.streams] == [str(tmp_path / "rows [1] of csv.csv")]


def test_ids_of_a_fixture_stay_text(tmp_path):
    """The rows are mapped as those of the warehouse would be; a CSV file without types is text."""
    streams = f"streams:{COMPANY}".replace("SOURCE", SOURCES["postgres"])
    first, second = records_of(tmp_path, streams, {"accounts": fixture(tmp_path, "csv")})

    assert (first[0], first[1]["seats"], second) == ("00123", "5", ("7", {}))
    assert len(first[1]["mail"]) == 64


@pytest.mark.parametrize("form", ["csv", "parquet", "jsonl"])
def test_a_row_of_a_fixture_names_the_file_alone(form, tmp_path):
    """Where it lies differs between machines, and what is asserted of a rehearsal should not."""
    file = fixture(tmp_path, form)
    streams = f"streams:{COMPANY}".replace("SOURCE", SOURCES["postgres"])

    assert {row["source"] for row in rows_of(tmp_path, streams, {"accounts": file})["accounts"]} == {file.name}


@pytest.mark.parametrize("form", ["parquet", "jsonl"])
def test_a_file_with_types_keeps_them(form, tmp_path):
    """A number is a number, as it would be from the warehouse; the hash is the same from every form."""
    streams = f"streams:{COMPANY}".replace("SOURCE", SOURCES["postgres"])
    found = records_of(tmp_path, streams, {"accounts": fixture(tmp_path, form)})

    from_csv = records_of(tmp_path, streams, {"accounts": fixture(tmp_path, "csv")})
    assert found == [("00123", {"seats": 5, "mail": from_csv[0][1]["mail"]}), ("7", {})]


def test_a_fixture_of_its_own_kind_is_read_with_the_sources_words(tmp_path):
    """A small copy of an export is read as the export is."""
    (tmp_path / "small.csv").write_text("id;seats;mail\n1;-;\n")
    own = '{type: csv, path: "s3://b/x.csv.gz", storage: {region: r}, new_files: true, compression: gzip, '
    streams = f"streams:{COMPANY}".replace("SOURCE", own + 'delimiter: ";", null_values: ["-"]}')

    assert records_of(tmp_path, streams, {"accounts": tmp_path / "small.csv"}) == [("1", {})]


def test_a_named_source_under_a_query_has_its_fixture(tmp_path):
    """The query itself is rehearsed; where a source and a stream share a name, the source is meant."""
    (tmp_path / "usage.csv").write_text("account,seats:bigint\na1,5\na1,2\na2,1\n")
    named = 'sources:\n  accounts: {type: sql, url: "${WAREHOUSE}", table: usage}\n'
    query = "{type: query, sql: 'select account as id, sum(seats)::int as seats, null as mail from accounts group by 1 "
    query += "having sum(seats) > 3'}"

    found = records_of(tmp_path, named + f"streams:{COMPANY}".replace("SOURCE", query),
                       {"accounts": tmp_path / "usage.csv"})  # fmt: skip
    assert found == [("a1", {"seats": 7})]


def test_where_and_cursor_are_the_loaders_and_apply(tmp_path):
    """`where:` filters the fixture's rows; a cursor's column has to be in it, and its query is not asked."""
    source = '{type: sql, url: "postgresql://h/d", query: "select * from t where at >= :cursor"}'
    more = "    where: seats > 3\n    cursor: {column: at, start: 2024-01-01}\n"
    (tmp_path / "f.csv").write_text("id,seats:integer,mail,at:timestamptz\n1,9,,2020-01-01\n2,1,,2026-01-01\n")
    streams = f"streams:{COMPANY}{more}".replace("SOURCE", source)

    assert records_of(tmp_path, streams, {"accounts": tmp_path / "f.csv"}) == [("1", {"seats": 9})]
    with pytest.raises(BucketLoaderError, match="`cursor:` names column 'at'"):
        records_of(tmp_path, streams, {"accounts": fixture(tmp_path, "parquet")})


TWO = f"""
sources: {{raw: {{type: sql, url: "${{WAREHOUSE}}", table: t}}}}
streams:{COMPANY.replace("SOURCE", SOURCES["postgres"])}
  - name: usage
    record: event
    source: {{type: query, sql: "select * from raw"}}
    sync: full
    fields: {{userId: u, event: e}}
"""


def test_a_source_without_a_fixture_is_refused_by_name(tmp_path):
    """All that are missing are named, also those under a query; what is not wanted is not missing."""
    with pytest.raises(UsageError, match="none for 'raw'") as refused:
        planned(tmp_path, TWO, {"accounts": fixture(tmp_path, "csv")})
    assert "--source 'raw=FILE'" in str(refused.value)
    with pytest.raises(UsageError, match="'accounts', 'raw'"):
        planned(tmp_path, TWO, {})

    assert len(records_of(tmp_path, TWO, {"accounts": fixture(tmp_path, "csv")}, streams=("accounts",))) == 2


def test_a_file_of_this_machine_needs_no_fixture(tmp_path):
    """It is read as it is, where its variables are set or it has none."""
    fixture(tmp_path, "csv").rename(tmp_path / "own.csv")
    streams = f"streams:{COMPANY}".replace("SOURCE", "{type: csv, path: own.csv}")

    assert [name for name, _ in records_of(tmp_path, streams, {})] == ["00123", "7"]


@pytest.mark.parametrize(
    ("name", "file", "words"),
    [
        ("acounts", "rows.csv", ["'acounts'", "did you mean `accounts`?"]),
        ("xyz", "rows.csv", ["'xyz'", "the file has: accounts"]),
        ("accounts", "none.csv", ["none.csv", "accounts"]),
        ("accounts", "rows.txt.exe", ["rows.txt.exe", ".csv"]),
        ("accounts", "rows", ["rows", ".parquet"]),
        ("accounts", "folder.csv", ["folder.csv"]),
        ("accounts", "v1.metadata.json", ["v1.metadata.json"]),
    ],
)
def test_a_fixture_that_stands_for_nothing_is_refused(name, file, words, tmp_path):
    """One message that names it, before anything is read."""
    (tmp_path / "folder.csv").mkdir()
    for each in ("rows.csv", "rows.txt.exe", "rows", "v1.metadata.json"):
        (tmp_path / each).write_text(CSV)
    streams = f"streams:{COMPANY}".replace("SOURCE", SOURCES["csv"])

    with pytest.raises(UsageError) as refused:
        planned(tmp_path, streams, {name: tmp_path / file})
    assert [word for word in words if word not in str(refused.value)] == []


@pytest.mark.parametrize(
    "streams", ["streams: 5\n", "streams: [5, {name: [1]}]\n", "streams: [{source: {}}]\nsources: 7\n"]
)
def test_a_file_of_another_shape_has_its_mistakes_told(streams, tmp_path):
    """Fixtures do not hide what is wrong with the file."""
    with pytest.raises(BucketLoaderError) as refused:
        planned(tmp_path, streams, {})
    assert refused.value.exit_code == 2


def test_one_source_has_one_fixture(tmp_path):
    """Under the source's name and the stream's, two files would stand for the same rows."""
    file = fixture(tmp_path, "csv")
    named = f"sources: {{raw: {{type: sql, url: x, table: t}}}}\nstreams:{COMPANY}".replace("SOURCE", "raw")

    with pytest.raises(UsageError, match="two fixtures stand for one source: 'accounts' and 'raw'"):
        loaded(tmp_path, named, {"accounts": file, "raw": file})


@pytest.mark.parametrize("word", ["accounts", "accounts=", "=x.csv", ""])
def test_a_word_that_is_no_fixture_is_refused(word):
    """The message shows what to write."""
    with pytest.raises(UsageError, match="NAME=FILE"):
        read_fixtures([word])


def test_a_name_has_one_fixture():
    """A path may hold an equals sign; a name twice is a mistake."""
    assert str(read_fixtures(["a=x=1/y.csv"])["a"]) == "x=1/y.csv"
    with pytest.raises(UsageError, match="twice"):
        read_fixtures(["a=x.csv", "a=y.csv"])


def test_a_rehearsal_with_fixtures_needs_no_variable(workplace):
    """The whole command: nothing is set, limits do not apply, and what is rejected is exit 3 as ever."""
    workplace.write("pipeline.yaml", f"name: t{HEAD}limits: {{rejected: 1%}}\nstreams:{COMPANY}".replace(
        "SOURCE", SOURCES["postgres"]))  # fmt: skip
    fixture_file = workplace.write("f.csv", "id,seats:integer,mail\n00123,5,a@x\n,1,\n")
    empty = {"BUCKET_BASE_URL": None, "BUCKET_SECRET_KEY": None}

    result = workplace.command("rehearse", "--json", "--source", f"accounts={fixture_file}", **empty)

    assert (result.exit_code, result.exception) == (3, None)
    counts = result.summary["streams"]["accounts"]
    assert (counts["read"], counts["delivered"], counts["rejected"]) == (2, 1, 1)
    workplace.write("pipeline.yaml", f"name: t{HEAD}{TWO}")
    refused = workplace.command("rehearse", "--json", "--source", f"accounts={fixture_file}", **empty)
    assert (refused.exit_code, refused.summary["exit_code"]) == (2, 2)
    assert "none for 'raw'" in refused.stderr
