"""Types whose storage is not their value: read as what they mean, or refused by name, at the top and inside alike."""

import math
from contextlib import closing
from decimal import Decimal

import duckdb
import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_helpers import Read, arrow_source, parquet_source, sql_source

from bucket_loader.config.sources import FrameSource
from bucket_loader.model.errors import SourceError
from bucket_loader.sources.base import SourceContext
from bucket_loader.sources.registry import open_source


def from_parquet(folder, table):
    """Read Parquet."""
    pq.write_table(table, folder / "t.parquet")
    return parquet_source(folder, "t.parquet")


def from_arrow(folder, table):
    """Read an Arrow file."""
    with pa.OSFile(str(folder / "t.arrow"), "wb") as sink, pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return arrow_source(folder, "t.arrow")


def from_memory(folder, table):
    """Read a table in memory."""
    return open_source(FrameSource(frame=table), SourceContext(folder))


def in_struct(values):
    """Put values into structs, one of them null."""
    mask = pa.array([False] * (len(values) - 1) + [True])
    return pa.StructArray.from_arrays([values], fields=[pa.field("v", values.type)], mask=mask)


def in_lists(values):
    """Put values into lists, with a null and an empty one between."""
    return pa.ListArray.from_arrays(pa.array([0, 1, 1, 1, len(values)], pa.int32()), values,
                                    mask=pa.array([False, True, False, False]))  # fmt: skip


def in_maps(values):
    """Put values into maps."""
    keys = pa.array([str(number) for number in range(len(values))])
    return pa.MapArray.from_arrays(pa.array([0, len(values)], pa.int32()), keys, values)


NESTINGS = [lambda values: values, in_struct, in_lists, in_maps, lambda values: in_struct(in_lists(in_struct(values)))]


class Unknown(pa.ExtensionType):
    """A type of somebody's own."""

    def __init__(self):
        super().__init__(pa.int64(), "somebody.unknown")

    def __arrow_ext_serialize__(self):
        return b""

    @classmethod
    def __arrow_ext_deserialize__(cls, storage, serialized):
        return cls()


FOREIGN = {
    "period": pa.array(pd.Series(pd.period_range("2024-01", periods=3, freq="M"))),
    "interval": pa.array(pd.Series(pd.interval_range(0, periods=3))),
    "opaque": pa.ExtensionArray.from_storage(pa.opaque(pa.int64(), "inet", "pg"), pa.array([1, 2, 3])),
    "unknown": pa.ExtensionArray.from_storage(Unknown(), pa.array([1, 2, 3])),
    "tensor": pa.ExtensionArray.from_storage(
        pa.fixed_shape_tensor(pa.int32(), [1]), pa.array([[1]] * 3, pa.list_(pa.int32(), 1))
    ),
    "union": pa.UnionArray.from_sparse(pa.array([0, 1, 0], pa.int8()), [pa.array([1, 2, 3]), pa.array(list("abc"))]),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("made", [from_parquet, from_arrow, from_memory])
def test_a_type_that_is_not_known_is_refused_by_its_name(tmp_path, made, name):
    """Months since 1970 are no period: such a column is refused when the source is opened, at whatever depth."""
    for nesting in NESTINGS:
        table = pa.table({"id": ["a"] * len(nesting(FOREIGN[name])), "x y": nesting(FOREIGN[name])})
        if made is from_parquet and (name == "union" or "map" in str(table.schema.field(1).type)):
            continue  # Parquet has no such type, or no extension inside of a map
        with pytest.raises(SourceError, match=rf"'x y'.*{name}"):
            made(tmp_path, table).read()


def test_a_type_that_only_the_file_names_is_refused(tmp_path):
    """A reader that never heard of a type gets its storage, and the type's name beside it."""
    named = pa.field("x", pa.int64(), metadata={b"ARROW:extension:name": b"pandas.period"})
    for field in (named, pa.field("s", pa.struct([named])), pa.field("l", pa.list_(named))):
        table = pa.table([pa.array([None], field.type)], schema=pa.schema([field]))
        with pytest.raises(SourceError, match=r"pandas\.period"):
            from_memory(tmp_path, table).read()


@pytest.mark.parametrize("column", [pd.period_range("2024-01", periods=2, freq="M"), pd.interval_range(0, periods=2)])
def test_a_frame_with_periods_or_intervals_is_refused(tmp_path, column):
    """The message names the column, also where the values are in lists."""
    for values in (column, [[value] for value in column]):
        with pytest.raises(SourceError, match="'x'"):
            from_memory(tmp_path, pd.DataFrame({"x": values})).read()


def test_a_union_of_duckdb_is_refused_by_its_name(tmp_path):
    """At the top and inside; the message says which column."""
    duckdb.connect(tmp_path / "t.duckdb").close()
    for expression in ("union_value(n := 1)", "[union_value(n := 1)]", "{'a': union_value(n := 1)}"):
        with pytest.raises(SourceError, match=r"'x' holds the type .*union"):
            sql_source(tmp_path, "duckdb:///t.duckdb", query=f"select {expression} as x").read()


def test_an_interval_of_parquet_inside_a_value_is_refused(tmp_path):
    """Its twelve bytes are no value."""
    with closing(duckdb.connect()) as connection:
        connection.execute(f"COPY (SELECT [interval 1 day] AS x) TO '{tmp_path}/i.parquet'")

    with pytest.raises(SourceError, match=r"'x\..*' is a Parquet INTERVAL"):
        parquet_source(tmp_path, "i.parquet").read()


READ = {
    "half": (pa.array(np.array([0.1, 65504, -2], np.float16)), [0.1, 65504.0, -2.0]),
    "runs": (pa.RunEndEncodedArray.from_arrays(pa.array([2, 3], pa.int32()), pa.array(["a", "b"])), ["a", "a", "b"]),
    "bool8": (pa.ExtensionArray.from_storage(pa.bool8(), pa.array([1, 0, 1], pa.int8())), [True, False, True]),
    "dictionary": (pa.array(["a", "b", "a"]).dictionary_encode(), ["a", "b", "a"]),
    "view": (pa.array(["a", "b", "c"], pa.string_view()), ["a", "b", "c"]),
}


@pytest.mark.parametrize("name", READ)
@pytest.mark.parametrize("made", [from_parquet, from_arrow, from_memory])
def test_what_only_stores_values_in_another_way_is_read_as_the_values(tmp_path, made, name):
    """Half floats have their own shortest digits, runs and dictionaries are spelt out: at the top and inside alike."""
    values, meant = READ[name]
    if made is from_parquet and name in {"runs", "view"}:
        return  # Parquet has no runs, and cannot write a slice of views
    inside = pa.table({"s": in_struct(values), "l": pa.array([None, [], [None]], pa.list_(pa.int8())), "x": values})
    lists = pa.table({"l": in_lists(values).slice(1), "d": in_struct(in_lists(in_struct(values))).slice(1)})
    assert [(row["x"], row["s"]) for row in Read(made(tmp_path, inside)).rows] == [
        (meant[0], {"v": meant[0]}), (meant[1], {"v": meant[1]}), (meant[2], None)]  # fmt: skip
    assert Read(made(tmp_path, lists)).rows == [
        {"l": None, "d": {"v": None}}, {"l": [], "d": {"v": []}}, {"l": meant[1:], "d": None}]  # fmt: skip
    first = Read(made(tmp_path, pa.table({"d": in_struct(in_lists(in_struct(values)))}))).rows
    assert first[0] == {"d": {"v": [{"v": meant[0]}]}}
    if made is not from_parquet:
        maps = Read(made(tmp_path, pa.table({"m": in_maps(values)}))).column("m")
        assert maps == [list(zip("012", meant, strict=True))]


def test_a_half_float_that_is_no_number(tmp_path):
    """Infinity and NaN stay what they are, for the mapping to judge."""
    column = pa.array(np.array([np.inf, np.nan, 6e-8], np.float16))

    infinite, nothing, tiny = Read(from_memory(tmp_path, pa.table({"x": column}))).column("x")

    assert (infinite, math.isnan(nothing), tiny) == (math.inf, True, 6e-08)


def test_a_struct_without_members_is_nothing_and_decimals_have_all_their_digits(tmp_path):
    """Parquet can write neither, and so no plan could be kept."""
    hundreds = pa.array([Decimal(1200), None], pa.decimal128(5, -2))
    nothing = pa.array([{}, None], pa.struct([]))
    table = pa.table({"h": hundreds, "hs": in_struct(hundreds), "n": nothing, "ns": in_struct(nothing)})

    read = Read(from_arrow(tmp_path, table))

    assert read.rows == [
        {"h": 1200, "hs": {"v": 1200}, "n": None, "ns": {"v": None}},
        {"h": None, "hs": None, "n": None, "ns": None},
    ]
    pq.write_table(pa.Table.from_batches([batch.data for batch in read.batches]), tmp_path / "kept.parquet")


def test_views_of_lists_are_read_in_their_own_order(tmp_path):
    """Also those of runs, and with values that no list has."""
    runs = pa.RunEndEncodedArray.from_arrays(pa.array([2, 3, 4], pa.int16()), pa.array([7, 8, 9]))
    for values in (runs, pa.array([7, 7, 8, 9], pa.float16())):
        begins, lengths = pa.array([2, 0, 0, 3], pa.int32()), pa.array([1, 3, 2, 1], pa.int32())
        views = pa.ListViewArray.from_arrays(begins, lengths, values, mask=pa.array([False, False, True, False]))
        assert Read(from_memory(tmp_path, pa.table({"v": views}))).column("v") == [[8], [7, 7, 8], None, [9]]
        assert Read(from_memory(tmp_path, pa.table({"v": views}).slice(1, 2))).column("v") == [[7, 7, 8], None]


def test_dictionaries_inside_of_values_over_several_row_groups(tmp_path):
    """Each row group has dictionaries of its own, and Arrow does not join them."""
    words = pa.array(["a", "b" * 100, "c", "a"]).dictionary_encode()
    pq.write_table(pa.table({"s": in_struct(words)}), tmp_path / "t.parquet", row_group_size=2)

    found = Read(parquet_source(tmp_path, "t.parquet")).column("s")

    assert found == [{"v": "a"}, {"v": "b" * 100}, {"v": "c"}, None]
