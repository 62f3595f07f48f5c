"""`init`: what it guesses reads all that it has seen; what it cannot know it leaves to a person, and says so."""

import bz2
import gzip
import itertools
import json
import lzma
import re
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bucket_loader.model.errors import SourceError, UsageError
from bucket_loader.model.rows import InputBatch
from bucket_loader.runs.init.evidence import Column, first_rows
from bucket_loader.runs.init.first import first_pipeline
from bucket_loader.runs.init.roles import key_column


@pytest.fixture
def looked_at(tmp_path, monkeypatch):
    """Return a function that writes a file and looks at it; what it writes must pass a trial of the whole sample."""
    monkeypatch.chdir(tmp_path)

    def look(data, name="x.csv", *, record=None, rejects=0):
        (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)
        first = first_pipeline(name, record=record, name=None)
        assert first.problem is None, first.text
        assert sum(int(count) for count in re.findall(r"#   \S+: (\d+) rows? of", first.text)) == rejects, first.text
        return first.text

    return look


# --- times ---------------------------------------------------------------------------------------------------------


FORMATS = [
    (["12/31/2023", "01/02/2024"], 'format: "%m/%d/%Y", timezone: UTC'),
    (["31.12.2023", "01.02.2024"], 'format: "%d.%m.%Y", timezone: UTC'),
    (["31-12-2023 08:15", "01-02-2024 23:59"], 'format: "%d-%m-%Y %H:%M", timezone: UTC'),
    (["1/5/2023 1:45 PM", "12/31/2023 11:05 am"], 'format: "%-m/%-d/%Y %-I:%M %p", timezone: UTC'),
    (["1/25/2023, 1:45:07\u202fPM"], 'format: "%-m/%d/%Y, %-I:%M:%S\\U0000202f%p", timezone: UTC'),
    (["2023-01-05 13:45:00 UTC"], 'format: "%Y-%m-%d %H:%M:%S UTC", timezone: UTC'),
    (
        ["2023-01-05 13:45:00 UTC", "2023-01-05 13:45:00.123 UTC", "2023-01-05 13:45:01 UTC"],
        'format: ["%Y-%m-%d %H:%M:%S UTC", "%Y-%m-%d %H:%M:%S.%f UTC"], timezone: UTC',
    ),
    (["1/25/2023 13:45 +02:00", "1/5/2023 13:45 -0500"], 'format: "%-m/%-d/%Y %H:%M %z"'),
    (["2023/01/05", "2024/12/31"], 'format: "%Y/%m/%d", timezone: UTC'),
    (["5 Jan 2023", "31 dec 2023"], 'format: "%-d %b %Y", timezone: UTC'),
    (["January 5, 2023 1:45 PM", "May 31, 2023 2:00 PM"], 'format: ["%B %-d, %Y %-I:%M %p", "%b %-d, %Y %-I:%M %p"]'),
    (["Thu, 05 Jan 2023 13:45:00 GMT"], 'format: "%a, %d %b %Y %H:%M:%S GMT", timezone: UTC'),
    (["2023-01-05T13:45:00Z", "2023-01-05 13:45+02"], "type: timestamp}"),
    (["2023-01-05T13:45:00Z", "2023-01-05"], "type: timestamp, timezone: UTC}"),
    (["9999-12-31", "2023-01-05"], "type: date}"),
]
REFUTED = [
    (["31/12/2023", "12/31/2023"], "stays text: no one order of day and month reads all of its values"),
    (["30.02.2023", "31.01.2023"], "stays text: no one order"),
    (["2023-01-05 13:45:00 UTC", "2023-02-30 13:45:00 UTC"], "stays text: some of its values are no moments"),
    ([*["12/31/2023 1:45 PM"] * 9, "n/a"], "stays text: 1 of its 10 values are no times like the others"),
    ([*["1.5", "2"] * 10, "-"], "stays text: 1 of its 21 values are no numbers like the others"),
    (["1/5/23", "31/12/99"], None),
    (["2023-01-05T25:00:00", "2023-01-05T10:00:00"], "stays text: some of its values are no moments"),
    (["13/31/2023 24:00"], "stays text: no one order"),
    (["inf", "NaN", "1e999"], None),
]


def columns_of(*columns, names="c{}"):
    """Return a CSV file of users with these columns more; short ones end in nulls."""
    rows = itertools.zip_longest(*columns, fillvalue=None)
    head = ["user_id", *(names.format(place) for place in range(len(columns)))]
    lines = [
        [str(number), *(f'"{value}"' if value is not None else "" for value in row)] for number, row in enumerate(rows)
    ]
    return "\n".join(",".join(line) for line in [head, *lines]) + "\n"


def test_a_format_reads_every_value(looked_at):
    """Day and month are told apart by the whole sample, and each written form has its format."""
    text = looked_at(columns_of(*(values for values, _ in FORMATS)))

    for place, (_, words) in enumerate(FORMATS):
        (line,) = re.findall(rf"\n        c{place}: (.*)", text)
        assert words in line


def test_a_guess_that_the_sample_refutes_is_not_made(looked_at):
    """Then the column stays text, and what was nearly guessed is said."""
    text = looked_at(columns_of(*(values for values, _ in REFUTED)))

    for place, (_, note) in enumerate(REFUTED):
        assert f"\n        c{place}: c{place}" in text
        if note is not None:
            above = rf"# guess: it {note}.*\n +c{place}: c{place}\n"
            assert re.search(rf"{above}|c{place}: c{place}  # guess: it {note}", text)


def test_day_or_month_first_is_said_where_the_sample_allows_both(looked_at):
    """The custom of the separator is taken, or the order that another column shows; the other line stands above."""
    slashes = looked_at("user_id,event,date\n1,x,01/02/2023\n2,y,03/04/2024\n")
    dots = looked_at("user_id,event,date\n1,x,01.02.2023\n2,y,03.04.2024\n")
    beside = looked_at("user_id,event,date,paid\n1,x,01/02/2023,31/12/2023\n2,y,03/04/2024,01/02/2023\n")

    for text, form, other in (
        (slashes, "%m/%d/%Y", "%d/%m/%Y"),
        (dots, "%d.%m.%Y", "%m.%d.%Y"),
        (beside, "%d/%m/%Y", "%m/%d/%Y"),
    ):
        assert f'\n      timestamp: {{column: date, format: "{form}", timezone: UTC}}' in text
        assert f'# or: timestamp: {{column: date, format: "{other}", timezone: UTC}}' in text


EPOCHS = [(1_700_000_000, "s"), (1_700_000_000_123, "ms"), (1_700_000_000_123_456, "us"), (17 * 10**17, "ns")]
TIME_NAMES = ["created_at", "createdAt", "ts", "Event Time", "last_seen", "server_time_utc", "time_ms"]


def test_epochs_have_the_unit_that_their_values_show(looked_at):
    """In a column that is called like a time, from texts and from numbers; 0 and what is called otherwise are none."""
    for value, unit in EPOCHS:
        row = dict.fromkeys(TIME_NAMES, value) | {"user_id": "u", "amount": value, "sent_at": 0}
        as_text = "\n".join([",".join(row), ",".join(map(str, row.values()))])

        text = looked_at(as_text + "\n") if unit in {"s", "ms"} else looked_at(json.dumps(row) + "\n", "x.jsonl")
        assert text.count(f"type: timestamp, unit: {unit}}}") == len(TIME_NAMES)
        assert not re.search("(amount|sent_at): .*unit", text)


@pytest.mark.parametrize(("value", "unit"), [("1700000000.123", "s"), ("1700000000123", "ms")])
def test_an_epoch_may_be_the_time_of_an_event(looked_at, value, unit):
    """A column whose values read as times goes before one that is only called like it."""
    text = looked_at(f"user_id,event,at,created_at\nu,x,soon,{value}\n")

    assert f"timestamp: {{column: created_at, unit: {unit}}}  # guess" in text


# --- what does not stop it -----------------------------------------------------------------------------------------


def test_infinities_and_far_dates_do_not_stop_it(looked_at, tmp_path):
    """The rows that cannot be sent are named; the file is written, with every column in a form that `check` takes."""
    structs = pa.struct([("t", pa.timestamp("us"))])
    table = pa.table(
        {
            "user_id": ["1", "2"],
            "at": pa.array([1 << 60, 5], pa.timestamp("us")),
            "zoned": pa.array([1 << 60, 5], pa.timestamp("us", tz="UTC")),
            "day": pa.array([800_000_000, 5], pa.date32()),
            "float": [float("-inf"), 1.0],
            "nested": pa.array([{"t": 1 << 60}, {"t": None}], structs),
            "bytes": [b"\xff", b"x"],
            "decimal": [Decimal("1.10"), None],
        }
    )
    pq.write_table(table, tmp_path / "x.parquet")

    text = looked_at((tmp_path / "x.parquet").read_bytes(), "x.parquet", rejects=1)

    assert "column 'float' is infinite" in text
    assert "timezone: UTC  # guess: of the times inside" in text
    assert "bytes: {column: bytes, type: string, encoding: hex}" in text


def test_times_without_a_zone_as_the_time_of_an_event(looked_at, tmp_path):
    """Typed moments and dates get a zone, so that `check` takes them."""
    for kind in (pa.timestamp("ns"), pa.date32(), pa.timestamp("ms", tz="UTC")):
        times = pa.array([19_000], pa.int32()).view(pa.date32()).cast(kind)
        pq.write_table(pa.table({"user_id": ["1"], "event": ["x"], "at": times}), tmp_path / "e.parquet")

        text = looked_at((tmp_path / "e.parquet").read_bytes(), "e.parquet")

        zoned = "UTC" in str(kind)
        assert ("timestamp: at  # guess" if zoned else "timestamp: {column: at, timezone: UTC}  # guess") in text


@pytest.mark.parametrize(
    ("name", "data", "marks"),
    [
        ("x.csv", "a,a\n1,2\n", ("'a' more than once", "`names:`")),
        ("x.csv", 'user_id,name\n1,"x"y\n', ("line 2 a quoted field", '`quote: ""`')),
        ("x.csv", "", ("x.csv is empty", "header")),
        ("x.json", '[{"user_id": 1}]', ("is a JSON array", "one object a line")),
        ("x.csv.bz2", bz2.compress(b"user_id\n1\n"), ("compressed with bzip2", "gzip and zstd are read")),
        ("x.csv.xz", lzma.compress(b"user_id\n1\n"), ("compressed with xz", "gzip and zstd are read")),
        ("x.csv.gz", b"user_id\n1\n", ("named as if it were gzip", "`compression: none`")),
    ],
)
def test_where_it_cannot_go_on_the_problem_is_marked(tmp_path, monkeypatch, name, data, marks):
    """The file is written all the same, with what is wrong and with words that the file can have."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_bytes(data.encode() if isinstance(data, str) else data)

    first = first_pipeline(name, record=None, name=None)

    assert isinstance(first.problem, SourceError)
    marked = re.sub(r"\n#\s+", " ", first.text.partition("# problem:")[2].partition("\nname:")[0])
    assert [mark for mark in marks if mark not in marked] == []
    assert f"path: {name}" in first.text


def test_a_place_that_cannot_be_read_leaves_the_rows_before_it():
    """Guesses are made from them; the trial says what is wrong."""

    def batches():
        yield InputBatch(pa.record_batch({"a": ["1"]}), pa.array([1]), "x")
        raise SourceError("damaged")

    assert [batch.to_pylist() for batch in first_rows(batches())] == [[{"a": "1"}]]


def test_a_record_that_the_columns_do_not_make_is_marked(tmp_path, monkeypatch):
    """Events of nobody: what is missing is named, and it is said in the stream."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x.csv").write_text("at,event\n2024-01-01,x\n2024-01-02,y\n")

    first = first_pipeline("x.csv", record="event", name=None)

    assert isinstance(first.problem, UsageError)
    assert "# problem:" in first.text
    assert "`userId` of an event" in first.problem.message
    assert "# userId: column  # missing" in first.text


def test_a_total_at_the_end_is_no_id(looked_at):
    """A line that is unlike all others is left out by `where:`, and that is said."""
    rows = "".join(f"A{number},{number}\n" for number in range(20))

    text = looked_at(f"account_id,seats\n{rows}Total,190\nConfidential - do not distribute,\n", "accounts.csv")

    assert "2 of the ids are unlike all others" in text
    assert "where: \"not regexp_matches(account_id, '\\\\S\\\\s+\\\\S') and account_id not in ('Total')\"" in text


def test_a_file_is_written_whole_or_not_at_all(workplace, monkeypatch):
    """With -o: paths are relative to the file; one that is there stays, but with --force; a problem writes nothing."""
    monkeypatch.chdir(workplace.folder)
    workplace.write("exports/accounts.csv", "account_id,plan\na1,pro\na2,free\n")
    workplace.write("exports/invoices.csv", "id,account_id,amount\n1,a1,5\n")
    (workplace.folder / "pipelines").mkdir()

    written = workplace.command_of("init", "exports/accounts.csv", "--yes", "-o", "pipelines/a.yaml")
    again = workplace.command_of("init", "exports/accounts.csv", "-o", "pipelines/a.yaml")
    forced = workplace.command_of("init", "exports/accounts.csv", "-o", "pipelines/a.yaml", "--force")
    nothing = workplace.command_of("init", "exports/invoices.csv", "-o", "pipelines/b.yaml")
    rehearsed = workplace.command_of("rehearse", "pipelines/a.yaml", "--json")

    assert (written.exit_code, again.exit_code, forced.exit_code, nothing.exit_code) == (0, 2, 0, 2)
    assert 'path: "../exports/accounts.csv"' in (workplace.folder / "pipelines" / "a.yaml").read_text()
    assert [path.name for path in (workplace.folder / "pipelines").glob("*.yaml")] == ["a.yaml"]
    assert rehearsed.exit_code == 0
    assert rehearsed.summary["streams"]["accounts"]["delivered"] == 2


def test_the_command_prints_the_file_and_ends_with_2(workplace, monkeypatch):
    """On stdout the file, on stderr the problem; what is not there at all leaves stdout empty."""
    monkeypatch.chdir(workplace.folder)
    workplace.write("x.csv", "a,a\n1,2\n")

    marked, missing = workplace.command_of("init", "x.csv"), workplace.command_of("init", "none.csv")

    assert (marked.exit_code, missing.exit_code, missing.stdout) == (2, 2, "")
    assert "# problem:" in marked.stdout
    assert "more than once" in marked.stderr


# --- how a file is read --------------------------------------------------------------------------------------------


def test_what_the_text_of_a_file_says_is_written(looked_at):
    """Compressed, in another encoding, with another delimiter and with escapes."""
    text = 'user_id;"First, last"\r\n1;"say \\"no\\", Ü"\r\n'

    written = looked_at(gzip.compress(text.encode("utf-16")), "X.CSV.GZ")

    assert 'source: {type: csv, path: X.CSV.GZ, encoding: utf-16, escape: "\\\\", delimiter: ";"}' in written
    assert "userId: user_id" in written
    assert "its bytes are no UTF-8" in looked_at("user_id;n\n1;Ü\n".encode("cp1252"))
    assert "begins with the line `sep=,`" in looked_at("sep=,\nuser_id,name\n1,a\n", "x.tsv")


def test_a_path_with_an_interval_is_looked_at_by_what_is_there(looked_at, tmp_path):
    """`init` has no interval to fill in; the file that it writes keeps the words."""
    (tmp_path / "day-2024-01-01.csv").write_text("user_id,seats\n1,2\n")
    first = first_pipeline("day-{interval_start:%Y-%m-%d}.csv", record=None, name="daily")

    assert first.problem is None
    assert 'path: "day-{interval_start:%Y-%m-%d}.csv"' in first.text
    assert "type: integer" in first.text


# --- keys and scores -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("columns", "key"),
    [
        ("anonymousId,messageId,userId,event,timestamp", "messageId"),
        ("anonymous_id,uuid,user_id,event,time", "uuid"),
        ("device_id,$insert_id,distinct_id,event,time", "$insert_id"),
        ("id,event_id,user_id,event,time", "event_id"),
        ("session_id,id,user_id,event,time", "id"),
        ("anonymous_id,ticket_id,user_id,event,time", "ticket_id"),
        ("anonymous_id,session_id,user_id,event,time", None),
        ("subscription_id,usage_id,event,time", "subscription_id"),
    ],
)
def test_the_key_is_the_export_s_own_id_of_a_row(columns, key):
    """Before any other id, and never an anonymous one, which many rows of a longer export share."""
    seen = [Column(name, pa.string(), [f"{row}-{name}" for row in range(3)], 0) for name in columns.split(",")]

    found = key_column(seen, ["user_id", "userId", "event", "time", "timestamp"])

    assert (found.name if found else None) == key


def test_a_score_of_another_scale_is_not_sent_as_one(looked_at):
    """From 1 to 5 it is a score; else it has its scale, or it is no feedback at all."""
    assert "      score: rating  # guess" in looked_at("user_id,rating,at\n1,5,2024-01-01\n2,1,2024-01-02\n")
    nps = looked_at("user_id,score,comment,at\n1,9,good,2024-01-01\n2,10,fine,2024-01-02\n")
    assert "      score: {column: score, scale: [0, 10]}  # guess" in nps
    assert "record: company" in looked_at("account_id,score\na,88\nb,12\n")


def test_a_mistake_in_a_few_rows_is_no_evidence(looked_at):
    """One time and one score of a hundred are unlike the others: they are rejected, and the guess stands."""
    rows = "".join(f"u{n},{n % 5 + 1},fine so far,export,{1_700_000_000_000 + n}\n" for n in range(200))
    bad = "u900,7,fine so far,export,1700000000000\nu901,3,fine so far,export,0\n"

    text = looked_at(f"user_id,score,comment,feature,created_ms\n{rows}{bad}", "feedback.csv", rejects=2)

    assert "\n      score: score  # guess: its values go from 1 to 5\n" in text
    assert "\n      key: feature  # guess" in text
    assert "timestamp: {column: created_ms, unit: ms}" in text
    assert "1 of 202 are not, and are rejected" in text


def test_digits_that_are_names_stay_text(looked_at):
    """A postal code that begins with a zero may follow."""
    text = looked_at("user_id,zip,phone,order_number,seats\n1,10001,5551234,17,3\n")

    assert re.findall(r"(\w+): \{column", text) == ["seats"]
