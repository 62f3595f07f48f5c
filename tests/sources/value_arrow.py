"""Random tables written into Arrow, its files and its lakes, and into DataFrames."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from deltalake import write_deltalake
from source_helpers import arrow_source, delta_source, parquet_source
from value_kinds import Kind, Unsayable
from value_tables import Json, List, Map, Node, Struct, Table, document_text, kinds, parts_of

from bucket_loader.config.sources import FrameSource
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source


def _array(node: Node, values: Sequence[Any]) -> pa.Array:
    """Build an array from its parts, so that whatever Arrow can hold is in it."""
    mask = pa.array([value is None for value in values], pa.bool_())
    match node:
        case Json():
            texts = [None if value is None else document_text(value) for value in values]
            return pa.ExtensionArray.from_storage(pa.json_(), pa.array(texts, pa.string()))
        case Struct():
            inner = [_array(one, [value and value[name] for value in values]) for name, one in node.members]
            fields = [pa.field(name, array.type) for (name, _), array in zip(node.members, inner, strict=True)]
            return pa.StructArray.from_arrays(inner, fields=fields, mask=mask)
        case List() | Map():
            ends = np.cumsum([0, *(len(value or ()) for value in values)])
            offsets = pa.array(ends, pa.int64() if isinstance(node, List) and node.form == "large_list" else pa.int32())
            flat = [one for value in values for one in value or ()]
            if isinstance(node, Map):
                keys, items = _array(node.key, [key for key, _ in flat]), _array(node.item, [one for _, one in flat])
                return pa.MapArray.from_arrays(offsets, keys, items, mask=mask)
            inner = _array(node.inner, flat)
            if node.form == "list_view":
                return pa.ListViewArray.from_arrays(offsets[:-1], pa.array(np.diff(ends), pa.int32()), inner, mask=mask)
            made = pa.LargeListArray if node.form == "large_list" else pa.ListArray
            return made.from_arrays(offsets, inner, mask=mask)
        case _:
            return _single(node, values)


def _single(kind: Kind, values: Sequence[Any]) -> pa.Array:
    stored = [None if value is None else kind.stored(value) for value in values]
    of = kind.arrow
    if pa.types.is_null(of):
        return pa.nulls(len(values))
    if pa.types.is_run_end_encoded(of):
        ends = pa.array(range(1, len(values) + 1), of.run_end_type)
        return pa.RunEndEncodedArray.from_arrays(ends, _plain(stored, of.value_type))
    if pa.types.is_dictionary(of):
        return _plain(stored, of.value_type).dictionary_encode().cast(of)
    if isinstance(of, pa.BaseExtensionType):
        return pa.ExtensionArray.from_storage(of, pa.array(stored, of.storage_type))
    return _plain(stored, of)


def _plain(stored: Sequence[Any], of: pa.DataType) -> pa.Array:
    if any(isinstance(value, bytes) for value in stored) and not _is_bytes(of):  # texts, which may be none
        wide = pa.array(stored, pa.large_binary()).cast(pa.large_string(), safe=False)
        return wide.cast(of, safe=False) if of != pa.string_view() else _viewed(stored)
    if pa.types.is_time(of) or pa.types.is_timestamp(of) or pa.types.is_duration(of):
        counts = pa.array(stored, pa.int32() if pa.types.is_time32(of) else pa.int64())
        return counts.view(of)
    if pa.types.is_date(of):
        return pa.array(stored, pa.int32() if pa.types.is_date32(of) else pa.int64()).view(of)
    return pa.array(stored, of)


def _viewed(stored: Sequence[Any]) -> pa.Array:
    return pa.array(stored, pa.binary_view()).view(pa.string_view())


def _is_bytes(of: pa.DataType) -> bool:
    return bool(pa.types.is_binary(of) or pa.types.is_large_binary(of) or pa.types.is_fixed_size_binary(of)
                or pa.types.is_binary_view(of))  # fmt: skip


def arrow_table(table: Table) -> pa.Table:
    """Return a table in memory; its columns are slices of longer ones."""
    columns = zip(*table.rows, strict=True) if table.rows else [()] * len(table.columns)
    arrays = [_array(node, values) for (_, node), values in zip(table.columns, columns, strict=True)]
    return pa.Table.from_arrays(
        [pa.array(table.ids, pa.string()), *arrays], ["id", *(name for name, _ in table.columns)]
    )


def in_arrow(_: str, node: Node) -> bool:
    """Whether Arrow has the types."""
    return all(isinstance(kind, Json) or kind.arrow is not None for kind in kinds(node))


def in_parquet(name: str, node: Node) -> bool:
    """Whether Parquet has the types: it has no runs, views of lists, or spans."""
    if not in_arrow(name, node):
        return False
    if any(isinstance(part, List) and part.form == "list_view" for part in parts_of(node)):
        return False
    return not any(_is_foreign(kind.arrow) for kind in kinds(node) if isinstance(kind, Kind))


def in_delta(name: str, node: Node) -> bool:
    """Whether a Delta table has the types: it keeps JSON and UUIDs as text."""
    return in_parquet(name, node) and not any(
        isinstance(kind, Json) or isinstance(kind.arrow, pa.BaseExtensionType) for kind in kinds(node)
    )


def _is_foreign(kind: pa.DataType) -> bool:
    """Whether Parquet has no such type."""
    seconds = pa.types.is_duration(kind) and kind.unit == "s"
    return bool(pa.types.is_run_end_encoded(kind) or pa.types.is_interval(kind) or seconds)


def to_parquet(folder: Path, table: Table) -> Any:
    """Write a Parquet file of several row groups."""
    _write_parquet(arrow_table(table), folder / "t.parquet")
    return parquet_source(folder, "t.parquet")


def _write_parquet(table: pa.Table, path: Path) -> None:
    try:
        pq.write_table(table, path, row_group_size=2)
    except (pa.ArrowException, ValueError) as error:
        raise Unsayable from error


def to_int96(folder: Path, table: Table) -> Any:
    """Write a Parquet file with its moments as Spark does."""
    try:
        pq.write_table(arrow_table(table), folder / "t.parquet", use_deprecated_int96_timestamps=True)
    except (pa.ArrowException, ValueError) as error:
        raise Unsayable from error
    return parquet_source(folder, "t.parquet")


def to_folder(folder: Path, table: Table) -> Any:
    """Write a folder of Parquet files."""
    whole, half = arrow_table(table), len(table.rows) // 2
    (folder / "set").mkdir()
    _write_parquet(whole.slice(0, half), folder / "set" / "1.parquet")
    _write_parquet(whole.slice(half), folder / "set" / "2.parquet")
    return parquet_source(folder, "set")


def to_arrow(folder: Path, table: Table) -> Any:
    """Write an Arrow file of several batches."""
    whole = arrow_table(table)
    with pa.OSFile(str(folder / "t.arrow"), "wb") as sink, pa.ipc.new_file(sink, whole.schema) as writer:
        try:
            writer.write_table(whole, max_chunksize=2)
        except pa.ArrowException as error:
            raise Unsayable from error
    return arrow_source(folder, "t.arrow")


def _frame(frame: Any) -> Any:
    return open_source(FrameSource(frame=frame), SourceContext(Path()))


def to_memory(folder: Path, table: Table) -> Any:  # as the others
    """Return a table in memory, sliced."""
    whole = arrow_table(table)
    return _frame(pa.concat_tables([whole.slice(0, 1), whole]).slice(1))


def to_delta(folder: Path, table: Table) -> Any:
    """Write a Delta table."""
    try:
        write_deltalake(folder / "t.delta", arrow_table(table))
    except Exception as error:  # its errors have no common class
        raise Unsayable from error
    return delta_source(folder, "t.delta")


# --- DataFrames of pandas ------------------------------------------------------------------------------------------


def python_value(node: Node, value: Any) -> Any:
    """Return a value as Python has it."""
    if value is None:
        return None
    match node:
        case List():
            return [python_value(node.inner, one) for one in value]
        case Struct():
            return {name: python_value(one, value[name]) for name, one in node.members}
        case Kind(python=None):
            raise Unsayable
        case Kind():
            return node.python(value)
    raise Unsayable


def in_python(_: str, node: Node) -> bool:
    """Whether Python has the types."""
    return all(isinstance(part, (List, Struct)) or (isinstance(part, Kind) and part.python is not None)
               for part in parts_of(node))  # fmt: skip


def to_pandas(folder: Path, table: Table) -> Any:  # as the others
    """Return a DataFrame of Python objects."""
    columns = {"id": pd.Series(table.ids, dtype=object)}
    for place, (name, node) in enumerate(table.columns):
        columns[name] = pd.Series([python_value(node, row[place]) for row in table.rows], dtype=object)
    return _frame(pd.DataFrame(columns))


def to_pandas_of_arrow(folder: Path, table: Table) -> Any:  # as the others
    """Return a DataFrame whose columns are Arrow's."""
    return _frame(arrow_table(table).to_pandas(types_mapper=pd.ArrowDtype))
