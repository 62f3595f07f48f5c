"""Guesses of what columns are for: which field each is, what a row is, and what tells two rows apart."""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final

from bucket_loader.model import COMPANY, EVENT, FEEDBACK, USER, Kind
from bucket_loader.runs.init.evidence import Column
from bucket_loader.runs.init.times import time_guess
from bucket_loader.runs.init.values import is_score

# What the columns of each field are called, best guess first; a pattern matches the whole of `Column.words`.
FIELD_NAMES: Final[dict[str, tuple[str, ...]]] = {
    "userId": (
        r"user_?id", r"uid", r"member_?id", r"contact_?id", r"customer_?id", r"username", r"user", r"distinct_?id",
    ),
    "companyId": (r"company_?id", r"account_?id", r"org(anization)?_?id", r"workspace_?id", r"tenant_?id", r"team_?id"),
    "event": (r"event(_?name)?", r"event_?type", r"action", r"feature(_?name)?", r"activity"),
    "score": (r"score", r"rating", r"satisfaction(_?score)?", r"csat", r"stars"),
    "comment": (r"comment", r"feedback(_?text)?", r"message", r"text", r"review"),
    "action": (r"action", r"check_?type"),
    "key": (r"(feature|flag)_?(key|name|id)", r"key", r"feature", r"flag"),
    "evalResult": (r"eval_?result", r"result", r"(is_?)?enabled", r"value"),
    "targetingVersion": (r"(targeting_?)?version",),
    "timestamp": (
        r"timestamp", r"occurred_?at", r"event_?time", r"time", r"at", r"date", r".*_at", r".*_date",
        r".*timestamp", r"ts", r".*_(time|ts|ms|us|epoch)", r"created(_.*)?",
    ),
}  # fmt: skip
# What an export calls the id of a row, best guess first.
_IDS: Final = (
    r"(message|insert|event|dedup(e|lication)?)_?(uu)?id",
    r"uuid",
    r"(row|record|log|entry|hit|response|feedback|activity)_?(uu)?id",
    r"id",
    r".*_?id",
)
# Ids that many rows of a longer export share, whatever the sample shows: no row is known by one.
_SHARED: Final = re.compile(
    r".*(anonymous|anon|device|session|visitor|visit|client|distinct|cookie|browser|user_pseudo|group|context|campaign|ad|"
    r"project|tenant|workspace|org|organization|account|company|team|user|member|contact|customer|person|profile)_?(uu)?id"
)


def field_column(columns: Sequence[Column], field: str) -> Column | None:
    """Return the column that a field seems to be; for a timestamp rather one whose values read as times."""
    named = list(_named(columns, FIELD_NAMES[field]))
    if field == "timestamp":
        named.sort(key=lambda column: not _reads_as_times(column))
    return named[0] if named else None


def _named(columns: Sequence[Column], patterns: Sequence[str]) -> Iterator[Column]:
    for pattern in patterns:
        yield from (column for column in columns if re.fullmatch(pattern, column.words))


def _reads_as_times(column: Column) -> bool:
    guess = time_guess(column)
    return guess is not None and (guess.is_certain or bool(guess.choices))


def kind_of(columns: Sequence[Column]) -> Kind:
    """Guess what a row is."""
    found = {field: field_column(columns, field) for field in FIELD_NAMES}
    score = found["score"]
    if score is not None and (is_score(score) or found["comment"] is not None or not score.values):
        return FEEDBACK
    if found["event"] is not None and found["timestamp"] is not None:
        return EVENT
    if found["companyId"] is not None and (found["userId"] is None or "user" not in columns[0].words):
        return COMPANY
    return USER


def poor_column(columns: Sequence[Column], kind: Kind) -> Column:
    """Return the column to begin with for an id that no column is called like: an id, but not that of the rows."""
    ids = [column for column in columns if column.words.endswith("id")]
    own = None if kind.ordered else key_column(columns, ())
    return next((column for column in ids if column is not own), (ids or columns)[0])


def key_column(columns: Sequence[Column], used: Collection[str]) -> Column | None:
    """Return the column that seems to number the rows: an export's own id of a row, before any other."""
    free = [column for column in columns if column.name not in used and column.is_distinct]
    own = [column for column in free if not _SHARED.fullmatch(column.words)]
    return next(_named(own, _IDS), None)
