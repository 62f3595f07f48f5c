"""The state is taken away under a run: by its lock, its folder, at random moments and at its very calls.

Without its lock another copy goes on: nothing is lost, and nothing arrives twice that was not named. Without its folder
nobody can name anything any more: the run stops within what was in flight, says so, and the next brings all home.
`make loststates` does it often and prints a table; here it is a few.
"""

import random
import shutil
import signal
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import pytest
from driver import FAULTS, SEED, Load, bucket, lanes, often, tell
from harm import STOPS
from invariants import at_every_moment, finished
from points import FAULTS as FEW_FAULTS, SMALL, calls_of, kind_of, some
from remote import Remote

pytestmark = pytest.mark.rehearsal
STATES = often("BUCKET_LOADER_LOST_STATES", 6)
POINTS = often("BUCKET_LOADER_LOST_POINTS", 4)  # of each of two; 0: all
SIZE = {"users": 60, "companies": 40, "events": 400}
GONE, TAKEN, ENDED = 2, 75, {0, 3}
SOON_S = 20.0  # on a busy machine


@dataclass(frozen=True)
class Lost:
    """What became of a run that lost its state: how it ended, what it sent after that, and what did not hold."""

    what: str
    code: int
    sent: int
    seconds: float
    violation: str = ""


def remove(state: Path) -> None:
    """Remove a folder, file by file, as a cleaner does."""
    shutil.rmtree(state, ignore_errors=True)


def move(state: Path) -> None:
    """Move it away."""
    state.rename(state.with_name("moved"))


def restore(state: Path) -> None:
    """Put a copy of it in its place, as of a moment ago."""
    shutil.copytree(state, state.with_name("copy"))
    state.rename(state.with_name("moved"))
    state.with_name("copy").rename(state)


def said(load: Load, before: int) -> str:
    """Return what was said since; it is never a traceback, and never that anything is known."""
    words = load.stderr()[before:]
    assert "Traceback" not in words, words
    assert "the ledger knows" not in words, words
    return words


def one_state(place: Path, url: str, forks, dice: random.Random) -> Lost:
    """Take the folder of a state away under a run at a random moment; then run again."""
    harm = dice.choice([remove, move, restore])
    with bucket(url) as it:
        load = Load(place, it, forks, concurrency=dice.choice([1, 4, 16]), **SIZE)
        it.faults(*FAULTS, seed=dice.randrange(1_000_000))
        child = load.start()
        load.wait_for_requests(dice.randrange(1, 20), child)
        time.sleep(dice.uniform(0, 0.03))
        harm(place / ".bucket_loader")
        before, began = it.requests(), time.monotonic()
        code = child.wait()
        lost = Lost(harm.__name__, code, it.requests() - before, time.monotonic() - began)
        words = said(load, 0)
        again = load.run()

        assert code in {GONE, *ENDED}, f"exit {code}: {words[-1500:]}"
        assert code != GONE or "while this run was using it" in words, words[-1500:]
        # What was in flight, and twice as much that had been intended; each may have been tried again once.
        assert code in ENDED or lost.sent <= 4 * load.concurrency, f"{lost.sent} requests at {load.concurrency}"
        assert lost.seconds < SOON_S
        assert again in ENDED, load.stderr()[-1500:]
        assert it.accepted().keys() == load.everything()[0]
    return lost


@pytest.mark.timeout(3_600)
def test_a_run_whose_state_is_taken_away_stops_soon(tmp_path, forks, endpoints):
    """Removed, moved or replaced by a copy: it ends with 2, within what was in flight; the next run brings all home."""

    def lose(number, endpoint):
        place = tmp_path / str(number)
        try:
            return one_state(place, endpoint.url, forks, random.Random(SEED * 1_000 + number))  # noqa: S311
        except AssertionError as error:
            return Lost("?", -1, 0, 0.0, f"{place}: {error}")

    found = lanes(range(STATES), endpoints, lose)
    violations = [one.violation for one in found if one.violation]
    tell(
        f"{STATES} states taken away, {len(violations)} violations; longest until the end "
        f"{max(one.seconds for one in found):.1f} s, at most {max(one.sent for one in found)} requests after that",
        *(f"{count:>5} {what}, exit {code}" for (what, code), count in sorted(
            Counter((one.what, one.code) for one in found).items())),
    )  # fmt: skip

    assert violations == []


@pytest.mark.postgres
@pytest.mark.parametrize("stored", [True, False], ids=["a store", "no store"])
def test_a_folder_beside_a_ledger_on_a_server_may_go(tmp_path, forks, endpoints, store, stored):
    """The plan is gone, the ledger is not: no traceback, and with a store the next run brings all home."""
    with bucket(endpoints[0].url) as it:
        load = Remote(tmp_path / "load", it, forks, chunk=5, concurrency=4, refused=0, store=store, **SIZE)
        if not stored:
            load.environment["BUCKET_LOADER_STATE"] = load.environment["BUCKET_LOADER_STATE"].split()[0]
        it.faults({"kind": "latency", "seconds": 0.02})
        child = load.start()
        load.wait_for_requests(3, child)
        remove(load.folder / ".bucket_loader")
        code = child.wait()
        words = said(load, 0)
        again = load.run()

        assert code in {TAKEN, *ENDED}, words
        assert code in ENDED or "was removed while the run was using it" in words
        assert again == (GONE if code == TAKEN and not stored else 0), load.stderr()
        assert again == GONE or it.accepted().keys() == load.everything()[0]


def one_point(place: Path, url: str, tools, point: tuple[int, bool]) -> Lost:
    """Stop a run before a call, let another copy have its state, and let the first go on from there."""
    number, removed = point
    with bucket(url) as it:
        load = Load(place, it, tools.starter, **SMALL)
        it.faults(*FEW_FAULTS)
        child = load.start(harm=tools.harm(action=STOPS, first=number, last=number))
        while not (child.stopped() or child.ended()):
            time.sleep(0.005)
        if child.ended() or load.state is None:
            child.send(signal.SIGCONT)
            return Lost("not met, or before there is a state", child.wait(), 0, 0.0)
        call = kind_of(load.calls()[number - 1])
        if removed:
            (place / ".bucket_loader").rename(place / "moved")
        else:
            load.lose_lock(child)
        load.keep_told()
        second = load.run()
        before, words, began = it.requests(), len(load.stderr()), time.monotonic()
        child.send(signal.SIGCONT)
        code = child.wait()
        lost = Lost(f"{'folder' if removed else 'lock'}, at {call}", code, it.requests() - before,
                    time.monotonic() - began)  # fmt: skip
        said(load, words)

        assert code in ENDED or lost.sent <= 2 * SMALL["concurrency"], f"{lost.sent} requests after it, exit {code}"
        if removed:
            assert second in ENDED, load.stderr()
            assert code in {GONE, *ENDED}, load.stderr()
            assert it.accepted().keys() == load.everything()[0]
        else:
            # Who is stopped within a transaction keeps the other out: the ledger itself is locked then.
            assert (second in ENDED and code in {TAKEN, *ENDED}) or (second == TAKEN and code in ENDED), (second, code)
            assert TAKEN in {second, code} or lost.sent == 0, f"{lost.sent} requests after it, exit {code}"
            at_every_moment(load)
            finished(load, load.run())
    return lost


@pytest.mark.syscalls
@pytest.mark.timeout(14_400)
def test_a_run_that_loses_its_state_at_any_call_names_what_it_sends(tmp_path, tools):
    """Stopped at a call, its state taken by another copy, and continued: it commits nothing, and sends what it had."""
    count = len(calls_of(tmp_path, tools, tools.harm()))
    points = [(number, removed) for removed in (False, True) for number in some(range(1, count + 1), POINTS, SEED)]

    def lose(point, endpoint):
        place = tmp_path / f"{point[0]}-{point[1]}"
        try:
            return one_point(place, endpoint.url, tools, point)
        except AssertionError as error:
            return Lost("?", -1, 0, 0.0, f"{place}: {error}")

    found = lanes(points, tools.endpoints, lose)
    violations = [one.violation for one in found if one.violation]
    tell(
        f"{count} calls: {len(points)} points, {len(violations)} violations; at most "
        f"{max((one.sent for one in found if one.code not in ENDED), default=0)} requests of one that had lost it",
        *(f"{number:>5} exit {code}: {what}" for (code, what), number in sorted(
            Counter((one.code, one.what) for one in found).items())),
    )  # fmt: skip

    assert violations == []
