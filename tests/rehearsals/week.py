"""A week of an hourly pipeline: a scheduler that retries, people who clear and repeat its tasks, and what goes wrong.

Time passes as fast as the runs do.
"""

import random
import shutil
import signal
import time
from dataclasses import dataclass, field
from typing import Any

from door import Door
from driver import FAILING, SLOW, UNSURE, Child
from hourly import Hourly, Interval, moment
from invariants import at_every_moment, conserved, some

PATIENCE_S = 1
ENDS_S_MAX = 30.0  # of a run that an outage meets, on a busy machine
TRIES = 2  # how often the scheduler starts a task until it leaves it to people
RELOADED = 0.15  # of hours: somebody finds rows of an hour that is more than a day old, and clears its task
AGAIN = 0.25  # of hours: somebody runs an earlier one again
STOPPED_MOST = 50  # runs at the end, where chance has stopped none in its middle before
HARMED = 0.35  # of starts
DISKS_LOST = 0.5


@dataclass(frozen=True)
class Troubles:
    """What goes wrong in a week.

    Attributes:
        name: what to call it.
        faults: the emulator's.
        is_certain: whether nothing is ever applied unseen. An outage then refuses connections, and a run is stopped
            by SIGTERM; else the outage cuts connections that it has taken, and runs are killed.
    """

    name: str
    faults: tuple[dict[str, Any], ...]
    is_certain: bool


CUTS = ({"kind": "truncated", "rate": 0.02}, {"kind": "cut_before", "rate": 0.02})
UNCERTAIN = Troubles("uncertain", (SLOW, FAILING, UNSURE, *CUTS), is_certain=False)
THROTTLED = {"kind": "status", "status": 429, "retry_after": 0.2, "rate": 0.1}
UNAVAILABLE = {"kind": "status", "status": 503, "retry_after": 0.2, "rate": 0.05}
CERTAIN = Troubles("certain", (SLOW, THROTTLED, UNAVAILABLE), is_certain=True)
CUT_OFF = {"kind": "outage", "to_s": 1e6}


@dataclass
class Scheduler:
    """Starts the run of every hour, and of every night those of its last two days; retries, and clears what failed.

    Attributes:
        load: the pipeline.
        door: the way to its emulator.
        troubles: what goes wrong.
        dice: when it does.
        hours: how long it goes on.
        day: how many hours a day has.
        forgets: whether the worker loses its disk, in the second half.
        is_clean: whether the last run left nothing unfinished.
    """

    load: Hourly
    door: Door
    troubles: Troubles
    dice: random.Random
    hours: int
    day: int
    forgets: bool = False
    is_out: bool = False
    is_clean: bool = True
    now: int = 0
    backlog: list[Interval] = field(default_factory=list)
    runs: int = 0
    killed: int = 0
    drained: int = 0
    later: int = 0
    later_in_outage: int = 0
    resumed: int = 0
    idle: int = 0
    disks: int = 0

    def live(self) -> None:
        """Go through all hours, and then on until all late rows have come and no task is left."""
        outage = range(self.hours // 2, self.hours // 2 + self.day)
        self.load.bucket.faults(*self.troubles.faults, seed=self.dice.randrange(1_000_000))
        for hour in range(self.hours):
            if (hour in outage) != self.is_out:
                self.turn()
            self.load.happen(hour, self.day, self.dice)
            self.now = hour + 1
            self.due((hour, self.now))
            if self.now % self.day == 0:
                self.due((max(0, self.now - 2 * self.day), self.now))
            self.meddle(hour)
        if self.is_out:
            self.turn()
        self.load.come_late(self.hours + self.day)
        self.due((max(0, self.hours - 2 * self.day), self.hours))
        for _ in range(STOPPED_MOST):
            if self.resumed:
                break
            self.reload(self.dice.randrange(self.hours))
        for _ in range(20):
            self.clear_what_failed()
        assert not self.backlog, f"tasks that never succeeded: {self.backlog}"

    def turn(self) -> None:
        """Begin the outage, or end it."""
        self.is_out = not self.is_out
        if self.troubles.is_certain:
            (self.door.shut if self.is_out else self.door.open)()
        else:
            faults = [CUT_OFF] if self.is_out else self.troubles.faults
            self.load.bucket.faults(*faults, seed=self.dice.randrange(1_000_000))

    def meddle(self, hour: int) -> None:
        """Do as people do now and then: run an earlier hour again, with rows that were found for it or for nothing."""
        if hour and self.dice.random() < AGAIN:
            again = self.dice.randrange(hour)
            self.due((again, again + 1), is_harmed=False)
        if hour > self.day and self.dice.random() < RELOADED:
            self.reload(self.dice.randrange(hour - self.day), rows=3)

    def reload(self, hour: int, *, rows: int = 50) -> None:
        """Run an earlier hour again, with rows that were found for it."""
        self.load.add(*(self.load.row(hour, self.dice.randrange(3_600)) for _ in range(rows)))
        self.load.late += rows
        self.due((hour, hour + 1))

    def due(self, interval: Interval, *, is_harmed: bool = True) -> None:
        """Run an interval's task; when it succeeds, those that have failed are cleared, in any order."""
        if not self.task(interval, is_harmed=is_harmed):
            self.backlog.append(interval)
        elif not self.is_out:
            self.clear_what_failed()

    def clear_what_failed(self) -> None:
        """Start all tasks again that failed."""
        tasks, self.backlog = self.backlog, []
        self.dice.shuffle(tasks)
        self.backlog = [interval for interval in tasks if not self.task(interval)]

    def task(self, interval: Interval, *, is_harmed: bool = True) -> bool:
        """Start the same command until it succeeds, a few times at most; tells whether it did."""
        return any(self.attempt(interval, is_harmed=is_harmed) == 0 for _ in range(TRIES))

    def attempt(self, interval: Interval, *, is_harmed: bool) -> int:
        """Start an interval's run, let things happen to it, and look at what it says and at what it leaves."""
        load = self.load
        is_new = bool(load.within(interval) - load.bucket.accepted().keys())
        asked, load.as_of = load.bucket.requests(), moment(interval[1])
        if self.forgets and self.now > self.hours // 2 and self.dice.random() < DISKS_LOST:
            shutil.rmtree(load.folder / ".bucket_loader", ignore_errors=True)
            self.disks += 1
        bounds = "--interval-start", moment(interval[0]), "--interval-end", moment(interval[1])
        child = load.start("run", *bounds, "--patience", f"{PATIENCE_S}s")
        self.runs += 1
        if is_harmed and (self.later_in_outage or not self.is_out) and self.dice.random() < HARMED:
            self.stop(child)
        code = child.wait()
        load.bucket.settled()
        if code == -signal.SIGKILL:
            self.killed += 1
            at_every_moment(load)
        elif code in {0, 75}:
            self.judge(interval, code, has_work=is_new or not self.is_clean, asked=asked)
        else:
            assert code in {143, -signal.SIGTERM}, f"exit {code}: {load.stderr()[-2000:]}"
            self.drained += 1
        self.is_clean = code == 0
        return code

    def stop(self, child: Child) -> None:
        """Stop a run at a random moment; kill it where that can leave nothing in doubt, or where doubt is wanted."""
        if self.is_out or self.dice.random() < 0.3:
            time.sleep(self.dice.uniform(0, 0.6))
        else:
            self.load.wait_for_requests(self.dice.randrange(1, 6), child)
        child.send(signal.SIGTERM if self.troubles.is_certain and not self.is_out else signal.SIGKILL)

    def judge(self, interval: Interval, code: int, *, has_work: bool, asked: int) -> None:
        """Hold what a run that came to its end says against what arrived."""
        told, there = self.load.told(), self.load.within(interval)
        conserved(told)
        self.resumed += len(told["resumed"]) if code == 0 else 0
        assert told["exit_code"] == code
        if code == 75:
            assert has_work, "a run that had nothing to send did not succeed"
            assert not self.is_out or told.get("seconds", 0) < ENDS_S_MAX, "an outage was waited out for too long"
            self.later += 1
            self.later_in_outage += self.is_out
            return
        missing = there - self.load.bucket.accepted().keys()
        assert not missing, f"exit 0, and rows of its interval have not arrived: {some(missing)}"
        assert told["streams"]["events"]["read"] == len(there)
        if not has_work:
            requests = self.load.bucket.requests() - asked
            assert (requests, told["requests"]) == (0, 0), "a run that had nothing to send made requests"
            self.idle += 1
