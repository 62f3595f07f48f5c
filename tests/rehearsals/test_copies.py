"""Two copies of the program started together: one runs, the other is refused, wherever the state lies.

`make copies COPIES=50` starts fifty pairs at each place and prints figures; here it is one.
"""

import signal
import time

import pytest
from driver import Bucket, Load, bucket, often, tell
from remote import Remote

pytestmark = pytest.mark.rehearsal
PAIRS = often("BUCKET_LOADER_COPIES", 3)
ACCEPTED = {0, 3}
REFUSED = 75


def loads(kind, folder, it, forks, store):
    """Return two workers that share a state: two starts in one folder, or two folders with one server."""
    sizes = {"users": 40, "companies": 10, "events": 200, "refused": 0}
    if kind == "folder":
        load = Load(folder / "both", it, forks, **sizes)
        return load, load
    first = Remote(folder / "first", it, forks, store=store, **sizes)
    return first, first.another(folder / "second")


@pytest.mark.timeout(3_600)
@pytest.mark.parametrize("kind", ["folder", pytest.param("server", marks=pytest.mark.postgres)])
def test_of_two_copies_one_runs(tmp_path, forks, endpoints, store, kind):
    """Never both: each record is accepted once; the refused copy says 75; who is killed holds nothing afterwards."""
    refused, waits = 0, []
    for number in range(PAIRS):
        with bucket(endpoints[0].url) as it:
            it.faults({"kind": "latency", "seconds": 0.2})
            first, second = loads(kind, tmp_path / str(number), it, forks, store)
            children = [load.start() for load in (first, second)]
            codes = sorted(child.wait() for child in children)
            times = it.accepted()

            assert codes[0] in ACCEPTED
            assert codes[1] in {*ACCEPTED, REFUSED}  # both, where one began when the other had ended
            assert (len(times), set(times.values())) == (250, {1})
            refused += codes[1] == REFUSED
            waits.append(one_killed_lets_the_next_in(second, it))
    tell(
        f"{kind}: {PAIRS} pairs; in {refused} one was refused, in {PAIRS - refused} it came when the other had ended",
        f"after {PAIRS} kills the next had run to its end within {max(waits):.1f} s",
    )


def one_killed_lets_the_next_in(load: Load, it: Bucket) -> float:
    """Kill a run in the middle, and start the next at once; gives the seconds until that had ended."""
    load.write("events.csv", "id,user,note\n" + "".join(f"x{n},u{n},fine\n" for n in range(100)))
    child = load.start()
    load.wait_for_requests(2, child)
    child.send(signal.SIGKILL)
    child.wait()
    began = time.monotonic()

    assert load.run() in ACCEPTED, load.stderr()
    assert sum(name.startswith("x") for name in it.accepted()) == 100
    assert load.told()["status"] == "succeeded"
    return time.monotonic() - began
