"""Harm at one system call of a small load, and what became of it; many such points, a few at once."""

import random
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from driver import REFUSING, Load, Starter, bucket, lanes
from harm import IO_ERROR, KILLS, NO_SPACE, TEARS, Harm
from invariants import at_every_moment, finished

from bucket_loader.emulator.http.server import Endpoint

ACTIONS = {KILLS: "killed before", TEARS: "torn", NO_SPACE: "no space for", IO_ERROR: "failed"}
# Two chunks of users, two of companies, four of events; a row or two of each is refused, and one answer is cut.
SMALL = {"users": 5, "companies": 4, "events": 10, "chunk": 3, "concurrency": 2, "refused": 12}
FAULTS = (REFUSING, {"kind": "cut_after", "times": 1})
NOT_MET = "not met: the run made fewer calls"

Given = TypeVar("Given")


@dataclass(frozen=True)
class Tools:
    """What starts the program, with the library in it that counts and harms, and where its loads go."""

    starter: Starter
    library: Path
    endpoints: list[Endpoint]

    def harm(self, **options: object) -> Harm:
        """Order harm."""
        return Harm(self.library, **options)


@dataclass(frozen=True)
class Point:
    """What became of harm at one call: the call, the exit code of that run, and what did not hold."""

    number: int
    what: str
    code: int
    violation: str


def calls_of(folder: Path, tools: Tools, harm: Harm) -> list[str]:
    """Return the calls of a small load that nothing happens to."""
    with bucket(tools.endpoints[0].url) as it:
        load = Load(folder / "clean", it, tools.starter, **SMALL)
        it.faults(*FAULTS)
        finished(load, load.run(harm=harm))
    return load.calls()


def some(points: Sequence[Given], count: int, seed: int) -> list[Given]:
    """Return all points, or so many of them at random."""
    return random.Random(seed).sample(points, count) if count else list(points)  # noqa: S311  # repeatable, not secret


def harmed(points: Sequence[Harm], folder: Path, tools: Tools) -> list[Point]:
    """Do harm at every point, a few at once."""
    return lanes(points, tools.endpoints, lambda harm, endpoint: one_point(folder, tools, endpoint, harm))


def one_point(
    folder: Path, tools: Tools, endpoint: Endpoint, harm: Harm, then: Callable[[Load], None] = lambda _load: None
) -> Point:
    """Harm one run of a small load, hold what is on disk against the emulator, and let the next run finish it.

    Args:
        folder: where the load's own folder goes; it stays when something did not hold.
        tools: what starts it.
        endpoint: the emulator.
        harm: what is done to the first run.
        then: done to the load between the two runs.
    """
    place = folder / f"{harm.action}-{harm.first}-{random.randrange(10**9)}"  # noqa: S311  # no secret
    with bucket(endpoint.url) as it:
        load, violation = Load(place, it, tools.starter, **SMALL), ""
        it.faults(*FAULTS)
        code = load.run(harm=replace(harm, durable=_made(place, harm)))
        it.settled()
        calls, said = load.calls(), load.stderr()
        try:
            assert "Traceback" not in said, said[-1_500:]
            assert code not in {2, 75} or said.count("error: ") == 1, said
            then(load)
            at_every_moment(load)
            finished(load, load.run())
        except AssertionError as error:
            violation = f"{ACTIONS.get(harm.action, '')} call {harm.first} in {place}: {str(error) or repr(error)}"
    what = f"{ACTIONS.get(harm.action, '')} {kind_of(calls[harm.first - 1])}" if len(calls) >= harm.first else NOT_MET
    if not violation:
        shutil.rmtree(place)
        shutil.rmtree(durable_of(place), ignore_errors=True)
    return Point(harm.first, what, code, violation)


def durable_of(place: Path) -> Path:
    """Return where the syncs of a load are kept."""
    return place.with_name(place.name + ".durable")


def _made(place: Path, harm: Harm) -> Path | None:
    if harm.durable is None:
        return None
    durable_of(place).mkdir()
    return durable_of(place)


def kind_of(call: str) -> str:
    """Name a call and what it is on: `fsync dead_letters`."""
    _, name, place, *_ = call.split()
    found = re.search(r"/(ledger\.db-?\w*|dead_letters|snapshots|plans|lock|stdout|stderr)", place)
    return f"{name.removesuffix('64')} {found[1] if found else 'socket' if place == 'socket' else 'state'}"
