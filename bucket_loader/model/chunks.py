"""Chunks: what one HTTP request carries, and how its sequences are spelt as ranges."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import overload


@dataclass(frozen=True)
class Joined(Sequence[bytes]):
    """Records that lie in one body, as it is sent: in brackets, a comma between two.

    Attributes:
        body: the whole.
        ends: where each of N records and its comma end, counted from any `start`.
        start: what the first of them is counted from.
    """

    body: bytes
    ends: Sequence[int]
    start: int = 0

    def __len__(self) -> int:
        return len(self.ends)

    @overload
    def __getitem__(self, place: int) -> bytes: ...
    @overload
    def __getitem__(self, place: slice) -> tuple[bytes, ...]: ...
    def __getitem__(self, place: int | slice) -> bytes | tuple[bytes, ...]:
        if isinstance(place, slice):
            return tuple(self[one] for one in range(*place.indices(len(self))))
        place = range(len(self))[place]
        before = self.ends[place - 1] if place else self.start
        return self.body[1 + before - self.start : self.ends[place] - self.start]


@dataclass(frozen=True)
class Chunk:
    """What one HTTP request carries: records of one stream, named by their sequences in its plan.

    Attributes:
        stream: the stream's position in the plan, from 0.
        sequences: N places in the stream's plan, ascending.
        records: N records' JSON, each encoded once, as UTF-8.
        ids_of: returns the users and companies that a record names; None for kinds whose order does not matter.
        shares_ids: whether two records of the stream can name the same, so that their order matters within it.
        bare: the body is the one record itself, not a list: the legacy APIs have no `/bulk`.
    """

    stream: int
    sequences: Sequence[int]
    records: Sequence[bytes]
    ids_of: Callable[[bytes], frozenset[str]] | None = None
    shares_ids: bool = False
    bare: bool = False

    @cached_property
    def named(self) -> tuple[frozenset[str], ...]:
        """The users and companies that each record names; nobody where order does not matter."""
        return tuple(map(self.ids_of, self.records)) if self.ids_of is not None else ()

    @cached_property
    def ids(self) -> frozenset[str]:
        """Those that no other chunk in flight may name."""
        return frozenset().union(*self.named) if self.shares_ids else frozenset()

    @cached_property
    def body(self) -> bytes:
        """The request's body: the same bytes at every attempt."""
        if self.bare:
            (record,) = self.records
            return record
        return self.records.body if isinstance(self.records, Joined) else b"[" + b",".join(self.records) + b"]"

    @cached_property
    def members(self) -> str:
        """The sequences as ranges, `0-99` or `0-16,18-99`: the chunk's name within its stream."""
        return spell_ranges(self.sequences)

    @cached_property
    def digest(self) -> bytes:
        """The body's sha256."""
        import hashlib  # here, since `--help` starts without it

        return hashlib.sha256(self.body).digest()

    def part(self, positions: Sequence[int]) -> "Chunk":
        """Return the chunk of some of the records, by their positions in this one."""
        return Chunk(
            stream=self.stream,
            sequences=tuple(self.sequences[position] for position in positions),
            records=tuple(self.records[position] for position in positions),
            ids_of=self.ids_of,
            shares_ids=self.shares_ids,
            bare=self.bare,
        )


def spell_ranges(sequences: Sequence[int]) -> str:
    """Spell ascending numbers as ranges: 0, 1, 2, 5 is `0-2,5-5`."""
    if isinstance(sequences, range) and sequences.step == 1:
        return f"{sequences[0]}-{sequences[-1]}"
    found: list[list[int]] = []
    for sequence in sequences:
        if found and found[-1][1] == sequence - 1:
            found[-1][1] = sequence
        else:
            found.append([sequence, sequence])
    return ",".join(f"{first}-{last}" for first, last in found)


def read_ranges(text: str) -> tuple[int, ...]:
    """Read what `spell_ranges` wrote."""
    return tuple(chain.from_iterable(range(first, last + 1) for first, last in ranges(text)))


def ranges(text: str) -> list[tuple[int, int]]:
    """Return the first and the last of each range that `spell_ranges` wrote."""
    pairs = (part.partition("-") for part in text.split(","))
    return [(int(first), int(last)) for first, _, last in pairs]
