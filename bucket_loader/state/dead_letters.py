"""Dead letters: what was rejected, one JSON object a line, written and synced before its outcome is committed.

They hold row data, so the file is for its owner alone (0600) and no link is followed. An entry may be written twice
around a crash; its id is the same, and `read` drops the second.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from bucket_loader.model import DISK, SYSTEM, Clock, Disk, Rejection, StateUnavailableError, counted, make_folder, sync


class Entry(msgspec.Struct, frozen=True):
    """One dead letter (DESIGN section 5)."""

    id: str
    run: str
    stream: str
    stage: str
    origin: dict[str, Any]
    reasons: list[dict[str, Any]]
    row: dict[str, Any]
    record: dict[str, Any] | None
    response: dict[str, Any] | None
    at: str


def entry(rejection: Rejection, *, run: str, stream: str, number: str) -> Entry:
    """Make an entry; `number` is the record's sequence, or `p<n>` for the n-th row that planning rejected."""
    return Entry(
        id=f"{run}/{stream}/{number}",
        run=run,
        stream=stream,
        stage=rejection.stage,
        origin=rejection.origin.as_json(),
        reasons=[
            {"code": reason.code, "message": reason.message, "field": reason.field} for reason in rejection.reasons
        ],
        row=rejection.row,
        record=rejection.record,
        response=rejection.response,
        at=datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
    )


class DeadLetters:
    """An append-only file of entries."""

    def __init__(
        self, path: Path, keep: Callable[[bytes], None] | None = None, clock: Clock = SYSTEM, disk: Disk = DISK
    ) -> None:
        self.path = path
        self._disk = disk
        self._keep = keep  # makes lines outlive this disk
        self._encoder = msgspec.json.Encoder()
        self._lock = clock.threading.Lock()

    def append(self, entries: Iterable[Entry]) -> int:
        """Append entries and sync them; return how many. The file is made with the first.

        Raises:
            StateUnavailableError: the disk refuses; nothing may then be called done.
        """
        lines = [self._encoder.encode(item) + b"\n" for item in entries]
        if not lines:
            return 0
        with self._lock:
            try:
                self._write(b"".join(lines))
            except OSError as error:
                raise StateUnavailableError(
                    f"the dead letters cannot be written to {self.path}: {error.strerror}",
                    hint="make room on its disk, then run again: nothing is called rejected that is not there",
                ) from None
        if self._keep is not None:
            self._keep(b"".join(lines))
        return len(lines)

    def _write(self, data: bytes) -> None:
        make_folder(self.path.parent, self._disk)
        is_new = not self.path.exists()
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC
        descriptor = os.open(self.path, flags, 0o600)
        try:
            with self._disk.alone(descriptor):  # other senders of the run write here
                if not self._ends_with_line():
                    data = b"\n" + data  # a crash left half a line: it stays apart from what follows
                while data:
                    data = data[self._disk.write(descriptor, data) :]
                self._disk.sync(descriptor)
            if is_new:
                sync(self.path.parent, self._disk)
        finally:
            os.close(descriptor)

    def _ends_with_line(self) -> bool:
        with self.path.open("rb") as file:
            if file.seek(0, os.SEEK_END) == 0:
                return True
            file.seek(-1, os.SEEK_END)
            return file.read(1) == b"\n"


Letter = TypeVar("Letter", Entry, "Why")


def read(path: Path) -> Iterator[Entry]:
    """Return a file's entries, each id once; half a line from a crash is passed over."""
    with path.open("rb") as file:
        yield from _decoded(file, msgspec.json.Decoder(Entry))


def _decoded(lines: Iterable[bytes], decoder: msgspec.json.Decoder[Letter]) -> Iterator[Letter]:
    seen: set[str] = set()
    for line in lines:
        try:
            found = decoder.decode(line)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if found.id not in seen:
            seen.add(found.id)
            yield found


class Why(msgspec.Struct, frozen=True):
    """What a dead letter says of its row, without any value of it."""

    id: str
    run: str
    stream: str
    stage: str
    origin: dict[str, Any]
    reasons: list[dict[str, Any]]
    at: str


def read_why(lines: Iterable[bytes]) -> Iterator[Why]:
    """Return what the lines of a run's dead letters say, each id once; half a line from a crash is passed over."""
    return _decoded(lines, msgspec.json.Decoder(Why))


class Group(msgspec.Struct):
    """Dead letters that say the same of the same source: how many, and where the first of them are."""

    stream: str
    source: str
    message: str
    count: int = 0
    rows: list[int] = msgspec.field(default_factory=list)
    lines: list[int] = msgspec.field(default_factory=list)
    sheet_rows: list[int] = msgspec.field(default_factory=list)

    def add(self, origin: Mapping[str, Any]) -> None:
        """Count one more, and keep where it is, if it is one of the first."""
        self.count += 1
        if self.count <= ROWS_SHOWN:
            self.rows.append(origin["row"])
            self.lines += [origin["line"]] if "line" in origin else []
            self.sheet_rows += [origin["sheet_row"]] if "sheet_row" in origin else []

    def __str__(self) -> str:
        return f"{self.stream}: {counted(self.count, 'row')} of {self.source}: {self.why}"

    @property
    def why(self) -> str:
        """What is wrong, and where the first of them are."""
        places = {"row": self.rows, "line": self.lines, "sheet row": self.sheet_rows}
        listed = [self._listed(word, numbers) for word, numbers in places.items() if len(numbers) == len(self.rows)]
        return f"{self.message} ({'; '.join(listed)})"

    def _listed(self, word: str, numbers: Sequence[int]) -> str:
        dots = ", ..." if self.count > len(numbers) else ""
        return f"{word if self.count == 1 else f'{word}s'} {', '.join(map(str, numbers))}{dots}"


ROWS_SHOWN: Final = 5


def grouped(path: Path) -> list[Group]:
    """Group a file's entries by what is wrong, most first; holds no value of a row."""
    groups: dict[tuple[str, str, str], Group] = {}
    for found in read(path):
        message = "; ".join(reason["message"] for reason in found.reasons)
        source = str(found.origin["source"])
        group = groups.setdefault((found.stream, source, message), Group(found.stream, source, message))
        group.add(found.origin)
    return sorted(groups.values(), key=lambda group: -group.count)
