"""The Python doors: `load`, `plan`, `check`, `rehearse`, `status`, each a command that returns a value."""

import inspect
import re
from dataclasses import fields
from pathlib import Path
from typing import get_type_hints

import duckdb
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from workplace import KEY

import bucket_loader
from bucket_loader import BucketLoaderError, RunOptions, check, load, plan, rehearse, status
from bucket_loader.runs.from_python.words import RunWords

COMPANY = {"record": "company", "fields": {"companyId": "id", "attributes": "*"}}
ROWS = {"id": ["00123", "2"], "seats": [5, None]}


class Interchanged:
    """A table of a library that speaks the interchange protocol alone."""

    def __init__(self, frame):
        self._frame = frame

    def __dataframe__(self, *, nan_as_null=False, allow_copy=True):
        return self._frame.__dataframe__(nan_as_null, allow_copy)


TABLES = {
    "pandas": lambda rows: pd.DataFrame(rows, dtype=object),
    "pyarrow": pa.table,
    "record batch": pa.record_batch,
    "stream": lambda rows: pa.table(rows).to_reader(),
    "polars": pl.DataFrame,
    "duckdb": lambda rows: duckdb.connect().from_arrow(pa.table(rows)),
    "interchange": lambda rows: Interchanged(pa.table(rows)),
}


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return an empty folder that the process stands in, without any variable of ours."""
    monkeypatch.chdir(tmp_path)
    for name in ("BUCKET_BASE_URL", "BUCKET_SECRET_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


@pytest.fixture
def pipeline(place):
    """Return a pipeline file with two good rows and a bad one."""
    (place / "accounts.csv").write_text("id,seats\n00123,5\n2,\n,7\n")
    file = place / "accounts.yaml"
    file.write_text(
        "name: accounts\n"
        "destination: {base_url: '${BUCKET_BASE_URL:-https://front.bucket.co}', key: '${BUCKET_SECRET_KEY}'}\n"
        "streams:\n- {name: companies, record: company, source: {type: csv, path: accounts.csv},\n"
        "   fields: {companyId: id, attributes: '*'}}\n"
    )
    return file


def test_the_package_shows_what_it_is_for():
    """`dir()` has the five doors and no module; each says its options, and those of a run are all there."""
    doors = ("check", "load", "plan", "rehearse", "status")
    options = {one.name for one in fields(RunOptions)}

    assert set(doors) <= set(dir(bucket_loader))
    assert not [name for name in dir(bucket_loader) if inspect.ismodule(getattr(bucket_loader, name))]
    assert options <= set(get_type_hints(RunWords))
    for door in doors[:-1]:
        said = re.findall(r"^ {4}(\w+):", inspect.getdoc(getattr(bucket_loader, door)), flags=re.MULTILINE)
        assert options <= set(said)


@pytest.mark.parametrize("library", TABLES)
def test_a_table_of_any_library_is_a_source(place, library):
    """Ids stay as they are spelt, numbers are numbers, and null is left out."""
    found = rehearse(TABLES[library](ROWS), **COMPANY)

    assert [(item["item"]["companyId"], item["item"].get("attributes")) for item in found.items] == [
        ("00123", {"seats": 5}), ("2", None),
    ]  # fmt: skip


def test_types_of_polars_are_read_as_what_they_mean(place):
    """Categories, decimals, lists, structs, times and dates."""
    frame = pl.DataFrame(
        {
            "id": ["a"],
            "plan": pl.Series(["pro"], dtype=pl.Categorical),
            "tier": pl.Series(["x"], dtype=pl.Enum(["x"])),
            "price": pl.Series(["1.10"]).cast(pl.Decimal(10, 2)),
            "tags": [["x", "y"]],
            "owner": [{"role": "admin"}],
            "day": pl.Series(["2025-03-01"]).str.to_date(),
            "at": pl.Series(["2025-03-01T10:00:00"]).str.to_datetime(time_zone="UTC"),
        }
    )

    (found,) = rehearse(frame, **COMPANY).items

    assert found["item"]["attributes"] == {
        "plan": "pro", "tier": "x", "price": 1.1, "tags": ["x", "y"], "owner.role": "admin", "day": "2025-03-01",
        "at": "2025-03-01T10:00:00.000Z",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("what", "hint"),
    [
        (pl.LazyFrame(ROWS), "collect"),
        ([{"id": "1"}], "pandas.DataFrame"),
        (pl.Series([1]), "pandas form"),
        (pd.Series([1]), "give a table"),
        (7, "give a table"),
    ],
)
def test_what_is_no_table_is_refused_with_what_to_give(place, what, hint):
    """The message names the type, and no value."""
    with pytest.raises(BucketLoaderError) as caught:
        rehearse(what, **COMPANY)

    assert (caught.value.exit_code, hint in caught.value.hint) == (2, True)
    assert type(what).__name__ in caught.value.message


def test_where_to_is_an_address_or_stands_in_the_environment(place, emulator, monkeypatch):
    """As in a pipeline file; without a key it says what to export."""
    frame = pd.DataFrame(ROWS)
    with pytest.raises(BucketLoaderError, match="no key is given") as caught:
        load(frame, destination=emulator.url, **COMPANY)
    assert "BUCKET_SECRET_KEY" in caught.value.hint

    monkeypatch.setenv("BUCKET_SECRET_KEY", KEY)
    assert load(frame, destination=emulator.url, sync="full", **COMPANY).exit_code == 0
    monkeypatch.setenv("BUCKET_BASE_URL", emulator.url)
    assert load(frame, sync="full", **COMPANY).exit_code == 0
    assert emulator.state()["requests"] == 2


def test_an_address_stands_in_place_of_that_of_a_file(pipeline, emulator, monkeypatch):
    """The key is still the file's."""
    monkeypatch.setenv("BUCKET_SECRET_KEY", KEY)

    assert load(pipeline, destination=emulator.url).streams["companies"].delivered == 2


def test_a_summary_is_short_in_words_and_whole_in_a_notebook(pipeline, emulator, monkeypatch):
    """Its repr is one line; its HTML has the counts and why rows were rejected, and no value; its frame adds up."""
    monkeypatch.setenv("BUCKET_SECRET_KEY", KEY)
    (pipeline.parent / "accounts.csv").write_text("id,seats\n<b>1,5\n,4711\n")
    summary = load(pipeline, destination=emulator.url)

    assert re.fullmatch(r"<Summary accounts \w+: rejected, 1 delivered, 1 rejected, \d\.\d s>", repr(summary))
    page = summary._repr_html_()
    assert "<td>companies</td><td>1</td><td>" in page
    assert "is empty, and the record cannot do without it" in page
    assert "4711" not in page
    frame = summary.to_frame()
    assert (frame["read"] == frame.drop(columns=["stream", "read"]).sum(axis=1)).all()
    assert max(map(len, frame.to_string().splitlines())) <= 90


def test_a_plan_can_be_looked_at_and_then_sent(pipeline, emulator, monkeypatch):
    """Its records are those that arrive; `load(plan=)` sends exactly it."""
    monkeypatch.setenv("BUCKET_SECRET_KEY", KEY)
    made = plan(pipeline, destination=emulator.url)

    records = list(made.records("companies"))
    assert emulator.state()["requests"] == 0
    assert repr(made) == f"<Planned {made.run}: 2 records to send>"
    with pytest.raises(BucketLoaderError, match="no stream 'users'"):
        next(made.records("users"))
    assert load(pipeline, destination=emulator.url, plan=made.folder).run == made.run
    assert [line["item"] for line in emulator.journal()] == records


def test_a_rehearsal_says_what_arrived(pipeline):
    """Counts, items, and why a row was rejected, also when it is over."""
    found = rehearse(pipeline)

    assert (found.counts["companies"], len(found.items), found.summary.exit_code) == (2, 2, 3)
    assert repr(found) == "<Rehearsal rejected: 2 companies, 1 requests>"
    assert [group.count for group in found.reasons] == [1]
    assert "cannot do without it" in found._repr_html_()


def test_a_check_doubts_and_needs_no_key(pipeline):
    """Which rows were looked at, what is in doubt, and the file of what a run would reject."""
    (pipeline.parent / "accounts.csv").write_text("id,seats\n00123,5\n123,4\n,7\n")

    found = check(pipeline, whole=True)

    assert (found.streams["companies"]["rejected"], found.exit_code, "not asked" in found.destination) == (1, 0, True)
    assert repr(found) == f"<Checked companies: {len(found.warnings)} warnings>"
    assert (
        any("00123" in str(doubt["shapes"]) or doubt["name"] == "spellings" for doubt in found.doubts) or found.doubts
    )
    assert Path(found.rejected).exists()
    assert check(pd.DataFrame(ROWS), **COMPANY).destination == found.destination


def test_past_runs_are_a_frame(pipeline, emulator, monkeypatch):
    """Newest first, in UTC; without any run it is empty and has its columns."""
    assert list(status(pipeline).to_frame().columns) == ["run", "began", "status", "delivered", "rejected", "pending"]
    monkeypatch.setenv("BUCKET_SECRET_KEY", KEY)
    summary = load(pipeline, destination=emulator.url)

    frame = status(pipeline, destination=emulator.url).to_frame()

    assert frame[["run", "status", "delivered", "rejected"]].to_numpy().tolist() == [[summary.run, "rejected", 2, 1]]
    assert str(frame["began"].dt.tz) == "UTC"
