"""Rows that the API has refused: they are known when they come again, go last, and are sent once a day."""

import json
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pyarrow.parquet as pq
import pytest
from workplace import KEY

from bucket_loader import load
from bucket_loader.model.clock import SystemClock
from bucket_loader.state import Ledger, refusals

pytestmark = pytest.mark.long

BAD = {"kind": "poison", "match": "bad", "status": 400}
REFUSE = {"kind": "status", "status": 400, "rate": 1.0}
TIME = "timestamp: {column: at, type: timestamp, timezone: UTC}"
STREAM = """
- name: rows
  record: {record}
  source: {{type: csv, path: rows.csv}}
  {words}
  fields: {{{fields}}}
"""
EVENT = f"userId: id, event: {{value: e}}, attributes: {{n: n}}, {TIME}"
FEATURE_EVENT = (
    "action: {value: evaluate}, key: {value: f}, evalResult: {value: true, type: boolean}, evalContext: {id: id}"
)
KINDS = {
    "event by key": ("event", "key: [id]", EVENT),
    "event by content": ("event", "sync: append", EVENT),
    "event, all": ("event", "sync: full", EVENT),
    "event, all, by key": ("event", "sync: full\n  key: [id]", EVENT),
    "event at the plan's time": ("event", "key: [id]", "userId: id, event: {value: e}, attributes: {n: n}"),
    "event, all, at the plan's time": ("event", "sync: full", "userId: id, event: {value: e}, attributes: {n: n}"),
    "feedback": ("feedback", "key: [id]", f"userId: id, featureId: {{value: f}}, score: {{value: 4}}, {TIME}"),
    "feature event, all": ("feature_event", "sync: full", FEATURE_EVENT),
    "user": ("user", "sync: changes", "userId: id, attributes: {n: n}"),
    "user, all": ("user", "sync: full", "userId: id, attributes: {n: n}"),
    "user, all, with times": ("user", "sync: full", f"userId: id, attributes: {{n: n}}, {TIME}"),
    "company": ("company", "sync: changes", "companyId: id, attributes: {n: n}"),
    "company, all": ("company", "sync: full", "companyId: id, attributes: {n: n}, active: true"),
}  # fmt: skip


def pipeline(workplace, kind="event by key", *, limits="", more=""):
    """Write a pipeline of one stream, in chunks of five, one after the other."""
    record, words, fields = KINDS[kind]
    if ", active: true" in fields:
        fields, words = fields.replace(", active: true", ""), f"{words}\n  active: true"
    streams = STREAM.format(record=record, words=f"{words}{more}", fields=fields)
    file = workplace.pipeline(streams, head=limits)
    file.write_text(
        file.read_text().replace("patience: 1s\n", "patience: 1s\n  chunk: {records: 5}\n  concurrency: 1\n")
    )


def rows(workplace, *names):
    """Write the source: a row for each name; one that says `bad` is refused."""
    lines = [f"{name.partition('=')[0]},{name.partition('=')[2] or 1},2026-01-01T00:00:00Z" for name in names]
    workplace.write("rows.csv", "\n".join(["id,n,at", *lines]) + "\n")


def counts(result):
    """Return where the rows went, without the zeros."""
    assert result.exception is None, result.stderr
    return {name: number for name, number in result.summary["streams"]["rows"].items() if number}


def sent(emulator, after=0):
    """Return the ids of the items that the emulator took after so many."""
    items = [entry["item"] for entry in emulator.journal()[after:]]
    return [item.get("userId") or item.get("companyId") or item["attributes"]["id"] for item in items]


def ledger_of(workplace):
    """Open the state's ledger."""
    return Ledger(next(workplace.folder.glob(".bucket_loader/*/ledger.db")))


def remembered(workplace, *, dead=0):
    """Return what the stream remembers as refused; its file is the only one, but for those of owners that died."""
    with closing(ledger_of(workplace)) as ledger:
        file = ledger.refusals().get("rows")
    folder = next(workplace.folder.glob(".bucket_loader/*/snapshots"), None)
    names = {path.name for path in folder.glob("*-refused.parquet")}
    assert file is None or file.file in names
    assert len(names) == dead + (file is not None)
    return refusals.read(folder / file.file).to_pylist() if file else []


def audited(workplace, result):
    """Return what the audit of a run finds."""
    return json.loads(workplace.command("audit", result.summary["run"], "--json").stdout)["findings"]


@pytest.fixture
def later(monkeypatch):
    """Let plans be made so many days later."""

    def on(days):
        moment = datetime.now(UTC) + timedelta(days=days)
        monkeypatch.setattr(SystemClock, "utc", lambda _: moment)

    return on


@pytest.fixture
def refusing(workplace, emulator):
    """A workplace whose API refuses whatever says `bad`; two such rows were refused, and one was delivered."""
    emulator.faults(BAD)
    pipeline(workplace)
    rows(workplace, "bad1", "bad2", "a")
    result = workplace.run()
    assert (result.exit_code, counts(result)) == (3, {"read": 3, "delivered": 1, "rejected": 2})
    workplace.first = result.summary["run"]
    return workplace


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_refused_is_known_on_the_same_day_and_last_on_the_next(workplace, emulator, later, kind):
    """Of every kind and mode, with `key:` and without: not sent twice on one day, and never before what is new."""
    emulator.faults(BAD)
    pipeline(workplace, kind)
    rows(workplace, "bad1", "bad2", "a")
    first = workplace.run()
    rows(workplace, "bad1", "bad2", "a", "b")
    second = workplace.run()
    later(1)
    rows(workplace, "bad1", "bad2", "a", "b", "c")
    third = workplace.run()
    again = {"delivered": 1, "unchanged": 1} if "all" not in kind else {"delivered": 2}
    more = {"delivered": 1, "unchanged": 2} if "all" not in kind else {"delivered": 3}

    assert counts(first) == {"read": 3, "delivered": 1, "rejected": 2}
    assert counts(second) == {"read": 4, "rejected": 2, "refused_before": 2} | again
    assert (second.exit_code, second.summary["dead_letters"]) == (3, None)
    assert counts(third) == {"read": 5, "rejected": 2} | more
    assert len(workplace.dead_letters(third)) == 2
    assert audited(workplace, second) == []
    assert {one["run"] for one in remembered(workplace)} == {first.summary["run"]}


@pytest.mark.parametrize("api", ["front-legacy", "tracking-legacy"])
@pytest.mark.parametrize("kind", ["user, all", "event, all", "event, all, at the plan's time", "user"])
def test_it_is_known_through_the_older_apis_and_by_either(workplace, emulator, api, kind):
    """What was refused through an older API is known there, and by the newer one too."""
    emulator.faults(BAD)
    workplace.key = "pub_test_0123456789"
    pipeline(workplace, kind)
    file = workplace.folder / "pipeline.yaml"
    newer = file.read_text()
    file.write_text(newer.replace("concurrency: 1\n", f"concurrency: 1\n  api: {api}\n"))
    rows(workplace, "bad1", "a")
    first, second = workplace.run(), workplace.run()
    file.write_text(newer)
    workplace.key = KEY
    third = workplace.run("--key-rotated")

    assert counts(first) == {"read": 2, "delivered": 1, "rejected": 1}
    assert counts(second)["refused_before"] == counts(third)["refused_before"] == 1
    assert audited(workplace, third) == []


def test_a_person_is_told_what_was_refused_before(refusing, later):
    """The summary and the plan name the first run, say what is sent again and what not, and what to do."""
    again = refusing.command("run")
    plan = refusing.command("plan", "--json")
    later(1)
    next_day = refusing.command("plan")
    (known,) = plan.summary["refused_before"]

    assert f"first on {known['day']} by run {refusing.first}; 2 are not sent again now" in again.stderr
    assert f"the dead letters of run {refusing.first} say why" in again.stderr
    assert (known["waiting"], known["again"], known["run"]) == (2, 0, refusing.first)
    assert "2 are sent once more, after all that is new" in next_day.stderr


def test_it_can_be_asked_for_always_and_never(refusing, later):
    """With --retry-refused they are sent on the same day, with --no-retry-refused on no day."""
    later(1)
    never = refusing.run("--no-retry-refused")
    once = refusing.run()
    always = refusing.run("--retry-refused")

    assert counts(never) == {"read": 3, "rejected": 2, "refused_before": 2, "unchanged": 1}
    assert counts(once) == counts(always) == {"read": 3, "rejected": 2, "unchanged": 1}


def test_python_can_ask_for_it_too(refusing):
    """`load` knows the same word."""
    words = {"destination": {"base_url": refusing.url, "key": KEY}}
    waiting = load(refusing.folder / "pipeline.yaml", **words)
    again = load(refusing.folder / "pipeline.yaml", retry_refused=True, **words)

    assert (waiting.streams["rows"].refused_before, again.streams["rows"].refused_before) == (2, 0)
    with pytest.raises(Exception, match="some rows were rejected") as found:
        waiting.raise_for_status()
    assert refusing.first in found.value.hint


def test_they_are_part_of_what_may_be_rejected(refusing):
    """--allow-rejected counts them as it counts what is refused now."""
    assert refusing.run("--allow-rejected", "2").exit_code == 0
    assert refusing.run("--allow-rejected", "1").exit_code == 3


def test_a_changed_row_is_new_and_a_delivered_key_forgets(workplace, emulator):
    """Other content is sent at once; where it arrives, what was refused of its key is forgotten."""
    emulator.faults(BAD)
    pipeline(workplace, "user")
    rows(workplace, "bad1", "bad2")
    workplace.run()
    emulator.faults()
    rows(workplace, "bad1=2", "bad2")
    result = workplace.run()

    assert counts(result) == {"read": 2, "delivered": 1, "rejected": 1, "refused_before": 1}
    assert len(remembered(workplace)) == 1


def test_what_is_delivered_at_last_is_no_longer_refused(refusing, emulator):
    """The API takes it on another try; a file without rows is not kept."""
    emulator.faults()
    assert counts(refusing.run("--retry-refused")) == {"read": 3, "delivered": 2, "unchanged": 1}
    assert remembered(refusing) == []
    assert counts(refusing.run()) == {"read": 3, "unchanged": 3}


def test_a_replayed_letter_that_arrives_is_no_longer_refused(refusing, emulator):
    """Replay sends what was refused whatever the day, and what comes of it is remembered."""
    file = next(refusing.folder.glob(f".bucket_loader/*/dead_letters/{refusing.first}.jsonl"))
    emulator.faults({"kind": "poison", "match": "bad2", "status": 400})
    result = refusing.command_of("replay", str(file), "--json")

    assert counts(result) == {"read": 2, "delivered": 1, "rejected": 1}
    assert [one["run"] for one in remembered(refusing)] == [refusing.first]
    assert counts(refusing.run()) == {"read": 3, "rejected": 1, "refused_before": 1, "unchanged": 2}


def test_equal_rows_are_known_one_by_one(workplace, emulator, later):
    """Without `key:` two equal rows are two events, and two refusals; all of them wait, and all come back."""
    emulator.faults(BAD)
    pipeline(workplace, "event by content")
    rows(workplace, "bad1", "a", "bad1", "a")
    workplace.run()
    rows(workplace, "bad1", "a", "bad1", "a", "bad1")
    more = workplace.run()
    later(1)

    assert counts(more) == {"read": 5, "unchanged": 2, "rejected": 3, "refused_before": 2}
    assert counts(workplace.run()) == {"read": 5, "unchanged": 2, "rejected": 3}


def test_a_row_that_is_gone_is_refused_and_known_as_well(workplace, emulator, later):
    """What `on_removed:` makes is known by its bytes; with other constants it is new."""
    pipeline(workplace, "company", more="\n  on_removed: {attributes: {status: bad}, limit: 90%}")
    rows(workplace, "a", "b", "c")
    workplace.run()
    emulator.faults(BAD)
    rows(workplace, "a")
    first, second = workplace.run(), workplace.run()
    later(1)
    third = workplace.run()
    pipeline(workplace, "company", more="\n  on_removed: {attributes: {status: worse than bad}, limit: 90%}")
    changed = workplace.run()

    assert counts(first) == counts(third) == {"read": 1, "removed": 2, "rejected": 2, "unchanged": 1}
    assert counts(second) == counts(first) | {"refused_before": 2}
    assert counts(changed) == counts(first)
    assert [audited(workplace, one) for one in (second, third, changed)] == [[], [], []]


OWNED = """
- name: rows
  record: company
  source: {type: csv, path: rows.csv}
  fields: {companyId: company, userId: user, attributes: {n: n}}
"""


def test_a_row_sent_last_undoes_no_later_row(workplace, emulator, later):
    """A company's refused row waits while a later, new row names the same company or user; others go on."""
    emulator.faults(BAD)
    workplace.pipeline(OWNED)
    workplace.write("rows.csv", "company,user,n\nA,u1,bad\nB,u2,bad\nC,u3,bad\n")
    workplace.run()
    emulator.faults()
    later(1)
    workplace.write("rows.csv", "company,user,n\nC,u9,0\nA,u1,bad\nB,u2,bad\nC,u3,bad\nA,u4,2\nD,u2,3\n")
    result = workplace.run()

    assert counts(result) == {"read": 6, "delivered": 4, "rejected": 2, "refused_before": 2}
    items = [(item["companyId"], item["userId"]) for item in (entry["item"] for entry in emulator.journal())]
    assert items == [("C", "u9"), ("A", "u4"), ("D", "u2"), ("C", "u3")]


@pytest.mark.parametrize("kind", ["event by key", "event, all", "user"])
def test_what_was_refused_is_sent_after_all_that_is_new(workplace, emulator, later, kind):
    """Its chunks hold nothing else, and begin where the plan says."""
    emulator.faults(BAD)
    pipeline(workplace, kind)
    rows(workplace, *(f"bad{number}" for number in range(7)))
    workplace.run()
    later(1)
    emulator.faults()
    rows(workplace, *(f"bad{number}" for number in range(7)), *(f"new{number}" for number in range(7)))
    result = workplace.run()
    with closing(ledger_of(workplace)) as ledger:
        chunks = [row.members for row in ledger.chunks(result.summary["run"], 0, "delivered")]

    assert sent(emulator)[:7] == [f"new{number}" for number in range(7)]
    assert chunks == ["0-4", "5-6", "7-11", "12-13"]


def test_limits_ask_only_what_is_new(workplace, emulator, later):
    """Neither `rejected` nor `changed` counts what was refused before: it stops nothing that is new."""
    pipeline(workplace, "user")
    names = [f"bad{number}" for number in range(4)]
    rows(workplace, *names)
    workplace.run()
    emulator.faults(BAD)
    rows(workplace, *(f"{name}=2" for name in names))
    workplace.run()
    pipeline(workplace, "user", limits="limits: {rejected: 1, changed: 1}\n")
    rows(workplace, *(f"{name}=2" for name in names), "new")
    waiting = workplace.run()
    later(1)
    rows(workplace, *(f"{name}=2" for name in names), "new", "newer")
    again = workplace.run()

    assert counts(waiting) == {"read": 5, "delivered": 1, "rejected": 4, "refused_before": 4}
    assert counts(again) == {"read": 6, "delivered": 1, "unchanged": 1, "rejected": 4}


# --- how it is remembered -------------------------------------------------------------------------------------------


def test_a_run_that_was_stopped_decides_nothing_for_the_next(workplace, emulator):
    """What is refused by a run that stops as a whole goes last from then on, and is sent on the same day."""
    emulator.faults(REFUSE)
    pipeline(workplace)
    rows(workplace, *(f"r{number}" for number in range(100)))
    stopped = workplace.run()
    emulator.faults()
    rows(workplace, *(f"r{number}" for number in range(100)), "new")
    result = workplace.run()

    assert stopped.exit_code == 4
    assert counts(result) == {"read": 101, "delivered": 101}
    assert sent(emulator)[:1] != ["r0"]
    assert remembered(workplace) == []


@pytest.mark.parametrize("where", ["before", "after"])
def test_a_death_while_it_is_remembered_forgets_nothing(workplace, emulator, monkeypatch, where):
    """Killed before the commit or after it, the next run comes to the same."""
    emulator.faults(BAD)
    pipeline(workplace)
    rows(workplace, "bad1", "a")

    def dying(ledger, *arguments, _settle=Ledger.settle, **words):
        if where == "after":
            _settle(ledger, *arguments, **words)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Ledger, "settle", dying)
        assert workplace.command("run").exit_code != 0
    result = workplace.run()

    assert counts(result) == {"read": 2, "rejected": 1, "refused_before": 1, "unchanged": 1}
    assert len(remembered(workplace, dead=where == "before")) == 1


def test_an_abandoned_run_is_remembered(workplace, emulator):
    """What it saw refused was judged row by row; what it did not send returns as new."""
    emulator.faults(BAD, {"kind": "poison", "match": "lost", "status": 429})
    pipeline(workplace)
    rows(workplace, "bad1", *(f"a{number}" for number in range(4)), "lost")
    unfinished = workplace.run("--patience", "0.1s")
    assert unfinished.exit_code == 75
    workplace.command("abandon", unfinished.summary["run"])
    emulator.faults()

    assert counts(workplace.run()) == {"read": 6, "unchanged": 4, "delivered": 1, "rejected": 1, "refused_before": 1}


def test_what_no_plan_meets_for_long_is_forgotten(refusing, later):
    """It does not grow for ever: what is no longer in the source goes after a hundred days without it."""
    rows(refusing, "bad1", "a")
    later(refusals.FORGOTTEN_DAYS)
    refusing.run()
    assert len(remembered(refusing)) == 2
    later(refusals.FORGOTTEN_DAYS + 1)
    refusing.run()
    assert len(remembered(refusing)) == 1


def test_nothing_refused_leaves_nothing_and_hashes_nothing(workplace):
    """A stream that remembers nothing is not hashed as long as nothing of it was refused."""
    pipeline(workplace, "event, all")
    rows(workplace, "a", "b")
    result = workplace.run()
    file = next(workplace.folder.glob(f".bucket_loader/*/plans/{result.summary['run']}/*.parquet"))

    assert pq.read_table(file)["content"].null_count == 2
    assert not list(workplace.folder.glob(".bucket_loader/*/snapshots"))


# --- what is not as it was ------------------------------------------------------------------------------------------


def test_a_file_that_is_not_what_was_written_stops_the_run(refusing, emulator):
    """It is held against its digest, as all memory is: exit 2, and nothing is sent."""
    file = next(refusing.folder.glob(".bucket_loader/*/snapshots/*-refused.parquet"))
    data = file.read_bytes()
    requests = emulator.state()["requests"]
    for broken in (data[:-1], bytes([data[0] ^ 1]) + data[1:], b""):
        file.write_bytes(broken)
        assert refusing.run().exit_code == 2
        assert refusing.command("audit", "--memory").exit_code == 2
    file.unlink()

    assert refusing.run().exit_code == 2
    assert emulator.state()["requests"] == requests
    file.write_bytes(data)
    assert refusing.command("audit", "--memory").exit_code == 0


def test_the_audit_holds_what_was_not_sent_against_the_first_run(refusing):
    """A plan's file that was changed, or a row that the named run did not see refused, is found."""
    result = refusing.run()
    assert audited(refusing, result) == []
    file = next(refusing.folder.glob(f".bucket_loader/*/plans/{result.summary['run']}/*.refused.parquet"))
    data = file.read_bytes()
    file.write_bytes(data[:-1] + b"x")
    assert any("is not what was planned" in finding for finding in audited(refusing, result))
    file.write_bytes(data)
    with closing(ledger_of(refusing)) as ledger:
        for row in ledger.chunks(refusing.first, 0, "rejected")[:1]:
            ledger.database.write([("UPDATE chunk SET state = 'dropped' WHERE members = ? AND run = ?",
                                    (row.members, refusing.first))])  # fmt: skip
    assert any("did not see 1 rows refused" in finding for finding in audited(refusing, result))
