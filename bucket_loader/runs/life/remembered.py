"""What is remembered of it now: by which streams, since which run, and as what."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np

from bucket_loader.config import Pipeline
from bucket_loader.model import StateError, StateUnavailableError
from bucket_loader.reporting import Remembered
from bucket_loader.runs.life.search import Hit
from bucket_loader.runs.life.sought import Sought, names_users
from bucket_loader.state import State, snapshots

_Made = TypeVar("_Made")
_TIMES: Final = 3  # a run beside this may merge files of memory while they are looked at


@dataclass(frozen=True)
class Known:
    """What a stream's memory says of one key.

    Attributes:
        content: the content that was delivered; None for a claim.
        run: the last run whose records the file holds that says so.
        record: what was delivered, where values are remembered.
    """

    content: bytes | None
    run: str
    record: str | None = None


def known_of(state: State, stream: str, keys: set[bytes]) -> dict[bytes, Known]:
    """Return what a stream remembers of some keys.

    Raises:
        StateError: a file is missing, or is not what was written.
    """
    return with_memory(state, stream, lambda: _looked_up(state, stream, keys))


def with_memory(state: State, stream: str, work: Callable[[], _Made]) -> _Made:
    """Return what is made with what a stream remembers; again where a run beside this has merged it meanwhile.

    Raises:
        StateError: a file is missing, or is not what was written.
    """
    for _ in range(_TIMES - 1):
        named = state.ledger.runs_of_parts(stream)
        try:
            return work()
        except StateUnavailableError:
            raise
        except StateError:
            if state.ledger.runs_of_parts(stream) == named:
                raise
    return work()


def _looked_up(state: State, stream: str, keys: set[bytes]) -> dict[bytes, Known]:
    found: dict[bytes, Known] = {}
    wanted = np.unique(np.array(sorted(keys), "S16"))
    for file, run in state.ledger.runs_of_parts(stream) if keys else ():  # the newest speaks last
        part = state.part_of(stream, file)
        columns = [name for name in ("key", "content", "record") if name in part.index.schema.names]
        for table in part.find(wanted, columns):
            found |= {row.pop("key"): Known(run=run, **row) for row in table.select(columns).to_pylist()}
    return found


@dataclass(frozen=True)
class Asked:
    """Whom the memory is asked about.

    Attributes:
        pipeline: says of what kind a stream is.
        sought: what is sought.
        hits: the records of plans that are meant, oldest first.
        arrived: those of them that were delivered.
        streams: ask only these; all when empty.
    """

    pipeline: Pipeline
    sought: Sought
    hits: Sequence[Hit]
    arrived: Sequence[Hit] = ()
    streams: Sequence[str] = ()

    def keys(self, stream: str) -> set[bytes]:
        """Return the keys in a stream that are meant."""
        found = {hit.key for hit in self.hits if hit.stream.name == stream and hit.key is not None}
        for one in self.pipeline.streams:
            if one.name == stream and (one.ordered or one.key):
                found |= self.sought.keys(one.kind)
        return found

    def is_sure_of(self, stream: str) -> bool:
        """Whether the keys in a stream are all that can be meant."""
        is_met = any(hit.stream.name == stream for hit in self.hits)
        return is_met or (self.sought.subject is not None and not self.is_blind_in(stream))

    def is_blind_in(self, stream: str) -> bool:
        """Whether a key in a stream is of more than the id that is given."""
        named = [one for one in self.pipeline.streams if one.name == stream]
        return self.sought.subject is not None and any(map(names_users, named))


def remembered(state: State, asked: Asked) -> Iterator[Remembered]:
    """Yield what the streams remember of it, those that can remember it at all."""
    for stream in state.ledger.parts():
        keys = asked.keys(stream)
        if not keys or (asked.streams and stream not in asked.streams):
            continue
        try:
            known = known_of(state, stream, keys)
        except StateUnavailableError:
            raise
        except StateError as error:
            yield Remembered(stream, "not known", f"what is remembered cannot be told: {error.message}")
            continue
        for key, one in known.items():
            yield _told(stream, key, one, asked.arrived)
        if not known and asked.is_sure_of(stream):
            yield Remembered(stream, "not remembered", "not remembered: a row of it counts as new")
        elif not known and asked.is_blind_in(stream):
            text = "what is remembered cannot be told: each record's key is of company and user; `--key` takes both"
            yield Remembered(stream, "not known", text)


def _told(stream: str, key: bytes, known: Known, arrived: Sequence[Hit]) -> Remembered:
    own = [hit for hit in arrived if hit.stream.name == stream and hit.key == key]
    if known.content is None:
        return Remembered(stream, "claimed", "claimed: it was sent, and whether it arrived is not known; a row of it "
                          "counts as changed", own[-1].run if own else None)  # fmt: skip
    if known.content == snapshots.REMOVED:
        return Remembered(stream, "removed", "told to be gone: a row of it counts as new", own[-1].run if own else None)
    run = next((hit.run for hit in reversed(own) if hit.content == known.content), None)
    if run is None:
        return Remembered(stream, "remembered", f"remembered, as run {known.run} or an earlier one delivered it")
    return Remembered(stream, "remembered", f"remembered, as run {run} delivered it", run)
