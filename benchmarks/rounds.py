"""Letting the entries run: in turn and several rounds against the one sink, once against the other."""

import sys
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol, TypeVar

from benchmarks import limited, peers, sinks
from benchmarks.contest import ContestError, Entry, compete, reason
from benchmarks.environments import EnvironmentFailedError
from benchmarks.exports import Exports
from benchmarks.limited import Found
from benchmarks.measuring import CommandError, Cost
from benchmarks.sinks import Sink
from benchmarks.table import Line

Named = TypeVar("Named", bound="HasName")


class HasName(Protocol):
    """What options name."""

    @property
    def name(self) -> str:
        """As options spell it."""


def chosen(entries: Sequence[Named], wanted: str | None) -> list[Named]:
    """Pick entries by name; all without names."""
    if wanted is None:
        return list(entries)
    known = {entry.name: entry for entry in entries}
    picked = [name for name in wanted.split(",") if name]
    if unknown := [name for name in picked if name not in known]:
        sys.exit(f"unknown: {', '.join(unknown)}; there are {names(entries)}")
    return [known[name] for name in picked]


def names(entries: Sequence[HasName]) -> str:
    """Spell the names."""
    return ", ".join(entry.name for entry in entries)


def ready(entries: Sequence[Entry]) -> list[Entry]:
    """Make the peers' environments; those that cannot be made are left out, and said."""
    found = []
    for entry in entries:
        try:
            if isinstance(entry.run, peers.Peer):
                entry.run.environment.make()
        except EnvironmentFailedError as error:
            _say(f"left out: {entry.name}: {error}")
        else:
            found.append(entry)
    return found


def play(entries: Sequence[Entry], *, rows: int, rounds: int, exports: Exports, sink: Sink) -> list[Line]:
    """Let all run in turn, several rounds, each round beginning with another."""
    lines = {entry.name: Line(entry, entry.rows(rows)) for entry in entries}
    for turn in range(rounds):
        first = turn * len(entries) // rounds
        for entry in (*entries[first:], *entries[:first]):
            line = lines[entry.name]
            cost = _attempt(entry, rows=line.rows, exports=exports, sink=sink, line=line)
            line.costs.append(cost)
            if cost is not None:
                _say(
                    f"round {turn + 1}: {entry.name:<14} {line.rows:>10,} rows {cost.seconds:>7.2f} s "
                    f"{line.rows / cost.seconds:>11,.0f} rows/s {cost.peak_mb:>5.0f} MB"
                )
    return list(lines.values())


def play_limited(entries: Sequence[Entry], *, exports: Exports) -> list[Found]:
    """Let each run once against the sink that is slow and admits only so much."""
    found = []
    open_sink = partial(
        sinks.limited,
        latency_s=limited.LATENCY_S,
        records_per_second=limited.RECORDS_PER_SECOND,
        burst=limited.BURST,
    )
    for entry in entries:
        if entry.name not in limited.ROWS:
            continue
        rows = limited.ROWS[entry.name]
        with open_sink() as sink:
            cost = _attempt(replace(entry, sends=False), rows=rows, exports=exports, sink=sink)
            if cost is not None:
                found.append(Found.read(entry, rows, sink.history(), cost))
                _say(f"limited: {entry.name:<14} {rows:>10,} rows {cost.seconds:>7.2f} s")
    return found


def _attempt(entry: Entry, *, rows: int, exports: Exports, sink: Sink, line: Line | None = None) -> Cost | None:
    try:
        return compete(entry, exports=exports, sink=sink, rows=rows)
    except (CommandError, ContestError, EnvironmentFailedError) as error:
        _say(f"{entry.name} failed: {reason(error)}")
        if line is not None:
            line.trouble.append(reason(error))
        return None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
