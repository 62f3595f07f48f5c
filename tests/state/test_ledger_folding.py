"""What an old run leaves of its chunks: one row for each end, with the same counts; and what is never folded."""

from contextlib import closing

import pytest
from ledgers import RUN, begin, chunk, delivered, stream

from bucket_loader.model import StateError
from bucket_loader.state.ledger import SCHEMA_VERSION, Concluded, Intent, Replay, SplitInto, folding
from bucket_loader.state.ledger.folding import FoldDigest

ENDED = "2026-01-01T00:00:00.000Z"
LATER = "2026-02-01T00:00:00.000Z"


@pytest.fixture
def ledger(place):
    """A ledger with a run of a hundred records."""
    with closing(place.open()) as opened:
        begin(opened, RUN, stream(records=100))
        yield opened


def end(ledger, run=RUN, status="succeeded"):
    """Settle a run, and end it."""
    ledger.settle(run, 0, stream="events", part=None)
    ledger.end_run(run, status, exit_code=0, ended_at=ENDED)


def ended(ledger, which, state, ambiguous=0):
    """Let a chunk come to an end."""
    ledger.commit(RUN, [Intent(which), Concluded(which, state, 1 + ambiguous, ambiguous, 200)])


def rows(ledger, *states):
    """Return what the ledger's rows say: records, state, attempts, doubt, and how many chunks each stands for."""
    found = ledger.chunks(RUN, 0, *(states or ("delivered", "rejected", "split", "dropped", "superseded", "held")))
    return [(row.members, row.state, row.attempts, row.ambiguous, row.folded) for row in found]


def messy(ledger):
    """Let the chunks of a run come to every end that is one."""
    ended(ledger, chunk(0), "delivered")
    ended(ledger, chunk(10), "delivered")
    ended(ledger, chunk(20), "delivered", ambiguous=2)
    split = chunk(30)
    ledger.commit(RUN, [Intent(split), SplitInto(Concluded(split, "split", 1), [chunk(30, 5), chunk(35, 5)])])
    ledger.commit(RUN, [delivered(chunk(30, 5))])
    ended(ledger, chunk(35, 5), "dropped", ambiguous=1)
    ended(ledger, chunk(40), "dropped", ambiguous=1)
    ended(ledger, chunk(50), "superseded")
    ended(ledger, chunk(60), "delivered")
    ended(ledger, chunk(80), "delivered")
    ended(ledger, chunk(70), "delivered")


def test_chunks_of_one_end_become_one_row_and_nothing_is_counted_otherwise(ledger):
    """Which record came to which end stays known; the digest is of the chunks in the order of their records."""
    messy(ledger)
    end(ledger)
    before, digest = ledger.counts(RUN), FoldDigest()
    for one in (chunk(0), chunk(10), chunk(30, 5), chunk(60), chunk(70), chunk(80)):
        digest.add(one.members, one.digest)

    assert ledger.fold(RUN, letters_stay=False) == 10
    assert ledger.counts(RUN) == before
    assert before["events"].conserved()
    assert before["events"].possibly_duplicated == 10
    assert rows(ledger) == [
        ("0-19,30-34,60-89", "delivered", 6, 0, 6),
        ("20-29", "delivered", 3, 2, 1),
        ("35-49", "dropped", 4, 1, 2),
        ("50-59", "superseded", 1, 0, 1),
    ]
    assert ledger.chunks(RUN, 0, "delivered")[0].digest == digest.value()


def test_a_stream_of_one_chunk_stays_as_it_was(ledger):
    """It is one row already, and proves more."""
    ended(ledger, chunk(0), "delivered")
    end(ledger)

    assert ledger.fold(RUN, letters_stay=False) == 0
    assert rows(ledger) == [("0-9", "delivered", 1, 0, None)]


def test_many_chunks_are_read_a_part_at_a_time(ledger, monkeypatch):
    """However they are taken, they are folded together."""
    monkeypatch.setattr(folding, "_ROWS_AT_ONCE", 3)
    for first in range(0, 100, 10):
        ended(ledger, chunk(first), "delivered")
    end(ledger)

    assert ledger.fold(RUN, letters_stay=False) == 10
    assert rows(ledger) == [("0-99", "delivered", 10, 0, 10)]


@pytest.mark.parametrize("left", ["held", "queued", "intent", "not settled"])
def test_nothing_is_folded_while_something_is_left(ledger, left):
    """Of a run that has something to send, to decide or to settle: every row is needed as it is."""
    ended(ledger, chunk(0), "delivered")
    ended(ledger, chunk(10), "delivered")
    if left != "not settled":
        ledger.commit(RUN, [Intent(chunk(20))])
        ended(ledger, chunk(20), left)
        end(ledger, status="abandoned")
    before = rows(ledger)

    assert ledger.fold(RUN, letters_stay=False) == 0
    assert rows(ledger) == before


def test_what_was_refused_is_folded_when_it_was_replayed(ledger):
    """Until then each refusal has its row; other streams and runs do not count."""
    for first in range(5):
        ended(ledger, chunk(first, 1), "rejected")
    end(ledger, status="rejected")
    taken = [Replay(RUN, "events", str(number), number) for number in range(3)]
    others = [Replay(RUN, "others", "3", 3), Replay("elsewhere", "events", "4", 4)]
    ledger.add_run("later", as_of="2026", interval=None, plan_digest="d", created_at="now", streams=[stream()],
                   replays=[*taken, *others])  # fmt: skip

    assert ledger.fold(RUN, letters_stay=True) == 3
    assert ledger.rejected(RUN, 0) == [0, 1, 2, 3, 4]
    assert rows(ledger) == [("0-2", "rejected", 3, 0, 3), ("3-3", "rejected", 1, 0, None),
                            ("4-4", "rejected", 1, 0, None)]  # fmt: skip


def test_a_split_stays_with_what_was_refused_of_it(ledger):
    """It says what the refusal was cut from; a split whose parts are all folded is gone with them."""
    for first, refused in ((0, 7), (10, None)):
        parts = [chunk(first, 5), *(chunk(first + 5 + number, 1) for number in range(5))]
        ledger.commit(RUN, [Intent(chunk(first)), SplitInto(Concluded(chunk(first), "split", 1), parts)])
        for part in parts:
            ledger.commit(RUN, [Concluded(part, "rejected" if part.sequences[0] == refused else "delivered", 1)])
    end(ledger, status="rejected")

    assert ledger.fold(RUN, letters_stay=True) == 11
    assert rows(ledger) == [
        ("0-6,8-19", "delivered", 11, 0, 11),
        ("0-9", "split", 1, 0, None),
        ("7-7", "rejected", 1, 0, None),
    ]


def test_a_run_ages_once(ledger):
    """The oldest first, those that ended before a moment, until they end anew; never one that is unfinished."""
    end(ledger)
    for run in ("second", "third"):
        begin(ledger, run, stream())
        end(ledger, run, status="unfinished" if run == "third" else "rejected")

    assert ledger.aging(ENDED, 9) == []
    assert [row.run for row in ledger.aging(LATER, 1)] == [RUN]
    ledger.fold(RUN, letters_stay=True)
    assert [row.run for row in ledger.aging(LATER, 9)] == ["second"]
    assert (ledger.letters_that_stay(), ledger.letters_stay(RUN), ledger.letters_stay("second")) == (1, True, False)
    ledger.forget_letters(RUN)
    assert ledger.letters_that_stay() == 0
    ledger.end_run(RUN, "rejected", exit_code=3, ended_at=ENDED)
    assert [row.run for row in ledger.aging(LATER, 9)] == [RUN, "second"]


def test_a_ledger_that_knows_no_folding_is_taken_over(place, ledger):
    """By the version before; its runs stay as they are, and are folded as any other."""
    for first in range(0, 100, 10):
        ended(ledger, chunk(first), "delivered")
    end(ledger)
    before = ledger.counts(RUN)
    ledger.close()
    with place.other() as ask:
        for statement in ("DROP INDEX run_of_age", "DROP INDEX run_of_status", "ALTER TABLE run DROP COLUMN aged",
                          "ALTER TABLE chunk DROP COLUMN folded"):  # fmt: skip
            ask(statement)
        ask(f"UPDATE meta SET value = '{int(SCHEMA_VERSION) - 1}' WHERE name = 'schema'")

    for _ in range(2):
        with closing(place.open()) as found:
            assert found.meta("schema") == SCHEMA_VERSION
            assert found.counts(RUN) == before
            found.fold(RUN, letters_stay=False)
            assert found.counts(RUN) == before
            assert rows(found) == [("0-99", "delivered", 10, 0, 10)]


def test_what_ended_an_old_run_is_gone(ledger):
    """A sentence for each failed run would add up over years; its exit code stays."""
    error = StateError("it is damaged", hint="restore it")
    ledger.settle(RUN, 0, stream="events", part=None)
    ledger.end_run(RUN, "failed", exit_code=2, ended_at=ENDED, error=error)
    before = ledger.why(RUN)
    ledger.fold(RUN, letters_stay=False)

    assert (before, ledger.why(RUN)) == (("it is damaged", "restore it"), None)
    assert ledger.run(RUN).exit_code == 2
