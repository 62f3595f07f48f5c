"""What is asked of the past: one SELECT over the tables of `history`, in a database that reaches nothing else.

The database is made for the query and thrown away. All tables are there, and those that the query names are filled:
whoever asks for runs does not wait for the attempts of years.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import date, datetime, time
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import Any, Final

import duckdb
import pyarrow as pa

from bucket_loader.model import UsageError, in_utc, sql_mistake, wire_timestamp
from bucket_loader.runs.history.filling import fill, lay_out
from bucket_loader.runs.history.tables import HISTORY_TABLES
from bucket_loader.runs.job import Job
from bucket_loader.sources import duck
from bucket_loader.state import look_at_state

Value = Any
"""What JSON can hold."""

_SPILL_MAX: Final = "1 GB"  # a run beside it needs room on the same disk
_HINT: Final = "`bucket-loader history --help` lists the tables and their columns"


@dataclass(frozen=True)
class Answer:
    """What a query gives.

    Attributes:
        columns: their names.
        numbers: which of them hold numbers, by their place.
        rows: as JSON can hold them; read once.
    """

    columns: tuple[str, ...]
    numbers: frozenset[int]
    rows: Iterator[tuple[Value, ...]]


@contextmanager
def asked(job: Job, sql: str) -> Iterator[Answer]:
    """Ask the pipeline's past; its rows can be read while this lasts.

    Raises:
        SourceError: it is not one SELECT, or gives two columns of one name.
        UsageError: it cannot be answered.
    """
    duck.one_select(sql)
    with TemporaryDirectory(prefix="bucket_loader-") as spill, duck.connected(spill=spill) as connection, _worded():
        lay_out(connection)
        connection.execute(f"SET max_temp_directory_size = '{_SPILL_MAX}'")
        duck.lock_down(connection)
        state = look_at_state(job.pipeline, job.state_place)
        if state is not None:
            with closing(state):
                fill(connection, state, _named(sql))
        relation = connection.sql(sql)
        schema = duck.arrow_schema(relation, "the query")
        numbers = frozenset(place for place, kind in enumerate(schema.types) if _is_number(kind))
        yield Answer(tuple(schema.names), numbers, _rows(relation))


def _rows(relation: duckdb.DuckDBPyRelation) -> Iterator[tuple[Value, ...]]:
    for batch in duck.batches(relation, "the query"):
        yield from zip(*(map(_plain, _values(column)) for column in batch.data.columns), strict=True)


def _values(column: "pa.Array[Any]") -> list[Any]:
    """Return the values of a column; times without their zone, which is UTC: Arrow imports pandas to name it."""
    bare = column.cast(pa.timestamp("us")) if pa.types.is_timestamp(column.type) else column
    values: list[Any] = bare.to_pylist(maps_as_pydicts="lossy")
    return values


def _named(sql: str) -> set[str]:
    """Return the tables that a query may read: what it has the name of, be it in a text; all where it makes names.

    (DuckDB's `get_table_names` refuses joins that DuckDB itself takes.)
    """
    makes = re.search(r"\bquery(_table)?\b", sql, re.IGNORECASE)
    return {name for name in HISTORY_TABLES if makes or re.search(rf"\b{name}\b", sql, re.IGNORECASE)}


@contextmanager
def _worded() -> Iterator[None]:
    """Say in plain words what DuckDB objects to: what it quotes is the query, or the ledger."""
    try:
        yield
    except RuntimeError as error:
        if str(error) == "Query interrupted":
            raise KeyboardInterrupt from None
        raise
    except duckdb.PermissionException:
        raise UsageError("the query reads the tables of the history alone, and no file", hint=_HINT) from None
    except duckdb.OutOfMemoryException:
        what = f"the query needs more than 1 GB of memory and {_SPILL_MAX} of disk"
        raise UsageError(what, hint="ask for less at once: fewer rows, or fewer columns") from None
    except duckdb.Error as error:
        raise UsageError(f"the query cannot be answered: {sql_mistake(error)}", hint=_HINT) from None


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind))


def _plain(value: object) -> Value:
    """Return a value as JSON can hold it; times as on the wire."""
    match value:
        case None | bool() | int() | str():
            return value
        case float():
            return value if value - value == 0 else None  # neither infinite nor NaN
        case Decimal():
            return int(value) if value == value.to_integral_value() else float(value)
        case datetime():
            return wire_timestamp(in_utc(value))
        case date() | time():
            return value.isoformat()
        case bytes():
            return value.hex()
        case dict():
            return {str(name): _plain(child) for name, child in value.items()}
        case list() | tuple():
            return [_plain(child) for child in value]
        case _:
            return str(value)
