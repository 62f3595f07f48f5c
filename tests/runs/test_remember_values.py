"""`remember: values`: what was delivered is kept beside its hash, and no longer than somebody wants it."""

import json
import sqlite3
from contextlib import closing

import pytest

from bucket_loader.state import snapshots
from bucket_loader.state.snapshots.pages import FileBytes, read_index, read_pages

STREAM = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, attributes: %s}
  remember: %s
"""
EVERY, BY_NAME = '{"*": {}}', "{seats: seats}"
ROWS = [("c1", "5", "pro", "a@x.org"), ("c2", "6", "free", "b@x.org"), ("c3", "7", "pro", "c@x.org")]
LOSE = {"kind": "status", "status": 500, "rate": 1.0}


def export(workplace, rows):
    """Write the export."""
    workplace.write("accounts.csv", "\n".join(["id,seats,plan,email", *map(",".join, rows)]) + "\n")


def pipeline(workplace, attributes=EVERY, remember="values", more=""):
    """Write the pipeline file."""
    workplace.pipeline(STREAM % (attributes, remember) + more)


def night(workplace, rows, *words):
    """Run with an export; returns where the rows went, without the zeros."""
    export(workplace, rows)
    ran = workplace.run(*words)
    assert ran.exception is None, ran.stderr
    return {name: number for name, number in ran.summary["streams"]["companies"].items() if number}


def folder(workplace):
    """Return the folder of the state."""
    (ledger,) = workplace.folder.glob(".bucket_loader/*/ledger.db")
    return ledger.parent


def remembered(workplace):
    """Return the records that the memory holds, by their company, as the newest file that names each has it."""
    found = {}
    with closing(sqlite3.connect(folder(workplace) / "ledger.db")) as ledger:
        named = ledger.execute("SELECT file, digest FROM memory ORDER BY number").fetchall()
    for file, digest in named:
        place = FileBytes(folder(workplace) / "snapshots" / file)
        index = read_index(place, digest)
        for row in read_pages(place, index, 0, len(index.first)).to_pylist():
            found[row["key"]] = row.get("record")
    records = [json.loads(record) for record in found.values() if record is not None]
    return {record["companyId"]: record["attributes"] for record in records}


def bytes_of_memory(workplace):
    """Return all that the files of memory hold, uncompressed."""
    found = []
    for path in (folder(workplace) / "snapshots").iterdir():
        with closing(sqlite3.connect(folder(workplace) / "ledger.db")) as ledger:
            ((digest,),) = ledger.execute("SELECT digest FROM memory WHERE file = ?", (path.name,)).fetchall()
        index = read_index(FileBytes(path), digest)
        found += read_pages(FileBytes(path), index, 0, len(index.first)).to_pylist()
    return str(found)


def test_values_are_those_that_were_delivered(workplace, emulator):
    """What is refused or has no answer is not kept as delivered; what changes takes the place of what was."""
    pipeline(workplace)
    assert night(workplace, ROWS) == {"read": 3, "delivered": 3}
    assert remembered(workplace)["c2"] == {"email": "b@x.org", "plan": "free", "seats": "6"}
    assert {path.stat().st_mode & 0o777 for path in (folder(workplace) / "snapshots").iterdir()} == {0o600}

    changed = [ROWS[0], ("c2", "9", "free", "b@x.org"), ROWS[2], ("c4", "1", "pro", "d@x.org")]
    emulator.faults({"kind": "poison", "match": "c2", "status": 400})
    workplace.write("accounts.csv", "\n".join(["id,seats,plan,email", *map(",".join, changed)]) + "\n")
    workplace.run()
    assert remembered(workplace)["c2"]["seats"] == "6"

    emulator.faults()
    night(workplace, changed, "--retry-refused")
    assert remembered(workplace)["c2"]["seats"] == "9"
    assert "c4" in remembered(workplace)


def test_turning_it_on_learns_as_rows_are_delivered(workplace):
    """What was delivered before is not known, until it changes, or all is sent once more."""
    pipeline(workplace, remember="hashes")
    night(workplace, ROWS)
    pipeline(workplace)
    assert night(workplace, [*ROWS[:2], ("c3", "8", "pro", "c@x.org")]) == {"read": 3, "delivered": 1, "unchanged": 2}
    assert remembered(workplace).keys() == {"c3"}

    night(workplace, ROWS, "--full")
    assert remembered(workplace).keys() == {"c1", "c2", "c3"}
    assert night(workplace, ROWS) == {"read": 3, "unchanged": 3}


@pytest.mark.parametrize(
    ("attributes", "remember", "stays"),
    [
        (EVERY, "hashes", set()),
        (BY_NAME, "values", {"seats"}),
        ('{"*": {exclude: [email]}}', "values", {"seats", "plan"}),
        ('{"*": {}, email: {column: email, hash: sha256}}', "values", {"seats", "plan"}),
        ("""{"*": {}, email: {sql: "'x'"}}""", "values", {"seats", "plan"}),
    ],
)
def test_what_is_no_longer_sent_is_no_longer_kept(workplace, attributes, remember, stays):
    """Also of a row that is not there any more, and in no file; although nothing of it is sent."""
    pipeline(workplace)
    night(workplace, ROWS)
    pipeline(workplace, attributes, remember)
    night(workplace, ROWS[:2])

    assert "c@x.org" not in bytes_of_memory(workplace)
    assert remembered(workplace).get("c3", {}).keys() == stays


def test_a_stream_that_compares_no_more_loses_its_values(workplace):
    """A stream of `sync: full` asks no memory, so no value of it may stay there."""
    pipeline(workplace)
    night(workplace, ROWS)
    workplace.pipeline((STREAM % (EVERY, "hashes")).replace("remember: hashes", "sync: full"))
    night(workplace, ROWS[:2])

    assert "a@x.org" not in bytes_of_memory(workplace)
    assert "c@x.org" not in bytes_of_memory(workplace)


def test_a_stopped_run_lets_go_of_nothing(workplace):
    """A mapping that a limit stops may be a mistake: what was known stays to be compared with."""
    pipeline(workplace)
    night(workplace, ROWS)
    workplace.pipeline(STREAM % (BY_NAME, "values"), head="limits: {changed: 10%}\n")
    assert workplace.run().exit_code == 4
    assert remembered(workplace)["c3"]["email"] == "c@x.org"


def test_an_abandoned_run_lets_go_of_nothing(workplace, emulator):
    """A person may have closed it since its mapping was wrong."""
    pipeline(workplace)
    night(workplace, ROWS)
    pipeline(workplace, BY_NAME)
    emulator.faults({"kind": "status", "status": 429, "rate": 1.0})
    stopped = workplace.run("--patience", "0s")
    assert workplace.command("abandon", stopped.summary["run"]).exit_code == 0
    assert remembered(workplace)["c3"]["email"] == "c@x.org"


def test_memory_that_is_damaged_while_it_is_let_go_of(workplace, monkeypatch):
    """The run ends, for all was delivered; the next one refuses the memory before it sends."""
    pipeline(workplace)
    night(workplace, ROWS)
    pipeline(workplace, BY_NAME)
    reshaped = snapshots.reshaped

    def damaged(part, *words):
        (file,) = (folder(workplace) / "snapshots").glob("*.pages")
        data = bytearray(file.read_bytes())
        data[int(part.index.places[0]) + 40] ^= 1
        file.write_bytes(data)
        return reshaped(part, *words)

    monkeypatch.setattr(snapshots, "reshaped", damaged)
    ended = workplace.run()
    monkeypatch.undo()

    assert ended.exit_code == 0, ended.stderr
    again = workplace.run()
    assert again.exit_code == 2
    assert "is not what was written there" in again.stderr


def test_a_removed_row_loses_its_values(workplace):
    """What is told to be gone is no longer kept, and one that comes back is new."""
    pipeline(workplace, more="  on_removed: {attributes: {status: gone}, limit: 90%}\n")
    night(workplace, ROWS)
    assert night(workplace, ROWS[:2]) == {"read": 2, "removed": 1, "delivered": 1, "unchanged": 2}
    assert remembered(workplace).keys() == {"c1", "c2"}
    night(workplace, ROWS)
    assert remembered(workplace).keys() == {"c1", "c2", "c3"}


def test_what_is_claimed_is_not_known(workplace, emulator):
    """What was sent without an answer may be there or not: the value is neither the old nor the new one."""
    pipeline(workplace)
    night(workplace, ROWS)
    emulator.faults(LOSE)
    export(workplace, [("c1", "9", "pro", "a@x.org"), *ROWS[1:]])
    stopped = workplace.run("--patience", "0s")
    assert stopped.exit_code == 75
    assert workplace.command("abandon", stopped.summary["run"]).exit_code == 0
    assert remembered(workplace).keys() == {"c2", "c3"}


def test_erasing_one_company_takes_its_values(workplace):
    """`forget --company` finds them by the record, where no ids are kept beside it."""
    pipeline(workplace)
    night(workplace, ROWS)
    assert workplace.command("forget", "--company", "c2", "--yes").exit_code == 0
    assert "b@x.org" not in bytes_of_memory(workplace)
    assert remembered(workplace).keys() == {"c1", "c3"}


def test_a_replay_of_another_day_keeps_no_more_than_today(workplace, emulator):
    """A dead letter is sent as it was recorded, and of it is kept what the pipeline still sends."""
    pipeline(workplace)
    emulator.faults({"kind": "poison", "match": "c3", "status": 400})
    export(workplace, ROWS)
    refused = workplace.run()
    assert refused.exit_code == 3
    emulator.faults()
    pipeline(workplace, BY_NAME)
    night(workplace, ROWS[:2])
    replayed = workplace.command_of("replay", refused.summary["dead_letters"])
    assert replayed.exit_code == 0, replayed.stderr
    assert "c@x.org" not in bytes_of_memory(workplace)
    assert remembered(workplace)["c3"] == {"seats": "7"}


@pytest.mark.parametrize("record", ["event", "user"])
def test_values_are_kept_where_they_are_compared(workplace, record):
    """Elsewhere the word is refused, with its line."""
    ids = "{userId: id, event: {value: x}, timestamp: at}" if record == "event" else "{userId: id}"
    sync = "append" if record == "event" else "full"
    workplace.pipeline(f"""
- {{name: rows, record: {record}, source: {{type: csv, path: a.csv}}, fields: {ids}, sync: {sync}, remember: values}}
""")
    refused = workplace.command("check")
    assert refused.exit_code == 2
    assert "`values` is for `sync: changes`" in refused.stderr


def test_columns_that_nobody_asks_for_are_not_read(tmp_path):
    """A page of hashes with records gives its hashes alone, as it was written."""
    import pyarrow as pa

    keys = sorted(bytes([number // 256, number % 256]) * 8 for number in range(3000))
    batch = pa.RecordBatch.from_pydict(
        {"key": keys, "content": keys, "record": [f'{{"n":{number}}}' for number in range(3000)]},
        snapshots.part_schema(records=True),
    )
    written = snapshots.write_pages(tmp_path / "m", [batch], batch.schema, known=lambda: 3000)
    index = read_index(FileBytes(tmp_path / "m"), written.digest)
    assert read_pages(FileBytes(tmp_path / "m"), index, 1, 3, ["key", "content"]).column_names == ["key", "content"]
    assert read_pages(FileBytes(tmp_path / "m"), index, 1, 2)["record"].to_pylist()[0] == '{"n":1024}'
    assert snapshots.is_sound(FileBytes(tmp_path / "m"), written.digest)
