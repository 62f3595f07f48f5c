"""`on_removed:`: what is sent for a row that was delivered and is no longer in the source."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bucket_loader.runs import end
from bucket_loader.state import snapshots as snapshot

COMPANIES = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, attributes: {name: name}}
  on_removed: {attributes: {status: gone, seats: 0}, limit: %s}
"""
OWNED = """
- name: companies
  record: company
  source: {type: csv, path: accounts.csv}
  fields: {companyId: id, userId: owner, attributes: {name: name}}
  on_removed: {attributes: {status: gone}, limit: 90%}
"""
WITHOUT = COMPANIES[: COMPANIES.index("  on_removed")]
TEN = [(f"c{number}", f"n{number}") for number in range(10)]
REFUSE = {"kind": "status", "status": 400, "rate": 1.0}
LOSE = {"kind": "status", "status": 500, "rate": 1.0}


def rows(workplace, pairs, *more):
    """Write the export: pairs of id and name, then lines as they are."""
    lines = ["id,name", *(",".join(pair) for pair in pairs), *more]
    workplace.write("accounts.csv", "\n".join(lines) + "\n")


@pytest.fixture
def ten(workplace):
    """A workplace that has delivered ten companies."""
    workplace.pipeline(COMPANIES % "50%")
    rows(workplace, TEN)
    assert counts(workplace.run()) == {"read": 10, "delivered": 10}
    return workplace


def counts(result):
    """Return where the rows went, without the zeros."""
    assert result.exception is None, result.stderr
    return {name: number for name, number in result.summary["streams"]["companies"].items() if number}


def sent(emulator, after):
    """Return the items that the emulator took after so many."""
    return [entry["item"] for entry in emulator.journal()[after:]]


def audited(workplace, result):
    """Whether the audit of a run finds nothing."""
    found = workplace.command("audit", result.summary["run"], "--json")
    return json.loads(found.stdout)["sound"]


def test_a_row_that_is_gone_sends_its_ids_and_the_constants(ten, emulator):
    """One record more than there are changes; the counts and the audit add up."""
    rows(ten, [("c0", "renamed"), *TEN[1:-1]])
    result = ten.run()
    changed, gone = sorted(sent(emulator, 10), key=lambda item: item["companyId"])  # two chunks, at once

    assert (result.exit_code, counts(result)) == (0, {"read": 9, "removed": 1, "delivered": 2, "unchanged": 8})
    assert (changed["companyId"], changed["attributes"]) == ("c0", {"name": "renamed"})
    assert (gone["companyId"], gone["attributes"]) == ("c9", {"seats": 0, "status": "gone"})
    assert (gone["type"], gone["context"]) == ("company", {"active": False})
    assert audited(ten, result)


def test_it_is_sent_once_and_not_again_until_it_comes_back(ten, emulator):
    """The memory knows it as removed; back in the source it is sent whole, and may go another time."""
    rows(ten, TEN[:-1])
    ten.run()
    again = ten.run()
    rows(ten, TEN)
    back = ten.run()
    rows(ten, TEN[:-1])
    another = ten.run()

    assert counts(again) == {"read": 9, "unchanged": 9}
    assert counts(back) == {"read": 10, "delivered": 1, "unchanged": 9}
    assert counts(another) == {"read": 9, "removed": 1, "delivered": 1, "unchanged": 9}
    assert [item["attributes"] for item in sent(emulator, 10)] == [
        {"seats": 0, "status": "gone"}, {"name": "n9"}, {"seats": 0, "status": "gone"},
    ]  # fmt: skip


def test_ids_are_sent_as_they_were_spelt(workplace, emulator):
    """Ids that look like numbers or hold signs of JSON and other scripts come back from the memory as they went in."""
    ids = ["00123", 'a"b\\c', "Ærø/東京", "1e5", "null", "{}"]
    workplace.pipeline(COMPANIES % "90%")
    rows(workplace, [(f'"{one}"'.replace('a"b', 'a""b'), "n") for one in ids], "kept,n")
    workplace.run()
    rows(workplace, [("kept", "n")])
    workplace.run()

    assert sorted(item["companyId"] for item in sent(emulator, 7)) == sorted(ids)


def test_users_too(workplace, emulator):
    """A user stream works alike."""
    workplace.pipeline(OWNED.replace("companies", "users").replace("company\n", "user\n").replace(
        "companyId: id, userId: owner", "userId: id"))  # fmt: skip
    rows(workplace, [("a", "A"), ("b", "B")])
    workplace.run()
    rows(workplace, [("a", "A")])
    result = workplace.run()

    assert result.summary["streams"]["users"]["removed"] == 1
    assert [(item["userId"], item["attributes"]) for item in sent(emulator, 2)] == [("b", {"status": "gone"})]


def test_filtered_and_rejected_rows_still_exist(workplace, emulator):
    """A row that `where:` leaves out, or that is rejected for a bad value, is there all the same."""
    workplace.pipeline(
        (COMPANIES % "90%").replace("{name: name}", "{n: {column: name, type: integer}}") + "  where: name <> '2'\n"
    )
    rows(workplace, [("a", "1"), ("b", "1"), ("c", "1"), ("d", "1")])
    workplace.run()
    rows(workplace, [("a", "2"), ("b", "many"), ("c", "1")])
    result = workplace.run()

    assert counts(result) == {
        "read": 3, "removed": 1, "delivered": 1, "rejected": 1, "filtered": 1, "unchanged": 1,
    }  # fmt: skip
    assert [item["companyId"] for item in sent(emulator, 4)] == ["d"]
    assert audited(workplace, result)


@pytest.mark.parametrize("line", [",no id", " ,blank id", "c9,too,wide", b"c9,\xff"])
def test_nothing_counts_as_removed_beside_a_row_without_an_id(ten, line):
    """It may be any row's: the run says so, and the next one without such a row finds what is gone."""
    rows(ten, TEN[:-1])
    whole = (ten.folder / "accounts.csv").read_bytes()
    ten.write("accounts.csv", whole + (line if isinstance(line, bytes) else line.encode()) + b"\n")
    result = ten.run()
    ten.write("accounts.csv", whole)

    assert (result.exit_code, counts(result)) == (3, {"read": 10, "rejected": 1, "unchanged": 9})
    assert "1 rejected rows do not say whose they are" in result.stderr
    assert counts(ten.run())["removed"] == 1


def test_a_filtered_row_without_an_id_stands_in_nobodys_way(ten):
    """`where: id is not null` says that such rows are nobody's."""
    ten.pipeline((COMPANIES % "50%") + "  where: id is not null\n")
    rows(ten, TEN[:-1], ",no id")

    assert counts(ten.run()) == {"read": 10, "removed": 1, "delivered": 1, "filtered": 1, "unchanged": 9}


@pytest.mark.parametrize(("limit", "left", "code"), [("50%", 5, 0), ("50%", 4, 4), ("2", 8, 0), ("2", 7, 4)])
def test_more_than_the_limit_stops_the_run(ten, emulator, limit, left, code):
    """Exit 4 before anything is sent, also of what has changed; `--accept-changes` lets it through."""
    ten.pipeline(COMPANIES % limit)
    rows(ten, [("c0", "renamed"), *TEN[1:left]])
    result = ten.run()

    assert result.exit_code == code, result.stderr
    assert len(sent(emulator, 10)) == (0 if code else 1 + 10 - left)
    if code:
        assert "--accept-changes" in result.stderr
        assert counts(ten.run("--accept-changes")) == {
            "read": left, "removed": 10 - left, "delivered": 11 - left, "unchanged": left - 1,
        }  # fmt: skip


def test_the_limit_is_five_percent_unless_told(workplace):
    """One of twenty may go; two may not."""
    workplace.pipeline((COMPANIES % "x").replace(", limit: x", ""))
    many = [(f"c{number}", "n") for number in range(20)]
    rows(workplace, many)
    workplace.run()
    rows(workplace, many[:18])
    two = workplace.run()
    rows(workplace, many[:19])

    assert (two.exit_code, "limit: 5%" in two.stderr) == (4, True)
    assert counts(workplace.run())["removed"] == 1


@pytest.mark.parametrize("export", ["id,name\n", "id,name\nC0,n0\nC1,n1\n"])
def test_when_everything_is_gone_no_limit_lets_it_through(ten, emulator, export):
    """An empty export, or ids that are spelt in another way: a person has to say that it is right."""
    ten.pipeline(COMPANIES % "100%")
    ten.write("accounts.csv", export)
    result = ten.run()

    assert (result.exit_code, "all 10 known records are gone" in result.stderr) == (4, True)
    assert sent(emulator, 10) == []
    assert counts(ten.run("--accept-changes"))["removed"] == 10


@pytest.mark.parametrize("words", [["--limit", "5"], ["--full"]])
def test_a_reading_that_cannot_tell_removes_nothing(ten, words):
    """With `--limit` the rest was not read, with `--full` the memory is not asked; the next run finds what is gone."""
    rows(ten, TEN[:-1])
    some = ten.run(*words)

    assert (some.exit_code, "removed" in counts(some)) == (0, False)
    assert counts(ten.run())["removed"] == 1


def test_a_plan_says_what_would_be_removed_and_run_sends_that(ten, emulator):
    """`plan` counts and shows it, and `run --plan` sends those bytes; a limit holds for it, too."""
    rows(ten, TEN[:-1])
    plan = ten.command("plan", "--json", "--show", "5")
    result = ten.run("--plan", plan.summary["plan"])

    assert plan.summary["streams"]["companies"]["removed"] == 1
    assert '"status":"gone"' in plan.stderr
    assert counts(result) == {"read": 9, "removed": 1, "delivered": 1, "unchanged": 9}
    rows(ten, TEN[:2])
    plan = ten.command("plan", "--json")
    assert ten.run("--plan", plan.summary["plan"]).exit_code == 4


def test_a_company_whose_owner_changed_is_not_gone(workplace, emulator):
    """Each row is a company with a user; the company is gone only when none of its rows is left, filtered ones too."""
    workplace.pipeline(OWNED + "  where: name <> 'hidden'\n")
    workplace.write("accounts.csv", "id,owner,name\nA,u1,x\nB,u1,x\nB,u2,x\nC,u1,x\nC,u2,x\nD,,x\nE,u1,x\nF,u1,x\n")
    workplace.run()
    workplace.write("accounts.csv", "id,owner,name\nA,u2,x\nB,u2,x\nD,u4,x\nE,u9,hidden\nF,u1,x\n")
    result = workplace.run()
    removed = [(item["companyId"], item["userId"]) for item in sent(emulator, 8) if "status" in item["attributes"]]

    assert counts(result) == {"read": 5, "removed": 2, "delivered": 4, "filtered": 1, "unchanged": 2}
    assert sorted(removed) == [("C", "u1"), ("C", "u2")]


def test_taking_the_user_out_of_the_mapping_removes_nobody(workplace, emulator):
    """The rows' keys are others then, and the companies are still there."""
    workplace.pipeline(OWNED)
    workplace.write("accounts.csv", "id,owner,name\nA,u1,x\nB,u2,x\n")
    workplace.run()
    workplace.pipeline(OWNED.replace("userId: owner, ", ""))
    again = workplace.run()
    workplace.write("accounts.csv", "id,owner,name\nA,u1,x\n")
    gone = workplace.run()

    assert counts(again) == {"read": 2, "delivered": 2}
    assert counts(gone) == {"read": 1, "removed": 2, "delivered": 2, "unchanged": 1}
    assert {item["companyId"] for item in sent(emulator, 4)} == {"B"}


def test_a_refused_removal_is_a_dead_letter_and_is_tried_again(ten, emulator):
    """Its row is empty, its record is what was refused; the next run that tries it finds it again."""
    rows(ten, TEN[:-1])
    emulator.faults(REFUSE)
    result = ten.run()
    emulator.faults()
    (letter,) = ten.dead_letters(result)

    assert (result.exit_code, counts(result)) == (3, {"read": 9, "removed": 1, "rejected": 1, "unchanged": 9})
    assert (letter["origin"], letter["row"]) == ({"source": "(removed)", "row": 0}, {})
    assert letter["record"]["companyId"] == "c9"
    assert counts(ten.run("--retry-refused")) == {"read": 9, "removed": 1, "delivered": 1, "unchanged": 9}


def test_a_replay_sends_it_as_recorded_and_the_memory_knows(ten, emulator):
    """As recorded it arrives, and is not sent again; through today's mapping it has no row to map."""
    rows(ten, TEN[:-1])
    emulator.faults(REFUSE)
    file = ten.run().summary["dead_letters"]
    emulator.faults()
    remapped = ten.command_of("replay", file, "--json", "--remap")
    replayed = ten.command_of("replay", file, "--json")

    assert (remapped.exit_code, "without --remap" in remapped.stderr) == (2, True)
    assert counts(replayed) == {"read": 1, "delivered": 1}
    assert audited(ten, replayed)
    assert counts(ten.run()) == {"read": 9, "unchanged": 9}


def test_remapping_leaves_removals_for_another_replay(ten, emulator):
    """Of a file with both, the rows are mapped anew and the removals can still be sent as recorded."""
    rows(ten, [("c0", "renamed"), *TEN[1:-1]])
    emulator.faults(REFUSE)
    file = ten.run().summary["dead_letters"]
    emulator.faults()
    remapped = ten.command_of("replay", file, "--json", "--remap")

    assert counts(remapped) == {"read": 2, "delivered": 1, "filtered": 1}
    assert counts(ten.command_of("replay", file, "--json")) == {"read": 2, "delivered": 1, "unchanged": 1}


def test_a_replay_removes_nobody(ten, emulator):
    """The rows of a dead-letter file are a part of the source: the others are not gone."""
    rows(ten, [("c0", "renamed"), *TEN[1:]])
    emulator.faults(REFUSE)
    file = ten.run().summary["dead_letters"]
    emulator.faults()

    assert counts(ten.command_of("replay", file, "--json", "--remap")) == {"read": 1, "delivered": 1}


def test_one_whose_answer_never_came_is_sent_again(ten, emulator):
    """An unknown removal is set aside; the next plan has a newer one, which is sent in its place, and once."""
    rows(ten, TEN[:-1])
    emulator.faults(LOSE)
    broken = ten.run("--patience", "0.3s")
    emulator.faults()
    after = ten.run()

    assert (broken.exit_code, counts(broken)["removed"], counts(broken)["pending"]) == (75, 1, 1)
    assert [one["streams"]["companies"]["superseded"] for one in after.summary["resumed"]] == [1]
    assert counts(after) == {"read": 9, "removed": 1, "delivered": 1, "unchanged": 9}
    assert counts(ten.run()) == {"read": 9, "unchanged": 9}


def test_an_abandoned_removal_is_claimed_and_tried_again(ten, emulator):
    """Nobody knows whether it arrived: the next plan removes it once more, and not a third time."""
    rows(ten, TEN[:-1])
    emulator.faults(LOSE)
    broken = ten.run("--patience", "0.3s")
    ten.command("abandon", broken.summary["run"])
    emulator.faults()

    assert counts(ten.run()) == {"read": 9, "removed": 1, "delivered": 1, "unchanged": 9}
    assert counts(ten.run()) == {"read": 9, "unchanged": 9}


def test_a_death_before_the_memory_moves_sends_nothing_twice(ten, emulator, monkeypatch):
    """What was delivered is in the ledger: the next run settles it, and finds nothing to remove."""
    rows(ten, TEN[:-1])
    with monkeypatch.context() as patch:
        patch.setattr(end, "settle_run", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        ten.run()
    after = ten.run()

    assert len(sent(emulator, 10)) == 1
    assert [one["streams"]["companies"]["delivered"] for one in after.summary["resumed"]] == [1]
    assert counts(after) == {"read": 9, "unchanged": 9}


def test_a_removal_that_cannot_be_a_record_is_rejected_by_planning(ten):
    """It goes through the checks of any record: too large for a chunk, it is a dead letter of planning."""
    ten.pipeline((COMPANIES % "50%").replace("status: gone", f"status: {'x' * 530_000}"))
    rows(ten, TEN[:-1])
    result = ten.run()
    (letter,) = ten.dead_letters(result)

    assert counts(result) == {"read": 9, "removed": 1, "rejected": 1, "unchanged": 9}
    assert (letter["stage"], letter["reasons"][0]["code"], letter["row"]) == (
        "validate",
        "too_large",
        {"companyId": "c9", "userId": None},
    )
    assert audited(ten, result)


def test_a_stream_that_gets_it_later_knows_ids_from_then_on(workplace, emulator):
    """The run says how many have none; those never count as removed, and `--full` learns those that are there."""
    workplace.pipeline(WITHOUT)
    rows(workplace, TEN)
    workplace.run()
    workplace.pipeline(COMPANIES % "50%")
    rows(workplace, [("c0", "renamed"), *TEN[1:9]])
    first = workplace.run()
    full = workplace.run("--full")
    rows(workplace, TEN[:8])
    later = workplace.run()

    assert counts(first) == {"read": 9, "delivered": 1, "unchanged": 8}
    assert "of 10 known records 10 were delivered before" in first.stderr
    assert counts(full) == {"read": 9, "delivered": 9}
    assert "of 10 known records 1 were delivered before" in later.stderr
    assert counts(later)["removed"] == 1
    assert sorted(item["companyId"] for item in sent(emulator, 20)) == ["c0", "c8"]  # two chunks, at once


def test_many_parts_of_both_shapes_are_merged(workplace, emulator):
    """Parts with and without ids become one that still knows what is gone."""
    workplace.pipeline(WITHOUT)
    rows(workplace, TEN)
    workplace.run()
    workplace.pipeline(COMPANIES % "50%")
    for number in range(9):
        rows(workplace, [("c0", f"renamed {number}"), *TEN[1:]])
        workplace.run()
    (state,) = (workplace.folder / ".bucket_loader").iterdir()
    parts = list((state / "snapshots").glob("*.pages"))
    rows(workplace, TEN[1:])
    result = workplace.run("--accept-changes")

    assert len(parts) < 9
    assert counts(result) == {"read": 9, "removed": 1, "delivered": 1, "unchanged": 9}


def test_a_source_without_nulls_has_none_in_the_plan(workplace):
    """Columns that are declared without nulls stand in no removal's way."""
    workplace.pipeline((COMPANIES % "90%").replace("type: csv, path: accounts.csv", "type: parquet, path: a.parquet"))
    inner = pa.struct([pa.field("a", pa.int64(), nullable=False)])
    schema = pa.schema([pa.field("id", pa.string(), nullable=False), pa.field("name", pa.string(), nullable=False),
                        pa.field("more", inner, nullable=False)])  # fmt: skip
    table = pa.table([["a", "b"], ["n", "n"], [{"a": 1}, {"a": 2}]], schema=schema)
    pq.write_table(table, workplace.folder / "a.parquet")
    workplace.run()
    pq.write_table(table.slice(1), workplace.folder / "a.parquet")

    assert counts(workplace.run()) == {"read": 1, "removed": 1, "delivered": 1, "unchanged": 1}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("path: accounts.csv", 'path: "{interval_start:%Y}.csv"', "read for an interval"),
        ("{type: csv, path: accounts.csv}",
         '{type: sql, url: "sqlite:///a.db", query: "select * from a where at > :interval_start"}',
         "read for an interval"),
        ("{type: csv, path: accounts.csv}",
         '{type: sql, url: "sqlite:///a.db", query: "select * from a where at > :cursor"}',
         "read from a cursor on"),
        ("path: accounts.csv", "path: accounts.csv, new_files: true", "new files alone"),
        ("  fields:", "  sync: full\n  fields:", "only `sync: changes`"),
        ("status: gone, seats: 0", '"*": {}', "on_removed"),
        ("{status: gone, seats: 0}", "{}", "on_removed"),
        ("status: gone", "status: {column: name}", "on_removed"),
    ],
)  # fmt: skip
def test_what_cannot_tell_is_a_mistake_in_the_file(workplace, old, new, said):
    """A source that is not read whole, a mode without memory, attributes that are no constants: exit 2."""
    workplace.pipeline((COMPANIES % "5%").replace(old, new))
    result = workplace.run("--interval-start", "2026-01-01", "--interval-end", "2026-01-02")

    assert (result.exit_code, said in result.stderr) == (2, True), result.stderr


@pytest.mark.parametrize("where", ["file", "under a query"])
def test_what_a_query_in_a_file_asks_for_is_seen_when_it_is_read(workplace, emulator, where):
    """The interval in a query file, or in a named source under a query, is found before anything is sent."""
    with closing(sqlite3.connect(workplace.folder / "a.db")) as database:
        database.execute("create table a (id text, name text, at text)")
        database.execute("insert into a values ('x', 'n', '2026-01-01')")
        database.commit()
    workplace.write("q.sql", "select * from a where at >= :interval_start or true")
    filed = '{type: sql, url: "sqlite:///a.db", query_file: q.sql}'
    source = filed if where == "file" else '{type: query, sql: "select * from base"}'
    workplace.pipeline((COMPANIES % "5%").replace("{type: csv, path: accounts.csv}", source),
                       head=f"sources:\n  base: {filed}\n")  # fmt: skip
    result = workplace.run("--interval-start", "2026-01-01", "--interval-end", "2026-01-02")

    assert (result.exit_code, "uses interval_start" in result.stderr) == (2, True), result.stderr
    assert emulator.state()["requests"] == 0
    workplace.write("q.sql", "select * from a where at <= :as_of")
    assert workplace.run().exit_code == 0


def test_the_memory_holds_ids_only_where_they_are_needed(ten, workplace):
    """The part of a stream with `on_removed:` has a third column; the hashes are as they were."""
    (state,) = (ten.folder / ".bucket_loader").iterdir()
    (part,) = (state / "snapshots").glob("*.pages")
    table = pa.ipc.open_stream(part.read_bytes()).read_all()

    assert table.schema == snapshot.part_schema(ids=True)
    assert sorted(table["ids"].to_pylist()) == [f'{{"companyId":"c{number}"}}' for number in range(10)]
    assert Path(part).stat().st_mode & 0o077 == 0
