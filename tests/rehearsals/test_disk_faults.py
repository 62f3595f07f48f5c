"""A disk that is full, or fails: at every write, sync, and change of a name in the state's folder.

Nothing is sent without its intent on disk, the program says so in one message and ends with 2 or 75, and the next run
finishes. `make diskfaults` does all points and prints a table; here it is a few, at random.
"""

from collections import Counter

import pytest
from driver import SEED, often, tell
from harm import IO_ERROR, NAMES, NO_SPACE, SYNCS, WRITES
from points import NOT_MET, calls_of, harmed, some

pytestmark = [pytest.mark.rehearsal, pytest.mark.syscalls]
POINTS = often("BUCKET_LOADER_DISK_FAULTS", 8)  # of each; 0: all
FOR_EVER = 2**62
# Harmless, when it hits what can be made up for later: a checkpoint of the ledger, the removal of a file.
HARMLESS = 3


@pytest.mark.parametrize(
    "refusal",
    [
        {"action": NO_SPACE, "classes": WRITES | NAMES, "last": FOR_EVER},
        {"action": NO_SPACE, "classes": WRITES | NAMES},
        {"action": IO_ERROR, "classes": WRITES | SYNCS},
    ],
    ids=["full-from-then-on", "full-once", "fails-once"],
)
@pytest.mark.timeout(14_400)
def test_a_disk_that_refuses_never_lets_anything_be_sent_unrecorded(tmp_path, tools, refusal):
    """One clear message, exit 2 or 75, no traceback; all that was sent is in the ledger, and the next run finishes."""
    calls = calls_of(tmp_path, tools, tools.harm(within=".bucket_loader", classes=refusal["classes"]))
    points = [
        tools.harm(within=".bucket_loader", first=number, **{"last": number, **refusal})
        for number in range(1, len(calls) + 1)
    ]
    points = some(points, POINTS, SEED)

    told = harmed(points, tmp_path, tools)
    kinds = sorted(Counter((one.code, one.what) for one in told).items())
    violations = [one for one in told if one.violation]
    tell(
        f"{len(calls)} calls: {len(points)} points, {len(violations)} violations",
        *(f"{count:>5} exit {code:<3} {what}" for (code, what), count in kinds),
    )

    assert violations == []
    assert {one.code for one in told} <= {2, 75, HARMLESS}
    assert sum(one.what == NOT_MET for one in told) <= max(2, len(points) // 10)
