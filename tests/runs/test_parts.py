"""A plan of several parts: it is sent, remembered, explained and proved as one of a single part is."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from parts import cut

from bucket_loader.runs import end

STREAMS = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  on_removed: {attributes: {gone: true}}
  fields: {companyId: id, attributes: "*"}
- name: events
  record: event
  source: {type: csv, path: events.csv}
  key: [n]
  fields: {userId: user, event: {value: did}, attributes: {n: n}}
"""


@pytest.fixture
def place(workplace, emulator):
    """A pipeline of 60 companies and 90 events."""
    workplace.emulator = emulator
    accounts(workplace, range(60))
    workplace.write("events.csv", "n,user\n" + "".join(f"{n},u{n % 9}\n" for n in range(90)))
    workplace.pipeline(STREAMS)
    return workplace


def accounts(place, numbers):
    """Export some companies."""
    place.write("accounts.csv", "id,seats\n" + "".join(f"c{n},{n}\n" for n in numbers))


def planned(place, *most):
    """Make a plan, cut it, and return its folder and what it is then."""
    folder = json.loads(place.command("plan", "--json").stdout)["plan"]
    return folder, cut(place.folder / folder, *most)


def test_a_plan_of_parts_is_loaded_as_one_of_a_single_part(place):
    """All arrives, no chunk is of two parts, the second run has nothing to send, and the audit holds."""
    folder, plan = planned(place, 25)
    result = place.run("--plan", folder)
    with closing(sqlite3.connect(next(place.folder.glob(".bucket_loader/*/ledger.db")))) as ledger:
        chunks = ledger.execute("SELECT stream, first, records FROM chunk ORDER BY 1, 2").fetchall()

    assert {name: one["delivered"] for name, one in result.summary["streams"].items()} == {
        "companies": 60,
        "events": 90,
    }
    assert chunks == [
        (stream.position, part.first, part.records) for stream in plan.manifest.streams for part in stream.parts
    ]
    assert [records for _, _, records in chunks] == [25, 25, 10, 25, 25, 25, 15]
    assert place.run().summary["streams"]["companies"]["unchanged"] == 60
    assert place.command("audit", "latest").exit_code == 0


def test_a_record_of_any_part_is_found(place):
    """What became of it is told from its sequence in the stream, whichever part it is in."""
    folder, _ = planned(place, 25)
    place.run("--plan", folder)

    for company in ("c3", "c26", "c59"):
        assert "delivered" in place.command("explain", "--company", company).stderr


def test_rows_that_are_removed_are_found_against_a_memory_of_parts(place):
    """What was delivered of all parts is remembered with its ids."""
    folder, _ = planned(place, 7)
    place.run("--plan", folder)
    accounts(place, {*range(60)} - {5, 8, 59})

    assert place.run("--accept-changes").summary["streams"]["companies"]["removed"] == 3


def test_a_large_run_leaves_a_row_for_each_part_and_is_proved_by_them(place, monkeypatch):
    """A part of which a record was refused keeps its chunks; of each other one the digest of all chunks stays."""
    monkeypatch.setattr(end, "_PARTS_UNFOLDED", 1)
    place.emulator.faults({"kind": "poison", "match": "c33", "status": 400})
    folder, _ = planned(place, 25, 5)
    place.run("--plan", folder)
    with closing(sqlite3.connect(next(place.folder.glob(".bucket_loader/*/ledger.db")))) as ledger:
        chunks = ledger.execute("SELECT stream, first, records, folded FROM chunk WHERE folded > 0 ORDER BY 1, 2")
        found = chunks.fetchall()

        assert found == [(0, 0, 25, 5), (0, 50, 10, 2), (1, 0, 25, 5), (1, 25, 25, 5), (1, 50, 25, 5), (1, 75, 15, 3)]
        assert place.command("audit", "latest").exit_code == 0
        ledger.execute("UPDATE chunk SET digest = x'00' WHERE stream = 1 AND first = 25")
        ledger.commit()

    damaged = place.command("audit", "latest")
    assert damaged.exit_code != 0
    assert "chunks of 25-49 were not sent as planned" in damaged.stderr
    assert place.run("--accept-changes").exit_code in {0, 3}


def test_what_a_killed_plan_has_left_goes_with_the_next_one(place):
    """Rows do not stay on the disk of a plan that nobody can run; a whole plan stays, without what came late."""
    folder, _ = planned(place, 25)
    late = [place.folder / folder / name for name in ("attempts", "00.compared")]
    for one in late:
        one.mkdir()
        (one / "file").touch()
    left = (place.folder / folder).with_name("20200101T000000000Z")
    left.mkdir()
    (left / "00.00000.staged").write_text("rows")
    whole, _ = planned(place, 25)

    assert not any(one.exists() for one in (left, *late))
    assert sorted(one.name for one in left.parent.iterdir()) == sorted(Path(one).name for one in (folder, whole))


def test_a_record_that_two_folded_rows_carry_is_found(place, monkeypatch):
    """The proof does not take for granted that no record is in two rows: that is what it proves."""
    monkeypatch.setattr(end, "_PARTS_UNFOLDED", 1)
    folder, _ = planned(place, 25, 5)
    place.run("--plan", folder)
    with closing(sqlite3.connect(next(place.folder.glob(".bucket_loader/*/ledger.db")))) as ledger:
        run, digest = ledger.execute("SELECT run, digest FROM chunk WHERE stream = 1 AND first = 0").fetchone()
        ledger.execute(
            "INSERT INTO chunk (run, stream, first, members, records, part, state, attempts, digest, folded) "
            "VALUES (?, 1, 3, '3-5,80-84', 8, 1, 'delivered', 2, ?, 2)",
            (run, digest),
        )
        ledger.commit()

    assert "8 records are not accounted for exactly once (first: 3)" in place.command("audit", "latest").stderr
