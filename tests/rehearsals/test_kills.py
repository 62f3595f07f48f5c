"""Kill the loader whenever it hurts, under faults; look at the disk after each kill, and count every record at the end.

`make kills KILLS=1000` kills a thousand times and prints a table; here it is a few.
"""

import random
import time
from dataclasses import dataclass, field

import pytest
from driver import FAULTS, SEED, Load, bucket, lanes, often, tell
from invariants import at_every_moment, finished

KILLS = often("BUCKET_LOADER_KILLS", here=4, in_ci=40)
CONCURRENCIES = (1, 4, 8, 16)
STARTING = 0.15  # the share of kills that hit the start, the planning, or the first moments of the ledger
STARTING_S_MAX = 0.5
SIZE = {} if KILLS > 100 else {"users": 60, "companies": 40, "events": 400}
REQUESTS_MAX = 40 if KILLS > 100 else 20  # of the few hundred, or fewer, that a load needs: a dozen kills each
ENDED = {"succeeded", "rejected"}  # the next run plans anew what was refused, and would be killed in that for ever


@dataclass
class Killing:
    """What the kills at one concurrency came to."""

    concurrency: int
    kills: int = 0
    loads: int = 0
    in_doubt: list[int] = field(default_factory=list)
    records: int = 0
    repeated: int = 0
    named: int = 0
    requests: int = 0
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)

    def row(self):
        """Give its line of the table."""
        mean = sum(self.in_doubt) / max(1, len(self.in_doubt))
        return (f"{self.concurrency:>11} {self.kills:>6} {self.loads:>6} {self.records:>9,} {self.requests:>9,} "
                f"{self.repeated:>9,} {self.named:>7,} {mean:>7.1f} / {max(self.in_doubt, default=0):<3} "
                f"{len(self.violations):>11} {self.seconds:>6.0f} s")  # fmt: skip


TITLE = "concurrency  kills  loads  accepted  requests  repeated   named  in doubt/max  violations     time"


def kill_while_it_loads(load, killing, randomly, until):
    """Kill a load until its first run has come to an end, or until there were enough kills; gives its exit code."""
    while killing.kills < until and not any(status in ENDED for _, status in load.runs()):
        child = load.start()
        if randomly.random() < STARTING:
            time.sleep(randomly.uniform(0, STARTING_S_MAX))
        else:
            load.wait_for_requests(randomly.randrange(1, REQUESTS_MAX), child)
            time.sleep(randomly.uniform(0, 0.03))
        if not child.kill():
            return child.wait()
        killing.kills += 1
        load.bucket.settled()
        killing.in_doubt.append(at_every_moment(load).in_flight)
    return load.run()


def kill_often(folder, forks, endpoint, killing, kills):
    """Load again and again, killing, until there were enough kills; every load is held against its exports."""
    began, concurrency = time.monotonic(), killing.concurrency
    randomly = random.Random(SEED * 100 + concurrency)  # noqa: S311  # repeatable, not secret
    while killing.kills < kills:
        with bucket(endpoint.url) as it:
            load = Load(folder / f"{concurrency}-{killing.loads}", it, forks, concurrency=concurrency, **SIZE)
            it.faults(*FAULTS, seed=randomly.randrange(1_000_000))
            killing.loads += 1
            try:
                standing = finished(load, kill_while_it_loads(load, killing, randomly, kills))
            except AssertionError as error:
                killing.violations.append(f"{load.folder}: {error}")
                continue
            killing.records += standing.accepted
            killing.repeated += standing.repeated
            killing.named += standing.named
            killing.requests += it.requests()
    killing.seconds = time.monotonic() - began
    return killing


@pytest.mark.timeout(14_400)
def test_kills_lose_nothing_and_repeat_only_what_was_named(tmp_path, forks, endpoints):
    """Killed at random moments at four concurrencies: all arrives, and oftener than once only what was named before."""
    share = -(-KILLS // len(CONCURRENCIES))
    found = lanes(
        CONCURRENCIES, endpoints, lambda concurrency, at: kill_often(tmp_path, forks, at, Killing(concurrency), share)
    )
    tell(TITLE, *(killing.row() for killing in found))

    assert [one for killing in found for one in killing.violations] == []
    assert sum(killing.kills for killing in found) >= KILLS
    assert all(max(killing.in_doubt, default=0) <= killing.concurrency for killing in found)
    assert all(killing.repeated <= killing.named for killing in found)
