"""Two to four processes send one run, and are killed, frozen and woken at random moments; the server crashes too.

`make senderkills KILLS=1000` does that a thousand times and prints a table; here it is a few.
"""

import random
import signal
import time
from dataclasses import dataclass

import pytest
import servers
from driver import SEED, bucket, lanes, often, starter, tell
from invariants import at_every_moment, finished
from killing import Tallied
from shared import ENDED, Shared, frozen

KILLS = often("BUCKET_LOADER_SENDER_KILLS", 10)
LEASE_S = 1.0
MANY = (2, 3, 4)
CONCURRENCY = 4
SIZE = {} if KILLS > 100 else {"users": 150, "companies": 60, "events": 500}
FROZEN = 0.3  # the share of harms that freeze a sender instead of killing it
RESTARTS = 0.05  # the share of harms before which the server crashes
GOOD = {0, 3}
# What this machine is for a moment, or the server to one that has just been started: then it is 75.
SLOW = ("no connection is made in time", "cannot be reached: ")

pytestmark = [pytest.mark.rehearsal, pytest.mark.postgres]


@pytest.fixture(scope="module")
def forks():
    """What starts the program quickly; who is silent for a second is given up."""
    with starter(REHEARSED_LEASE_S=str(LEASE_S)) as it:
        yield it


@dataclass
class Harmed(Tallied):
    """What the harms at one number of senders came to."""

    senders: int
    until: int
    kills: int = 0
    freezes: int = 0
    woken: int = 0
    restarts: int = 0

    def row(self):
        """Return its line of the table."""
        return (f"{self.senders:>7} {self.kills:>6} {self.freezes:>7} {self.woken:>6} {self.restarts:>8} "
                f"{self.loads:>6} {self.records:>9,} {self.repeated:>9,} {self.named:>7,} "
                f"{len(self.violations):>11} {self.seconds:>6.0f} s")  # fmt: skip


TITLE = "senders  kills  frozen  woken  restarts  loads  accepted  repeated   named  violations     time"


class Crowd:
    """The senders of one load, and what is done to them."""

    def __init__(self, load, harmed, dice):
        self.load, self.harmed, self.dice = load, harmed, dice
        self.run = load.plan()
        self.alive = [self._one() for _ in range(harmed.senders)]
        self.asleep = []

    def _one(self):
        return self.load.start("deliver", self.run)

    def is_over(self):
        """Whether the run has ended."""
        return any(status in ENDED for _, status in self.load.runs())

    def harm(self):
        """Kill or freeze one, or let one wake."""
        dice = self.dice
        time.sleep(dice.uniform(0.02, 0.4))
        if dice.random() < RESTARTS:
            self.harmed.restarts += 1
            servers.restart_postgres()
        if self.asleep and dice.random() < 0.4:
            self._wake(self.asleep.pop(dice.randrange(len(self.asleep))))
            return
        self.alive = [one for one in self.alive if not one.ended()] or [self._one()]
        child = dice.choice(self.alive)
        if dice.random() < FROZEN and len(self.alive) > 1:
            frozen(child)
            self.harmed.freezes += 1
            self.alive.remove(child)
            self.asleep.append(child)
            self.alive.append(self._one())
        elif child.kill():
            self.harmed.kills += 1
            self.alive.remove(child)
            self.alive.append(self._one())
            at_every_moment(self.load)

    def _wake(self, child):
        child.send(signal.SIGCONT)
        self.harmed.woken += 1
        self.alive.append(child)

    def end(self):
        """Wake who sleeps, wait for all, and return the exit code that they agree on."""
        while self.asleep:
            self._wake(self.asleep.pop())
        codes = {one.wait() for one in self.alive}
        if any(slow in self.load.stderr() for slow in SLOW):
            codes.discard(75)
        assert codes <= GOOD, f"{codes}: {self.load.stderr()[-3000:]}"
        last = self._one().wait()  # one who comes late hears how it ended
        assert codes <= {last}, f"{codes}, and then {last}: {self.load.stderr()[-3000:]}"
        return last


def _harm_while_it_loads(load, harmed, dice):
    crowd = Crowd(load, harmed, dice)
    try:
        while harmed.kills + harmed.freezes < harmed.until and not crowd.is_over():
            crowd.harm()
        return crowd.end()
    finally:
        for child in [*crowd.alive, *crowd.asleep]:
            if not child.ended():
                child.kill()


def _harm_often(url, harmed, folder, forks):
    began, dice = time.monotonic(), random.Random(SEED * 1_000 + harmed.senders)  # noqa: S311

    def play(here):
        load = Shared(here, it, forks, concurrency="auto", **SIZE)
        standing = finished(load, _harm_while_it_loads(load, harmed, dice))
        load.sent_by_one_at_a_time()
        return standing

    while harmed.kills + harmed.freezes < harmed.until and len(harmed.violations) < 5:
        with bucket(url) as it:
            harmed.load(it, dice, folder / f"{harmed.senders}", play)
    harmed.seconds = time.monotonic() - began
    return harmed


@pytest.mark.timeout(14_400)
def test_senders_that_are_killed_and_frozen_lose_nothing(tmp_path, forks, endpoints):
    """All arrives, no more of it twice than was named before, and no part is sent by two at once."""
    servers.postgres()
    share = -(-KILLS // len(MANY))
    found = lanes(MANY, endpoints[:1], lambda senders, at: _harm_often(at.url, Harmed(senders, share), tmp_path, forks))
    tell(TITLE, *(one.row() for one in found))

    violations = [one for harmed in found for one in harmed.violations]
    assert violations == [], "\n".join(violations)
    assert sum(one.kills + one.freezes for one in found) >= KILLS
    assert all(one.repeated <= one.named for one in found)


def test_a_frozen_sender_is_taken_over_and_sends_nothing_when_it_wakes(tmp_path, forks, endpoints):
    """Its part goes to the other within an attempt and a lease; awake, it finds that, and ends as the run did."""
    servers.postgres()
    with bucket(endpoints[0].url) as it:
        load = Shared(
            tmp_path / "load", it, forks, concurrency=CONCURRENCY, refused=0, users=40, companies=0, events=600
        )
        it.faults({"kind": "latency", "seconds": 0.1})
        run = load.plan()
        first = load.start("deliver", run)
        load.wait_for_requests(5, first)
        frozen(first)
        began = time.monotonic()
        second = load.start("deliver", run)
        while not any(pid == second.pid and has for _, pid, has in load.senders()):
            assert time.monotonic() - began < 30
            time.sleep(0.05)
        took_s = time.monotonic() - began
        code = second.wait()
        asked = it.requests()
        first.send(signal.SIGCONT)

        assert (code, first.wait()) == (0, 0), load.stderr()[-3000:]
        assert it.requests() <= asked + 1  # it may look who answers, and sends nothing
        assert took_s < 3.0 + LEASE_S + 5.0  # and what a start takes here
        assert finished(load, code).in_flight == 0
        load.sent_by_one_at_a_time()
