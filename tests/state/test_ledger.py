"""What a ledger promises, wherever it lies: one suite over SQLite and PostgreSQL."""

import sqlite3
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from itertools import count

import psycopg
import pytest
from hypothesis import given, settings, strategies as st
from ledgers import RECORDS, RUN, begin, chunk, delivered, seen, stream

from bucket_loader.model.chunks import Chunk
from bucket_loader.model.errors import LedgerDamagedError, StateError
from bucket_loader.model.outcomes import Verdict
from bucket_loader.model.rows import LoadedFile
from bucket_loader.state.ledger import SCHEMA_VERSION, Ambiguous, Concluded, Intent, Replay, SnapshotFile, SplitInto


@pytest.fixture
def ledger(place):
    """A ledger with a run."""
    with closing(place.open()) as opened:
        begin(opened)
        yield opened


def counts(ledger):
    """Return the stream's counts."""
    return ledger.counts(RUN)["events"]


# --- intents and outcomes ------------------------------------------------------------------------------------------


def test_an_intent_is_durable_before_its_first_byte(ledger, place):
    """When `intend` returns, another connection sees the intent."""
    ledger.commit(RUN, [Intent(chunk(0))])

    assert seen(place) == [("0-9", "intent", 0, 0, None)]


def test_an_outcome_and_the_next_intent_are_one_commit(ledger, place):
    """`go_on` makes the outcome and the following intent durable together."""
    ledger.commit(RUN, [Intent(chunk(0))])
    ledger.commit(RUN, [delivered(chunk(0), attempts=3, ambiguous=1), Intent(chunk(10))])

    assert seen(place) == [("0-9", "delivered", 3, 1, 200), ("10-19", "intent", 0, 0, None)]


def test_an_ambiguous_attempt_is_named_before_it_is_repeated(ledger, place):
    """`count_ambiguous` is durable when it returns, and adds up with what the end counts."""
    ledger.commit(RUN, [Intent(chunk(0))])
    ledger.commit(RUN, [Ambiguous(chunk(0))])
    assert seen(place) == [("0-9", "intent", 1, 1, None)]

    ledger.commit(RUN, [delivered(chunk(0))])
    assert seen(place) == [("0-9", "delivered", 2, 1, 200)]
    assert counts(ledger).possibly_duplicated == 10


def test_sixteen_workers_share_commits_and_lose_none(ledger, place):
    """Every intent and outcome of sixteen threads is durable when its call returns, whoever committed it."""

    def work(worker):
        with place.other() as ask:
            for number in range(worker, RECORDS // 10, 16):
                one = chunk(number * 10)
                ledger.commit(RUN, [Intent(one)])
                assert ask(f"SELECT state FROM chunk WHERE first = {number * 10}") == [("intent",)]
                ledger.commit(RUN, [delivered(one)])

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))

    assert counts(ledger).delivered == RECORDS
    assert {row[1] for row in seen(place)} == {"delivered"}


# --- after a crash -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("hold", "state"), [(False, "queued"), (True, "held")])
def test_intents_that_a_crash_left_are_named_once(place, hold, state):
    """Each open intent counts one ambiguous attempt and is queued again, or held; recovering again finds none."""
    with closing(place.open()) as before:
        begin(before)
        before.commit(RUN, [Intent(chunk(0))])
        before.commit(RUN, [delivered(chunk(0)), Intent(chunk(10))])
        before.commit(RUN, [Intent(chunk(20))])
    with closing(place.open()) as after:
        left = after.recover(RUN, 0, hold=hold)
        again = after.recover(RUN, 0, hold=hold)

        assert [row.members for row in left] == ["10-19", "20-29"]
        assert again == []
        assert [(row.state, row.ambiguous) for row in after.chunks(RUN, 0, "queued", "held")] == [(state, 1)] * 2
        assert counts(after).unknown == 20
        assert after.begun(RUN, 0) == {0, 10, 20}


def test_recovering_one_stream_leaves_the_others(place):
    """Only the stream that is delivered next is recovered, and of this run alone."""
    with closing(place.open()) as found:
        begin(found, RUN, stream(), stream(1, "more"))
        begin(found, "other")
        for run, one in ((RUN, chunk(0)), (RUN, chunk(0, stream_=1)), ("other", chunk(0))):
            found.commit(run, [Intent(one)])
        found.recover(RUN, 0, hold=False)

        assert len(found.chunks(RUN, 1, "intent")) == len(found.chunks("other", 0, "intent")) == 1


# --- parts ---------------------------------------------------------------------------------------------------------


def test_parts_replace_their_chunk_and_inherit_its_doubt(ledger):
    """A split chunk counts no more, its parts are queued, and what was ambiguous of it stays with them."""
    whole = chunk(0, 100)
    ledger.commit(RUN, [Intent(whole)])
    ledger.commit(RUN, [Ambiguous(whole)])
    rest, one = whole.part([*range(17), *range(18, 100)]), whole.part([17])
    ledger.commit(RUN, [SplitInto(Concluded(whole, "split", 1, 0, 400), [rest, one])])

    assert [(row.members, row.records, row.ambiguous) for row in ledger.queued(RUN, 0)] == [
        ("0-16,18-99", 99, 1), ("17-17", 1, 1),
    ]  # fmt: skip
    assert ledger.begun(RUN, 0) == {0}
    for part, state in ((rest, "delivered"), (one, "rejected")):
        ledger.commit(RUN, [Intent(part)])
        ledger.commit(RUN, [Concluded(part, state, 1)])
    found = counts(ledger)
    assert (found.delivered, found.rejected, found.pending, found.possibly_duplicated) == (99, 5, RECORDS - 100, 100)


def test_a_part_that_is_intended_again_stays_a_part(ledger):
    """A part that was queued by a crash does not become a chunk of the plan."""
    whole = chunk(0, 4)
    ledger.commit(RUN, [Intent(whole)])
    ledger.commit(RUN, [SplitInto(Concluded(whole, "split", 1), [whole.part([0, 1]), whole.part([2, 3])])])
    ledger.commit(RUN, [Intent(whole.part([2, 3]))])

    assert ledger.begun(RUN, 0) == {0}
    assert [row.members for row in ledger.queued(RUN, 0)] == ["0-1"]


ENDS = st.sampled_from(["delivered", "rejected", "held", "queued", "intent", "split"])


def test_counts_conserve_whatever_happens(place):
    """Whatever became of the chunks, every row is accounted for exactly once."""
    runs = (f"run {number}" for number in count())
    with closing(place.open()) as found:

        @settings(deadline=None, max_examples=20)
        @given(st.lists(st.tuples(ENDS, st.integers(0, 3)), max_size=12))
        def conserve(ends):
            run = next(runs)
            begin(found, run)
            expected = {"delivered": 0, "rejected": 0}
            for number, (end, ambiguous) in enumerate(ends):
                one = chunk(number * 10)
                found.commit(run, [Intent(one)])
                if end == "split":
                    halves = [one.part(range(4)), one.part(range(4, 10))]
                    found.commit(run, [SplitInto(Concluded(one, "split", 1, ambiguous), halves)])
                    found.commit(run, [Intent(halves[0])])
                    found.commit(run, [delivered(halves[0])])
                    expected["delivered"] += 4
                elif end != "intent":
                    found.commit(run, [Concluded(one, end, 1 + ambiguous, ambiguous, None)])
                    if end in expected:
                        expected[end] += 10
            result = found.counts(run)["events"]
            assert result.conserved()
            assert (result.delivered, result.rejected - 4) == (expected["delivered"], expected["rejected"])
            assert result.unknown <= result.pending
            assert result.possibly_duplicated <= result.delivered + result.rejected

        conserve()


def test_what_had_an_answer_is_not_unknown(ledger):
    """A queued chunk is unknown when its last attempt had no answer, and not when it was a 500 or never sent."""
    for first, ambiguous, status in ((0, 1, None), (10, 1, 500), (20, 0, None)):
        ledger.commit(RUN, [Intent(chunk(first))])
        ledger.commit(RUN, [Concluded(chunk(first), "queued", 1, ambiguous, status)])

    assert (counts(ledger).unknown, counts(ledger).pending) == (10, RECORDS)
    assert Verdict.UNKNOWN == "unknown"


# --- runs and memory -----------------------------------------------------------------------------------------------


def test_runs_are_numbered_in_their_order(ledger):
    """Runs keep the order they were made in, whatever their names, and are found by status."""
    begin(ledger, "b")
    begin(ledger, "a")
    ledger.end_run("b", "succeeded", exit_code=0, ended_at="then")

    assert [(row.run, row.number) for row in ledger.runs()] == [(RUN, 1), ("b", 2), ("a", 3)]
    assert [row.run for row in ledger.runs("running", "unfinished")] == [RUN, "a"]


def test_a_run_is_there_with_all_its_streams_or_not_at_all(ledger):
    """A run that cannot be noted whole is not noted."""
    with pytest.raises((StateError, sqlite3.IntegrityError, psycopg.errors.IntegrityError)):
        begin(ledger, "half", stream(), stream())

    assert [row.run for row in ledger.runs()] == [RUN]
    assert ledger.counts("half") == {}


def test_merged_memory_takes_the_place_of_its_parts(ledger):
    """A merged part is older than every part that came after those it stands for."""
    for number in range(4):
        run = f"run{number}"
        begin(ledger, run)
        ledger.settle(run, 0, stream="events", part=(f"{number}.parquet", 10))
    ledger.replace_memory("events", ["0.parquet", "1.parquet", "2.parquet"], ("merged.parquet", 30))

    assert ledger.memory() == {"events": ["merged.parquet", "3.parquet"]}
    assert ledger.unsettled("run3") == set()
    assert ledger.last_mapping("events") == "m"


@pytest.mark.parametrize("version", ["0", str(int(SCHEMA_VERSION) + 1), None])
def test_another_schema_is_refused(place, version):
    """A ledger that another version wrote is refused, and told from damage."""
    with closing(place.open()) as found:
        begin(found)
    with place.other() as ask:
        ask("DELETE FROM meta WHERE name = 'schema'")
        if version is not None:
            ask(f"INSERT INTO meta VALUES ('schema', '{version}')")

    with pytest.raises(StateError, match="schema") as refused:
        place.open()
    assert not isinstance(refused.value, LedgerDamagedError)


def test_no_key_and_no_row_is_in_the_ledger(ledger, place):
    """The ledger holds digests and places; the bytes of records are not in its files."""
    secret = b'{"type":"user","userId":"alice@example.com"}'
    ledger.commit(
        RUN,
        [Intent(Chunk(0, (5,), (secret,), lambda _record: frozenset({"userId alice@example.com"}), shares_ids=True))],
    )

    assert b"alice" not in place.content()


def test_what_is_settled_moves_in_one_commit(ledger):
    """The part with its digest, the mark, the files, and the digest of what was sent are there together."""
    file = LoadedFile("a.csv", 7, "etag:x")
    for mark in ("[1]", "[2]"):
        part = SnapshotFile("a.parquet", 10, "abc")
        ledger.settle(RUN, 0, stream="events", part=part, mark=mark, loaded=[file], sent="d")

    assert ledger.parts()["events"] == [SnapshotFile("a.parquet", 10, "abc")] * 2
    assert ledger.cursors() == {"events": "[2]"}
    assert ledger.loaded_files() == {"events": frozenset({file})}
    assert ledger.sent(RUN) == {"events": "d"}


def test_held_chunks_are_released_one_or_all(ledger):
    """`release` takes one by its name, or every one that is held, and nothing else."""
    for first in (0, 10, 20):
        ledger.commit(RUN, [Intent(chunk(first))])
        ledger.commit(RUN, [Concluded(chunk(first), "held", 1, 1)])
    ledger.commit(RUN, [Intent(chunk(30))])

    assert [row.members for row in ledger.release(RUN, "10-19", state="dropped")] == ["10-19"]
    assert [row.members for row in ledger.release(RUN, None, state="queued")] == ["0-9", "20-29"]
    assert [row[1] for row in sorted((row.members, row.state) for row in ledger.chunks(RUN, 0, "intent"))] == ["intent"]


def test_a_chunk_of_many_parts_has_a_long_name(ledger):
    """A chunk whose name is longer than a row of an index is intended, found and concluded as any other."""
    long = Chunk(0, tuple(range(0, 9_999, 2)), (b"",) * 5_000)
    for _ in range(2):
        ledger.commit(RUN, [Intent(long)])
    ledger.commit(RUN, [delivered(long)])

    assert [row.records for row in ledger.chunks(RUN, 0, "delivered")] == [5_000]


def test_a_dead_letter_is_taken_up_once(ledger):
    """What a run takes up is noted with it, and given back where it was never sent."""
    ledger.add_run("again", as_of="x", interval=("a", "b"), plan_digest="d", created_at="now", streams=[stream()],
                   replays=[Replay(RUN, "events", "7", 0), Replay(RUN, "events", "p0", None)])  # fmt: skip
    ledger.give_back("again", "events", [0, 1])

    assert ledger.replayed(RUN) == {("events", "p0")}
    assert (ledger.is_replay("again"), ledger.is_replay(RUN)) == (True, False)
    assert [(row.interval_start, row.interval_end) for row in ledger.runs()] == [(None, None), ("a", "b")]


# --- what a report asks ---------------------------------------------------------------------------------------------


def test_what_ended_a_run_early_is_noted_with_its_end_and_goes_when_it_ends_well(ledger):
    """The message and the hint."""
    error = StateError("it went wrong", hint="mend it")
    ledger.end_run(RUN, "unfinished", exit_code=75, ended_at="now", error=error)
    noted = ledger.why(RUN)
    ledger.end_run(RUN, "succeeded", exit_code=0, ended_at="later")

    assert noted == ("it went wrong", "mend it")
    assert ledger.why(RUN) is None


def test_who_took_up_dead_letters_is_told_in_the_order_of_the_runs(ledger):
    """Each run once, however many it took up."""
    for run, numbers in (("z-first", ("1", "2")), ("a-second", ("3",))):
        replays = [Replay(RUN, "events", number, 0) for number in numbers]
        ledger.add_run(run, as_of="then", interval=None, plan_digest="d", created_at="now", streams=[stream()],
                       replays=replays)  # fmt: skip

    assert ledger.takers_of(RUN) == ["z-first", "a-second"]
    assert ledger.folded_runs() == set()
