"""Dead letters that are about what is sought: those of its records, and those of rows that made none."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from bucket_loader.config import FieldSpec, Pipeline, Stream
from bucket_loader.reporting import Letter
from bucket_loader.runs.about import at, row_holds
from bucket_loader.runs.life.sought import CONTEXT, Sought
from bucket_loader.runs.replay.letters import number_of
from bucket_loader.state import REJECTED, Entry, Ledger, State

_LINE: Final = "line"  # the one column of a row that could not be read
_DECODER: Final = msgspec.json.Decoder(Entry)


@dataclass(frozen=True)
class Finder:
    """What finds dead letters.

    Attributes:
        pipeline: says which column an id comes from.
        sought: what is sought.
        streams: look only at these; at all when empty.
    """

    pipeline: Pipeline
    sought: Sought
    streams: Sequence[str] = ()

    def find(self, lines: Iterable[bytes]) -> Iterator[Entry]:
        """Yield the dead letters that are about it, each once; half a line that a death has left is none."""
        needle, blind = self._needle(), self._blind()
        seen = set[str]()
        for line in lines:
            if needle not in line and not any(one in line for one in blind):
                continue
            try:
                entry = _DECODER.decode(line)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue
            if entry.id not in seen and self._is_about(entry):
                seen.add(entry.id)
                yield entry

    def _needle(self) -> bytes:
        """Return what a line holds that is about it, unless something is made of the id."""
        text = self.sought.values[0] if self.sought.subject is None else self.sought.subject.id
        return msgspec.json.encode(text)[1:-1]

    def _blind(self) -> list[bytes]:
        """Return what lines hold of streams in which the id is hashed: it does not stand in their rows."""
        return [
            b'"stream":' + msgspec.json.encode(stream.name)
            for stream in self.pipeline.streams
            if isinstance(spec := self._spec(stream), FieldSpec) and spec.hash == "sha256"
        ]

    def _spec(self, stream: Stream | None) -> object:
        if stream is None or self.sought.subject is None:
            return None
        return stream.fields.given().get(self.sought.subject.field)

    def _stream(self, name: str) -> Stream | None:
        return next((one for one in self.pipeline.streams if one.name == name), None)

    def _is_about(self, entry: Entry) -> bool:
        if self.streams and entry.stream not in self.streams:
            return False
        if entry.record is not None and self.sought.subject is not None:
            return self.sought.subject.is_in(entry.record)
        return self.holds(entry.row, self._stream(entry.stream))

    def holds(self, row: dict[str, Any], stream: Stream | None) -> bool:
        """Whether a row of a stream is about it, as far as its columns tell."""
        if self.sought.subject is None:
            return self._has_key(row, stream)
        if list(row) == [_LINE]:  # it could not be read
            return re.search(rf"(?<!\w){re.escape(self.sought.subject.id)}(?!\w)", str(row[_LINE])) is not None
        spec = self._spec(stream)
        if spec is None and stream is not None and stream.fields.given().get(CONTEXT) is None:
            return False  # its records name no such subject
        return row_holds(row, self.sought.subject.id, spec)

    def _has_key(self, row: dict[str, Any], stream: Stream | None) -> bool:
        """Whether a row has the values that identify what is sought."""
        if stream is None:
            return False
        ids = (stream.fields.given().get(name) for name in stream.kind.ids)
        columns = stream.key or [one.column for one in ids if isinstance(one, FieldSpec) and one.column is not None]
        found = [str(value) for column in columns if (value := at(row, column)) is not None]
        return found == list(self.sought.values)


def letters_of(state: State, finder: Finder) -> dict[str, list[Entry]]:
    """Return the dead letters of each run that are about what is sought; of a plan that was not sent, its own."""
    found = {run: list(finder.find(state.letters_of(run))) for run in state.runs_in(state.layout.dead_letters)}
    for run in state.runs_in(state.layout.plans):
        file = state.layout.plan(run) / REJECTED
        if run not in found and file.exists():
            with file.open("rb") as lines:
                found[run] = list(finder.find(lines))
    return {run: some for run, some in found.items() if some}


def letter(ledger: Ledger, entry: Entry) -> Letter:
    """Return what is told of a dead letter."""
    taken_up = ledger.taken_up(entry.run, entry.stream, number_of(entry))
    replayed = taken_up[0] if taken_up is not None else None
    return Letter(entry.id, entry.stage, entry.reasons, entry.at, entry.response, replayed)
