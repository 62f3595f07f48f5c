"""The proof of a run, and the ends that a person decides: audit, release, drop."""

import errno
import json
import sqlite3
from pathlib import Path

import pytest

from bucket_loader.runs import settle

EVENTS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  key: [n]
  on_unknown: hold
  fields:
    userId: user
    event: what
    timestamp: {column: at, timezone: UTC}
"""


@pytest.fixture
def events(workplace):
    """A workplace with 450 events that are held when their answer does not come."""
    rows = "".join(f"{n},u{n},e,2025-01-01\n" for n in range(450))
    workplace.write("events.csv", "n,user,what,at\n" + rows)
    workplace.pipeline(EVENTS)
    return workplace


def root(workplace):
    """Return the folder of the only state."""
    (found,) = (workplace.folder / ".bucket_loader").iterdir()
    return found


def audited(workplace, run):
    """Audit a run."""
    return json.loads(workplace.command("audit", run, "--json").stdout)


def edit(workplace, statement):
    """Change the ledger behind the loader's back."""
    with sqlite3.connect(root(workplace) / "ledger.db") as connection:
        connection.execute(statement)
    connection.close()


def test_a_finished_run_is_sound(events):
    """Exit 0, and it says how much it looked at."""
    run = events.run().summary["run"]

    assert audited(events, run) == {"run": run, "sound": True, "records": 450, "chunks": 5, "findings": []}
    assert events.command("audit", run).exit_code == 0


def test_an_unfinished_run_is_sound_too(events, emulator):
    """What is pending is accounted for as well, parts of an isolated chunk included."""
    emulator.faults({"kind": "partial_400", "rate": 0.5}, {"kind": "cut_after", "rate": 0.3})
    run = events.run().summary["run"]

    assert audited(events, run)["findings"] == []


@pytest.mark.parametrize(
    ("statement", "word"),
    [
        ("DELETE FROM chunk WHERE first = 100", None),
        ("UPDATE chunk SET digest = zeroblob(32) WHERE first = 100", "not sent as planned"),
        ("UPDATE chunk SET records = 99 WHERE first = 100", "not of this plan"),
        ("UPDATE chunk SET members = '100-198' WHERE first = 100", "not of this plan"),
        ("UPDATE stream SET unchanged = 7", "`unchanged` differs"),
        ("UPDATE chunk SET attempts = 0 WHERE first = 200", "never attempted"),
        ("UPDATE run SET plan_digest = 'x'", "manifest"),
    ],
)
def test_an_edited_ledger_is_found(events, statement, word):
    """A deleted, renamed or re-counted chunk does not add up; a deleted whole chunk shows as pending."""
    summary = events.run().summary
    edit(events, statement)

    found = audited(events, summary["run"])

    if word is None:
        status = json.loads(events.command("status", "--json").stdout)["runs"][0]
        assert status["streams"]["events"]["pending"] == 100
    else:
        assert found["sound"] is False
        assert word in " ".join(found["findings"])
        assert events.command("audit", summary["run"]).exit_code == 1


@pytest.mark.parametrize("file", ["00-events.parquet", "manifest.json"])
def test_a_tampered_plan_is_found(events, file):
    """One byte changed in the plan's records or its manifest is told."""
    run = events.run().summary["run"]
    path = root(events) / "plans" / run / file
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)

    result = events.command("audit", run)

    assert result.exit_code in {1, 2}
    assert "error:" in result.stderr


def test_an_audit_of_no_run_is_a_message(events):
    """Exit 2 with a hint."""
    events.run()

    assert events.command("audit", "nonsense").exit_code == 2


def held_run(workplace, emulator):
    """Make a run that holds one chunk whose answer never came."""
    emulator.faults({"kind": "cut_after", "times": 1})
    result = workplace.run()
    emulator.faults()
    assert result.exit_code == 75
    assert result.summary["streams"]["events"]["unknown"] == 100
    return result.summary["run"]


def test_what_was_abandoned_by_half_sends_nothing_more(events, emulator, monkeypatch):
    """Its disk was full when the memory had moved already: what it would send now would not be remembered."""
    emulator.faults({"kind": "status", "status": 401})
    run = events.run().summary["run"]
    emulator.faults()

    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(settle, "_merge_memory", full)
        abandoned = events.command("abandon", run)
    second, third, fourth = events.run(), events.run(), events.run()

    assert [one.exit_code for one in (abandoned, second, third, fourth)] == [75, 4, 0, 0]
    assert (second.summary["requests"], emulator.state()["events"]) == (0, 450)


def test_what_is_held_is_never_sent_again_by_itself(events, emulator):
    """At most once: later runs go on, and leave what is held alone."""
    held_run(events, emulator)

    second = events.run()

    assert second.exit_code == 75  # it is not done
    assert second.summary["streams"]["events"]["unchanged"] == 450
    assert emulator.state()["events"] == 450


def test_released_unknowns_are_sent_by_the_next_run(events, emulator):
    """`release RUN` puts them back; the summary counts them as possibly duplicated."""
    run = held_run(events, emulator)

    released = json.loads(events.command("release", run, "--json").stdout)
    second = events.run()

    (resumed,) = second.summary["resumed"]
    assert released["records"] == 100
    assert (resumed["run"], resumed["streams"]["events"]["possibly_duplicated"]) == (run, 100)
    assert emulator.state()["events"] == 550
    assert audited(events, run)["findings"] == []


def test_dropped_unknowns_go_to_the_dead_letters(events, emulator):
    """`release RUN --drop` sends nothing, keeps the rows, and closes the run."""
    run = held_run(events, emulator)

    events.command("release", run, "--drop")
    status = json.loads(events.command("status", "--json").stdout)["runs"][0]
    letters = Path(status["dead_letters"]).read_text("utf-8").splitlines()
    second = events.run()

    assert (status["status"], status["streams"]["events"]["rejected"]) == ("rejected", 100)
    assert {json.loads(line)["reasons"][0]["code"] for line in letters} == {"unknown"}
    assert len(letters) == 100
    assert second.summary["resumed"] == []
    assert emulator.state()["events"] == 450


def test_releasing_nothing_is_a_message(events):
    """Exit 2 when the run holds nothing."""
    run = events.run().summary["run"]

    assert events.command("release", run).exit_code == 2
