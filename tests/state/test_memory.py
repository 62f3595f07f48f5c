"""Memory is what was written, or nothing is sent."""

import hashlib
import json
import subprocess
import sys

import pytest
from older import memory_as_of_old

from bucket_loader.state.snapshots import merging, pages

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
    "flipped": lambda data: data[:700] + bytes([data[700] ^ 1]) + data[701:],
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
    (file,) = workplace.folder.glob(".bucket_loader/*/snapshots/*.pages")
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


@pytest.mark.parametrize("digest", [True, False], ids=["with a digest", "from before digests"])
def test_memory_of_older_versions_is_held_against_what_is_known_of_it_and_taken_over(remembering, emulator, digest):
    """What cannot be read, or has other bytes or rows, is refused; else its rows stand in pages from then on."""
    (older,) = memory_as_of_old(remembering, digest=digest)
    data = older.read_bytes()
    for harm in (HARM["cut"], HARM["empty"], HARM["of zeros"]):
        older.write_bytes(harm(data))
        assert (remembering.run().exit_code, older.exists()) == (2, True)
    older.write_bytes(data)
    remembering.write("events.csv", (remembering.folder / "events.csv").read_text() + "60,u1,click,2026-01-01\n")
    result = remembering.run()

    assert (result.exit_code, result.summary["streams"]["events"]["unchanged"]) == (0, 60)
    assert (emulator.state()["requests"], older.exists()) == (2, False)
    assert remembering.command("audit", "--memory").exit_code == 0


def test_a_run_of_an_older_version_is_closed_over_its_memory(remembering, emulator, monkeypatch):
    """Abandoning it is the first that opens the memory: that is taken over, and what was not sent returns."""
    table = (remembering.folder / "events.csv").read_text()
    remembering.write("events.csv", table + "".join(f"{n},u1,click,2026-01-01\n" for n in range(60, 90)))
    remembering.run()
    remembering.write("events.csv", "n,user,what,at\n90,u1,click,2026-01-01\n")
    emulator.faults({"kind": "status", "status": 401})
    unfinished = remembering.run()
    emulator.faults()
    older = memory_as_of_old(remembering)
    monkeypatch.setattr(merging, "_LARGER", 1_000_000)  # older versions left files as they would be merged now
    abandoned = remembering.command("abandon", unfinished.summary["run"])
    result = remembering.run()

    assert (len(older), any(file.exists() for file in older)) == (2, False)
    assert (unfinished.exit_code, abandoned.exit_code, abandoned.exception) == (5, 0, None)
    assert result.summary["streams"]["events"]["delivered"] == 1
    assert emulator.state()["events"] == 91


def test_an_audit_names_what_it_is_to_look_at(remembering):
    """Neither a run nor --memory is a mistake in the words; both together are one answer."""
    run = json.loads(remembering.command("status", "--json").stdout)["runs"][0]["run"]
    neither, both = remembering.command("audit"), remembering.command("audit", run, "--memory", "--json")

    assert (neither.exit_code, "--memory" in neither.stderr) == (2, True)
    assert {"run": run, "sound": True, "memory": {"files": 1, "rows": 60}}.items() <= json.loads(both.stdout).items()


def test_a_page_that_no_row_asks_for_is_found_at_the_merge_and_the_next_run_refuses(remembering, emulator, monkeypatch):
    """What is delivered is remembered beside the damage; then nothing more is sent until the file is put back."""
    monkeypatch.setattr(merging, "_LARGER", 1_000_000)  # any new row has the parts merged
    monkeypatch.setattr(pages, "PAGE_ROWS", 4)
    table = (remembering.folder / "events.csv").read_text()
    remembering.write("events.csv", table + "60,u1,click,2026-01-01\n")
    remembering.run()
    file = memory_of(remembering)
    data = file.read_bytes()
    place = pages.FileBytes(file)
    index = pages.read_index(place, hashlib.sha256(data[pages_end(data) :]).hexdigest())
    assert len(index.first) == 16
    answers = []
    for number in range(16):
        begins = int(index.places[number]) + 200
        file.write_bytes(data[:begins] + bytes([data[begins] ^ 1]) + data[begins + 1 :])
        remembering.write("events.csv", f"n,user,what,at\n{100 + number},u1,click,2026-01-01\n")
        answers.append(remembering.run().exit_code)
        if answers[-1] == 0:
            break
    refused = remembering.run()

    assert answers[-1] == 0  # its row has no key on that page
    assert (refused.exit_code, str(file) in refused.stderr) == (2, True)
    file.write_bytes(data)
    assert remembering.run().summary["streams"]["events"]["unchanged"] == 1
    assert emulator.state()["requests"] == 3


def test_what_a_death_has_left_of_a_merge_goes_at_the_next_one(remembering, monkeypatch):
    """A merged file that was written and never named is removed; what the ledger names stays."""
    monkeypatch.setattr(merging, "_LARGER", 1_000_000)
    file = memory_of(remembering)
    left = file.with_name(f"{file.stem}-merged-0123abcd.pages")
    left.write_bytes(file.read_bytes())
    remembering.write("events.csv", "n,user,what,at\n60,u1,click,2026-01-01\n")

    assert remembering.run().exit_code == 0
    assert not left.exists()
    assert memory_of(remembering) != left


def pages_end(data):
    """Return where the index begins, as the footer says."""
    return int.from_bytes(data[-16:-8], "little")


TWICE = """
import sys
from bucket_loader.cli import main
try:
    main(["run", "pipeline.yaml", "--quiet"])
except SystemExit as ended:
    print(ended.code, sorted({"pandas", "scipy"} & set(sys.modules)))
"""


def test_remembering_and_comparing_import_no_pandas(remembering):
    """A run that compares, remembers and merges costs no import that a run without memory does not have."""
    rows = "".join(f"{n},u1,click,2026-01-01\n" for n in range(40, 130))
    remembering.write("events.csv", "n,user,what,at\n" + rows)
    done = subprocess.run(
        [sys.executable, "-c", TWICE], cwd=remembering.folder, capture_output=True, text=True, check=False,
        env={"BUCKET_SECRET_KEY": remembering.key, "BUCKET_BASE_URL": remembering.url},
    )  # fmt: skip

    assert done.stdout == "0 []\n", done.stderr
