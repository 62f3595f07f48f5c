"""What follows from an answer: every verdict, every history, every policy; nobody waits here and nothing is sent."""

import math
import re
from collections import deque
from dataclasses import replace

import pytest
from hypothesis import given, settings, strategies as st

from bucket_loader.delivery import course
from bucket_loader.delivery.course import SUSPECTED_EARLIER, SUSPICIOUS_AFTER, SUSPICIOUS_ALONE_AFTER, next_step
from bucket_loader.model.chunks import Chunk
from bucket_loader.model.course import (
    JUDGED_AFTER_S,
    NEW,
    Again,
    ChunkHistory,
    Delivered,
    Held,
    Left,
    Policy,
    Rejected,
    Served,
    SetAside,
    Split,
)
from bucket_loader.model.errors import KeyRefusedError, MisroutedError, PatienceError
from bucket_loader.model.outcomes import Outcome, Verdict

AGAIN = [Verdict.NOT_SENT, Verdict.THROTTLED, Verdict.SERVER_ERROR, Verdict.UNKNOWN]
ERROR = Outcome(Verdict.SERVER_ERROR, 500)
LOST = Outcome(Verdict.UNKNOWN)
FAIR = Served(successes=10, when_sent=0, error_rate=0.01)  # others are served, and seldom fail
OUTAGE = Served(error_rate=0.9)  # nobody is served


def chunk(count=1, *, ordered=False):
    """Return a chunk of so many records."""
    records = tuple(b'{"n":%d}' % number for number in range(count))
    return Chunk(0, tuple(range(count)), records, lambda _record: frozenset({"userId u"}), shares_ids=ordered)


ALONE, SEVERAL = chunk(1), chunk(4)


AT_ONCE = Policy(judged_after_s=0.0)  # the minute is a matter of its own


def after(outcomes, one=ALONE, *, served=FAIR, policy=AT_ONCE, history=NEW):
    """Return the last step of some outcomes in turn, and how many were asked for before it was decided."""
    for number, outcome in enumerate(outcomes, 1):
        step, history = next_step(one, history, outcome, served, policy)
        if not isinstance(step, Again):
            return step, number
    return step, number


# --- each verdict ----------------------------------------------------------------------------------------------------

TABLE = {
    Verdict.DELIVERED: (Delivered, Delivered),
    Verdict.NOT_SENT: (Again, Again),
    Verdict.THROTTLED: (Again, Again),
    Verdict.SERVER_ERROR: (Again, Again),
    Verdict.UNKNOWN: (Again, Again),
    Verdict.REJECTED: (Rejected, Split),
    Verdict.TOO_BIG: (Rejected, Split),
    Verdict.BLOCKED: (Again, Again),
    Verdict.REFUSED_KEY: (Left, Left),
    Verdict.REPLACED: (Left, Left),
    Verdict.MISROUTED: (Left, Left),
}


@pytest.mark.parametrize("verdict", Verdict)
def test_what_follows_from_a_first_answer(verdict):
    """A single record and several, each by its verdict; no verdict is forgotten."""
    steps = [next_step(one, NEW, Outcome(verdict), FAIR, Policy())[0] for one in (ALONE, SEVERAL)]

    assert tuple(map(type, steps)) == TABLE[verdict]


def test_the_table_of_the_docs_has_a_row_for_each_verdict():
    """The table in the docstring, from which the docs are made, names every verdict once."""
    named = re.findall(r"^\s*\| (\w+) \|", next_step.__doc__, re.MULTILINE)

    assert sorted(named) == sorted(["verdict", *Verdict])


@pytest.mark.parametrize("outcome", [ERROR, LOST, Outcome(Verdict.THROTTLED, 503, retry_after_s=1.0)])
@pytest.mark.parametrize("before", [[], [Verdict.NOT_SENT], [Verdict.NOT_SENT, Verdict.THROTTLED]])
def test_hold_never_repeats_an_ambiguous_attempt(outcome, before):
    """At most once: what may have been applied is held, at the first attempt and after free ones; also at a stop."""
    outcomes = [*map(Outcome, before), outcome]
    for served in (FAIR, OUTAGE, replace(FAIR, stopped=True)):
        step, attempts = after(outcomes[-1:] if served.stopped else outcomes, served=served, policy=Policy(hold=True))

        assert (type(step), attempts) == (Held, 1 if served.stopped else len(outcomes))


@pytest.mark.parametrize("one", [ALONE, SEVERAL])
def test_an_answer_that_is_not_buckets_leaves_the_chunk_in_doubt(one):
    """Whoever answered may have passed the body on: the run ends, and with hold the chunk waits for a person."""
    web_page = Outcome(Verdict.MISROUTED, 200)
    left, _ = next_step(one, NEW, web_page, FAIR, Policy())
    held, _ = next_step(one, NEW, web_page, FAIR, Policy(hold=True))

    assert web_page.ambiguous
    assert (type(left), type(left.error)) == (Left, MisroutedError)
    assert (type(held), type(held.error)) == (Held, MisroutedError)
    assert not Outcome(Verdict.MISROUTED).ambiguous  # a certificate: nothing was sent


@pytest.mark.parametrize("outcome", [Outcome(Verdict.NOT_SENT), Outcome(Verdict.THROTTLED, 429)])
def test_hold_repeats_what_was_not_applied(outcome):
    """What was not sent, or only throttled, is free to repeat also at most once."""
    assert isinstance(after([outcome] * 20, policy=Policy(hold=True))[0], Again)


@pytest.mark.parametrize("verdict", AGAIN)
def test_an_ambiguous_attempt_is_to_be_named(verdict):
    """`Again` says whether the attempt may have been applied, as the outcome does."""
    outcome = Outcome(verdict)
    step, _ = next_step(ALONE, NEW, outcome, FAIR, Policy())

    assert step.ambiguous == outcome.ambiguous


def test_the_wait_is_what_the_server_asks_for_else_the_backoff_half_of_it_by_chance():
    """Never sooner than asked, and a little later by chance; without a word of the server at least half the backoff."""
    policy = Policy(backoff_s=lambda attempts: 8.0 * attempts)
    asked, _ = next_step(ALONE, NEW, Outcome(Verdict.THROTTLED, 429, retry_after_s=7.0), FAIR, policy)
    free, _ = next_step(ALONE, ChunkHistory(attempts=1, in_a_row=1, began=0), Outcome(Verdict.NOT_SENT), FAIR, policy)

    assert (asked.wait_s, asked.spread_s) == (7.0, pytest.approx(0.8))
    assert (free.wait_s, free.spread_s) == (8.0, 8.0)


# --- the end of a run ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("verdict", "error"), [(Verdict.REFUSED_KEY, KeyRefusedError), (Verdict.MISROUTED, MisroutedError)]
)
def test_what_no_retry_can_help_ends_the_run(verdict, error):
    """A refused key and another host are left, with an error of their own; nothing is rejected."""
    step, attempts = after([Outcome(verdict, 401)], SEVERAL)

    assert (type(step), type(step.error), attempts) == (Left, error, 1)


@pytest.mark.parametrize("verdict", AGAIN)
def test_out_of_patience_it_is_left_and_says_so(verdict):
    """Nothing was served for as long as patience: the chunk is left, and the run ends with that error."""
    step, attempts = after([Outcome(verdict)], served=replace(OUTAGE, out_of_patience=True))

    assert (type(step), type(step.error), attempts) == (Left, PatienceError, 1)


@pytest.mark.parametrize("verdict", AGAIN)
def test_a_stop_leaves_it_without_an_error(verdict):
    """A signal asked for the end: what is not decided is left, and that is no failure."""
    step, attempts = after([Outcome(verdict)], served=replace(FAIR, stopped=True))

    assert (type(step), step.error, attempts) == (Left, None, 1)


ASKING = [
    Outcome(Verdict.THROTTLED, 429, retry_after_s=3_600.0),
    Outcome(Verdict.THROTTLED, 503, retry_after_s=3_600.0),
    Outcome(Verdict.SERVER_ERROR, 500, retry_after_s=3_600.0),
]


@pytest.mark.parametrize("outcome", ASKING)
def test_a_wait_beyond_the_end_of_patience_ends_the_run_now(outcome):
    """Waiting would be of no use: it is left, and the error names the time that the server named, not our cap of it."""
    step, _ = next_step(SEVERAL, NEW, outcome, replace(FAIR, patience_left_s=3_599.0), Policy())

    assert (type(step), type(step.error)) == (Left, PatienceError)
    assert "3,600 s" in step.error.message
    assert "3,600 s" in step.error.hint


@pytest.mark.parametrize("outcome", [*ASKING, Outcome(Verdict.THROTTLED, 429), ERROR])
def test_a_wait_within_patience_is_waited(outcome):
    """At most 300 s at once, and our own waits are never a reason to end."""
    left_s = 3_600.0 if outcome.retry_after_s else 0.0
    step, _ = next_step(SEVERAL, NEW, outcome, replace(FAIR, patience_left_s=left_s), Policy())

    assert isinstance(step, Again)
    assert step.wait_s == (300.0 if outcome.retry_after_s else 0.0)


def test_a_wait_that_is_too_long_changes_nothing_for_what_ends_anyhow():
    """A signal is still no error, and at most once still holds what may have been applied."""
    short = replace(FAIR, patience_left_s=1.0)

    assert next_step(ALONE, NEW, ASKING[0], replace(short, stopped=True), Policy())[0].error is None
    assert isinstance(next_step(ALONE, NEW, ASKING[1], short, Policy(hold=True))[0], Held)


# --- server errors of one chunk --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "attempts", "kind"), [(SEVERAL, SUSPICIOUS_AFTER, Split), (ALONE, SUSPICIOUS_ALONE_AFTER, Rejected)]
)
def test_server_errors_of_one_chunk_alone_are_its_own(one, attempts, kind):
    """While others are served, several records are halved and a single one is rejected, the latter later."""
    step, made = after([ERROR] * 50, one)

    assert (type(step), made) == (kind, attempts)


def test_a_part_of_a_suspected_chunk_is_suspected_earlier():
    """Each part has to bring the errors itself; it takes two fewer, and others count from when the whole was sent."""
    step, _ = after([ERROR] * 50, SEVERAL, served=replace(FAIR, when_sent=9))

    assert (step.history.suspected, step.history.successes_before) == (True, 9)
    assert after([ERROR] * 50, ALONE, history=step.history)[1] == SUSPICIOUS_ALONE_AFTER - SUSPECTED_EARLIER


@pytest.mark.parametrize(("rate", "least"), [(0.01, SUSPICIOUS_ALONE_AFTER), (0.11, 7), (0.33, 12), (0.6, 24)])
def test_the_worse_the_weather_the_more_it_takes_to_blame_a_record(rate, least):
    """Where such a share of requests fails anyhow, a single record must fail oftener than bad luck explains."""
    _, attempts = after([ERROR] * 200, ALONE, served=replace(FAIR, error_rate=rate))

    assert least <= attempts <= least + 6
    assert attempts < SUSPICIOUS_ALONE_AFTER + 1 or rate**attempts <= course.CHANCE_MAX


def test_what_was_throttled_does_not_count_against_a_record():
    """Only server errors are held against a record, not attempts that were throttled, lost or never sent."""
    others = [Outcome(Verdict.THROTTLED, 503), Outcome(Verdict.NOT_SENT), LOST] * 40

    assert isinstance(after([*others, ERROR, *others])[0], Again)


@pytest.mark.parametrize("one", [ALONE, SEVERAL])
def test_an_outage_of_server_errors_blames_nobody(one):
    """When nothing is served anywhere, it goes on until patience is over, however often one chunk fails."""
    assert isinstance(after([ERROR] * 200, one, served=OUTAGE)[0], Again)


ASIDE = replace(OUTAGE, may_set_aside=True)


@pytest.mark.parametrize(("one", "attempts"), [(SEVERAL, SUSPICIOUS_AFTER), (ALONE, SUSPICIOUS_ALONE_AFTER)])
@pytest.mark.parametrize("ordered", [False, True])
def test_what_keeps_failing_gives_way_to_others(one, attempts, ordered):
    """While something else can be tried, it is set aside: also where order matters, since what shares its ids waits."""
    step, made = after([ERROR] * 20, chunk(len(one.sequences), ordered=ordered), served=ASIDE)

    assert (type(step), made) == (SetAside, attempts)


def test_several_that_come_back_are_cut_and_one_alone_comes_back_again():
    """Nothing is left that could be tried in their place: the parts show of each other which of them it is."""
    came_back, last = ChunkHistory(errors=4, began=0, postponed=True), replace(OUTAGE, last=True)

    assert isinstance(next_step(SEVERAL, came_back, ERROR, ASIDE, Policy())[0], Split)
    assert isinstance(next_step(SEVERAL, replace(NEW, errors=4), ERROR, last, Policy())[0], Split)
    assert isinstance(after([ERROR] * 20, served=last, history=came_back)[0], SetAside)


@pytest.mark.parametrize(("seconds", "kind"), [(JUDGED_AFTER_S - 1, Again), (JUDGED_AFTER_S, Rejected)])
def test_a_single_record_is_blamed_only_when_it_failed_for_a_minute(seconds, kind):
    """However often it fails within seconds: a host that has just been restarted fails for some of them too."""
    history = ChunkHistory(errors=40, began=0, since_s=100.0)
    step, _ = next_step(ALONE, history, ERROR, replace(FAIR, now_s=100.0 + seconds), Policy())

    assert isinstance(step, kind)


def test_a_part_has_failed_since_the_whole_did():
    """The minute is not begun again with each cut."""
    _, history = next_step(SEVERAL, NEW, ERROR, replace(FAIR, now_s=5.0), Policy())
    for now_s in (6.0, 7.0, 8.0):
        step, history = next_step(SEVERAL, history, ERROR, replace(FAIR, now_s=now_s), Policy())

    assert step.history.since_s == 5.0


@pytest.mark.parametrize("one", [ALONE, SEVERAL])
def test_out_of_patience_a_single_record_is_set_aside_while_the_host_reads(one):
    """It may be the record or an outage: nobody waits for it. When the host does not read either, it is an outage."""
    over = replace(OUTAGE, out_of_patience=True, last=True)
    stuck, left = (next_step(one, NEW, ERROR, replace(over, reads=reads), Policy())[0] for reads in (True, False))
    first, _ = next_step(one, NEW, ERROR, replace(over, reads=True, last=False, may_set_aside=True), Policy())

    assert isinstance(stuck, SetAside if one is ALONE else Left)
    assert isinstance(left.error, PatienceError)
    assert isinstance(first, SetAside)  # others were not tried in its place yet


def test_several_among_the_last_are_cut_although_patience_went_by_in_waiting_for_others():
    """Others were served in this call, so it is no outage; where nobody was, it stays one."""
    late = replace(FAIR, out_of_patience=True, last=True)
    came_back = replace(NEW, errors=SUSPICIOUS_AFTER, began=10)

    assert isinstance(next_step(SEVERAL, NEW, ERROR, late, Policy())[0], Again)
    assert isinstance(next_step(SEVERAL, came_back, ERROR, late, Policy())[0], Split)
    assert isinstance(next_step(SEVERAL, came_back, ERROR, replace(late, successes=0), Policy())[0], Left)


def test_a_firewalls_page_for_several_is_asked_of_its_parts_also_out_of_patience():
    """One of them may be the reason; where no more may be set aside, the run ends."""
    over = replace(OUTAGE, out_of_patience=True, may_set_aside=True)

    assert isinstance(next_step(SEVERAL, NEW, PAGE, over, Policy())[0], Split)
    assert isinstance(next_step(SEVERAL, NEW, PAGE, replace(over, may_set_aside=False), Policy())[0], Left)


def test_in_a_later_run_it_is_tried_once_until_others_are_served():
    """Nothing is known that was not known before; a single success of another is its witness."""
    earlier = ChunkHistory(errors=6, began=0, since_s=-1e6, postponed=True, earlier=True)

    assert isinstance(next_step(ALONE, earlier, ERROR, replace(OUTAGE, last=True), Policy())[0], SetAside)
    assert isinstance(
        next_step(ALONE, replace(earlier, errors=40), ERROR, replace(FAIR, last=True), Policy())[0], Rejected
    )


def test_what_was_set_aside_waits_as_if_it_were_new():
    """The waits of a chunk that is taken up again begin small: the weather has changed meanwhile, or never will."""
    policy, history, waits = Policy(backoff_s=lambda attempts: 2.0**attempts), NEW, []
    for number in range(SUSPICIOUS_ALONE_AFTER + 2):
        outcome = ERROR if number < SUSPICIOUS_ALONE_AFTER else Outcome(Verdict.NOT_SENT)
        step, history = next_step(ALONE, history, outcome, ASIDE, policy)
        waits.append(step.wait_s if isinstance(step, Again) else None)

    assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, None, 1.0, 2.0]


# --- a firewall on the way -------------------------------------------------------------------------------------------

PAGE = Outcome(Verdict.BLOCKED, 403)


@pytest.mark.parametrize(
    ("one", "attempts", "kind"), [(SEVERAL, SUSPICIOUS_AFTER, Split), (ALONE, SUSPICIOUS_ALONE_AFTER, Rejected)]
)
def test_what_a_firewall_refuses_while_others_are_served_is_its_own_matter(one, attempts, kind):
    """As with server errors: several records are halved, and a single one is rejected, with a code of its own."""
    step, made = after([PAGE] * 50, one)

    assert (type(step), made) == (kind, attempts)
    assert kind is Split or step.reason.code == "blocked"


@pytest.mark.parametrize("one", [ALONE, SEVERAL])
def test_when_all_that_is_sent_meets_the_page_the_run_ends(one):
    """Nobody is served: it is the address or the firewall, and nothing goes to the dead letters."""
    step, attempts = after([PAGE] * 50, one, served=OUTAGE)

    assert (type(step), type(step.error)) == (Left, MisroutedError)
    assert attempts <= SUSPICIOUS_ALONE_AFTER


def test_others_are_tried_at_once_in_the_place_of_what_is_blocked():
    """The first answer of a firewall does not end the run: what comes after it shows whose matter it is."""
    served = replace(OUTAGE, may_set_aside=True)
    step, history = next_step(SEVERAL, NEW, PAGE, served, Policy())

    assert isinstance(step, SetAside)
    assert isinstance(next_step(SEVERAL, history, PAGE, served, Policy())[0], Again)


# --- laws ------------------------------------------------------------------------------------------------------------

OUTCOMES = st.builds(
    Outcome,
    st.sampled_from(Verdict),
    st.sampled_from([None, 200, 400, 429, 500, 503]),
    details=st.none() | st.just({"error": {"validationErrors": ["[0].userId: no", "[2].x"]}}),
    retry_after_s=st.none() | st.floats(0, 300),
)
HISTORIES = st.builds(
    ChunkHistory,
    attempts=st.integers(0, 40),
    recorded=st.just(0),
    errors=st.integers(0, 40),
    began=st.none() | st.integers(0, 5),
    successes_before=st.integers(0, 5),
    suspected=st.booleans(),
    postponed=st.booleans(),
    earlier=st.booleans(),
    since_s=st.none() | st.floats(-1_000, 1_000),
)
SERVED = st.builds(
    Served,
    successes=st.integers(0, 9),
    when_sent=st.integers(0, 9),
    error_rate=st.floats(0.001, 0.99),
    stopped=st.booleans(),
    out_of_patience=st.booleans(),
    may_set_aside=st.booleans(),
    last=st.booleans(),
    reads=st.booleans(),
    now_s=st.floats(0, 1_000),
)
POLICIES = st.builds(Policy, hold=st.booleans())
CHUNKS = st.builds(chunk, st.integers(1, 9), ordered=st.booleans())


@given(CHUNKS, HISTORIES, OUTCOMES, SERVED, POLICIES)
def test_it_is_total_and_says_the_same_again(one, history, outcome, served, policy):
    """Whatever comes in, one step follows, and the same from the same; nothing that came in is changed."""
    step, known = next_step(one, history, outcome, served, policy)
    again, known_again = next_step(one, history, outcome, served, policy)

    assert (type(step), known) == (type(again), known_again)
    assert step.attempts >= 1


@given(CHUNKS, HISTORIES, OUTCOMES, SERVED, POLICIES)
def test_only_what_was_sent_alone_is_rejected(one, history, outcome, served, policy):
    """No record goes to the dead letters for an answer that others shared, nor for an outage, a key or another host."""
    step, _ = next_step(one, history, outcome, served, policy)

    if isinstance(step, Rejected):
        assert len(one.sequences) == 1
        assert outcome.verdict in {Verdict.REJECTED, Verdict.TOO_BIG, Verdict.SERVER_ERROR, Verdict.BLOCKED}
        beside_others = outcome.verdict in {Verdict.SERVER_ERROR, Verdict.BLOCKED}
        assert not beside_others or not (served.stopped or served.out_of_patience)
        assert not beside_others or not (outcome.ambiguous and policy.hold)


@given(CHUNKS, HISTORIES, OUTCOMES, SERVED, POLICIES)
def test_a_split_loses_nothing_and_makes_progress(one, history, outcome, served, policy):
    """The parts are all of the chunk, each once and in order where order matters; none is empty, none is the whole."""
    step, _ = next_step(one, history, outcome, served, policy)

    if isinstance(step, Split):
        places = [place for part in step.parts for place in part]
        assert sorted(places) == list(range(len(one.sequences)))
        assert not one.ids or places == sorted(places)
        assert all(0 < len(part) < len(one.sequences) for part in step.parts)


@settings(max_examples=100, deadline=None)
@given(st.data(), st.integers(1, 12), st.booleans(), POLICIES)
def test_every_record_ends_and_none_is_dropped(data, count, ordered, policy):
    """Played to the end against any answers, then an end of patience: each record ends once, and all of them do."""
    work, ends, answers = deque([(chunk(count, ordered=ordered), NEW)]), {}, 0
    while work:
        one, history = work.popleft()
        served = data.draw(SERVED) if answers < 60 else Served(out_of_patience=True)
        step, history = next_step(one, history, data.draw(OUTCOMES), served, policy)
        answers += 1
        match step:
            case Again():
                work.appendleft((one, history))
            case SetAside():
                work.append((one, history))
            case Split(parts=parts, history=known):
                work.extendleft((one.part(part), known) for part in reversed(parts))
            case _:
                assert not ends.keys() & set(one.sequences)
                ends |= dict.fromkeys(one.sequences, type(step))
        assert answers < 200

    assert ends.keys() == set(range(count))


@given(st.lists(OUTCOMES, min_size=1, max_size=30), POLICIES)
def test_the_ledger_hears_of_every_attempt_once(outcomes, policy):
    """What the steps say to record adds up to the attempts that were made, for as long as the chunk is on its way."""
    history, recorded = NEW, 0
    for number, outcome in enumerate(outcomes, 1):
        step, history = next_step(ALONE, history, outcome, OUTAGE, policy)
        if not isinstance(step, Again) or step.ambiguous:
            recorded += step.attempts
            assert recorded == number
        if not isinstance(step, Again):
            return
    assert recorded <= len(outcomes)


@given(st.floats(0.0001, 0.9999))
def test_beyond_chance_is_beyond_chance(rate):
    """So many failures in a row are less likely than the bound, and one fewer is not, but for the least of one."""
    count = course.beyond_chance(rate)

    assert math.isclose(rate**count, course.CHANCE_MAX) or rate**count < course.CHANCE_MAX
    assert count == 1 or rate ** (count - 1) > course.CHANCE_MAX or math.isclose(rate ** (count - 1), course.CHANCE_MAX)


@pytest.mark.parametrize("outcome", [ERROR, PAGE])
def test_what_failed_for_its_minute_in_the_last_wait_is_judged_though_patience_is_over(outcome):
    """Its witness came before: else a patience of a minute would never judge anything."""
    known = replace(NEW, attempts=9, errors=9, began=0, since_s=0.0, postponed=True)
    over = replace(FAIR, out_of_patience=True, last=True, now_s=JUDGED_AFTER_S)

    assert isinstance(next_step(ALONE, known, outcome, over, Policy())[0], Rejected)
    too_soon = next_step(ALONE, known, outcome, replace(over, now_s=JUDGED_AFTER_S - 1), Policy())[0]
    assert not isinstance(too_soon, Rejected)


@pytest.mark.parametrize("served", [replace(OUTAGE, out_of_patience=True), replace(OUTAGE, last=True)])
def test_a_single_record_that_is_blocked_gives_way_to_later_runs(served):
    """It ends its run, and is set aside: left in it, each later call would begin with it and end there."""
    known = replace(NEW, attempts=9, errors=9, began=0, since_s=0.0, postponed=True)
    step = next_step(ALONE, known, PAGE, served, AT_ONCE)[0]

    assert isinstance(step, SetAside)
    assert isinstance(step.error, MisroutedError)
