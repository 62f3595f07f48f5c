"""The power fails: of each file only what was synced is left, of each folder only the synced names; resume from that.

The disk is a model (`shim.c` keeps what every sync has made durable), the program and its calls are real. What was not
synced is lost, or, by the throw of a coin for each file and folder, has reached the disk all the same. The emulator
keeps what it took. `make powerloss` cuts at every call; here it is a few, at random.
"""

import random
import shutil
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from driver import SEED, lanes, often, tell
from harm import KILLS, identity
from points import NOT_MET, calls_of, durable_of, one_point, some

pytestmark = [pytest.mark.rehearsal, pytest.mark.syscalls]
POINTS = often("BUCKET_LOADER_POWER_CUTS", 16)  # 0: all
STATE = ".bucket_loader"
LUCK = (0.0, 0.5)  # how much of what was not synced is on the disk all the same


def lose_power(load, *, luck, seed):
    """Put in the place of a load's state what a power cut leaves of it."""
    randomly, durable = random.Random(seed), durable_of(load.folder)  # noqa: S311  # repeatable, not secret
    state, left = load.folder / STATE, load.folder / "left"
    if not state.exists():
        return
    lucky = lambda: randomly.random() < luck  # noqa: E731
    rebuild(state, identity(state), durable, left, lucky)
    is_named = STATE in names(durable, identity(load.folder)) or lucky()
    shutil.rmtree(state)
    if is_named:
        left.rename(state)
    else:
        shutil.rmtree(left)


def names(durable, folder_id):
    """Return the synced names of a folder, and what they name."""
    kept = durable / folder_id
    lines = kept.read_text("utf-8").splitlines() if kept.exists() else []
    return {name: inner for inner, _, name in (line.partition(" ") for line in lines)}


def rebuild(folder, folder_id, durable, into, lucky):
    """Make a folder as the power cut leaves it; `lucky` says each time whether all of something had been written."""
    into.mkdir(mode=0o700)
    is_here = folder.exists() and identity(folder) == folder_id  # else it was removed or renamed since
    now = {path.name: identity(path) for path in folder.iterdir()} if is_here else {}
    for name, inner in (now if now and lucky() else names(durable, folder_id)).items():
        if inner.startswith("d"):
            rebuild(folder / name, inner, durable, into / name, lucky)
        elif now.get(name) == inner and lucky():
            shutil.copy(folder / name, into / name)
        else:
            kept = durable / inner
            (into / name).write_bytes(kept.read_bytes() if kept.exists() else b"")
            (into / name).chmod(0o600)


@pytest.mark.timeout(14_400)
def test_a_power_cut_loses_nothing_that_was_sent(tmp_path, tools):
    """Whatever was not synced is gone: what was sent is still named, what was rejected is kept, the next run ends."""
    calls = calls_of(tmp_path, tools, tools.harm())
    points = some([(number, luck) for number in range(1, len(calls) + 1) for luck in LUCK], POINTS, SEED)

    def cut(point, endpoint):
        number, luck = point
        harm = tools.harm(action=KILLS, first=number, last=number, durable=Path("wanted"))
        then = partial(lose_power, luck=luck, seed=f"{SEED} {number} {luck}")
        return one_point(tmp_path, tools, endpoint, harm, then)

    told = lanes(points, tools.endpoints, cut)
    kinds = sorted(Counter(one.what for one in told).items())
    violations = [one for one in told if one.violation]
    tell(
        f"{len(calls)} calls: {len(points)} power cuts, {len(violations)} violations",
        *(f"{count:>5} {what}" for what, count in kinds),
    )

    assert violations == []
    assert sum(one.what == NOT_MET for one in told) <= max(2, len(points) // 10)
