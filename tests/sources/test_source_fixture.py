"""Fixtures: a CSV file whose header says the types that the columns of the real source have."""

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pytest
from source_helpers import Read

from bucket_loader.config.sources import CsvSource, FixtureSource, JsonLinesSource
from bucket_loader.model.errors import SourceError, UsageError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source


def fixture(folder, content, *, typed=True, base=None):
    """Return the source of a CSV fixture."""
    (folder / "f.csv").write_text(content)
    spec = FixtureSource(read=CsvSource(type="csv", path=str(folder / "f.csv")), typed=typed)
    return open_source(spec, SourceContext(base or folder))


def test_a_header_says_the_types(tmp_path):
    """A column with a type has its values, one without is text, and an empty field is null in both."""
    types = (
        'id,n:bigint,"price:decimal(6,2)",paid:boolean,day:date,at:timestamp,seen:timestamptz,tags:varchar[],doc:json'
    )
    row = '007,5,1.10,true,2026-01-31,2026-01-31 08:00,2026-01-31 08:00+02,"[a, b]","{""x"": 1}"'
    read = Read(fixture(tmp_path, f"{types}\n{row}\n,,,,,,,,\n"))

    moment = datetime(2026, 1, 31, 6, tzinfo=UTC)
    local = (moment + timedelta(hours=2)).replace(tzinfo=None)
    assert list(read.rows[0].values()) == [
        "007", 5, Decimal("1.10"), True, date(2026, 1, 31), local, moment, ["a", "b"], '{"x": 1}',
    ]  # fmt: skip
    assert list(read.rows[0]) == ["id", "n", "price", "paid", "day", "at", "seen", "tags", "doc"]
    assert set(read.rows[1].values()) == {None}
    assert read.ordinals == [1, 2]


def test_a_row_that_cannot_be_read_keeps_the_numbers_of_the_others(tmp_path):
    """The second row has a value too many: it is rejected, and the third is still the third."""
    read = Read(fixture(tmp_path, "id,n:integer\na,1\nb,2,3\nc,4\n"))

    assert (read.rows, read.ordinals) == ([{"id": "a", "n": 1}, {"id": "c", "n": 4}], [1, 3])
    assert [(number, code) for number, code, _ in read.codes] == [(2, "width")]


def test_a_fixture_is_called_by_its_name_alone(tmp_path):
    """Where it lies differs between machines."""
    batches = list(fixture(tmp_path, "id,n:integer\na,1\nb,2,3\nc,4\n", base=tmp_path.parent).read().batches)
    assert {batch.source for batch in batches} == {"f.csv"}
    assert [one.origin.source for batch in batches for one in batch.unread] == ["f.csv"]


def test_a_fixture_without_types_is_the_file_itself(tmp_path):
    """Where the real source is CSV, a colon in a name means nothing."""
    assert Read(fixture(tmp_path, "id,utm:source\n1,x\n", typed=False)).rows == [{"id": "1", "utm:source": "x"}]
    assert Read(fixture(tmp_path, "id,name\n1,x\n")).rows == [{"id": "1", "name": "x"}]


def test_an_empty_fixture_has_the_types(tmp_path):
    """A source without rows has columns."""
    read = Read(fixture(tmp_path, "id,n:bigint\n"))
    assert (read.rows, str(read.schema.field("n").type)) == ([], "int64")


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("id,n:integer\n1,5\n2,five\n", ["row 2", "'n:integer'"]),
        ("id,n:integer\n1,5,6\n2,five\n", ["row 2", "'n:integer'"]),
        ("id,n:intger\n1,5\n", ["'intger'"]),
        ("id,n:integer); drop table x; --\n1,5\n", ["n:integer); drop table x; --"]),
        ("n:integer,n:bigint\n1,5\n", ["'n' more than once"]),
    ],
)
def test_a_wrong_type_is_refused_by_its_place(content, words, tmp_path):
    """The message names the row and the column, and shows no value."""
    with pytest.raises(SourceError) as refused:
        Read(fixture(tmp_path, content))

    assert [word for word in words if word not in str(refused.value)] == []
    assert "five" not in str(refused.value)


def test_what_no_fixture_stands_for_cannot_be_opened(tmp_path):
    """Nobody reads the real source by mistake."""
    with pytest.raises(UsageError):
        open_source(FixtureSource(), SourceContext(tmp_path))


def test_json_lines_have_their_own_types(tmp_path):
    """Nothing is done to them."""
    (tmp_path / "f.jsonl").write_text('{"id": "a", "n": 5, "paid": true}\n')
    spec = FixtureSource(read=JsonLinesSource(type="jsonl", path=str(tmp_path / "f.jsonl")))

    assert Read(open_source(spec, SourceContext(tmp_path))).rows == [{"id": "a", "n": 5, "paid": True}]
