"""INT96 moments of Parquet, a day and nanoseconds in it: read in the finest unit that holds all of a column.

As nanoseconds, which is how Arrow reads them, what lies before 1677 or after 2262 would become another moment.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import pyarrow as pa
    import pyarrow.parquet as pq

# How far 64 bits of a unit reach from 1970, in milliseconds, which hold every INT96.
_REACH_MS: Final = {"ns": 2**63 // 10**6 - 1, "us": 2**63 // 10**3 - 1}
WIDEST: Final = "ms"


def int96_columns(parquet: "pq.ParquetFile") -> list[str]:
    """Name the columns of a file that are INT96, or hold it."""
    stored = [parquet.schema.column(place) for place in range(len(parquet.schema))]
    paths = [column.path for column in stored if column.physical_type == "INT96"]
    return [name for name in parquet.schema_arrow.names if any(f"{path}.".startswith(f"{name}.") for path in paths)]


def units(parquet: "pq.ParquetFile", names: list[str]) -> dict[str, str]:
    """Return the finest unit that holds all of each column, by its name.

    Args:
        parquet: the file, opened with INT96 in the unit `WIDEST`.
        names: the columns; at least one.
    """
    reach = dict.fromkeys(names, 0)
    for batch in parquet.iter_batches(columns=names):
        for name in names:
            reach[name] = max(reach[name], _reach(batch.column(name)))
    return {name: next((unit for unit, most in _REACH_MS.items() if far <= most), WIDEST)
            for name, far in reach.items()}  # fmt: skip


def _reach(column: "pa.Array") -> int:
    """Return how many milliseconds the farthest moment is from 1970, at whatever depth."""
    import pyarrow as pa
    import pyarrow.compute as pc
    from pyarrow import types

    if types.is_timestamp(column.type):
        ends = pc.min_max(column.cast(pa.timestamp(WIDEST), safe=False).cast(pa.int64())).as_py()
        return max(abs(int(end or 0)) for end in ends.values())
    if types.is_struct(column.type):
        return max(map(_reach, column.flatten()), default=0)
    if types.is_map(column.type):
        return max(_reach(column.keys), _reach(column.items))
    return _reach(column.flatten()) if types.is_nested(column.type) else 0


def coarser(one: str, other: str) -> str:
    """Return that of two units that reaches further."""
    order = [*_REACH_MS, WIDEST]
    return max(one, other, key=order.index)


def in_unit(kind: "pa.DataType", unit: str | None) -> "pa.DataType":
    """Return a type with its moments of INT96, which have no zone and are nanoseconds, in another unit."""
    import pyarrow as pa
    from pyarrow import types

    if unit is None:
        return kind
    if kind == pa.timestamp("ns"):
        return pa.timestamp(unit)
    if types.is_struct(kind):
        return pa.struct([field.with_type(in_unit(field.type, unit)) for field in kind])
    if types.is_map(kind):
        return pa.map_(in_unit(kind.key_type, unit), in_unit(kind.item_type, unit))
    return pa.list_(in_unit(kind.field(0).type, unit)) if types.is_nested(kind) else kind


class Moments:
    """A column of a file, read beside the others, whose batches may be cut elsewhere.

    Args:
        parquet: the file, opened with INT96 in the unit that the column has.
        name: the column.
        groups: the row groups.
    """

    def __init__(self, parquet: "pq.ParquetFile", name: str, groups: Sequence[int]) -> None:
        import pyarrow as pa

        self.name = name
        self._batches = parquet.iter_batches(columns=[name], row_groups=list(groups))
        self._left: pa.Array = pa.nulls(0, parquet.schema_arrow.field(name).type)

    def take(self, count: int) -> "pa.Array":
        """Return the next values."""
        import pyarrow as pa

        parts = [self._left.slice(0, count)]
        self._left = self._left.slice(count)
        while (missing := count - sum(map(len, parts))) > 0:
            self._left = next(self._batches).column(0)
            parts.append(self._left.slice(0, missing))
            self._left = self._left.slice(missing)
        return pa.concat_arrays(parts)
