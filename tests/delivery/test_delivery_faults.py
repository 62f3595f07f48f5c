"""Whole runs while things go wrong: nothing is lost, nothing is repeated unnamed, everything is counted."""

import json
import threading
import time
from collections import Counter
from contextlib import closing

import pytest
from bench import Bench, accepted, companies, events, id_of, refusal, stub, users

from bucket_loader.delivery.journal import Concluded, LedgerJournal
from bucket_loader.delivery.queue import Queue
from bucket_loader.delivery.transport import Pool
from bucket_loader.runs import begin
from bucket_loader.state.state import State

COUNT = 2_000
SMALL = {"records": 20}
ALL = Counter(f"e{number}" for number in range(COUNT))

APPLIES_NOTHING = [
    [{"kind": "status", "status": 500, "rate": 0.05}],
    [{"kind": "status", "status": 503, "rate": 0.1}, {"kind": "status", "status": 408, "rate": 0.05}],
    [{"kind": "status", "status": 429, "retry_after": 0, "rate": 0.1}],
    [{"kind": "status", "status": 429, "retry_after": "soon", "rate": 0.1}],
    [{"kind": "cut_before", "rate": 0.1}],
    [{"kind": "latency", "seconds": 0.05, "rate": 0.2}],
    [{"kind": "rate_limit", "records_per_second": 2_000, "burst": 500}],
    [{"kind": "outage", "from_s": 0.2, "to_s": 1.2}],
    [{"kind": "status", "status": 204, "rate": 0.05}],
]
APPLIES = [
    [{"kind": "cut_after", "rate": 0.1}],
    [{"kind": "truncated", "rate": 0.1}],
    [{"kind": "endless", "rate": 0.03, "times": 3}],
    [
        {"kind": "cut_after", "rate": 0.05},
        {"kind": "status", "status": 500, "rate": 0.05},
        {"kind": "cut_before", "rate": 0.05},
    ],
]
SLOW = [{"kind": "dripping", "seconds": 0.3, "rate": 0.05, "times": 3}]


def named(faults):
    """Name a case."""
    return "_".join(f"{fault['kind']}{fault.get('status', '')}" for fault in faults)


@pytest.mark.parametrize(
    ("faults", "concurrency"),
    [
        *((faults, "auto") for faults in (*APPLIES_NOTHING, *APPLIES, SLOW)),
        *(
            pytest.param(faults, 1, marks=pytest.mark.breadth)
            for faults in (APPLIES_NOTHING[0], APPLIES_NOTHING[4], *APPLIES)
        ),
    ],
    ids=lambda value: named(value) if isinstance(value, list) else str(value),
)
def test_every_record_arrives_and_what_arrives_twice_was_named(bench, emulator, faults, concurrency):
    """All is delivered; nothing arrives twice but from chunks that the ledger names, and no oftener than it says."""
    emulator.faults(*faults)
    timeout = "1s" if faults is SLOW else "5s"
    summary = bench.run(events(COUNT), chunk=SMALL, concurrency=concurrency, timeout=timeout)
    found = accepted(emulator)
    twice = {int(name[1:]): times - 1 for name, times in found.items() if times > 1}
    doubtful = bench.doubtful()

    assert (summary.exit_code, summary.streams["events"].delivered) == (0, COUNT)
    assert found.keys() == ALL.keys()
    assert all(times <= doubtful.get(sequence, 0) for sequence, times in twice.items())
    assert len(twice) <= summary.streams["events"].possibly_duplicated == len(doubtful)
    if faults in APPLIES_NOTHING:
        assert not twice
    assert bench.letters() == []
    assert summary.requests - summary.retries >= COUNT // 20


@pytest.mark.parametrize("faults", [*APPLIES, APPLIES_NOTHING[0], APPLIES_NOTHING[4]], ids=named)
def test_hold_is_at_most_once(bench, emulator, faults):
    """With `on_unknown: hold` nothing ever arrives twice; what got no answer is held, listed, and not sent again."""
    emulator.faults(*faults)
    first = bench.run(events(COUNT, on_unknown="hold"), chunk=SMALL, timeout="1s")
    counts = first.streams["events"]
    emulator.faults()
    second = bench.run(events(COUNT, on_unknown="hold"), chunk=SMALL)
    held = [row for row in bench.chunks() if row.state == "held"]
    found = accepted(emulator)

    assert (first.exit_code, counts.unknown, counts.pending) == (75, counts.pending, COUNT - counts.delivered)
    assert sum(row.records for row in held) == counts.unknown > 0
    assert max(found.values()) == 1
    assert counts.possibly_duplicated == 0
    assert second.streams["events"].unchanged == COUNT
    assert second.streams["events"].delivered == 0


@pytest.mark.parametrize(
    ("faults", "key"),
    [
        ([{"kind": "redirect", "to": "https://elsewhere.invalid/bulk"}], None),
        ([{"kind": "html"}], None),
        ([{"kind": "status", "status": 401}], None),
        ([{"kind": "status", "status": 403}], None),
        ([], "sec_another_key_0123456789"),
    ],
    ids=["redirect", "html", "401", "403", "wrong_key"],
)
def test_what_is_not_bucket_ends_the_run_with_5(bench, emulator, faults, key):
    """A redirect, a web page or a refused key ends the run at once; nothing is dead-lettered, nothing lost.

    Who answers with a page or a redirect may have passed the body on: those chunks are in doubt.
    """
    emulator.faults(*faults)
    right = bench.key
    bench.key = key or right
    summary = bench.run(events(COUNT), concurrency=4)

    assert summary.exit_code == 5
    assert summary.requests <= 4
    doubtful = 100 * summary.requests if faults and faults[0]["kind"] != "status" else 0
    assert (summary.streams["events"].pending, summary.streams["events"].unknown) == (COUNT, doubtful)
    assert bench.letters() == []
    assert accepted(emulator) == {}
    assert bench.key not in str(summary.error)

    emulator.faults()
    bench.key = right
    again = bench.run(events(COUNT))
    assert again.exit_code == 0
    assert accepted(emulator) == ALL
    assert again.resumed[0].streams["events"].delivered == COUNT
    assert again.resumed[0].streams["events"].possibly_duplicated == doubtful


@pytest.mark.parametrize("kind", ["cut_before", "status"])
def test_an_outage_longer_than_patience_is_continued(bench, emulator, kind):
    """Patience over is exit 75, few requests, no dead letter; the next call finishes, and each record arrives once."""
    fault = {"kind": kind, "status": 500} if kind == "status" else {"kind": kind}
    emulator.faults(fault)
    first = bench.run(events(COUNT), chunk=SMALL, patience="500ms", concurrency=8)
    assert first.exit_code == 75
    assert first.streams["events"].pending == COUNT
    assert first.requests <= 8 * 2 + 500 / 20 + 20
    assert bench.letters() == []

    emulator.faults()
    second = bench.run(events(COUNT), chunk=SMALL)
    assert (second.exit_code, second.resumed[0].streams["events"].delivered) == (0, COUNT)
    assert second.streams["events"].unchanged == COUNT
    assert accepted(emulator) == ALL


def test_a_key_that_is_revoked_in_the_middle_loses_nothing(bench, emulator):
    """A 401 half way ends the run with 5; with the key back it goes on where it was, and nothing arrives twice."""
    with stub() as bucket:
        there = Bench(bench.folder, bucket.url)
        bucket.judge = lambda _: refusal(status=401) if len(bucket.accepted) > COUNT / 2 else None
        first = there.run(events(COUNT), chunk=SMALL)
        bucket.judge = lambda _: None
        second = there.run(events(COUNT), chunk=SMALL)

        assert (first.exit_code, second.exit_code) == (5, 0)
        assert 0 < first.streams["events"].delivered < COUNT
        assert bucket.ids() == ALL


# --- records that are bad ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", ["auto", 1, 4])
def test_everything_invalid_is_a_mapping_mistake(bench, concurrency):
    """When the API refuses every record the run ends with 4 after few requests, and the next plan decides again."""
    with stub(judge=lambda _: refusal()) as bucket:
        there = Bench(bench.folder, bucket.url)
        summary = there.run(users(10_000), concurrency=concurrency)
        refused = len(bucket.bodies)
        bucket.judge = lambda _: None
        again = there.run(users(10_000), concurrency=concurrency)

    assert summary.exit_code == 4
    assert refused <= 200
    assert len(there.letters() or bucket.bodies) >= 50
    assert summary.streams["users"].delivered == 0
    assert again.exit_code == 0
    assert again.streams["users"].delivered == 10_000


@pytest.mark.parametrize(
    ("place", "count", "concurrency"),
    [(0, 100, 1), (99, 100, 1), (49, 200, 1), (50, 200, 1),
     (0, 200, "auto"), (99, 200, "auto"), (49, 1_000, 4), (50, 1_000, 4)],
)  # fmt: skip
def test_a_poison_record_is_isolated_and_the_others_arrive(bench, emulator, place, count, concurrency):
    """A record that brings a 500 whenever it is sent is dead-lettered alone, wherever and beside what it stands."""
    emulator.faults({"kind": "poison", "match": f'"e{place}"'})
    summary = bench.run(users(count), concurrency=concurrency, patience="4s")
    counts = summary.streams["users"]

    assert (summary.exit_code, counts.delivered, counts.rejected) == (3, count - 1, 1)
    assert [letter.record["userId"] for letter in bench.letters()] == [f"e{place}"]
    assert [reason["code"] for reason in bench.letters()[0].reasons] == ["server_error"]
    assert accepted(emulator) == Counter(f"e{number}" for number in range(count) if number != place)


def test_many_poison_records_are_isolated(bench, emulator):
    """Several of them, neighbours and in neighbouring chunks, end in the dead letters and nobody else does."""
    bad = {"e9", "e19", "e29", "e149", "e299"}
    with stub(judge=lambda records: refusal(status=500) if bad & set(map(id_of, records)) else None) as bucket:
        there = Bench(bench.folder, bucket.url)
        summary = there.run(users(300), concurrency=1, patience="4s", chunk=SMALL)

    assert summary.exit_code == 3
    assert {letter.record["userId"] for letter in there.letters()} == bad
    assert bucket.ids() == Counter(f"e{number}" for number in range(300) if f"e{number}" not in bad)


def test_an_answer_that_varies_loses_nobody(bench, emulator):
    """When one call in twenty says `success: false`, each record is delivered once, or in the dead letters once."""
    emulator.faults({"kind": "success_false", "rate": 0.05})
    summary = bench.run(events(COUNT), chunk=SMALL)
    letters = Counter(letter.record["attributes"]["id"] for letter in bench.letters())

    assert accepted(emulator) + letters == ALL
    assert summary.streams["events"].rejected == letters.total()


def test_an_outage_in_the_middle_of_an_isolation_dead_letters_nobody(bench):
    """Server errors of everything are an outage, also for the parts of a chunk that was suspected before."""
    first_part = []

    def judge(records):
        ids = set(map(id_of, records))
        if first_part or ("e5" in ids and len(records) < 20):
            first_part.append(ids)
            return refusal(status=500)  # the outage
        return refusal(status=500) if "e5" in ids else None

    with stub(judge=judge) as bucket:
        there = Bench(bench.folder, bucket.url)
        first = there.run(users(2_000), chunk=SMALL, patience="2s", concurrency=4)
        assert first_part
        assert (first.exit_code, first.streams["users"].rejected) == (75, 0)
        bucket.judge = lambda _: None
        second = there.run(users(2_000), chunk=SMALL)

    assert second.exit_code == 0
    assert bucket.ids() == Counter(f"e{number}" for number in range(2_000))


def test_dead_letters_that_cannot_be_written_stop_the_run(bench):
    """A refused record is not called rejected before its dead letter is on disk: exit 75, and the next run finishes."""

    def judge(records):
        return refusal() if "e42" in map(id_of, records) else None

    with stub(judge=judge) as bucket:
        there = Bench(bench.folder, bucket.url)
        with closing(there.job(users(1)).open_state()) as state:
            in_the_way = state.root / "dead_letters"
        in_the_way.write_text("no folder")
        first = there.run(users(300), concurrency=1)
        in_the_way.unlink()
        second = there.run(users(300))

    assert (first.exit_code, first.streams["users"].rejected) == (75, 0)
    assert second.resumed[0].streams["users"].rejected == 1
    assert bucket.ids() == Counter(f"e{number}" for number in range(300) if number != 42)


def test_a_record_without_company_of_its_own_kind_waits(bench):
    """A single record that fails, with nothing else to compare it to, is an outage: it waits and is not judged."""
    with stub(judge=lambda _: refusal(status=500)) as bucket:
        there = Bench(bench.folder, bucket.url)
        first = there.run(users(1), patience="500ms")
        bucket.judge = lambda _: None
        second = there.run(users(1))

    assert (first.exit_code, first.streams["users"].pending, there.letters()) == (75, 1, [])
    assert (second.exit_code, bucket.ids()) == (0, Counter(["e0"]))


# --- order ---------------------------------------------------------------------------------------------------------

PAIRS = [(f"c{number % 9}", f"u{number}") for number in range(300)]


def test_chunks_that_share_an_id_are_never_in_flight_together(bench):
    """Company chunks that name the same company or user wait for each other; others do not."""
    with stub(delay_s=0.01) as bucket:
        pairs = [(f"c{number // 40}", f"u{number}") for number in range(1_000)]
        there = Bench(bench.folder, bucket.url)
        summary = there.run(companies(pairs), chunk=SMALL, concurrency=16)

    assert summary.exit_code == 0
    assert bucket.overlaps == []
    found = [record["attributes"]["n"] for record in bucket.accepted if record["companyId"] == "c3"]
    assert found == list(range(120, 160))


@pytest.mark.parametrize("faults", [APPLIES_NOTHING[0], APPLIES_NOTHING[4], *APPLIES], ids=named)
def test_the_last_row_of_a_company_wins_under_any_fault(bench, emulator, faults):
    """Whatever goes wrong, each company ends with the attributes of its last row."""
    emulator.faults(*faults)
    summary = bench.run(companies(PAIRS), chunk={"records": 5}, concurrency=16)

    assert summary.exit_code == 0
    for place in range(9):
        found = json.loads(emulator.call("GET", f"/_emulator/companies/c{place}"))
        assert found["attributes"]["n"] == max(number for number in range(300) if number % 9 == place)


@pytest.mark.parametrize("hint", ["[2].x", "[0].x", "[4].x", "[1].x [3].x"])
def test_a_wrong_hint_does_not_change_the_order(bench, hint):
    """When a refusal names records that are good, the records of one company still arrive in their order."""
    refusals = iter([refusal(hint)] * 3)
    with stub(judge=lambda records: next(refusals, None) if len(records) == 5 else None) as bucket:
        there = Bench(bench.folder, bucket.url)
        summary = there.run(companies([("c", f"u{number}") for number in range(25)]), chunk={"records": 5})

    assert summary.exit_code == 0
    assert [record["attributes"]["n"] for record in bucket.accepted] == list(range(25))


@pytest.mark.long
@pytest.mark.parametrize(
    ("hanging", "status", "concurrency"),
    [(0, 200, 2), (0, 400, 16), (0, 429, "auto"), (0, 500, 3),
     (1_000, 200, "auto"), (1_000, 400, 3), (1_000, 429, 2), (1_000, 500, 16)],
)  # fmt: skip
def test_a_request_that_hangs_keeps_nobody_from_sending(bench, concurrency, status, hanging):
    """One request hangs, and some others are refused or fail once: all others are delivered meanwhile."""
    beside = range(1_010, 1_160)
    rejected = len(beside) if status == 400 else 0
    all_others = COUNT - rejected - 10
    failed, meanwhile = set(), []

    def first_of(records):
        return int(id_of(records[0])[1:])

    def hangs(records):
        if first_of(records) == hanging:
            give_up_at = time.monotonic() + 20
            while len(bucket.accepted) < all_others and time.monotonic() < give_up_at:
                time.sleep(0.01)
            meanwhile.append(len(bucket.accepted))

    def judge(records):
        first = first_of(records)
        if status == 200 or first not in beside or (status != 400 and first in failed):
            return None
        failed.add(first)
        return refusal("no", status=status)

    with stub(judge=judge, hangs=hangs) as bucket:
        there = Bench(bench.folder, bucket.url)
        summary = there.run(events(COUNT), chunk={"records": 10}, concurrency=concurrency, timeout="30s")

    counts = summary.streams["events"]
    assert (counts.delivered, counts.rejected) == (COUNT - rejected, rejected)
    assert meanwhile == [all_others]


@pytest.mark.parametrize("concurrency", [2, 3, 16])
def test_a_new_connection_that_hangs_keeps_nobody_from_sending(bench, concurrency):
    """The server closes all connections, and the first request over a new one hangs: nobody waits for it."""
    old, new, meanwhile = set(), [], []

    def closes():
        if len(bucket.bodies) < 100:
            old.add(threading.current_thread())
        return len(bucket.bodies) >= 100 and threading.current_thread() in old

    def hangs(_records):
        if len(bucket.bodies) > 100 and threading.current_thread() not in old and not new:
            new.append(threading.current_thread())
            give_up_at = time.monotonic() + 20
            while len(bucket.accepted) < COUNT - 10 and time.monotonic() < give_up_at:
                time.sleep(0.01)
            meanwhile.append(len(bucket.accepted))

    with stub(hangs=hangs, closes=closes) as bucket:
        there = Bench(bench.folder, bucket.url)
        summary = there.run(events(COUNT), chunk={"records": 10}, concurrency=concurrency, timeout="30s")

    assert summary.streams["events"].delivered == COUNT
    assert meanwhile == [COUNT - 10]


def test_a_connection_is_lent_again_only_after_the_commit(bench, monkeypatch):
    """So that a server that closes after an answer has been heard of: what it never got would count as in doubt."""
    happened = []
    commit, give_back = LedgerJournal.commit, Pool.give_back

    def committing(journal, entries):
        commit(journal, entries)
        happened.extend("commit" for entry in entries if isinstance(entry, Concluded))

    def giving_back(pool, connection, outcome):
        happened.append("lent again")
        give_back(pool, connection, outcome)

    monkeypatch.setattr(LedgerJournal, "commit", committing)
    monkeypatch.setattr(Pool, "give_back", giving_back)
    with stub() as bucket:
        Bench(bench.folder, bucket.url).run(events(60), chunk=SMALL, concurrency=1)

    assert happened == ["commit", "lent again"] * 3


def test_what_waits_for_a_chunk_waits_for_its_commit(bench, monkeypatch):
    """Until a delivery is committed nothing that shares an id with it is sent: a crash would send the older again."""
    happened = []
    commit, take_more = LedgerJournal.commit, Queue.take_more

    def commit_slowly(journal, entries):
        time.sleep(0.05)
        commit(journal, entries)
        happened.extend(("commit", entry.chunk.body) for entry in entries if isinstance(entry, Concluded))

    def take_more_slowly(queue, *arguments, **options):
        time.sleep(0.05)  # the others, who wait, are first
        return take_more(queue, *arguments, **options)

    monkeypatch.setattr(LedgerJournal, "commit", commit_slowly)
    monkeypatch.setattr(Queue, "take_more", take_more_slowly)
    with stub(told=lambda what, body: happened.append((what, body))) as bucket:
        pairs = [("c", f"u{number}") for number in range(60)]
        Bench(bench.folder, bucket.url).run(companies(pairs), chunk=SMALL, concurrency=4)

    assert [what for what, _ in happened] == ["request", "commit"] * 3


def test_rows_that_planning_rejects_are_kept_a_few_at_a_time(bench, monkeypatch):
    """However many they are, they never lie in memory together: what outlives the disk gets whole lines, in pieces."""
    kept = []
    monkeypatch.setattr(begin, "LETTERS_BYTES_AT_ONCE", 1)
    monkeypatch.setattr(State, "letters_kept", lambda *_: kept.append)
    with stub() as bucket:
        there = Bench(bench.folder, bucket.url)
        nameless = {"userId": {"sql": "if(id like '%77', '', id)"}, "event": {"value": "did"}}
        summary = there.run(events(1_000, fields=nameless))
        (letters,) = bench.folder.glob("**/dead_letters/*.jsonl")

    assert summary.streams["events"].rejected == 10
    assert kept == letters.read_bytes().splitlines(keepends=True)


# --- determinism ---------------------------------------------------------------------------------------------------


def test_the_same_chunks_at_any_concurrency(bench, tmp_path):
    """The bodies of the requests are the same at concurrency 1 and 16."""
    bodies = []
    for concurrency in (1, 16, "auto"):
        with stub() as bucket:
            there = Bench(tmp_path / str(concurrency), bucket.url)
            there.run(events(COUNT), users(500), concurrency=concurrency, chunk={"records": 33, "bytes": 2_000})
            bodies.append(sorted(bucket.bodies))

    assert bodies[0] == bodies[1] == bodies[2]


@pytest.mark.parametrize("chunk", [{"records": 1}, {"records": 7}, {"records": 100, "bytes": 1_024}])
def test_bodies_keep_to_their_limits(bench, chunk):
    """No request has more records or bytes than `chunk:` says."""
    with stub() as bucket:
        Bench(bench.folder, bucket.url).run(events(500), chunk=chunk)

    assert all(len(json.loads(body)) <= chunk["records"] for body in bucket.bodies)
    assert all(len(body) <= chunk.get("bytes", 10**9) for body in bucket.bodies)
    assert bucket.ids() == Counter(f"e{number}" for number in range(500))


def test_a_body_too_big_is_halved_and_nothing_else(bench):
    """A 413 costs its two halves when they fit: 3 requests."""
    with stub(judge=lambda records: refusal(status=413) if len(records) > 50 else None) as bucket:
        summary = Bench(bench.folder, bucket.url).run(users(100))

    assert summary.streams["users"].delivered == 100
    assert len(bucket.bodies) == 3


def test_one_record_too_big_is_a_dead_letter(bench):
    """A record that alone is too big goes to the dead letters, and the others arrive."""

    def judge(records):
        return refusal(status=413) if "e42" in map(id_of, records) else None

    with stub(judge=judge) as bucket:
        there = Bench(bench.folder, bucket.url)
        summary = there.run(users(100))

    assert (summary.exit_code, summary.streams["users"].delivered) == (3, 99)
    assert [letter.reasons[0]["code"] for letter in there.letters()] == ["too_large"]
