"""How far a delivery is, and what it waits for: told as often as it is of use, by a clock that the test moves."""

import pytest

from bucket_loader.delivery.tally import StreamTally, Tally
from bucket_loader.model.waits import Wait
from bucket_loader.reporting import events
from bucket_loader.reporting.progress import GrowingPace, Watch


class Trial:
    """A delivery that the test moves on, and what a listener is told of it."""

    period_s = 10.0

    def __init__(self):
        self.at_s, self.told = 0.0, []
        self.tally = Tally("r", {"a": 100, "b": 50})
        self.watch = Watch(self, self.tally, lambda: self.at_s)

    def tell(self, event):
        """Be told."""
        self.told.append(event)

    def after(self, seconds):
        """Let the time pass, look, and return what was told."""
        self.at_s += seconds
        before = len(self.told)
        self.watch.look()
        return self.told[before:]


def outage(waited_s):
    """Return a wait that has lasted for so long."""
    return Wait("unreachable", "h cannot be reached", "is it up?", 3, waited_s, 2.0, 60.0)


def test_progress_is_told_once_a_period_with_rate_and_time_left():
    """The rate is that since the first look at a stream: what an earlier call has delivered is no speed."""
    trial = Trial()
    trial.tally.begin(StreamTally("a", 100, 40))
    assert trial.after(0.5) == []

    first = trial.after(10.0)
    trial.tally.now.delivered = 60
    (second,) = trial.after(10.0)

    assert len(first) == 1
    assert (second.per_second, second.left_s, second.done) == (2.0, 20.0, 60)


def test_a_stream_that_is_done_is_told_at_its_total():
    """However short after the last look it ended; and once, unless what was set aside is taken up again."""
    trial = Trial()
    trial.tally.begin(StreamTally("a", 100, began_s=0.0))
    trial.after(0.5)
    trial.tally.now.delivered, trial.tally.now.rejected = 98, 1
    trial.tally.end(4.0)
    trial.tally.begin(StreamTally("b", 50))

    assert trial.after(0.5) == [events.StreamDelivered("r", "a", 100, 98, 1, 4.0)]
    assert trial.after(0.5) == []

    trial.tally.begin(StreamTally("a", 100, 99, 1, began_s=9.0))
    trial.tally.end(10.0)
    assert trial.after(0.5) == [events.StreamDelivered("r", "a", 100, 99, 1, 10.0)]
    assert trial.after(60.0) == []  # nothing else is sent: what is done moves no more


def test_a_wait_takes_the_place_of_progress_until_it_is_over():
    """What is over within a second is a retry, and no wait."""
    trial = Trial()
    trial.tally.waits = lambda: outage(0.4)
    assert trial.after(0.5) == []

    trial.tally.waits = lambda: outage(30.0)
    waiting = trial.after(30.0)
    trial.tally.waits = lambda: None
    over = trial.after(0.5)

    assert waiting == [events.Waits(outage(30.0), "r", "")]
    assert over[0] == events.WaitEnded()


@pytest.mark.parametrize("looks_s", [0.5, 1.0])
def test_lines_of_a_wait_come_more_and_more_seldom(looks_s):
    """At once, then after 10, 30 and 60 seconds, and one a minute from there on."""
    now = [0.0]
    pace = GrowingPace(lambda: now[0])
    due = []
    while now[0] <= 300:
        if pace.is_due():
            due.append(now[0])
        now[0] += looks_s

    assert due == [0, 10, 40, 100, 160, 220, 280]


def test_what_comes_back_soon_goes_on_where_it_was():
    """An outage that flaps writes no more lines than one that stays; after a quiet minute the first comes at once."""
    now = [0.0]
    pace = GrowingPace(lambda: now[0])

    found = []
    for now[0] in (0.0, 5.0, 12.0, 20.0, 45.0, 170.0, 181.0):  # the time moves
        found.append(pace.is_due())

    assert found == [True, False, True, False, True, True, True]
