"""The types of MySQL and MariaDB at the seam, from what the server says of a result's columns."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from bucket_loader.model import Reason, SourceError
from bucket_loader.sources.databases.server import Server
from bucket_loader.sources.values.casting import Refused, decimal_type, typed

if TYPE_CHECKING:
    import pyarrow as pa

_BINARY: Final = 63  # the number of the character set that is none
_UNSIGNED: Final = 32  # a flag of a column
_SECONDS_A_DAY: Final = 86_400


@dataclass(frozen=True)
class Column:
    """A column of a result.

    Attributes:
        name: as the query gives it.
        kind: its Arrow type at the seam.
        of: the kind of values the driver hands over: text, bytes, bits, boolean or time.
    """

    name: str
    kind: "pa.DataType"
    of: str = "text"


def column_of(field: Any, server: Server) -> Column:  # noqa: ANN401, C901, PLR0912  # the driver has no types; a table of types
    """Decide what a column becomes.

    Raises:
        SourceError: it has a type that no form is defined for.
    """
    import pyarrow as pa
    from pymysql.constants import FIELD_TYPE as OF

    unsigned = bool(field.flags & _UNSIGNED)
    match field.type_code:
        case OF.TINY if field.length == 1 and not unsigned:
            return Column(field.name, pa.bool_(), "boolean")
        case OF.TINY | OF.SHORT | OF.INT24 | OF.LONG | OF.LONGLONG | OF.YEAR:
            return Column(field.name, pa.uint64() if unsigned else pa.int64())
        case OF.DECIMAL | OF.NEWDECIMAL:
            digits = field.length - (0 if unsigned else 1) - (1 if field.scale else 0)
            return Column(field.name, decimal_type(digits, field.scale))
        case OF.DOUBLE:
            return Column(field.name, pa.float64())
        case OF.FLOAT | OF.GEOMETRY:
            raise _formless(field, server)
        case OF.DATE | OF.NEWDATE:
            return Column(field.name, pa.date32())
        case OF.DATETIME:
            return Column(field.name, pa.timestamp("us"))
        case OF.TIMESTAMP:
            return Column(field.name, pa.timestamp("us", "UTC"))
        case OF.TIME:
            return Column(field.name, pa.time64("us"), "time")
        case OF.BIT:
            return Column(field.name, pa.bool_() if field.length == 1 else pa.uint64(), "bits")
        case OF.JSON:
            return Column(field.name, pa.json_())
        case OF.NULL:
            return Column(field.name, pa.string())
        case _ if field.charsetnr == _BINARY:
            return Column(field.name, pa.binary(), "bytes")
        case _:
            return Column(field.name, pa.string())


def _formless(field: Any, server: Server) -> SourceError:  # noqa: ANN401  # the driver has no types
    from pymysql.constants import FIELD_TYPE

    name = field.name
    if field.type_code == FIELD_TYPE.FLOAT:
        return server.refused(
            f"the column {name!r} is a FLOAT, of which the server shows six digits",
            hint=f"write CAST({name} AS DOUBLE), or ROUND({name}, 2), in the query",
        )
    return server.refused(
        f"the column {name!r} is a GEOMETRY, which has no form",
        hint=f"write ST_AsText({name}) in the query, or leave it out",
    )


def values(
    rows: Sequence[Sequence[Any]], columns: Sequence[Column]
) -> "tuple[list[pa.Array], dict[str, pa.Array], Refused]":
    """Bring rows to the types of the seam.

    Returns:
        the columns; the columns as they were read; the rows that cannot be given.
    """
    import pyarrow as pa

    refused: Refused = {}
    arrays, raw = [], {}
    for column, found in zip(columns, zip(*rows, strict=True), strict=True):
        array = pa.array(found, pa.binary() if column.of in {"bytes", "bits"} else pa.string())
        raw[column.name] = array
        done, bad = _column(array, column)
        arrays.append(done)
        for place in bad:
            refused.setdefault(place, []).append(_reason(column))
    return arrays, raw, refused


def _reason(column: Column) -> Reason:
    import pyarrow as pa
    from pyarrow import types

    if pa.types.is_boolean(column.kind):
        return Reason(
            "boolean", "the value is neither 0 nor 1; for a number write `column + 0` in the query", column.name
        )
    if types.is_temporal(column.kind):
        return Reason("timestamp", f"the value is no {column.kind}: a zero or a part of a date, or hours beyond 24",
                      column.name)  # fmt: skip
    return Reason("number", f"the value does not fit {column.kind}", column.name)


def _column(array: "pa.Array", column: Column) -> "tuple[pa.Array, list[int]]":
    import pyarrow as pa

    match column.of:
        case "bytes":
            return array, []
        case "bits":
            numbers = [None if value is None else int.from_bytes(value, "big") for value in array.to_pylist()]
            return pa.array(numbers, pa.uint64()).cast(column.kind), []
        case "boolean":
            words = array.to_pylist()
            bad = [place for place, word in enumerate(words) if word not in {None, "0", "1"}]
            return pa.array([{"0": False, "1": True}.get(word) for word in words], pa.bool_()), bad
        case "time":
            return _times(array)
        case _ if pa.types.is_timestamp(column.kind):
            done, bad = typed(array, pa.timestamp("us"))
            return done.cast(column.kind) if column.kind.tz is None else _as_utc(done), bad
        case _:
            return typed(array, column.kind) if column.kind != pa.string() else (array, [])


def _as_utc(moments: "pa.Array") -> "pa.Array":
    import pyarrow as pa
    import pyarrow.compute as pc

    return pc.assume_timezone(moments, "UTC") if len(moments) else moments.cast(pa.timestamp("us", "UTC"))


def _times(array: "pa.Array") -> "tuple[pa.Array, list[int]]":
    """Read `10:00:00.5`; a TIME may also be a span of up to 838 hours, which is no time of day."""
    import pyarrow as pa

    found: list[int | None] = []
    bad = []
    for place, text in enumerate(array.to_pylist()):
        if text is None:
            found.append(None)
            continue
        hours, minutes, seconds = text.split(":")
        whole, _, part = seconds.partition(".")
        total = int(hours) * 3600 + int(minutes) * 60 + int(whole)
        if text.startswith("-") or total >= _SECONDS_A_DAY:
            bad.append(place)
            found.append(None)
        else:
            found.append(total * 1_000_000 + int(part.ljust(6, "0") or 0))
    return pa.array(found, pa.time64("us")), bad
