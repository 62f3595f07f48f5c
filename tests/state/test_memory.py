"""Memory is what was written, or nothing is sent."""

import json
import sqlite3
from contextlib import closing

import pytest

EVENTS = """
- name: events
  record: event
  source: {type: csv, path: events.csv}
  key: [n]
  fields:
    userId: user
    event: what
    timestamp: {column: at, timezone: UTC}
"""
HARM = {
    "flipped": lambda data: data[:100] + bytes([data[100] ^ 1]) + data[101:],
    "a bit of a hash": lambda data: data[:-200] + bytes([data[-200] ^ 0x80]) + data[-199:],
    "cut": lambda data: data[:-20],
    "longer": lambda data: data + b"\0",
    "empty": lambda _: b"",
    "of zeros": lambda data: bytes(len(data)),
}


@pytest.fixture
def remembering(workplace):
    """A workplace whose pipeline has sent sixty events, and remembers them in one file."""
    rows = "".join(f"{n},u{n % 7},click,2026-01-01\n" for n in range(60))
    workplace.write("events.csv", "n,user,what,at\n" + rows)
    workplace.pipeline(EVENTS)
    workplace.run()
    return workplace


def memory_of(workplace):
    """The one file of memory."""
    (file,) = workplace.folder.glob(".bucket_loader/*/snapshots/*.parquet")
    return file


def test_damaged_memory_is_refused_and_the_file_stays(remembering, emulator):
    """However it is damaged: exit 2, the file is named, nothing is sent; put back it is right again."""
    file = memory_of(remembering)
    data = file.read_bytes()
    for name, harm in HARM.items():
        file.write_bytes(harm(data))
        result, audit = remembering.run(), remembering.command("audit", "--memory")

        assert (result.exit_code, audit.exit_code) == (2, 2), name
        assert str(file) in result.stderr
        assert file.name in audit.stderr
        assert "backup" in result.stderr
        assert file.read_bytes() == harm(data)
    file.write_bytes(data)
    audit = json.loads(remembering.command("audit", "--memory", "--json").stdout)

    assert audit == {"memory": {"files": 1, "rows": 60}}
    assert (remembering.run().exit_code, emulator.state()["requests"]) == (0, 1)


def test_memory_that_is_missing_or_a_folder_is_refused(remembering, emulator):
    """The same for what is no file."""
    file = memory_of(remembering)
    file.unlink()
    missing = remembering.run()
    file.mkdir()
    folder = remembering.run()

    assert (missing.exit_code, folder.exit_code, emulator.state()["requests"]) == (2, 2, 1)
    assert remembering.command("audit", "--memory").exit_code == 2


def test_memory_from_before_digests_is_held_against_its_rows(remembering, emulator):
    """A ledger of old knows no digest: what cannot be read, or has other rows, is refused."""
    with closing(sqlite3.connect(memory_of(remembering).parent.parent / "ledger.db")) as ledger, ledger:
        ledger.execute("UPDATE memory SET digest = NULL")
    assert remembering.run().summary["requests"] == 0
    data = memory_of(remembering).read_bytes()
    for harm in (HARM["cut"], HARM["empty"], HARM["of zeros"]):
        memory_of(remembering).write_bytes(harm(data))
        assert remembering.run().exit_code == 2
    assert emulator.state()["requests"] == 1


def test_an_audit_names_what_it_is_to_look_at(remembering):
    """Neither a run nor --memory is a mistake in the words; both together are one answer."""
    run = json.loads(remembering.command("status", "--json").stdout)["runs"][0]["run"]
    neither, both = remembering.command("audit"), remembering.command("audit", run, "--memory", "--json")

    assert (neither.exit_code, "--memory" in neither.stderr) == (2, True)
    assert {"run": run, "sound": True, "memory": {"files": 1, "rows": 60}}.items() <= json.loads(both.stdout).items()
