"""Which columns of the source each field of a record is made from: its lineage, with no row looked at."""

from collections.abc import Sequence
from dataclasses import dataclass

from bucket_loader.config import FieldSpec, Stream, Values
from bucket_loader.planning.mapping.columns import spread
from bucket_loader.planning.mapping.expressions import check_expression


@dataclass(frozen=True)
class Origin:
    """Where a field's value comes from.

    Attributes:
        columns: the columns of the source; none for a constant.
        is_same: whether it is the column's value as it is, or read as another type.
        is_hidden: whether only a hash of it is sent.
    """

    columns: tuple[str, ...]
    is_same: bool
    is_hidden: bool = False


@dataclass(frozen=True)
class Origins:
    """Where a stream's records come from.

    Attributes:
        fields: the fields, by their paths: `companyId`, `attributes.seats`.
        filter: the columns that decide whether a row is sent at all.
    """

    fields: dict[str, Origin]
    filter: tuple[str, ...]


def origins_of(stream: Stream, columns: Sequence[str]) -> Origins:
    """Return where a stream's records come from.

    Args:
        stream: the stream, which can be compiled over these columns.
        columns: the source's.

    Raises:
        UsageError: an expression is none over these columns.
    """
    there = frozenset(columns)
    named = {path: _origin(f"fields.{path}", spec, there) for path, spec in stream.fields.by_path().items()}
    used = {column for origin in named.values() for column in origin.columns}
    spread_too = {
        f"{name}.{column}": Origin((column,), is_same=True)
        for name, values in stream.fields.given().items()
        if isinstance(values, Values)
        for column in spread(values, used, columns)
    }
    where = () if stream.where is None else tuple(sorted(check_expression(stream.where, "where", there)))
    return Origins(dict(sorted({**spread_too, **named}.items())), where)


def _origin(place: str, spec: FieldSpec, there: frozenset[str]) -> Origin:
    if spec.column is not None:
        return Origin((spec.column,), is_same=spec.hash is None, is_hidden=spec.hash is not None)
    if spec.sql is not None:
        used = check_expression(spec.sql, place, there)
        return Origin(tuple(sorted(used)), is_same=False, is_hidden=spec.hash is not None)
    return Origin((), is_same=False)
