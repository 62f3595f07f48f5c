"""Interval receipts: what was sent for an interval, its counts, and a digest that is equal when the same was sent."""

import json

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings, strategies as st

from bucket_loader.runs.receipts import digest

DAY = ("2025-01-01", "2025-01-02")
STREAMS = """
- name: companies
  record: company
  source: {type: csv, path: "accounts-{interval_start:%Y-%m-%d}.csv"}
  fields: {companyId: id, attributes: "*"}
- name: events
  record: event
  source: {type: csv, path: "events-{interval_start:%Y-%m-%d}.csv"}
  key: [n]
  fields: {userId: user, event: {value: did}, attributes: {n: n}}
"""


@pytest.fixture
def daily(workplace):
    """A pipeline of a day's exports."""
    workplace.write("accounts-2025-01-01.csv", "id,seats\na,1\nb,2\n")
    workplace.write("events-2025-01-01.csv", "n,user\n1,u\n2,v\n")
    workplace.pipeline(STREAMS)
    return workplace


def load(workplace, *words, day=DAY):
    """Run the pipeline for a day."""
    return workplace.run("--interval-start", day[0], "--interval-end", day[1], *words)


def receipts(workplace, *words, day=DAY):
    """Return the receipts of a day."""
    return json.loads(workplace.command("status", "--interval", *day, "--json", *words).stdout)["receipts"]


def test_a_receipt_says_what_was_sent(daily):
    """The run, its plan, its time, and for each stream counts and a digest."""
    summary = load(daily).summary
    (receipt,) = receipts(daily)

    assert receipt["run"] == summary["run"]
    assert (receipt["status"], receipt["as_of"], receipt["requests"]) == ("succeeded", "2025-01-02T00:00:00.000Z", 2)
    assert {name: stream["delivered"] for name, stream in receipt["streams"].items()} == {"companies": 2, "events": 2}
    assert len({receipt["plan_digest"], *(stream["digest"] for stream in receipt["streams"].values())}) == 3
    assert receipt["streams"]["companies"] | {"digest": 0} == summary["streams"]["companies"] | {"digest": 0}


@pytest.mark.parametrize("more", ["  key: [n]\n", "  timezone: UTC\n"])
def test_another_content_has_another_digest(workplace, more):
    """The same keys with other contents are not the same, however the stream knows its records again."""
    timestamp = "" if "key" in more else ", timestamp: at"
    workplace.pipeline(
        f"- name: events\n  record: event\n  source: {{type: csv, path: events.csv}}\n{more}"
        f"  fields: {{userId: user, event: {{value: did}}{timestamp}}}\n"
    )
    found = []
    for number, user in enumerate(("u", "v", "u")):
        workplace.write("events.csv", f"n,user,at\n1,{user},2025-01-01T00:00:00\n")
        state = str(workplace.folder / f"state-{number}")
        load(workplace, "--state", state)
        found += [receipt["streams"]["events"]["digest"] for receipt in receipts(workplace, "--state", state)]

    assert found[0] == found[2] != found[1]
    assert None not in found


def test_the_same_interval_again_sends_only_what_differs(daily, emulator):
    """Nothing has changed: nothing is sent, and the receipt says so. One row has: one record."""
    load(daily)
    again = load(daily)
    daily.write("accounts-2025-01-01.csv", "id,seats\na,1\nb,3\n")
    daily.write("events-2025-01-01.csv", "n,user\n1,u\n2,v\n3,w\n")
    changed = load(daily)
    streams = [receipt["streams"] for receipt in receipts(daily)]

    assert (again.summary["requests"], changed.summary["requests"]) == (0, 2)
    assert [(one["companies"]["delivered"], one["events"]["delivered"]) for one in streams] == [(2, 2), (0, 0), (1, 1)]
    assert [stream["digest"] for stream in streams[1].values()] == [None, None]
    assert emulator.state()["companies"] == 2
    assert [item["item"]["attributes"] for item in emulator.journal()][-2:] == [{"seats": "3"}, {"n": "3"}]


def test_the_digest_is_equal_when_the_same_was_sent(daily):
    """Loaded anew, in another order, it is the same; with one value changed only its stream's is another."""
    load(daily)
    daily.write("accounts-2025-01-01.csv", "id,seats\nb,2\na,1\n")
    load(daily, "--state", str(daily.folder / "second"))
    daily.write("accounts-2025-01-01.csv", "id,seats\nb,2\na,9\n")
    load(daily, "--state", str(daily.folder / "third"))
    first, second, third = (
        {name: stream["digest"] for name, stream in receipts(daily, *words)[0]["streams"].items()}
        for words in ((), ("--state", str(daily.folder / "second")), ("--state", str(daily.folder / "third")))
    )

    assert first == second
    assert (first["companies"] == third["companies"], first["events"] == third["events"]) == (False, True)


def test_other_intervals_have_receipts_of_their_own(daily):
    """Only runs of this very interval are shown; for people as lines, and a word where there is none."""
    load(daily)
    told = daily.command("status", "--interval", *DAY)
    none = daily.command("status", "--interval", "2025-01-01", "2025-01-03")

    assert receipts(daily, day=("2025-01-02", "2025-01-03")) == []
    assert "companies: 2 read, 2 delivered; digest" in told.stderr
    assert (none.exit_code, none.stderr) == (0, "no run of 2025-01-01T00:00:00.000Z to 2025-01-03T00:00:00.000Z\n")


HASHES = st.lists(st.tuples(st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16)), max_size=8)


def batches(pairs, cut):
    """Make a plan's keys and contents, in two batches, the second not at the start of its memory; all are chosen."""
    arrays = [pa.array(column, pa.binary(16)) for column in zip(*pairs, strict=True)]
    whole = pa.RecordBatch.from_arrays(arrays, ["key", "content"]) if pairs else None
    both = [whole.slice(0, cut), whole.slice(cut)] if whole is not None else []
    return [(batch, np.ones(batch.num_rows, bool)) for batch in both]


@settings(deadline=None)
@given(HASHES, st.randoms(use_true_random=False), st.integers(0, 8))
def test_a_digest_knows_the_records_and_not_their_order(pairs, randomly, cut):
    """Any order and any batches give the same; a record more, or an exchange between two, gives another."""
    found = digest(batches(pairs, min(cut, len(pairs))))
    shuffled = list(pairs)
    randomly.shuffle(shuffled)

    assert found == digest(batches(shuffled, 0))
    assert (found is None) == (not pairs)
    assert found != digest(batches([*pairs, (b"k" * 16, b"c" * 16)], 0))
    if len(pairs) > 1 and pairs[0] != pairs[1] and pairs[0][0] != pairs[1][0] and pairs[0][1] != pairs[1][1]:
        swapped = [(pairs[0][0], pairs[1][1]), (pairs[1][0], pairs[0][1]), *pairs[2:]]
        assert found != digest(batches(swapped, 0))
