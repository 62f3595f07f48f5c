"""Every item accepted, in order, as the bytes it was sent in: on disk, because there may be tens of millions.

Two places to keep it, with the same methods: a temporary file, or SQLite in a directory (`--data`, see `durable`).
"""

import struct
import tempfile
from collections.abc import Iterator
from typing import Final, Protocol

import msgspec

from bucket_loader.emulator import wire

BULK: Final = "bulk"
_TYPES: Final = (BULK, "user", "company", "event", "feedback", "feature-flag-event")
_FORGOTTEN: Final = frozenset({"prompt-event", "channel-status-event"})


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

    def lines(self) -> Iterator[bytes]:
        """Give one line of NDJSON for each item: `{"request":N,"type":T,"item":{...}}`."""
        items = wire.split(self.body)
        types = [named.type for named in _NAMED.decode(self.body)] if self.type == BULK else [self.type] * len(items)
        for kind, item in zip(types, items, strict=True):
            if kind not in _FORGOTTEN:
                yield b'{"request":%d,"type":"%s","item":%s}\n' % (self.request, kind.encode(), _one_line(item))


class _Named(msgspec.Struct):
    type: str


_NAMED: Final = msgspec.json.Decoder(list[_Named])


def _one_line(item: bytes) -> bytes:
    """Take out line ends, which JSON allows between its tokens, and nothing else: numbers keep their digits."""
    return msgspec.json.format(item, indent=-1) if b"\n" in item or b"\r" in item else item


class Journal(Protocol):
    """Where accepted calls are kept."""

    def append(self, entry: Entry) -> None:
        """Keep an accepted call."""

    def entries(self) -> Iterator[Entry]:
        """Give every call kept so far, in order; what comes while this runs is not waited for."""

    def keep(self, name: str, value: bytes) -> None:
        """Keep something small under a name, where the next start finds it, if there is a next start."""

    def kept(self, name: str) -> bytes | None:
        """Give what was kept under a name."""

    def clear(self) -> None:
        """Forget everything."""

    def close(self) -> None:
        """Let go of the file."""


class TemporaryJournal:
    """A journal in a file that vanishes with the process; small ones never reach the disk."""

    _HEAD: Final = struct.Struct("<QdBI")  # request, at_ms, place in _TYPES, bytes of body
    _MEMORY_BYTES_MAX: Final = 8 * 1024 * 1024

    def __init__(self) -> None:
        self._file = self._new_file()
        self._end = 0

    def append(self, entry: Entry) -> None:
        """Keep an accepted call."""
        head = self._HEAD.pack(entry.request, entry.at_ms, _TYPES.index(entry.type), len(entry.body))
        self._file.write(head)
        self._file.write(entry.body)
        self._end += len(head) + len(entry.body)

    def entries(self) -> Iterator[Entry]:
        """Give every call kept so far, in order."""
        file, end, position = self._file, self._end, 0
        while position < end and file is self._file:  # a reset meanwhile ends the reading
            file.seek(position)
            request, at_ms, kind, length = self._HEAD.unpack(file.read(self._HEAD.size))
            body = file.read(length)
            position += self._HEAD.size + length
            file.seek(self._end)  # appending goes on at the end
            yield Entry(request, at_ms, _TYPES[kind], body)

    def keep(self, name: str, value: bytes) -> None:
        """Keep nothing: there is no next start."""

    def kept(self, name: str) -> bytes | None:  # noqa: ARG002  # the same methods as the durable one
        """Give nothing."""
        return None

    def clear(self) -> None:
        """Forget everything."""
        self._file.close()
        self._file = self._new_file()
        self._end = 0

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _new_file(self) -> "tempfile.SpooledTemporaryFile[bytes]":
        return tempfile.SpooledTemporaryFile(max_size=self._MEMORY_BYTES_MAX)
