"""An hourly pipeline of events through a week: what arrives is what happened, each event once.

Failures, kills, late rows, runs again, and a day's outage (see `week.py`). `make week` plays 168 hours in each setting
and prints a table; here it is fewer (`BUCKET_LOADER_WEEK_HOURS`).
"""

import random
import shutil
import time
from contextlib import contextmanager

import pytest
from door import door
from driver import SEED, bucket, often, tell
from hourly import Hourly, RemoteHourly
from invariants import at_every_moment, some
from week import CERTAIN, UNCERTAIN, Scheduler

HOURS = often("BUCKET_LOADER_WEEK_HOURS", 36)
DAY = 24 if HOURS > 24 else max(2, HOURS // 3)
AUDITS = 1 + HOURS // 12
SETTINGS = [
    ("folder", CERTAIN),
    ("folder", UNCERTAIN),
    pytest.param(("server", UNCERTAIN), marks=pytest.mark.postgres),
]

pytestmark = pytest.mark.rehearsal


@contextmanager
def scheduled(folder, forks, endpoint, request, setting):
    """Have a pipeline, its emulator behind a door, and its scheduler for as long as the `with` lasts."""
    place, troubles = setting
    dice = random.Random(f"{SEED} {place} {troubles.name}")  # noqa: S311  # repeatable, not secret
    with bucket(endpoint.url) as it, door(endpoint.url) as way:
        given = {"environment": {"BUCKET_BASE_URL": way.url}}
        if place == "folder":
            load = Hourly(folder / "here", it, forks, **given)
        else:
            load = RemoteHourly(folder / "here", it, forks, store=request.getfixturevalue("store"), **given)
        try:
            yield Scheduler(load, way, troubles, dice, HOURS, DAY, forgets=place == "server")
        finally:
            load.database.close()


COLUMNS = ("troubles", "state", "hours", "events", "late", "runs", "killed", "drained", "75", "resumed", "idle",
           "disks", "requests", "repeated", "named", "seconds")  # fmt: skip


def table(scheduler, place, standing, seconds):
    """Return a week's line of the table, under its title."""
    it, load = scheduler, scheduler.load
    cells = (it.troubles.name, place, it.hours, standing.accepted, load.late, it.runs, it.killed, it.drained, it.later,
             it.resumed, it.idle, it.disks, load.bucket.requests(), standing.repeated, standing.named,
             round(seconds))  # fmt: skip
    return ["  ".join(f"{cell!s:>9}" for cell in line) for line in (COLUMNS, cells)]


def each_once(load, *, strictly):
    """Hold the journal against what happened; what arrived twice was named before it was sent again."""
    journal, accepted = load.bucket.journal(), load.bucket.accepted()
    wrong = {entry["item"]["attributes"]["id"] for entry in journal
             if entry["item"] != load.item(entry["item"]["attributes"]["id"])}  # fmt: skip

    assert not wrong, f"arrived as something else: {some(wrong)}"
    assert accepted.keys() == load.times.keys(), f"lost {some(load.times.keys() - accepted.keys())}"
    if strictly:
        assert set(accepted.values()) == {1}, f"twice: {some({name for name in accepted if accepted[name] > 1})}"
    return at_every_moment(load)


def nothing_is_left(scheduler):
    """See that no run is open, that its proof is sound, and that a run of the whole week sends nothing."""
    load, runs = scheduler.load, scheduler.load.runs()
    assert {status for _, status in runs} == {"succeeded"}, runs
    assert "Traceback" not in load.stderr()
    for run, _ in scheduler.dice.sample(runs, min(AUDITS, len(runs))):
        assert load.run("audit", run) == 0, load.told()
        assert load.told()["sound"], load.told()
    idle = scheduler.idle
    assert scheduler.attempt((0, scheduler.hours), is_harmed=False) == 0
    assert scheduler.idle == idle + 1
    assert load.told()["streams"]["events"]["unchanged"] == len(load.times)


@pytest.mark.timeout(14_400)
@pytest.mark.parametrize("setting", SETTINGS, ids=lambda setting: f"{setting[1].name}-{setting[0]}")
def test_a_week_of_hours_arrives_each_event_once(tmp_path, forks, endpoints, request, setting):
    """Strictly once where no failure leaves a doubt; else twice at most as often as the ledger had named it before."""
    place, troubles = setting
    began = time.monotonic()
    with scheduled(tmp_path, forks, endpoints[0], request, setting) as scheduler:
        scheduler.live()

        standing = each_once(scheduler.load, strictly=troubles.is_certain)
        nothing_is_left(scheduler)
        tell(*table(scheduler, place, standing, time.monotonic() - began))
        assert scheduler.later_in_outage
        assert scheduler.resumed
        assert scheduler.load.late
        assert standing.repeated <= standing.named


def test_a_row_that_is_lost_or_sent_twice_is_seen(tmp_path, forks, endpoints, request):
    """The rehearsal would notice: a late row that no run comes back for, and an hour whose memory was lost."""
    with scheduled(tmp_path, forks, endpoints[0], request, SETTINGS[0]) as scheduler:
        load = scheduler.load
        load.add(*(load.row(0, second) for second in range(20)))
        scheduler.due((0, 1), is_harmed=False)
        each_once(load, strictly=True)
        load.add(load.row(0, 30))
        with pytest.raises(AssertionError, match="lost"):
            each_once(load, strictly=True)
        shutil.rmtree(load.folder / ".bucket_loader")
        scheduler.due((0, 1), is_harmed=False)

        with pytest.raises(AssertionError, match="twice"):
            each_once(load, strictly=True)
        with pytest.raises(AssertionError, match="oftener than the ledger allows"):
            each_once(load, strictly=False)
