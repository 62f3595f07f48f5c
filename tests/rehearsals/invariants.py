"""What has to hold at every moment, and at the end: said once, for every rehearsal.

The first is looked at after each kill, at a random instant, with the program dead: what the ledger on disk says then
was said before anything is sent again.
"""

from collections import Counter
from dataclasses import dataclass
from typing import Any

from driver import Load, name_of

MAY_STILL_BE_APPLIED = {"intent", "delivered"}  # one attempt beyond those that were named


@dataclass(frozen=True)
class Standing:
    """How a load stands: records accepted oftener than once, records named as doubtful, chunks in flight."""

    accepted: int
    repeated: int
    named: int
    in_flight: int


def at_every_moment(load: Load) -> Standing:
    """Hold what the emulator accepted against the ledger on disk, whatever moment it is from.

    A record was accepted at most as often as its chunk's attempts were named, and once more when one is in flight or
    has been answered. So nothing was sent without an intent, and nothing was sent again unnamed. What the ledger calls
    rejected has its dead letter of that very run.
    """
    accepted, chunks = load.bucket.accepted(), load.chunks()  # in this order: others may be sending
    allowed, named = Counter[str](), Counter[str]()
    for chunk in chunks:
        if chunk.state == "split":
            continue
        for name in chunk.names:
            named[name] += chunk.ambiguous
            allowed[name] += chunk.ambiguous + (chunk.state in MAY_STILL_BE_APPLIED)
    beyond = {name: (times, allowed[name]) for name, times in accepted.items() if times > allowed[name]}
    rejected = {(chunk.run, name) for chunk in chunks if chunk.state == "rejected" for name in chunk.names}
    buried = {(letter["run"], name_of(letter["record"])) for letter in load.letters()}
    open_runs = {run for run, status in load.runs() if status != "abandoned"}
    in_flight = sum(chunk.state == "intent" and chunk.run in open_runs for chunk in chunks)

    assert not beyond, f"accepted oftener than the ledger allows (accepted, allowed): {some(beyond)}"
    assert rejected <= buried, f"rejected, and no dead letter: {some(rejected - buried)}"
    if load.concurrency != "auto":
        assert in_flight <= int(load.concurrency), f"{in_flight} chunks in flight"
    return Standing(
        accepted=len(accepted),
        repeated=sum(times > 1 for times in accepted.values()),
        named=sum(times > 0 for times in named.values()),
        in_flight=in_flight,
    )


def finished(load: Load, code: int) -> Standing:
    """Hold a load that has come to its end against its exports: nothing lost, nothing guessed, nothing unnamed."""
    good, refused = load.everything()
    accepted = load.bucket.accepted()
    letters = {letter["id"]: (letter["run"], name_of(letter["record"])) for letter in load.letters()}

    assert code == (3 if refused else 0), f"exit {code}: {load.stderr()[-2000:]}"
    assert accepted.keys() == good, f"lost {some(good - accepted.keys())}, too many {some(accepted.keys() - good)}"
    assert {name for _, name in letters.values()} == refused
    assert len(set(letters.values())) == len(letters), "a record has dead letters under several ids"
    assert not [run for run, status in load.runs() if status in {"running", "unfinished"}], f"not ended: {load.runs()}"
    assert "Traceback" not in load.stderr()
    summed_up(load)
    return at_every_moment(load)


def summed_up(load: Load) -> None:
    """Hold the program's own words against themselves: every row is where it says, and its audit is content."""
    conserved(load.told())
    for run, _ in load.runs():
        assert load.run("audit", run) == 0, load.told()
        assert load.told()["sound"], load.told()


def conserved(told: dict[str, Any]) -> None:
    """Hold the sums of a run's summary: every row is somewhere. A run that could not begin has none."""
    for streams in [told.get("streams", {}), *(resumed["streams"] for resumed in told.get("resumed", ()))]:
        for counts in streams.values():
            there = ("delivered", "rejected", "unchanged", "superseded", "filtered", "pending")
            assert counts["read"] + counts.get("removed", 0) == sum(counts[place] for place in there), counts


def some(many) -> str:
    """Show the first few of many."""
    listed = sorted(many.items()) if isinstance(many, dict) else sorted(many)
    return f"{listed[:5]} ({len(listed)} in all)"
