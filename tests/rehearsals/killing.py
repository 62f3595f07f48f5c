"""Kills that a load survives: at random moments, until its first run has ended, counted and held against it."""

import json
import random
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from driver import FAULTS, SEED, Bucket, Child, Load, bucket
from invariants import Standing, at_every_moment, conserved, finished

STARTING = 0.15  # the share of kills that hit the start, the planning, or the first moments of the ledger
STARTING_S_MAX = 0.5
TAKEN_OVER = 0.12  # the share of kills instead of which the run loses its lock, and another copy is started
ENOUGH = 100  # kills, among which some runs lose their lock
LOST = 75
ENDED = {"succeeded", "rejected"}  # the next run plans anew what was refused, and would be killed in that for ever


@dataclass(kw_only=True)
class Tallied:
    """What many loads came to that were harmed."""

    loads: int = 0
    records: int = 0
    repeated: int = 0
    named: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    def load(self, it: Bucket, dice: random.Random, folder: Path, play: Callable[[Path], Standing]) -> None:
        """Play one more load, in a folder of its own; what is wrong with it is a violation."""
        here = folder.with_name(f"{folder.name}-{self.loads}")
        it.faults(*FAULTS, seed=dice.randrange(1_000_000))
        self.loads += 1
        try:
            standing = play(here)
        except AssertionError as error:
            self.violations.append(f"{here}: {error}")
            return
        self.records += standing.accepted
        self.repeated += standing.repeated
        self.named += standing.named


@dataclass
class Killing(Tallied):
    """What the kills at one concurrency came to.

    Attributes:
        until: how many kills there are to be.
        requests_max: how many requests a kill lets pass at most.
        before: called with the load and the dice while the program runs, before it is killed.
        after: the same, when it is dead.
    """

    concurrency: int
    until: int
    requests_max: int
    before: Callable[[Load, random.Random], None] = lambda _load, _dice: None
    after: Callable[[Load, random.Random], None] = lambda _load, _dice: None
    kills: int = 0
    taken_over: int = 0
    in_doubt: list[int] = field(default_factory=list)
    requests: int = 0

    def row(self) -> str:
        """Return its line of the table."""
        mean = sum(self.in_doubt) / max(1, len(self.in_doubt))
        begun = f"{self.concurrency:>11} {self.kills:>6} {self.taken_over:>6} {self.loads:>6}"
        return (f"{begun} {self.records:>9,} {self.requests:>9,} "
                f"{self.repeated:>9,} {self.named:>7,} {mean:>7.1f} / {max(self.in_doubt, default=0):<3} "
                f"{len(self.violations):>11} {self.seconds:>6.0f} s")  # fmt: skip


TITLE = "concurrency  kills  taken  loads  accepted  requests  repeated   named  in doubt/max  violations     time"


def _kill_while_it_loads(load: Load, killing: Killing, dice: random.Random) -> int:
    """Kill a load until its first run has come to an end, or until there were enough kills; gives its exit code."""
    child = None
    while killing.kills < killing.until and not any(status in ENDED for _, status in load.runs()):
        child = child or load.start()
        if dice.random() < STARTING:
            time.sleep(dice.uniform(0, STARTING_S_MAX))
        else:
            load.wait_for_requests(dice.randrange(1, killing.requests_max), child)
            time.sleep(dice.uniform(0, 0.03))
        if load.runs() and dice.random() < TAKEN_OVER:
            child = _taken_over(load, child, killing)
            continue
        killing.before(load, dice)
        if not child.kill():
            return child.wait()
        child = None
        killing.kills += 1
        load.bucket.settled()
        killing.after(load, dice)
        killing.in_doubt.append(at_every_moment(load).in_flight)
    if child is not None:
        child.wait()
    return load.run()


def _taken_over(load: Load, first: Child, killing: Killing) -> Child:
    """Let a run lose its lock and start another copy; gives that one, and holds the first to its words."""
    load.lose_lock(first)
    told = load.keep_told()
    second = load.start()
    load.wait_for_requests(1, second)
    first.send(signal.SIGCONT)
    if first.wait() == LOST:
        words = json.loads(told.read_text("utf-8").splitlines()[-1])
        assert "another copy" in words["error"]["message"], words
        if "streams" in words:
            conserved(words)
            killing.taken_over += 1
    else:
        assert first.code in {0, 3}, f"exit {first.code}: {load.stderr()[-2000:]}"  # it had just ended
    return second


def kill_often(url: str, killing: Killing, folder: Path, make: Callable[[Path, Bucket], Load]) -> Killing:
    """Load again and again, killing, until there were enough kills; every load is held against its exports."""
    began = time.monotonic()
    dice = random.Random(SEED * 100 + killing.concurrency)  # noqa: S311  # repeatable, not secret

    def play(here: Path) -> Standing:
        load = make(here, it)
        standing = finished(load, _kill_while_it_loads(load, killing, dice))
        killing.requests += it.requests()
        return standing

    while killing.kills < killing.until:
        with bucket(url) as it:
            killing.load(it, dice, folder / f"{killing.concurrency}", play)
    killing.seconds = time.monotonic() - began
    return killing


def nothing_is_wrong(found: list[Killing], kills: int) -> None:
    """Hold the kills of all concurrencies against what is promised."""
    violations = [one for killing in found for one in killing.violations]
    assert violations == [], "\n".join(violations)
    assert sum(killing.kills for killing in found) >= kills
    assert kills < ENOUGH or sum(killing.taken_over for killing in found)
    assert all(max(killing.in_doubt, default=0) <= killing.concurrency for killing in found)
    assert all(killing.repeated <= killing.named for killing in found)
