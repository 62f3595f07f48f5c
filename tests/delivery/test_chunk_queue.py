"""Which chunks may be out together, and who sends them."""

import threading
from itertools import count

import pytest

from bucket_loader.delivery.queue import Queue, Work
from bucket_loader.model.chunks import Chunk


def chunk(number, *ids):
    """Make a chunk of one record."""
    return Chunk(0, (number,), (b"{}",), lambda _record: frozenset(ids), shares_ids=True)


UNDECIDED, ANOTHER = Work(chunk(100)), Work(chunk(101))


@pytest.fixture
def stopped():
    """Whether the run is stopped."""
    return threading.Event()


@pytest.fixture
def make_queue(stopped):
    """Make a queue of chunks that share no ids; `alone` says that one thread is enough."""

    def make(chunks=None, *, room=4, alone=False):
        return Queue(iter(chunks or map(chunk, count())), stopped, room=lambda: room, one_is_enough=lambda: alone)

    return make


def numbers(chunks):
    """Return the numbers of chunks."""
    return [one.sequences[0] for one in chunks]


def test_several_are_taken_as_far_as_there_is_room(make_queue):
    """A worker that asks for more gets what is left; those that it ends make room for as many."""
    queue = make_queue()

    first = queue.take("a", 3)
    rest = queue.take("b", 3)
    more = queue.take_more("a", 5, ending=2)

    assert (numbers(first), numbers(rest), numbers(more)) == ([0, 1, 2], [3], [4, 5])


def test_what_shares_an_id_is_not_taken_with_another(make_queue):
    """Neither in one go nor later: only when what it shares the id with is done."""
    chunks = [chunk(0, "u1"), chunk(1, "u2"), chunk(2, "u1"), chunk(3, "u3")]
    queue = make_queue(chunks)

    taken = queue.take("a", 4)
    assert numbers(taken) == [0, 1]
    assert queue.take_more("a", 4, ending=0) == []
    queue.done(*taken)
    assert numbers(queue.take_more("a", 4, ending=0)) == [2, 3]


def test_while_one_thread_is_enough_no_other_takes_more(make_queue):
    """Whoever was first goes on; another that has chunks finishes them, and one that has none waits."""
    queue = make_queue(room=6, alone=True)
    queue.take("lead", 2)
    waiter = threading.Thread(target=lambda: queue.take("other"), daemon=True)
    waiter.start()
    waiter.join(0.2)

    assert waiter.is_alive()
    assert queue.leads("lead")
    assert queue.take_more("other", 2, ending=1) == []
    assert numbers(queue.take_more("lead", 2, ending=2)) == [2, 3]


def test_when_the_lead_has_nothing_left_another_takes_over(make_queue):
    """Whoever waits is told at once that the lead went on with something that takes its time."""
    queue, taken = make_queue(room=2, alone=True), []
    queue.done(*queue.take("lead", 2))
    waiter = threading.Thread(target=lambda: taken.extend(queue.take("other", 2)), daemon=True)
    queue.pass_on(UNDECIDED)
    assert queue.take("lead") is UNDECIDED
    waiter.start()
    waiter.join(5)

    assert numbers(taken) == [2, 3]
    assert queue.leads("other")


def test_what_was_passed_on_comes_before_everything(make_queue, stopped):
    """Before new chunks, and when the run is stopped: somebody has to say what becomes of it."""
    queue = make_queue()
    queue.pass_on(UNDECIDED)
    assert queue.take("a") is UNDECIDED

    queue.pass_on(ANOTHER)
    stopped.set()
    assert queue.take("a") is ANOTHER
    assert queue.take("a") is None
    assert queue.take_more("a", 3, ending=0) == []


def test_the_end_is_told_apart_from_nothing_for_now(make_queue):
    """None at the end; a worker that has chunks is just given no more."""
    queue = make_queue([chunk(0)])
    taken = queue.take("a")

    assert queue.take_more("a", 1, ending=1) == []
    queue.done(*taken)
    assert queue.take("b") is None


def test_who_has_nothing_stays_for_what_may_still_be_passed_on(make_queue):
    """Several of the last chunks may fail together: each is tried again by a thread of its own."""
    queue, taken = make_queue([chunk(0), chunk(1)]), []
    last = queue.take("a", 2)
    waiters = [threading.Thread(target=lambda: taken.append(queue.take("b")), daemon=True) for _ in range(2)]
    for waiter in waiters:
        waiter.start()
    queue.pass_on(UNDECIDED)
    waiters[0].join(0.1)
    waiters[1].join(0.1)

    assert taken == [UNDECIDED]
    queue.done(*last)
    for waiter in waiters:
        waiter.join(5)
    assert taken == [UNDECIDED, None]
