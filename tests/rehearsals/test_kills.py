"""Kill the loader whenever it hurts, under faults; look at the disk after each kill, and count every record at the end.

`make kills KILLS=1000` kills a thousand times and prints a table; here it is a few.
"""

import pytest
from driver import Load, lanes, often, tell
from killing import TITLE, Killing, kill_often, nothing_is_wrong

pytestmark = pytest.mark.rehearsal
KILLS = often("BUCKET_LOADER_KILLS", 40)
CONCURRENCIES = (1, 4, 8, 16)
SIZE = {} if KILLS > 100 else {"users": 60, "companies": 40, "events": 400}
REQUESTS_MAX = 40 if KILLS > 100 else 20  # of the few hundred, or fewer, that a load needs: a dozen kills each


@pytest.mark.timeout(14_400)
def test_kills_lose_nothing_and_repeat_only_what_was_named(tmp_path, forks, endpoints):
    """Killed at random moments at four concurrencies: all arrives, and oftener than once only what was named before."""
    share = -(-KILLS // len(CONCURRENCIES))

    def kill(concurrency, at):
        killing = Killing(concurrency, share, REQUESTS_MAX)
        return kill_often(at.url, killing, tmp_path, lambda folder, it: Load(
            folder, it, forks, concurrency=concurrency, **SIZE))  # fmt: skip

    found = lanes(CONCURRENCIES, endpoints, kill)
    tell(TITLE, *(killing.row() for killing in found))

    nothing_is_wrong(found, KILLS)
