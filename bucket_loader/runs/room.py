"""Whether the disk of a state has room for a run: asked before it plans, so that one that cannot fit never begins.

A run is refused only where even the least that it can take is not there. Where the most is not, it is warned.
"""

import os
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import Final

from bucket_loader.model import DISK, StateError, StateUnavailableError
from bucket_loader.planning import Before, Between, Plan, PlannedStream, PlanRequest, plan_file, room
from bucket_loader.reporting import Note
from bucket_loader.runs.job import Job
from bucket_loader.state import MANIFEST, State, snapshots

FEW_RECORDS: Final = 1_000  # a plan of fewer says nothing of how long a record is
PLANS_LOOKED_AT: Final = 5
_UNITS: Final = (("TB", 10**12), ("GB", 10**9), ("MB", 10**6), ("kB", 10**3))


def require_room(job: Job, state: State | None, now: datetime, *, looks: bool = False) -> None:
    """Refuse a run that cannot fit on its disk, and warn of one that may not.

    Args:
        job: what is asked. Its listener is told of the room that is needed when there may be too little, or `looks`.
        state: where the plan will lie; None where there is no state yet.
        now: when the plan is made.
        looks: whether to look into the sources' files also where there is plenty of room.

    Raises:
        StateUnavailableError: the disk has not even the least that it can take.
        SourceUnavailableError: a source's store cannot be reached.
    """
    place, disk = (job.state_place.folder, DISK) if state is None else (state.root, state.disk)
    free = disk.free_bytes(place.absolute())
    found = room_for(job, state, now, looks=looks)
    if free is None or found is None:
        return
    if not looks and found.high > free:
        found = room_for(job, state, now, looks=True) or found
    if found.low > free:
        raise StateUnavailableError(
            f"the run needs at least {_size(found.low)} on the disk of {place}, and {_size(free)} are free there",
            hint=f"free {_size(found.low - free)} or more, or give another place with --state; nothing was sent",
        )
    if found.high > free:
        job.listener.tell(Note(
            f"warning: the run may need up to {_size(found.high)} on the disk of {place}, and {_size(free)} are free "
            "there; should that be too little it ends with 75, and nothing is lost"
        ))  # fmt: skip
    elif looks:
        span = f"{_size(found.low)} to {_size(found.high)}"
        job.listener.tell(Note(f"a run needs {span} on the disk of {place}; {_size(free)} are free there"))


def room_for(job: Job, state: State | None, now: datetime, *, looks: bool) -> Between | None:
    """Return the bytes that a run will take; None where nothing is known of them."""
    return room.needed(_asked(job, state, now), {} if state is None else _before(state), looks=looks)


def _asked(job: Job, state: State | None, now: datetime) -> PlanRequest:
    """Return the plan that is to be made, as far as its size depends on what is asked."""
    return PlanRequest(
        pipeline=job.pipeline,
        base=job.base,
        folder=job.base,
        run="",
        as_of=now,
        interval=job.options.interval,
        streams=job.options.streams,
        limit=job.options.limit,
        full=job.options.full,
        memory={} if state is None else dict.fromkeys(state.ledger.parts(), snapshots.Memory()),
        loaded={} if state is None else state.ledger.loaded_files(),
    )


def _before(state: State) -> dict[str, Before]:
    """Return what the newest plan of each stream came to, of those that lie on this disk."""
    found: dict[str, Before] = {}
    whole = (folder for folder in newest_folders(state.plans) if (folder / MANIFEST).exists())
    for folder in islice(whole, PLANS_LOOKED_AT):
        try:
            planned = plan_file.read(folder, verify=False)
        except StateError:
            continue
        for stream in planned.manifest.streams:
            if stream.name not in found and stream.counts.read:
                found[stream.name] = _came_to(planned, stream)
    return found


def newest_folders(plans: Path) -> Iterator[Path]:
    """Yield the folders of plans that lie on this disk, the newest first; names sort as runs do."""
    try:
        names = sorted(os.listdir(plans), reverse=True)  # noqa: PTH208  # names alone, where there are thousands
    except FileNotFoundError:
        return
    yield from (plans / name for name in names)


def _came_to(planned: Plan, stream: PlannedStream) -> Before:
    counts, files = stream.counts, planned.records(stream).files
    is_many = stream.records >= FEW_RECORDS and all(file.exists() for file in files)
    record_bytes = sum(file.stat().st_size for file in files) / stream.records if is_many else None
    kept = counts.read - counts.rejected - counts.filtered
    return Before(counts.read, kept, counts.rejected, record_bytes)


def _size(count: float) -> str:
    """Spell a number of bytes for a person."""
    for unit, size in _UNITS:
        if count >= size:
            return f"{count / size:.1f} {unit}"
    return f"{count:.0f} bytes"
