"""Kill the loader at its every write, sync, send, receive and change of a name; tear its writes and sends in half.

`make syscalls` does it at every call of a small load and prints a table; here it is a few, at random.
"""

from collections import Counter

import pytest
from driver import SEED, often, tell
from harm import KILLS, TEARS
from points import NOT_MET, calls_of, harmed, some

pytestmark = [pytest.mark.rehearsal, pytest.mark.syscalls]
POINTS = often("BUCKET_LOADER_SYSCALLS", 24)  # 0: all
TEARABLE = ("write", "pwrite", "send")


@pytest.mark.timeout(14_400)
def test_a_kill_at_any_call_loses_nothing(tmp_path, tools):
    """Dead at a call, or in the middle of one: the ledger had named what was sent, and the next run brings all home."""
    calls = calls_of(tmp_path, tools, tools.harm())
    numbers = range(1, len(calls) + 1)
    torn = [number for number in numbers if calls[number - 1].split()[1].startswith(TEARABLE)]
    points = [tools.harm(action=KILLS, first=number, last=number) for number in numbers]
    points += [tools.harm(action=TEARS, first=number, last=number) for number in torn]
    points = some(points, POINTS, SEED)

    told = harmed(points, tmp_path, tools)
    kinds = sorted(Counter(one.what for one in told).items())
    violations = [one for one in told if one.violation]
    tell(
        f"{len(calls)} calls, {len(torn)} of which tear: {len(points)} points, {len(violations)} violations",
        *(f"{count:>5} {what}" for what, count in kinds),
    )

    assert violations == []
    assert all(one.code == -9 for one in told if one.what != NOT_MET)
    assert sum(one.what == NOT_MET for one in told) <= max(
        2, len(points) // 10
    )  # threads differ a little in their calls
