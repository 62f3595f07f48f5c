"""Attempts in the ledger: each is kept in the commit that says what it came to, and no chunk's row grows for ever."""

from contextlib import closing

import pytest
from ledgers import RUN, begin, chunk

from bucket_loader.model.attempts import ATTEMPT_LETTERS, ATTEMPTS_FIRST, ATTEMPTS_LAST, Attempt
from bucket_loader.state.ledger import SCHEMA_VERSION, Ambiguous, Concluded, Intent, SplitInto
from bucket_loader.state.ledger.looking import look_at_file

ENDED = "2026-01-01T00:00:00.000Z"


@pytest.fixture
def ledger(place):
    """A ledger with a run."""
    with closing(place.open()) as opened:
        begin(opened)
        yield opened


def tried(ledger, *states):
    """Return the attempts of the run's chunks in some states."""
    return [row.tried for row in ledger.chunks(RUN, 0, *states)]


def answers(ledger, run=RUN):
    """Return what the run's streams keep of attempts that are folded."""
    return [text for (text,) in ledger.database.query("SELECT answers FROM stream WHERE run = ?", run)]


def test_each_attempt_stands_with_what_it_came_to(ledger):
    """Those before an end, and the end's own, in their order; parts begin with none."""
    first, second, third = Attempt(1_000, 500, 30), Attempt(2_000, None, 5_000), Attempt(3_000, 400, 20)
    whole = chunk(0)
    ledger.commit(RUN, [Intent(whole)])
    assert tried(ledger, "intent") == [()]

    ledger.commit(RUN, [Ambiguous(whole, 1, (first,))])
    ledger.commit(RUN, [Ambiguous(whole, 1, (second,))])
    ledger.commit(RUN, [SplitInto(Concluded(whole, "split", 1, 0, 400, tries=(third,)), [chunk(0, 5), chunk(5, 5)])])
    ledger.commit(RUN, [Concluded(chunk(0, 5), "superseded", 0)])

    assert tried(ledger, "split") == [(first, second, third)]
    assert tried(ledger, "queued", "superseded") == [(), ()]


@pytest.mark.parametrize("together", [1, 5])
def test_thousands_of_attempts_of_one_chunk_stay_a_short_text(ledger, together):
    """The first few and the last few are known, the count says how many there were; also over many calls."""
    attempts = [Attempt(number, 503, 1) for number in range(300)]
    ledger.commit(RUN, [Intent(chunk(0))])
    for at in range(0, len(attempts), together):
        ledger.commit(RUN, [Ambiguous(chunk(0), together, tuple(attempts[at : at + together]))])
    (row,) = ledger.chunks(RUN, 0, "intent")

    assert row.attempts == 300
    assert len(row.tries) <= (ATTEMPTS_FIRST + ATTEMPTS_LAST + together) * ATTEMPT_LETTERS
    assert row.tried[:ATTEMPTS_FIRST] == tuple(attempts[:ATTEMPTS_FIRST])
    assert row.tried[-ATTEMPTS_LAST:] == tuple(attempts[-ATTEMPTS_LAST:])


def test_folding_keeps_how_many_attempts_had_which_answer(ledger):
    """Those of splits, and of an outage's middle, are among them; what stays as it is keeps its own."""
    for number, state in enumerate(["delivered", "delivered", "rejected"]):
        one = chunk(number * 10)
        tries = (Attempt(number, None, 9), Attempt(number, 200 if state == "delivered" else 400, 9))
        ledger.commit(RUN, [Intent(one), Concluded(one, state, 2, tries=tries)])
    split, parts = chunk(30), [chunk(30, 5), chunk(35, 5)]
    was = Concluded(split, "split", 1_000, tries=(Attempt(0, 413, 9),))
    ledger.commit(RUN, [Intent(split), SplitInto(was, parts)])
    ledger.commit(RUN, [Concluded(part, "delivered", 1, tries=(Attempt(0, 200, 9),)) for part in parts])
    ledger.settle(RUN, 0, stream="events", part=None)
    ledger.end_run(RUN, "rejected", exit_code=3, ended_at=ENDED)
    assert answers(ledger) == [None]

    for _ in range(2):
        ledger.fold(RUN, letters_stay=True)
        assert answers(ledger) == ['{"200": 4, "413": 1, "none": 2, "unrecorded": 999}']
    assert tried(ledger, "rejected", "delivered") == [(), (Attempt(2, None, 9), Attempt(2, 400, 9))]


def test_a_ledger_without_attempts_is_taken_over(place, ledger):
    """By the version before, also by who only looks; its attempts are counted, and not known one by one."""
    ledger.commit(RUN, [Intent(chunk(0)), Concluded(chunk(0), "delivered", 3, 2, 200)])
    ledger.close()
    with place.other() as ask:
        ask("ALTER TABLE chunk DROP COLUMN tries")
        ask("ALTER TABLE stream DROP COLUMN answers")
        ask(f"UPDATE meta SET value = '{int(SCHEMA_VERSION) - 1}' WHERE name = 'schema'")

    if hasattr(place, "path"):
        with closing(look_at_file(place.path)) as found:
            assert tried(found, "delivered") == [()]
    with closing(place.open()) as found:
        found.commit(
            RUN, [Intent(chunk(10)), Concluded(chunk(10), "delivered", 1, 0, 200, tries=(Attempt(1, 200, 2),))]
        )
        assert [(row.attempts, row.tried) for row in found.chunks(RUN, 0, "delivered")] == [
            (3, ()), (1, (Attempt(1, 200, 2),))]  # fmt: skip
