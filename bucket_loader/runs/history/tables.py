"""The tables of `history`: their columns, and what each says. They are documented from here."""

from dataclasses import dataclass
from typing import Final, Literal

from bucket_loader.model import COUNTS

Type = Literal["VARCHAR", "BIGINT", "DOUBLE", "BOOLEAN", "TIMESTAMPTZ", "MAP(VARCHAR, BIGINT)"]


@dataclass(frozen=True)
class Column:
    """A column: its name, its type in DuckDB, and what it says."""

    name: str
    type: Type
    says: str


@dataclass(frozen=True)
class Table:
    """A table: what a row of it is, and its columns."""

    says: str
    columns: tuple[Column, ...]


def _table(says: str, *columns: tuple[str, Type, str]) -> Table:
    return Table(says, tuple(Column(*column) for column in columns))


HISTORY_TABLES: Final = {
    "runs": _table(
        "A run.",
        ("run", "VARCHAR", "its name"),
        ("number", "BIGINT", "the order in which runs were made"),
        ("status", "VARCHAR", "running, succeeded, rejected, unfinished, stopped, failed or abandoned"),
        ("exit_code", "BIGINT", "how its last call ended"),
        ("as_of", "TIMESTAMPTZ", "the time of records that have none of their own"),
        ("interval_start", "TIMESTAMPTZ", "of the interval that it loaded, where it had one"),
        ("interval_end", "TIMESTAMPTZ", "the end of that, not included"),
        ("created_at", "TIMESTAMPTZ", "when its plan was made"),
        ("ended_at", "TIMESTAMPTZ", "when its last call ended"),
        ("seconds", "DOUBLE", "from the one to the other"),
        ("requests", "BIGINT", "how many attempts it made"),
        ("retries", "BIGINT", "how many of them were repeated ones"),
        ("folded", "BOOLEAN", "whether its chunks were folded when it was old: few rows stand for many"),
    ),
    "streams": _table(
        "A stream of a run, with where its rows went.",
        ("run", "VARCHAR", "whose it is"),
        ("stream", "VARCHAR", "its name"),
        *((count.name, "BIGINT", f"{count.says[:1].lower()}{count.says[1:]}") for count in COUNTS),
        ("answers", "MAP(VARCHAR, BIGINT)",
         "of folded chunks: how many attempts had which status, `none` or `unrecorded`"),
    ),
    "chunks": _table(
        "A chunk: what one request carries.",
        ("run", "VARCHAR", "whose it is"),
        ("stream", "VARCHAR", "the stream's name"),
        ("members", "VARCHAR", "which records of the plan: `0-99`"),
        ("records", "BIGINT", "how many"),
        ("state", "VARCHAR", "queued, intent, delivered, rejected, split, held, dropped or superseded"),
        ("part", "BOOLEAN", "whether it was made by splitting another"),
        ("attempts", "BIGINT", "how many requests carried it"),
        ("ambiguous", "BIGINT", "how many of them may have been applied without our knowing"),
        ("status", "BIGINT", "the HTTP status of the last answer"),
        ("aside", "TIMESTAMPTZ", "since when it comes after all others, where it does"),
        ("folded", "BIGINT", "how many chunks this row stands for; null for one that is itself"),
    ),
    "attempts": _table(
        "An attempt: one request. Of more than 16 of a chunk the first and the last are here; of folded chunks none.",
        ("run", "VARCHAR", "whose it is"),
        ("stream", "VARCHAR", "the stream's name"),
        ("members", "VARCHAR", "the chunk, as in `chunks`"),
        ("ended_at", "TIMESTAMPTZ", "when it ended"),
        ("status", "BIGINT", "the HTTP status of the answer; null for none"),
        ("seconds", "DOUBLE", "how long it took"),
    ),
    "rejections": _table(
        "Dead letters that say the same, of one run; of those that are still there.",
        ("run", "VARCHAR", "which run rejected them"),
        ("stream", "VARCHAR", "the stream's name"),
        ("source", "VARCHAR", "the file, table or query that they come from"),
        ("stage", "VARCHAR", "read, map, validate or deliver"),
        ("code", "VARCHAR", "the reason; of a row with several mistakes all, joined by `; `, as in the next two"),
        ("field", "VARCHAR", "which field of the record it is about, where it is about one"),
        ("message", "VARCHAR", "the reason in words; no value of a row"),
        ("rows", "BIGINT", "how many rows"),
        ("first_at", "TIMESTAMPTZ", "when the first of them was rejected"),
        ("last_at", "TIMESTAMPTZ", "when the last of them was"),
    ),
}  # fmt: skip

LAST: Final = 30  # runs that are shown when nothing is asked
LAST_RUNS: Final = f"""
    SELECT run, status, exit_code, created_at, ended_at, seconds, requests, retries,
           {", ".join(f"coalesce(sum({count.name}), 0)::BIGINT AS {count.name}" for count in COUNTS)}
    FROM (SELECT * FROM runs ORDER BY number DESC LIMIT {LAST}) LEFT JOIN streams USING (run)
    GROUP BY ALL ORDER BY any_value(number) DESC
"""
