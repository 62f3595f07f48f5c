"""The lines of a stream, each from a guess and marked as one. Written by hand, since their comments are the point."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import pyarrow as pa
from pyarrow import types

from bucket_loader.model import FEATURE_EVENT, KINDS, USER, FieldRule, Kind, contract, identifier
from bucket_loader.runs.init.evidence import Column, family
from bucket_loader.runs.init.guess import Guess, quoted, scalar, spelt
from bucket_loader.runs.init.roles import FIELD_NAMES, field_column, key_column, poor_column
from bucket_loader.runs.init.times import time_guess
from bucket_loader.runs.init.values import is_score, value_guess

_UNDECIDED: Final = {"format": quoted("day or month first?"), "timezone": "UTC"}
_FIELD = "      "
_ATTRIBUTE = "        "


@dataclass
class Writing:
    """A stream that is being written.

    Attributes:
        kind: what a row is.
        columns: what the source has.
        used: the columns that fields are made from so far.
    """

    kind: Kind
    columns: Sequence[Column]
    used: set[str] = field(default_factory=set)

    def free(self, name: str) -> Column | None:
        """Return the column that a field seems to be, of those that no other is made from."""
        return field_column([column for column in self.columns if column.name not in self.used], name)


def stream_lines(label: str, source: str, kind: Kind, columns: Sequence[Column]) -> Iterator[str]:
    """Return the lines of a stream."""
    writing = Writing(kind, columns)
    yield f"  - name: {scalar(label)}"
    yield f"    record: {kind.name}  # guess; one of {', '.join(KINDS)}"
    yield f"    source: {source}"
    if any(_holds_local_time(column.type) for column in columns if column.family == "nested"):
        yield "    timezone: UTC  # guess: of the times inside its lists and structs"
    fields = list(_fields(writing))
    attributes = list(_attributes(writing))
    yield from _key(writing)
    score = writing.free("score") or field_column(columns, "score")
    if _maps_score(kind, score) and score is not None and score.nulls and field_column(columns, "comment") is None:
        yield f"    where: {quoted(_sql_name(score.name) + ' is not null')}  # rows without a score are left out"
    yield "    fields:"
    yield from fields
    yield from attributes


def _holds_local_time(kind: pa.DataType) -> bool:
    if not types.is_nested(kind):
        return family(kind) == "naive" and not types.is_date(kind)
    return any(_holds_local_time(kind.field(place).type) for place in range(kind.num_fields))


def _sql_name(name: str) -> str:
    return scalar(name) if scalar(name) == name and "." not in name else identifier(name)


def _key(writing: Writing) -> Iterator[str]:
    if writing.kind.ordered:
        return
    column = key_column(writing.columns, writing.used)
    names = [column.name] if column is not None else []
    if not names and writing.kind is FEATURE_EVENT:  # which needs one: it has no time that tells two apart
        names = [column.name for column in writing.columns]
    if names:
        listed = ", ".join(map(scalar, names))
        yield f"    key: [{listed}]  # guess: what tells two rows apart; each is sent once, ever"
    else:
        yield "    # key: [column]  # what tells two rows apart; without it the whole content does"


def _fields(writing: Writing) -> Iterator[str]:
    rules = contract.rules(writing.kind.name)
    for name in writing.kind.ids or [name for name in FIELD_NAMES if name in rules and _is_from_a_column(name, rules)]:
        column = writing.free(name)
        company = field_column(writing.columns, "companyId")
        if column is not None:
            writing.used.add(column.name)
            yield from _field(writing.kind, name, column)
        elif name == "userId" and writing.kind is not USER and company is not None:
            expression = quoted(f"'account:' || {_sql_name(company.name)}")
            yield f"{_FIELD}userId: {{sql: {expression}}}  # guess: there is no user here; one stands for each company"
        elif rules[name].required:
            yield _poor_guess(name, writing)
    if any("key" in group for group in contract.ONE_OF[writing.kind.name]):
        yield f"{_FIELD}key: {{value: my-feature}}  # the feature it is about: a column, or its key in Bucket"
    if "evalContext" in rules:
        yield _context(writing)


def _is_from_a_column(name: str, rules: Mapping[str, FieldRule]) -> bool:
    return name != "key" or rules[name].required


def _poor_guess(name: str, writing: Writing) -> str:
    if name == "action":  # a constant will do
        return f"{_FIELD}action: {{value: check}}  # guess: no column is called like it; or evaluate"
    left = [column for column in writing.columns if column.name not in writing.used] or writing.columns
    column = poor_column(left, writing.kind)
    writing.used.add(column.name)
    return f"{_FIELD}{name}: {scalar(column.name)}  # guess, and a poor one: no column is called like it"


def _context(writing: Writing) -> str:
    """Return the line that says for whom a feature was asked."""
    found = {name: field_column(writing.columns, f"{name}Id") for name in ("user", "company")}
    writing.used |= {column.name for column in found.values() if column is not None}
    about = ", ".join(f"{name}.id: {scalar(column.name)}" for name, column in found.items() if column is not None)
    return (
        f"{_FIELD}{'' if about else '# '}evalContext: {{{about or 'user.id: column'}}}  # guess: whom it was asked for"
    )


def _field(kind: Kind, name: str, column: Column) -> Iterator[str]:
    if name == "timestamp":
        yield from _timestamp(column)
    elif name == "score" and not _maps_score(kind, column):
        yield f"{_FIELD}# score: {scalar(column.name)}  # look: not all of its values are whole numbers from 1 to 5"
    else:
        yield f"{_FIELD}{name}: {scalar(column.name)}  # guess"


def _maps_score(kind: Kind, column: Column | None) -> bool:
    return "score" in contract.rules(kind.name) and column is not None and (is_score(column) or not column.values)


def _timestamp(column: Column) -> Iterator[str]:
    guess = time_guess(column) or Guess(note="its values do not look like times")
    words, mark = _untyped(guess.words), "guess"
    if guess.choices:
        yield from _choices("timestamp", column, replace(guess, choices=[*map(_untyped, guess.choices)]), _FIELD)
        words, mark = _UNDECIDED, "look: its rows are rejected until one of these stands here"
    elif guess.note:
        words, mark = {"timezone": "UTC"} if column.family == "text" else {}, f"look: {guess.note}"
    yield f"{_FIELD}timestamp: {spelt(column.name, words)}  # {mark}"


def _untyped(words: Mapping[str, str]) -> Mapping[str, str]:
    return {key: value for key, value in words.items() if key != "type"}


def _choices(name: str, column: Column, guess: Guess, indent: str) -> Iterator[str]:
    yield f"{indent}# look: {guess.note}. Choose:"
    yield from (f"{indent}# {scalar(name)}: {spelt(column.name, words)}" for words in guess.choices)


def _attributes(writing: Writing) -> Iterator[str]:
    if "attributes" not in contract.rules(writing.kind.name):
        return
    yield f"{_FIELD}attributes:"
    yield f'{_ATTRIBUTE}"*": {{}}  # every column not named here, as it is'
    for column in writing.columns:
        if column.name not in writing.used:
            yield from _attribute(column)


def _attribute(column: Column) -> Iterator[str]:
    guess = value_guess(column)
    if guess.choices:
        yield from _choices(column.name, column, guess, _ATTRIBUTE)
    elif guess.note:
        yield f"{_ATTRIBUTE}# {scalar(column.name)} stays text: {guess.note}"
    elif guess.words:
        yield f"{_ATTRIBUTE}{scalar(column.name)}: {spelt(column.name, guess.words)}  # guess"
