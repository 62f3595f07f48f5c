"""Every item accepted, in order, as the bytes it was sent in: on disk, because there may be tens of millions.

Two places to keep it, with the same methods: a temporary file, or SQLite in a directory (`--data`, see `durable`).
"""

import struct
import tempfile
from array import array
from collections.abc import Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar, Final, Protocol

import msgspec

from bucket_loader.emulator.store import wire
from bucket_loader.emulator.store.effects import BULK, FORGOTTEN

_TYPES: Final = tuple(wire.TYPES)
_FORGOTTEN: Final = frozenset(shape.__struct_config__.tag for shape in FORGOTTEN)


class Entry(msgspec.Struct, frozen=True):
    """One accepted call.

    Attributes:
        request: its number among all calls, from 1.
        at_ms: when it came, milliseconds since the epoch.
        type: the type of its items, or `bulk` when each names its own.
        body: what was accepted of it: one object, or a list.
    """

    request: int
    at_ms: float
    type: str
    body: bytes

    def lines(self, wanted: str | None = None) -> Iterator[bytes]:
        """Yield one line of NDJSON for each item, or for those of a type: `{"request":N,"type":T,"item":{...}}`."""
        if wanted not in {None, self.type} and self.type != BULK:
            return
        items = wire.split(self.body)
        types = [named.type for named in _NAMED.decode(self.body)] if self.type == BULK else [self.type] * len(items)
        for kind, item in zip(types, items, strict=True):
            if kind not in _FORGOTTEN and wanted in {None, kind}:
                yield b'{"request":%d,"type":"%s","item":%s}\n' % (self.request, kind.encode(), _one_line(item))


class _Named(msgspec.Struct):
    type: str


_NAMED: Final = msgspec.json.Decoder(list[_Named])


def _one_line(item: bytes) -> bytes:
    """Take out line ends, which JSON allows between its tokens, and nothing else: numbers keep their digits."""
    return msgspec.json.format(item, indent=-1) if b"\n" in item or b"\r" in item else item


class Journal(Protocol):
    """Where accepted calls are kept.

    Attributes:
        is_durable: whether there is a next start that finds what is kept.
    """

    is_durable: ClassVar[bool]

    def append(self, entry: Entry) -> None:
        """Keep an accepted call."""

    def entries(self) -> Iterator[Entry]:
        """Yield every call kept so far, in order; what comes while this runs is not waited for."""

    def after(self, place: int) -> Iterator[tuple[int, Entry]]:
        """Yield the calls kept after a place, each with its own place; places grow, and start after 0."""

    def end(self) -> int:
        """Return the place of the last call."""

    def keep(self, name: str, value: bytes) -> None:
        """Keep something small under a name, where the next start finds it, if there is a next start."""

    def kept(self, name: str) -> bytes | None:
        """Return what was kept under a name."""

    def whole(self) -> AbstractContextManager[None]:
        """Keep all that is kept inside the `with`, or nothing of it where the process ends meanwhile."""

    def clear(self) -> None:
        """Forget everything."""

    def close(self) -> None:
        """Let go of the file."""


class TemporaryJournal:
    """A journal in a file that vanishes with the process; small ones never reach the disk."""

    is_durable: ClassVar[bool] = False
    _HEAD: Final = struct.Struct("<QdBI")  # request, at_ms, place in _TYPES, bytes of body
    _MEMORY_BYTES_MAX: Final = 8 * 1024 * 1024
    _MARK_EVERY: Final = 64  # calls: where each of these begins is remembered, so that reading can start near any

    def __init__(self) -> None:
        self._begin()

    def append(self, entry: Entry) -> None:
        """Keep an accepted call."""
        if self._calls % self._MARK_EVERY == 0:
            self._marks.append(self._end)
        head = self._HEAD.pack(entry.request, entry.at_ms, _TYPES.index(entry.type), len(entry.body))
        self._file.write(head)
        self._file.write(entry.body)
        self._end += len(head) + len(entry.body)
        self._calls += 1

    def entries(self) -> Iterator[Entry]:
        """Yield every call kept so far, in order."""
        return (entry for _, entry in self.after(0))

    def after(self, place: int) -> Iterator[tuple[int, Entry]]:
        """Yield the calls kept after a place; a place is how many calls came until there."""
        file, end = self._file, self._calls
        if place >= end:
            return
        number, position = place - place % self._MARK_EVERY, self._marks[place // self._MARK_EVERY]
        while number < end and file is self._file:  # a reset meanwhile ends the reading
            file.seek(position)
            request, at_ms, kind, length = self._HEAD.unpack(file.read(self._HEAD.size))
            number += 1
            position += self._HEAD.size + length
            body = file.read(length) if number > place else b""
            file.seek(self._end)  # appending goes on at the end
            if number > place:
                yield number, Entry(request, at_ms, _TYPES[kind], body)

    def end(self) -> int:
        """Return the place of the last call."""
        return self._calls

    def keep(self, name: str, value: bytes) -> None:
        """Keep nothing: there is no next start."""

    def kept(self, name: str) -> bytes | None:  # noqa: ARG002  # the same methods as the durable one
        """Return None: nothing is kept."""
        return None

    def whole(self) -> AbstractContextManager[None]:
        """Do nothing: there is no next start."""
        return nullcontext()

    def clear(self) -> None:
        """Forget everything."""
        self._file.close()
        self._begin()

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _begin(self) -> None:
        self._file = self._new_file()
        self._end = self._calls = 0  # bytes, calls
        self._marks = array("Q")  # bytes

    def _new_file(self) -> "tempfile.SpooledTemporaryFile[bytes]":
        return tempfile.SpooledTemporaryFile(max_size=self._MEMORY_BYTES_MAX)
