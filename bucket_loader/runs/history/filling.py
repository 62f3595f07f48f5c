"""What fills the tables of `history`: the ledger, as it is at one moment, and the dead letters that are there."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import astuple
from itertools import islice
from typing import Any, Final

import duckdb
import pyarrow as pa

from bucket_loader.model import identifier, number_array, read_attempts, read_time, text_array, wire_ms
from bucket_loader.runs.history.tables import HISTORY_TABLES, Type
from bucket_loader.state import Ledger, RunRow, State, dead_letters

Row = tuple[Any, ...]
_AT_ONCE: Final = 10_000  # rows
# What stands for a type on the way into DuckDB, and what makes it of that: milliseconds since 1970, and JSON.
_CARRIED: Final = {
    "VARCHAR": (pa.string(), "{}"),
    "BIGINT": (pa.int64(), "{}"),
    "DOUBLE": (pa.float64(), "{}"),
    "BOOLEAN": (pa.int8(), "CAST({} AS BOOLEAN)"),
    "TIMESTAMPTZ": (pa.int64(), "make_timestamptz(1000 * {})"),
    "MAP(VARCHAR, BIGINT)": (pa.string(), "CAST(CAST({} AS JSON) AS MAP(VARCHAR, BIGINT))"),
}


def lay_out(connection: duckdb.DuckDBPyConnection) -> None:
    """Make all tables, empty."""
    for name, table in HISTORY_TABLES.items():
        columns = ", ".join(f"{identifier(column.name)} {column.type}" for column in table.columns)
        connection.execute(f"CREATE TABLE {name} ({columns})")


def fill(connection: duckdb.DuckDBPyConnection, state: State, names: Collection[str]) -> None:
    """Fill the tables that are named."""
    with state.ledger.database.still():
        if "runs" in names:
            _insert(connection, "runs", _runs(state.ledger))
        if "streams" in names:
            _insert(connection, "streams", _streams(state.ledger))
        if not {"chunks", "attempts"}.isdisjoint(names):
            _fill_chunks(connection, state.ledger, names)
    if "rejections" in names:
        _insert(connection, "rejections", _rejections(state))


def _insert(connection: duckdb.DuckDBPyConnection, name: str, rows: Iterable[Row]) -> None:
    columns = HISTORY_TABLES[name].columns
    made = ", ".join(_CARRIED[column.type][1].format(identifier(column.name)) for column in columns)
    left = iter(rows)
    while some := list(islice(left, _AT_ONCE)):
        arrays = [_array(values, column.type) for values, column in zip(zip(*some, strict=True), columns, strict=True)]
        connection.register("page", pa.Table.from_arrays(arrays, names=[column.name for column in columns]))
        connection.execute(f"INSERT INTO {name} SELECT {made} FROM page")
        connection.unregister("page")


def _array(values: Sequence[Any], kind: Type) -> "pa.Array[Any]":
    carried, _ = _CARRIED[kind]
    if pa.types.is_string(carried):
        return text_array([None if value is None else str(value).encode() for value in values])
    return number_array(values, carried)


# --- the ledger ------------------------------------------------------------------------------------------------------


def _runs(ledger: Ledger) -> Iterator[Row]:
    folded = ledger.folded_runs()
    for row in ledger.runs():
        yield (
            row.run, row.number, row.status, row.exit_code, _moment(row.as_of),
            _moment(row.interval_start), _moment(row.interval_end), _moment(row.created_at), _moment(row.ended_at),
            _seconds(row), row.requests, row.retries, row.run in folded,
        )  # fmt: skip


def _seconds(row: RunRow) -> float | None:
    began, ended = _moment(row.created_at), _moment(row.ended_at)
    return None if began is None or ended is None else (ended - began) / 1_000


def _streams(ledger: Ledger) -> Iterator[Row]:
    answers = ledger.folded_answers()
    for (run, stream), counts in ledger.all_counts().items():
        yield run, stream, *astuple(counts), answers.get((run, stream))


def _fill_chunks(connection: duckdb.DuckDBPyConnection, ledger: Ledger, names: Collection[str]) -> None:
    """Fill the tables of chunks and attempts, which stand in the same rows."""
    streams = ledger.stream_names()
    for page in ledger.chunk_pages():
        if "chunks" in names:
            _insert(connection, "chunks", (_chunk(streams, row) for row in page))
        if "attempts" in names:
            _insert(connection, "attempts", (attempt for row in page for attempt in _attempts(streams, row)))


def _chunk(streams: dict[tuple[str, int], str], row: Row) -> Row:
    run, stream, _, members, records, state, part, attempts, ambiguous, status, aside, folded, _ = row
    return (
        run, streams[run, stream], members, records, state, bool(part) and folded is None, attempts, ambiguous, status,
        _moment(aside), folded,
    )  # fmt: skip


def _attempts(streams: dict[tuple[str, int], str], row: Row) -> Iterator[Row]:
    run, stream, _, members, *_, tries = row
    for attempt in read_attempts(tries):
        yield run, streams[run, stream], members, attempt.at_ms, attempt.status, attempt.ms / 1_000


def _moment(text: str | None) -> int | None:
    """Return a time of the ledger in milliseconds since 1970; None where it is none."""
    try:
        return None if text is None else wire_ms(read_time(text))
    except ValueError:
        return None


# --- the dead letters ------------------------------------------------------------------------------------------------


def _rejections(state: State) -> Iterator[Row]:
    """Return the dead letters of each run, added up by what they say."""
    for run in state.runs_with_letters():
        found: defaultdict[Row, list[str]] = defaultdict(list)
        for letter in dead_letters.read_why(state.letters_of(run)):
            found[_key(letter)].append(letter.at)
        for key, times in found.items():
            yield *key, len(times), _moment(min(times)), _moment(max(times))


def _key(letter: dead_letters.Why) -> Row:
    said = [_joined(letter, member) for member in ("code", "field", "message")]
    return letter.run, letter.stream, str(letter.origin.get("source", "")), letter.stage, *said


def _joined(letter: dead_letters.Why, member: str) -> str | None:
    return "; ".join(str(reason[member]) for reason in letter.reasons if reason.get(member)) or None
