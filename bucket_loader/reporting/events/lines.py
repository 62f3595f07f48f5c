"""What is told and is of no kind of its own: lines, tables, bugs."""

from dataclasses import dataclass
from types import TracebackType


@dataclass(frozen=True, slots=True)
class ThreadCrashed:
    """A thread ended with a bug; the command goes on."""

    kind: type[BaseException]
    places: TracebackType | None


@dataclass(frozen=True, slots=True)
class Complaint:
    """Something went wrong beside a run, which ends as it ends all the same."""

    text: str


@dataclass(frozen=True, slots=True)
class Note:
    """A line that a person may want to read."""

    text: str


@dataclass(frozen=True, slots=True)
class Lines:
    """What was asked for, line by line; a quiet command prints it as well. It is row data, and belongs into no log."""

    lines: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Table:
    """What was asked for, in rows and columns; a quiet command prints it as well."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class QueryResult:
    """What a query gave; a quiet command prints it as well.

    Attributes:
        columns, rows: as texts.
        numbers: which columns hold numbers, by their place.
        more: how many rows there are beyond these.
    """

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    numbers: frozenset[int] = frozenset()
    more: int = 0
