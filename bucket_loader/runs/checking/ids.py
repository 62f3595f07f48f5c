"""Doubts about ids, for which all rows have to be seen together: whose they are, and how each of them is spelt.

Each id of a stream is kept as two hashes, of its spelling and of its plain form, so that ten million ids fit: DuckDB
writes to disk what does not fit into its memory.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from bucket_loader.config import FieldSpec
from bucket_loader.model import EVENT, literal
from bucket_loader.reporting import Doubt
from bucket_loader.runs.checking.questions import FEW, HARMFUL, ODD, UNSEEN, WRONG
from bucket_loader.runs.checking.subjects import ROWS, Subject

if TYPE_CHECKING:
    import duckdb

_KNOWN_NEEDED: Final = 0.5  # of a stream's ids: then they are those of users, and each may well come once
_UNKNOWN_MIN: Final = 0.01  # of a stream's ids: fewer may be of users who have left


@dataclass(frozen=True)
class Spelling:
    """A way in which one id may be spelt in two.

    Attributes:
        words: says it.
        plain: SQL that takes it away from `{id}`.
        mends: SQL that does so in the pipeline file; "" where only a person knows which spelling is right.
    """

    words: str
    plain: str
    mends: str


# In this order they are taken away. Who writes an id in capitals, or its first letter, means the same one; an id that
# mixes them, as Salesforce does, means something by it.
SPELLINGS: Final = (
    Spelling("blanks or signs that nobody sees", f"regexp_replace({{id}}, {literal(UNSEEN)}, '', 'g')",
             f"regexp_replace({{id}}, {literal(UNSEEN)}, '', 'g')"),
    Spelling("Unicode forms", "nfc_normalize({id})", "nfc_normalize({id})"),
    Spelling(
        "capitals",
        "CASE WHEN {id} = upper({id}) OR {id} = upper(left({id}, 1)) || lower(substr({id}, 2)) OR contains({id}, '@') "
        "THEN lower({id}) ELSE {id} END",
        "lower({id})",
    ),
    Spelling("`.0` at the end", r"regexp_replace({id}, '^(-?\d+)\.0+$', '\1')", "regexp_replace({id}, '[.]0+$', '')"),
    Spelling("zeros in front", r"regexp_replace({id}, '^0+(\d+)$', '\1')", ""),
)  # fmt: skip


@dataclass(frozen=True)
class Ids:
    """The ids of one field of a stream, in a table of their own.

    Attributes:
        subject: the field.
        table: `spelt` and `plain` are hashes, `ways` has a bit for each way of spelling that it shows, `n` its rows.
        is_whole: whether every row of the stream is in it.
    """

    subject: Subject
    table: str
    is_whole: bool


def kept_ids(connection: "duckdb.DuckDBPyConnection", subject: Subject, table: str, *, is_whole: bool) -> Ids:
    """Keep the ids of a field of the stream whose rows are the table now."""
    levels = ["id0"]
    stages = f"SELECT {subject.sent} AS id0 FROM {ROWS}"
    for number, spelling in enumerate(SPELLINGS, start=1):
        stages = f"SELECT *, {spelling.plain.replace('{id}', levels[-1])} AS id{number} FROM ({stages})"
        levels.append(f"id{number}")
    ways = " + ".join(
        f"CAST(id{number} <> id{number - 1} AS INTEGER) * {1 << number - 1}" for number in range(1, len(levels))
    )
    connection.execute(
        f"CREATE TABLE {table} AS SELECT hash(id0) AS spelt, any_value(hash({levels[-1]})) AS plain, "
        f"any_value({ways}) AS ways, count(*) AS n FROM ({stages}) WHERE id0 IS NOT NULL GROUP BY spelt"
    )
    return Ids(subject, table, is_whole)


def doubts_of_ids(connection: "duckdb.DuckDBPyConnection", kept: Sequence[Ids]) -> Iterator[Doubt]:
    """Doubt the ids of all streams."""
    for ids in kept:
        homes = _homes(ids.subject.field, kept)
        known = _Known(connection, ids, [home for home in homes if home is not ids])
        yield from _spelt_twice(connection, ids)
        yield from _each_its_own(connection, ids, known)
        yield from known.spelt_otherwise()
        yield from () if ids in homes else known.unknown()


def _homes(field: str, kept: Sequence[Ids]) -> list[Ids]:
    """Return where the ids of a field are at home: the streams of users; of companies, best those without members."""
    found = [ids for ids in kept if ids.subject.field == field and ids.subject.stream.kind.ids[:1] == (field,)]
    members = {ids.subject.stream.name for ids in kept if ids.subject.field != field}
    return [ids for ids in found if ids.subject.stream.name not in members] or found


# --- within a stream -----------------------------------------------------------------------------------------------


def _spelt_twice(connection: "duckdb.DuckDBPyConnection", ids: Ids) -> Iterator[Doubt]:
    count, rows, ways = _numbers(
        connection,
        "SELECT count(*), coalesce(sum(n), 0), coalesce(bit_or(ways), 0) FROM (SELECT sum(n) AS n, "
        f"xor(bit_or(ways), bit_and(ways)) AS ways FROM {ids.table} GROUP BY plain HAVING count(*) > 1)",
    )
    if count:
        (of,) = _numbers(connection, f"SELECT count(DISTINCT plain) FROM {ids.table}")
        subject = ids.subject
        text = (
            f"{count:,} of {of:,} {subject.field}s are spelt in more than one way, in {rows:,} rows; they differ in "
            f"{_differences(ways)}"
        )
        line = _one_spelling(subject, ways)
        hint = "" if line else "which spelling is right? mend the export; or bring them to one with `sql:`"
        yield Doubt("two_spellings", subject.stream.name, subject.name, count, of, text, hint, line, weight=HARMFUL)


def _differences(ways: int) -> str:
    return (
        " and ".join(one.words for number, one in enumerate(SPELLINGS) if ways >> number & 1) or "how they are written"
    )


def _one_spelling(subject: Subject, ways: int) -> str:
    found = [one for number, one in enumerate(SPELLINGS) if ways >> number & 1]
    if not found or any(not one.mends for one in found):
        return ""
    sql = subject.in_sql
    for one in found:
        sql = one.mends.replace("{id}", sql)
    return subject.line_of_sql(sql)


def _each_its_own(connection: "duckdb.DuckDBPyConnection", ids: Ids, known: "_Known") -> Iterator[Doubt]:
    """Doubt an event stream in which nobody does anything twice."""
    subject = ids.subject
    if subject.field != "userId" or subject.stream.kind is not EVENT:
        return
    distinct, rows = _numbers(connection, f"SELECT count(*), coalesce(sum(n), 0) FROM {ids.table}")
    if rows < 2 * FEW or distinct < rows or known.share >= _KNOWN_NEEDED:
        return
    text = f"every row has its own userId: {distinct:,} in {rows:,} rows"
    hint = f"is {subject.words} the id of a user, or that of the event?"
    event = subject.stream.fields.given().get("event")
    is_one = isinstance(event, FieldSpec) and event.value is not None  # such as signing up, which each does once
    weight = ODD if is_one else HARMFUL
    yield Doubt("own_ids", subject.stream.name, subject.name, distinct, rows, text, hint, weight=weight)


# --- between streams -----------------------------------------------------------------------------------------------


class _Known:
    """How many of a stream's ids other streams know, in the same spelling, in another, or not at all."""

    def __init__(self, connection: "duckdb.DuckDBPyConnection", ids: Ids, homes: Sequence[Ids]) -> None:
        self._ids = ids
        self._homes = homes
        self._total = self._same = self._otherwise = self._ways = 0
        if homes:
            union = " UNION ALL ".join(f"SELECT spelt, plain, ways FROM {home.table}" for home in homes)
            self._total, self._same, self._otherwise, self._ways = _numbers(
                connection,
                f"WITH home AS ({union}), "
                "forms AS (SELECT plain, bit_or(ways) AS ways FROM home GROUP BY plain) "
                "SELECT count(*), count(*) FILTER (WHERE is_same), count(*) FILTER (WHERE NOT is_same AND is_known), "
                "coalesce(bit_or(CASE WHEN NOT is_same AND is_known THEN differ END), 0) FROM ("
                "SELECT h.spelt IS NOT NULL AS is_same, f.plain IS NOT NULL AS is_known, xor(i.ways, f.ways) AS differ "
                f"FROM {ids.table} i LEFT JOIN (SELECT DISTINCT spelt FROM home) h USING (spelt) "
                "LEFT JOIN forms f ON f.plain = i.plain)",
            )

    @property
    def share(self) -> float:
        """Which share of the ids is known, in whatever spelling."""
        return (self._same + self._otherwise) / self._total if self._total else 0.0

    def spelt_otherwise(self) -> Iterator[Doubt]:
        """Doubt ids that are spelt otherwise there."""
        if self._otherwise:
            text = (
                f"{self._otherwise:,} of {self._total:,} {self._ids.subject.field}s are in {self._where} in another "
                f"spelling; they differ in {_differences(self._ways)}"
            )
            hint = "which is right? spell them alike in both streams"
            yield self._doubt("spelt_otherwise", self._otherwise, text, hint, HARMFUL)

    def unknown(self) -> Iterator[Doubt]:
        """Doubt ids that are not there."""
        count = self._total - self._same - self._otherwise
        if count > self._total * _UNKNOWN_MIN and all(home.is_whole and _is_all(home) for home in self._homes):
            text = f"{count:,} of {self._total:,} {self._ids.subject.field}s are not in {self._where}"
            hint = "are both of one system, and of one day? a record is made of each id that Bucket does not know"
            yield self._doubt("unknown_ids", count, text, hint, HARMFUL if count * 2 > self._total else WRONG)

    @property
    def _where(self) -> str:
        return " and ".join(repr(home.subject.stream.name) for home in self._homes)

    def _doubt(self, name: str, count: int, text: str, hint: str, weight: int) -> Doubt:
        subject = self._ids.subject
        return Doubt(name, subject.stream.name, subject.name, count, self._total, text, hint, weight=weight)


def _is_all(home: Ids) -> bool:
    """Whether a stream has everybody each time it is read."""
    stream = home.subject.stream
    return stream.where is None and stream.cursor is None


def _numbers(connection: "duckdb.DuckDBPyConnection", query: str) -> tuple[int, ...]:
    return tuple(int(number) for number in connection.execute(query).fetchall()[0])
