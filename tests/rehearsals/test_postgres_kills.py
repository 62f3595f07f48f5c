"""The kills once more, with the state where no worker's disk is: a ledger on PostgreSQL, files in a store.

Between kills the disk is often lost, and in the middle of some loads the server crashes and starts again.
`make pgkills PGKILLS=200` kills two hundred times and prints a table; here it is a few.
"""

import random
import shutil
import threading
import time

import pytest
import servers
from driver import bucket, lanes, often, tell
from invariants import at_every_moment, finished
from killing import TITLE, Killing, kill_often, nothing_is_wrong
from remote import Remote

KILLS = often("BUCKET_LOADER_POSTGRES_KILLS", 12)
CONCURRENCIES = (4, 16)
SIZE = {} if KILLS > 100 else {"users": 40, "companies": 30, "events": 250}
REQUESTS_MAX = 40 if KILLS > 100 else 16
RESTARTS = 0.1  # the share of kills before which the server crashes
DISKS_LOST = 0.5

pytestmark = [pytest.mark.rehearsal, pytest.mark.postgres]


@pytest.mark.timeout(14_400)
def test_kills_and_a_server_that_crashes_lose_nothing(tmp_path, forks, endpoints, store):
    """Killed at random moments, on new disks, with a server that crashes: all arrives, and no more than was named."""
    share, one_at_a_time, restarts = -(-KILLS // len(CONCURRENCIES)), threading.Lock(), []

    def crash(load: Remote, dice: random.Random) -> None:
        if dice.random() < RESTARTS or not restarts:
            with one_at_a_time:
                servers.restart_postgres()
                restarts.append(load.folder.name)
            time.sleep(dice.uniform(0, 1.5))  # it goes on, or is killed while it reconnects

    def lose_disk(load: Remote, dice: random.Random) -> None:
        if dice.random() < DISKS_LOST:
            shutil.rmtree(load.folder / ".bucket_loader", ignore_errors=True)

    def kill(concurrency, at):
        killing = Killing(concurrency, share, REQUESTS_MAX, crash, lose_disk)
        return kill_often(at.url, killing, tmp_path, lambda folder, it: Remote(
            folder, it, forks, concurrency=concurrency, store=store, **SIZE))  # fmt: skip

    servers.postgres()  # it starts once, and before the threads
    found = lanes(CONCURRENCIES, endpoints[: len(CONCURRENCIES)], kill)
    tell(TITLE, *(killing.row() for killing in found), f"the server crashed {len(restarts)} times")

    nothing_is_wrong(found, KILLS)
    assert restarts


def test_pods_with_a_new_disk_each_go_on_from_the_shared_state(tmp_path, forks, endpoints, store):
    """A run that was killed is finished by the next pod, what was delivered is known to the one after: no row twice."""
    sizes = {"users": 40, "companies": 30, "events": 250, "refused": 0}
    with bucket(endpoints[0].url) as it:
        first = Remote(tmp_path / "first", it, forks, store=store, **sizes)
        it.faults({"kind": "latency", "seconds": 0.1})
        child = first.start()
        first.wait_for_requests(6, child)
        assert child.kill()
        it.settled()
        named = at_every_moment(first).in_flight
        second, third, fourth = (first.another(tmp_path / name) for name in ("second", "third", "fourth"))

        code = second.run("run", "--expect-state")
        (resumed,) = second.told()["resumed"]
        standing = finished(second, code)
        asked = it.requests()
        assert third.run("run", "--expect-state") == 0
        idle = third.told()
        fourth.write("events.csv", (fourth.folder / "events.csv").read_text("utf-8") + "e250,u5,fine\n")
        assert fourth.run("run", "--expect-state") == 0

        assert (resumed["run"], resumed["streams"]["events"]["pending"]) == (first.runs()[0][0], 0)
        assert standing.repeated <= named * first.chunk
        assert (idle["requests"], idle["resumed"], it.requests()) == (0, [], asked + 1)
        assert {name: counts["unchanged"] for name, counts in idle["streams"].items()} == {
            "users": 40, "companies": 30, "events": 250}  # fmt: skip
        assert fourth.told()["streams"]["events"]["delivered"] == it.accepted()["e250"] == 1
