"""One chunk to its end: a journal in memory, a scripted connection, and a clock that moves when it is waited for."""

import itertools
import random
import threading
from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from bucket_loader.delivery.aside import Aside
from bucket_loader.delivery.course import SUSPECTED_EARLIER, SUSPICIOUS_AFTER, SUSPICIOUS_ALONE_AFTER
from bucket_loader.delivery.finishing import Finishing
from bucket_loader.delivery.flight import Shared
from bucket_loader.delivery.http.rate import Slot
from bucket_loader.delivery.http.retry import WAIT_S_FIRST, WAIT_S_MAX, Backoff, Budget
from bucket_loader.delivery.journal import Ambiguous, Concluded, DeadLetter, Intent, SplitInto
from bucket_loader.delivery.queue import Work
from bucket_loader.delivery.service import Service
from bucket_loader.delivery.tally import Standing, Tally
from bucket_loader.model.attempts import Attempt
from bucket_loader.model.chunks import Chunk
from bucket_loader.model.course import ChunkHistory, Policy
from bucket_loader.model.outcomes import Outcome, Verdict
from bucket_loader.reporting.events import ChunkHeld, ChunkRetried, ChunkSetAside
from bucket_loader.state import Behind

DELIVERED = Outcome(Verdict.DELIVERED, 200)
ERROR = Outcome(Verdict.SERVER_ERROR, 500)
NOT_SENT = Outcome(Verdict.NOT_SENT)
PATIENCE_S = 600.0


class Clock(threading.Event):
    """Time that passes when it is waited for; also the event that stops the run."""

    threading = threading

    def __init__(self):
        super().__init__()
        self.at_s, self.waits, self.random = 0.0, [], random.Random(1)  # noqa: S311  # repeatable

    def now_s(self):
        """Return the time."""
        return self.at_s

    def utc(self):
        """Return the date, too."""
        return datetime.fromtimestamp(self.at_s, UTC)

    def wait(self, timeout=None):
        """Let the time pass."""
        self.waits.append(timeout)
        self.at_s += timeout
        return self.is_set()


class Trial:
    """A chunk, what its attempts come to in turn (the last for ever), and all that is written down and said of it."""

    def __init__(self, *outcomes, count=1, hold=False, last=True, others_served=False):
        self.clock, self.journal, self.told, self.sent = Clock(), [], [], []
        self._outcomes = itertools.chain(outcomes, itertools.repeat(outcomes[-1]))
        self._others_served = others_served
        records = tuple(b'{"n":%d}' % number for number in range(count))
        self.work = Work(Chunk(0, tuple(range(count)), records))
        self.shared = Shared(
            run="run", stream="events",
            queue=SimpleNamespace(sample=lambda: None, sampled=0), aside=Aside(), last=last,
            pool=SimpleNamespace(take=lambda: self, give_back=lambda *_: None),
            journal=SimpleNamespace(commit=self.journal.extend, wait_until_held=lambda: None),
            pacer=SimpleNamespace(acquire=self._slot, release=lambda *_: None),
            emulated=SimpleNamespace(see=lambda _: None),
            service=Service(PATIENCE_S, self.clock, self.clock),
            budget=Budget(PATIENCE_S, self.clock),
            standing=Standing(Tally(), self.clock, self.clock),
            policy=Policy(hold, PATIENCE_S, Backoff()),
            tell=self.told.append,
            clock=self.clock,
        )  # fmt: skip
        self.service = self.shared.service

    def _slot(self):
        return None if self.clock.is_set() else Slot(0.0, 1.0)

    def begin(self, body):
        """Send; meanwhile another chunk may be served."""
        self.sent.append(body)
        if self._others_served:
            self.service.note(DELIVERED, first=True, suspected=False)

    def end(self):
        """Return the next outcome."""
        return next(self._outcomes)

    def run(self):
        """Bring the chunk to its end."""
        return Finishing(self.shared).finish(self.work)

    @property
    def state(self):
        """What the chunk was concluded as, at last."""
        return [entry.state for entry in self.journal if isinstance(entry, Concluded)][-1]


def test_what_is_delivered_is_concluded_and_counted():
    """One commit says delivered, after one attempt; the tally counts its records."""
    trial = Trial(DELIVERED, count=3)

    assert trial.run() is True
    assert trial.journal == [Concluded(trial.work.chunk, "delivered", 1, 0, 200, tries=(Attempt(0, 200, 0),))]
    assert trial.shared.standing.tally.now.delivered == 3


def test_an_ambiguous_attempt_is_written_down_and_told_before_it_is_repeated():
    """The journal hears of each before the next body leaves, so that a death then finds it named.

    Each attempt is given to it once, also one that is not worth a commit of its own.
    """
    trial = Trial(ERROR, Outcome(Verdict.UNKNOWN, message="lost"), NOT_SENT, DELIVERED)
    trial.run()

    chunk, at = trial.work.chunk, [int(1_000 * sum(trial.clock.waits[:count])) for count in range(4)]
    tries = [Attempt(moment, status, 0) for moment, status in zip(at, (500, None, None, 200), strict=True)]
    assert trial.journal == [
        Ambiguous(chunk, 1, (tries[0],)), Ambiguous(chunk, 1, (tries[1],)),
        Concluded(chunk, "delivered", 2, 0, 200, tries=(tries[2], tries[3]))]  # fmt: skip
    assert [(event.answer, event.ambiguous) for event in trial.told if isinstance(event, ChunkRetried)] == [
        ("500", True), ("lost", True), ("", False)]  # fmt: skip


def test_waits_double_are_jittered_and_capped():
    """The n-th wait lies between half of and the whole of its doubled length, which ends at the cap."""
    trial = Trial(NOT_SENT)
    trial.run()

    doubled = [min(WAIT_S_FIRST * 2**number, WAIT_S_MAX) for number in range(len(trial.clock.waits))]
    assert len(doubled) > 20
    for wait, whole in zip(trial.clock.waits, doubled, strict=True):
        assert whole / 2 <= wait <= whole
    assert len(set(trial.clock.waits)) == len(doubled)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("asked", [0.0, 0.5, 7.0, 300.0])
def test_retry_after_is_honoured(status, asked):
    """Never sooner than the server asks, and at most a tenth of the usual wait later."""
    trial = Trial(Outcome(Verdict.THROTTLED, status, retry_after_s=asked), DELIVERED)
    trial.run()

    (wait,) = trial.clock.waits
    assert asked <= wait <= asked + WAIT_S_MAX / 10


@pytest.mark.parametrize("count", [1, 4])
def test_patience_ends_it_and_nothing_else_does(count):
    """An outage is waited out for as long as patience, and ended at most one wait later; nothing is rejected."""
    trial = Trial(NOT_SENT, count=count)

    assert trial.run() is False
    assert PATIENCE_S < trial.clock.at_s <= PATIENCE_S + WAIT_S_MAX
    assert trial.state == "queued"
    assert trial.shared.standing.failure.exit_code == 75


def test_patience_begins_again_with_each_success_of_another():
    """As long as the API does something for somebody, an outage of one chunk is not over."""
    trial = Trial(*[NOT_SENT] * 200, DELIVERED, others_served=True)

    assert trial.run() is True
    assert trial.clock.at_s > 2 * PATIENCE_S


def test_a_stop_ends_it_before_the_next_attempt():
    """A signal ends the back-off at once: the chunk stays queued with its last answer, and that is no failure."""
    trial = Trial(ERROR)
    trial.clock.wait = lambda _timeout: trial.clock.set()
    trial.run()

    assert len(trial.sent) == 1
    assert trial.journal[-1] == Concluded(trial.work.chunk, "queued", 0, 0, 500)
    assert trial.shared.standing.failure is None


def test_stopped_before_it_was_sent_it_stays_queued():
    """What was intended and never left this machine is not in doubt."""
    trial = Trial(DELIVERED)
    trial.clock.set()
    trial.run()

    assert (trial.sent, trial.journal) == ([], [Concluded(trial.work.chunk, "queued", 0, 0, None)])


def test_hold_waits_for_a_person():
    """An ambiguous attempt is held at once, and told."""
    trial = Trial(ERROR, hold=True)
    trial.run()

    assert (trial.state, len(trial.sent)) == ("held", 1)
    assert trial.told == [ChunkHeld("run", "events", "0-0", "500")]


def test_a_refused_record_gets_its_letter_with_the_outcome():
    """The letter and the outcome are given to the journal together: it writes the letter first."""
    refused = Outcome(Verdict.REJECTED, 400, "X", {"error": "no"})
    trial = Trial(refused)
    trial.run()

    letter, concluded = trial.journal
    assert isinstance(letter, DeadLetter)
    assert (letter.outcome, concluded.state) == (refused, "rejected")
    assert trial.shared.standing.tally.now.rejected == 1


def test_a_refused_chunk_is_replaced_by_parts_that_are_each_intended():
    """The split is durable before the first part leaves, and each part is an intent of its own."""
    trial = Trial(Outcome(Verdict.REJECTED, 400), DELIVERED, count=4)
    trial.run()

    assert [type(entry) for entry in trial.journal[:3]] == [SplitInto, Intent, Concluded]
    assert sorted(n for entry in trial.journal if isinstance(entry, Concluded) and entry.state == "delivered"
                  for n in entry.chunk.sequences) == [0, 1, 2, 3]  # fmt: skip


def test_when_the_left_half_passed_the_right_is_cut_unsent():
    """A whole that was refused and a left half that passed: sending the right half whole would only say so again."""
    trial = Trial(Outcome(Verdict.REJECTED, 400), DELIVERED, count=8)
    trial.run()

    sizes = [body.count(b"{") for body in trial.sent]
    assert sizes == [8, 4, 2, 1, 1]


def test_what_keeps_failing_gives_way_to_others():
    """While others can be tried in its place it is set aside, queued for the ledger, with what is known of it, told."""
    trial = Trial(ERROR, last=False)
    trial.run()

    chunk = trial.work.chunk
    assert (trial.state, trial.journal[-1].aside is not None) == ("queued", True)
    assert trial.shared.aside.history(chunk).errors == SUSPICIOUS_ALONE_AFTER
    assert isinstance(trial.told[-1], ChunkSetAside)


def test_a_part_that_names_whom_one_set_aside_names_waits_behind_it():
    """The first half is set aside: of the second, the record of the same user stays queued, and the other one goes."""
    trial = Trial(ERROR, *[ERROR] * (SUSPICIOUS_ALONE_AFTER - SUSPECTED_EARLIER), DELIVERED, last=False)
    trial.work = Work(
        Chunk(0, (0, 1, 2), (b"a", b"a again", b"b"), lambda record: frozenset({chr(record[0])}), shares_ids=True),
        ChunkHistory(errors=SUSPICIOUS_AFTER, began=0, postponed=True),
    )
    trial.run()

    (behind,) = [entry for entry in trial.journal if isinstance(entry, Behind)]
    delivered = [entry.chunk.sequences for entry in trial.journal if getattr(entry, "state", "") == "delivered"]
    assert (behind.chunk.sequences, delivered) == ((1,), [(2,)])


def test_workers_do_not_come_back_together():
    """Two chunks that fail at the same moment are not tried again at the same moment."""
    clock, waits = Clock(), []
    for _ in range(2):
        trial = Trial(ERROR, DELIVERED)
        trial.clock.random = clock.random
        trial.run()
        waits += trial.clock.waits

    assert waits[0] != waits[1]
