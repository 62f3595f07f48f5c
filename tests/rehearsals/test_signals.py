"""SIGTERM and SIGINT at random moments: the loader drains in time, knows what became of all it sent, and goes on later.

`make sigterms COUNT=100` does it a hundred times and prints a table; here it is a few.
"""

import random
import signal
import time
from dataclasses import dataclass

import pytest
from driver import REFUSING, SEED, Load, bucket, lanes, often, tell
from invariants import at_every_moment, finished

pytestmark = pytest.mark.rehearsal
COUNT = often("BUCKET_LOADER_SIGNALS", 12)
FAULTS = ({"kind": "latency", "seconds": 0.05}, {"kind": "status", "status": 500, "rate": 0.1}, REFUSING)
SIZE = {"users": 60, "companies": 30, "events": 400, "concurrency": 4}
# On a machine of its own it is well under one: what is in flight is answered in 0.05 s, and nothing else is waited for.
DRAINS_S_MAX = 10.0
BEFORE_ANYTHING = "before the run began, or after it had ended"


@dataclass(frozen=True)
class Signalled:
    """What came of one signal."""

    number: int
    code: int
    after_s: float
    took_s: float
    unknown: int
    violation: str

    @property
    def moment(self):
        """Say when it came, as far as the exit code tells."""
        return {0: "as it ended", 3: "as it ended", 128 + self.number: "drained"}.get(self.code, BEFORE_ANYTHING)


def signalled(folder, forks, endpoint, number, after_s):
    """Send one signal to a load, and let the next run finish it."""
    with bucket(endpoint.url) as it:
        load = Load(folder / f"{number}-{after_s}", it, forks, **SIZE)
        it.faults(*FAULTS)
        child = load.start()
        time.sleep(after_s)
        began = time.monotonic()
        child.send(number)
        code, took_s = child.wait(), time.monotonic() - began
        said, violation, unknown = load.stderr(), "", 0
        try:
            unknown = sum(chunk.state == "intent" for chunk in load.chunks())
            assert "Traceback" not in said, said[-1_500:]
            at_every_moment(load)
            it.faults(REFUSING)
            finished(load, load.run())
        except AssertionError as error:
            violation = str(error) or repr(error)
    return Signalled(number, code, after_s, took_s, unknown, violation)


def table_row(told, number, moment):
    """Return a line of the table: the signals of a kind that ended in one way."""
    some = [one for one in told if (one.number, one.moment) == (number, moment)]
    codes = ", ".join(map(str, sorted({one.code for one in some})))
    longest = max(one.took_s for one in some)
    return f"{number.name:>8} {moment:<46} {len(some):>5}  {codes:<10} {longest:>6.2f} s"


@pytest.mark.timeout(14_400)
def test_a_signal_drains_in_time_and_leaves_nothing_unknown(tmp_path, forks, endpoints):
    """Within seconds, with 143 or 130 (or its own code, when it had just ended), nothing unknown; the next run ends."""
    randomly = random.Random(SEED)  # noqa: S311  # repeatable, not secret
    wanted = [((signal.SIGTERM, signal.SIGINT)[one % 2], randomly.uniform(0, 3)) for one in range(COUNT)]

    told = lanes(wanted, endpoints[:2], lambda one, endpoint: signalled(tmp_path, forks, endpoint, *one))
    ends = sorted({(one.number, one.moment) for one in told})
    tell(f"{'signal':>8} {'end':<46} count  exits       longest", *(table_row(told, *end) for end in ends))

    assert [one for one in told if one.violation] == []
    assert [one for one in told if one.unknown] == []
    assert [one for one in told if one.took_s > DRAINS_S_MAX] == []
    assert [one for one in told if one.moment == BEFORE_ANYTHING and one.code != -one.number] == []


def test_a_second_signal_ends_it_at_once_and_loses_nothing(tmp_path, forks, endpoints):
    """It does not wait for the answers in flight; the ledger names what they may have done."""
    with bucket(endpoints[0].url) as it:
        load = Load(tmp_path / "here", it, forks, users=20, companies=10, events=200, concurrency=4, refused=0)
        it.faults({"kind": "latency", "seconds": 3})
        child = load.start()
        load.wait_for_requests(1, child)
        child.send(signal.SIGTERM)
        time.sleep(0.3)
        began = time.monotonic()
        child.send(signal.SIGTERM)
        code, took_s = child.wait(), time.monotonic() - began
        time.sleep(3)  # what it left with the server is applied meanwhile
        it.faults()
        standing = at_every_moment(load)

        assert code == -signal.SIGTERM
        assert took_s < 2
        assert standing.in_flight > 0
        finished(load, load.run())
