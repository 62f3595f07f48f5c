"""Doubts about rows that are rejected: what is wrong, which shapes the values have, and the line that would read them.

A shape is a value with `9` for its digits and `a` or `A` for its letters. A value itself is never shown.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bucket_loader.model import literal
from bucket_loader.reporting import Doubt
from bucket_loader.runs.checking.mending import TRUTHS, Advice, Shape, advice_for, scale_for
from bucket_loader.runs.checking.questions import HARMFUL, NULL_WORDS, WRONG
from bucket_loader.runs.checking.subjects import Subject

if TYPE_CHECKING:
    import duckdb

SHAPES_MAX: Final = 5
_REASONS_MAX: Final = 100
_ROWS_SHOWN: Final = 5
_LENGTH_MAX: Final = 40  # characters of a shape
# What a value must be to be read: the shapes of those that are not say why.
_FORMS: Final = frozenset({"number", "integer", "boolean", "timestamp", "date", "year", "range", "choice"})
SCALE: Final = "scale"
_FEW: Final = 0.05  # of the rows: so many scores may be mistakes
_SIGNS: Final = (
    (r"\p{Z}", " "), (r"[^\p{L}\p{M}\p{N}\p{P}\p{Sc}\p{Sm} ]+", "?"), (r"\p{Ll}|\p{Lo}|\p{Lm}|\p{Lt}|\p{M}", "a"),
    (r"\p{Lu}", "A"), (r"\p{N}", "9"), ("a{4,}", "aaa…"), ("A{4,}", "AAA…"), ("9{20,}", "9999…"),
)  # fmt: skip

Ends = tuple[float | None, float | None]
"""The least and the greatest of some numbers; None where there are none."""


@dataclass(frozen=True)
class Reason:
    """Why some rows of a stream are rejected.

    Attributes:
        stream, field, code, message: as the dead letters have it.
        count: how many rows.
        rows: the numbers of the first of them.
        noun: what these are numbers of: lines of a text file, rows of a sheet or of the source.
    """

    stream: str
    field: str | None
    code: str
    message: str
    count: int
    rows: Sequence[int]
    noun: str


class RejectedRows:
    """The rows of a file of dead letters, by what is wrong with them; and of each stream the scores that it sends."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", letters: Path, sent: Mapping[str, Ends]) -> None:
        self._connection = connection
        self._sent = sent
        columns = (
            "{id: 'VARCHAR', stream: 'VARCHAR', origin: 'STRUCT(row BIGINT, line BIGINT, sheet_row BIGINT)', "
            "row: 'JSON', reasons: 'STRUCT(code VARCHAR, message VARCHAR, field VARCHAR)[]'}"
        )
        # What is wrong with a field may leave the row without one that it needs: the first says it all.
        of_fields = "list_filter(reasons, lambda one: one.field IS NOT NULL)"
        told = f"CASE WHEN len({of_fields}) > 0 THEN {of_fields} ELSE reasons END"
        connection.execute(
            "CREATE VIEW letters AS SELECT id, stream, coalesce(origin.line, origin.sheet_row, origin.row) AS number, "
            "CASE WHEN origin.line IS NOT NULL THEN 'line' WHEN origin.sheet_row IS NOT NULL THEN 'sheet row' "
            f"ELSE 'row' END AS noun, row, unnest({told}) AS reason "
            f"FROM read_json({literal(str(letters))}, format = 'newline_delimited', columns = {columns}, "
            "ignore_errors = true)"
        )

    def doubts(self, subjects: Mapping[tuple[str, str], Subject], read: Mapping[str, int]) -> Iterator[Doubt]:
        """Doubt them.

        Args:
            subjects: the fields, by stream and name.
            read: how many rows each stream has.
        """
        reasons = self._reasons()
        for reason in _with_scales(reasons, subjects):
            subject = subjects.get((reason.stream, reason.field or ""))
            yield self._doubt(reason, subject, read[reason.stream])

    def _reasons(self) -> list[Reason]:
        # A letter may stand there twice around a crash, with the same id.
        found = self._connection.execute(
            "SELECT stream, reason.field, reason.code, reason.message, count(DISTINCT id) AS n, "
            f"list_slice(list_sort(list_distinct(min(number, {_ROWS_SHOWN * 2}))), 1, {_ROWS_SHOWN}), min(noun) "
            f"FROM letters GROUP BY ALL ORDER BY n DESC, stream, 4 LIMIT {_REASONS_MAX}"
        ).fetchall()
        return [Reason(*row) for row in found]

    def reasons(self, subjects: Mapping[tuple[str, str], Subject]) -> Iterator[tuple[Reason, list[str]]]:
        """Yield why rows are rejected, most first, each with the shapes of the values that are wrong.

        Args:
            subjects: the fields, by stream and name.
        """
        for reason in self._reasons():
            subject = subjects.get((reason.stream, reason.field or ""))
            shapes = self._shapes(reason, subject) if subject is not None and reason.code in _FORMS else []
            yield reason, list(map(str, shapes))

    def _doubt(self, reason: Reason, subject: Subject | None, of: int) -> Doubt:
        shapes: list[Shape] = []
        advice, weight = Advice(), HARMFUL if reason.count * 2 > of else WRONG
        if subject is not None and reason.code == SCALE:
            are_few = reason.count < of * _FEW
            advice = scale_for(subject, *self._ends(reason, subject), are_few=are_few)
            weight = WRONG if are_few else HARMFUL
        elif subject is not None:
            shapes = self._shapes(reason, subject) if reason.code in _FORMS else []
            advice = advice_for(subject, reason.code, shapes, are_most=reason.count * 2 > of)
        return Doubt(
            name=SCALE if reason.code == SCALE else f"rejected_{reason.code}",
            stream=reason.stream,
            column=subject.name if subject is not None else reason.field,
            count=reason.count,
            of=of,
            text=_words(reason, of),
            hint=advice.hint,
            line=advice.line,
            shapes=tuple(map(str, shapes)),
            weight=weight,
        )

    def _shapes(self, reason: Reason, subject: Subject) -> list[Shape]:
        """Return the shapes of the values that are wrong, the most frequent first."""
        if subject.spec.column is None:
            return []
        first, second = (
            f"max(TRY_CAST(regexp_extract(value, '^{before}(\\d+)', 1) AS BIGINT))" for before in ("", r"\d+\D")
        )
        found = self._connection.execute(
            f"SELECT {mask_sql('value')} AS mask, count(*) AS n, {first}, {second} FROM "
            f"(SELECT {_value(subject)} AS value FROM letters WHERE stream = ? AND reason.message = ?) "
            f"WHERE value IS NOT NULL GROUP BY mask ORDER BY n DESC, mask LIMIT {SHAPES_MAX}",
            [reason.stream, reason.message],
        ).fetchall()
        return [Shape(*row) for row in found]

    def _ends(self, reason: Reason, subject: Subject) -> tuple[float, float]:
        """Return the least and the greatest score that there is, sent or rejected."""
        value = f"TRY_CAST({_value(subject)} AS DOUBLE)"
        found = self._connection.execute(
            f"SELECT min({value}), max({value}) FROM letters WHERE stream = ? AND reason.field = ?",
            [reason.stream, reason.field],
        ).fetchall()
        ends = [end for end in (*found[0], *self._sent.get(reason.stream, ())) if end is not None]
        return min(ends, default=0), max(ends, default=0)


def _value(subject: Subject) -> str:
    """Return SQL for what a rejected row has in the column of a field, as text; dots may lead into a nested column."""
    name = (subject.spec.column or "").replace("~", "~0").replace("/", "~1")
    pointers = (f"json_extract_string(row, {literal('/' + path)})" for path in (name, name.replace(".", "/")))
    return f"coalesce({', '.join(pointers)})"


def _with_scales(reasons: Sequence[Reason], subjects: Mapping[tuple[str, str], Subject]) -> Iterator[Reason]:
    """Make one reason of all for which numbers are no scores: 0, 7 and 2.5 are so for one scale."""
    scales: dict[str, Reason] = {}
    for reason in reasons:
        subject = subjects.get((reason.stream, reason.field or ""))
        is_one = subject is not None and subject.about == "score" and subject.spec.scale is None and subject.spec.column
        if subject is None or not is_one or reason.code not in {"range", "integer"}:
            yield reason
            continue
        message = f"{subject.words} has numbers that are no score of 1 to 5; the others would be sent as they stand"
        known = scales.get(reason.stream, replace(reason, code=SCALE, message=message, count=0, rows=[]))
        rows = sorted([*known.rows, *reason.rows])[:_ROWS_SHOWN]
        scales[reason.stream] = replace(known, count=known.count + reason.count, rows=rows)
    yield from scales.values()


def _words(reason: Reason, of: int) -> str:
    noun, verb = (reason.noun, "is") if reason.count == 1 else (f"{reason.noun}s", "are")
    rows = ", ".join(map(str, reason.rows)) + (", ..." if reason.count > len(reason.rows) else "")
    return f"{reason.count:,} of {of:,} rows {verb} rejected: {reason.message} ({noun} {rows})"


def mask_sql(value: str) -> str:
    """Return SQL for the shape of a text: no letter and no digit of it is left. Words of our own lists stay."""
    masked = value
    for pattern, sign in _SIGNS:
        masked = f"regexp_replace({masked}, {literal(pattern)}, {literal(sign)}, 'g')"
    nulls, truths = (", ".join(map(literal, words)) for words in (NULL_WORDS, chain(*TRUTHS)))
    return (
        f"CASE WHEN trim({value}) IN ({nulls}) THEN trim({value}) "
        f"WHEN lower(trim({value})) IN ({truths}) THEN lower(trim({value})) "
        f"WHEN length({masked}) > {_LENGTH_MAX} THEN left({masked}, {_LENGTH_MAX}) || '…' ELSE {masked} END"
    )
