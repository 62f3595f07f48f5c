"""The kills once more, with the state where no worker's disk is: a ledger on PostgreSQL, files in a store.

Between kills the disk is often lost, and in the middle of some loads the server crashes and starts again.
`make pgkills KILLS=200` kills two hundred times and prints a table; here it is a few.
"""

import random
import shutil
import threading
import time

import pytest
from driver import lanes, often, tell
from killing import TITLE, Killing, kill_often, nothing_is_wrong
from remote import Remote, require_postgres

from ledgers import servers  # isort: skip

KILLS = often("BUCKET_LOADER_POSTGRES_KILLS", here=4, in_ci=12)
CONCURRENCIES = (4, 16)
SIZE = {} if KILLS > 100 else {"users": 40, "companies": 30, "events": 250}
REQUESTS_MAX = 40 if KILLS > 100 else 16
RESTARTS = 0.1  # the share of kills before which the server crashes
DISKS_LOST = 0.5


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

    require_postgres()
    found = lanes(CONCURRENCIES, endpoints[: len(CONCURRENCIES)], kill)
    tell(TITLE, *(killing.row() for killing in found), f"the server crashed {len(restarts)} times")

    nothing_is_wrong(found, KILLS)
    assert restarts
