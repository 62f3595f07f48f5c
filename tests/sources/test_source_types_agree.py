"""One table of 200 rows with every type, from every source: the records are the same, byte for byte.

Golden bytes pin them: the first records to read, and the digest of each. Where a change is meant, write both anew and
read the difference:

    BUCKET_LOADER_UPDATE_GOLDEN=1 python -m pytest tests/sources/test_source_types_agree.py
    git diff tests/sources
"""

import hashlib
import os
import re
from pathlib import Path

import pytest
from all_types import documented, fields, texts
from all_types_written import WRITERS, csv, places
from workplace import Workplace

from bucket_loader.planning import plan_file as plan
from bucket_loader.state import dead_letters
from bucket_loader.state.layout import REJECTED

HERE = Path(__file__).parent
GOLDEN = HERE / "all_types.jsonl"
DIGESTS = {form: HERE / f"all_types.{form}.sha256" for form in ("keep", "flatten")}
SHOWN = 30  # all that is hard comes first
QUERIED = "{type: query, sql: 'select * from kept'}"


def planned(folder, source, head="", names=()):
    """Plan a stream of companies from a source; give the records' bytes row by row, and the rejections."""
    place = Workplace(folder, "http://127.0.0.1:9")  # planning sends nothing
    place.pipeline(f"- name: companies\n  record: company\n  source: {source}\n  fields:\n{fields(names)}", head=head)
    result = place.command("plan", "--json", "--as-of", "2026-02-01")
    assert result.exit_code == 0, result.stderr
    found = plan.read(folder / result.summary["plan"], verify=True)
    (stream,) = found.manifest.streams
    records = [record for _, chunk in found.chunks(stream) for record in chunk]
    counts = stream.counts
    assert counts.read == stream.records + counts.rejected == len(records) + counts.rejected
    letters = dead_letters.read(found.folder / REJECTED) if counts.rejected else ()
    return records, [(letter.origin["row"], letter.reasons[0]["code"]) for letter in letters]


def records(folder, source, **words):
    """Plan a stream whose rows are all good; give its records' bytes."""
    found, refused = planned(folder, source, **words)
    assert refused == []
    return found


def digests(found):
    """Return a line for each record: its digest, its row."""
    return "".join(f"{hashlib.sha256(record).hexdigest()[:32]}  {row}\n" for row, record in enumerate(found, 1))


@pytest.fixture(scope="module")
def golden(tmp_path_factory):
    """Return the digests that are kept, by the form of lists; those of `keep` are written anew where that is asked."""
    if os.environ.get("BUCKET_LOADER_UPDATE_GOLDEN") == "1":
        folder = tmp_path_factory.mktemp("golden")
        found = records(folder, csv(folder, texts()))
        GOLDEN.write_bytes(b"".join(record + b"\n" for record in found[:SHOWN]))
        DIGESTS["keep"].write_text(digests(found), "utf-8")
    return {form: path.read_text("utf-8") for form, path in DIGESTS.items()}


@pytest.mark.parametrize("place", places(*WRITERS))
def test_every_source_makes_the_same_records(tmp_path, golden, place):
    """Numbers beyond doubles, times, spans, JSON, lists, structs, binary, hard texts and nulls: the golden bytes."""
    source = WRITERS[place](tmp_path, texts())
    found = records(tmp_path, source)

    assert b"".join(record + b"\n" for record in found[:SHOWN]) == GOLDEN.read_bytes()
    assert digests(found) == golden["keep"]
    assert digests(records(tmp_path, source, head="arrays: flatten\n")) == golden["flatten"]


@pytest.mark.parametrize("place", places("Parquet", "PostgreSQL", "DuckDB"))
def test_a_query_over_a_source_makes_the_same_records(tmp_path, golden, place):
    """What was kept for a query and went through it has lost nothing of its types, JSON and spans included."""
    source = WRITERS[place](tmp_path, texts())

    assert digests(records(tmp_path, QUERIED, head=f"sources:\n  kept: {source}\n")) == golden["keep"]


def small(**columns):
    """Return a table of a few rows, all null but for some columns."""
    count = len(next(iter(columns.values())))
    return {name: [*map(str, range(count))] if name == "id" else [None] * count for name in texts()} | columns


FLOATS = {
    "0.30000000000000004": "0.30000000000000004",
    "3.141592653589793": "3.141592653589793",
    "1e23": '"99999999999999991611392"',
    "1152921504606846976": '"1152921504606846976"',
    "-1e36": '"-1000000000000000042420637374017961984"',
    "1.7976931348623157e+308": "1.7976931348623157e+308",
    "2.2250738585072014e-308": "2.2250738585072014e-308",
}  # fmt: skip


@pytest.mark.parametrize("place", places(*(place for place in WRITERS if place != "CSV")))
def test_what_only_a_float_holds(tmp_path, place):
    """Floats of 16 and 17 digits, and great ones, are spelt alike wherever there are floats."""
    found = records(tmp_path, WRITERS[place](tmp_path, small(ratio=list(FLOATS))), names=["ratio"])

    assert [re.search(rb'"ratio":([^,}]+)', record)[1].decode() for record in found] == list(FLOATS.values())


@pytest.mark.parametrize("place", places("PostgreSQL", "DuckDB", "Parquet", "Delta", "Iceberg"))
def test_what_has_no_form_rejects_its_row(tmp_path, place):
    """An infinite float, and days and moments before the year 1000, reject their rows, each with its code."""
    table = small(ratio=["inf", None, None, "-inf", "1.5"], day=[None, "0999-12-31", None, None, None],
                  far=[None, None, "0999-12-31 23:59:59+00:00", None, None])  # fmt: skip

    found, refused = planned(tmp_path, WRITERS[place](tmp_path, table), names=["ratio", "day", "far"])

    assert refused == [(1, "infinity"), (2, "year"), (3, "year"), (4, "infinity")]
    assert [b'"companyId":"4"' in record for record in found] == [True]


def test_the_docs_examples_are_what_is_sent(tmp_path):
    """Each line of the table in the docs shows what its text in CSV becomes."""
    lines = documented()
    table = small(**{one.name: [one.example] for one in lines})

    (record,) = records(tmp_path, csv(tmp_path, table))

    attributes = ",".join(sorted(one.sent for one in lines))
    assert f'"attributes":{{{attributes}}},"timestamp"' in record.decode()
