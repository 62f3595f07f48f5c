"""Parquet files: types kept, columns checked over all files, damage seen."""

import datetime as dt
import decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from source_helpers import Read, parquet_source

from bucket_loader.model.errors import SourceError
from bucket_loader.model.rows import ROWS_MAX


def write(path, table, **options):
    """Write a table, given as columns or as one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), path, **options)


def test_types_are_kept(tmp_path):
    """Integers beside nulls, exact decimals, zones, nested values and bytes come as they are."""
    table = pa.table(
        {
            "id": pa.array([9007199254740993, None], pa.int64()),
            "f": pa.array([0.1, None], pa.float32()),
            "d": pa.array([decimal.Decimal("1.10"), None], pa.decimal128(10, 2)),
            "at": pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC), None], pa.timestamp("us", "Europe/Paris")),
            "s": pa.array([{"a": [1, 2]}, None]),
            "m": pa.array([[("k", 1), ("k", 2)], None], pa.map_(pa.string(), pa.int64())),
            "b": pa.array([b"\0\xff", None]),
        }
    )
    write(tmp_path / "a.parquet", table)

    read = Read(parquet_source(tmp_path, "a.parquet"))

    assert table.schema.types == read.schema.types
    assert table.to_pylist() == read.rows


def test_dictionaries_are_decoded(tmp_path):
    """A dictionary is only a way to store the values."""
    write(tmp_path / "a.parquet", {"x": pa.array(["a", None, "a"]).dictionary_encode()})

    read = Read(parquet_source(tmp_path, "a.parquet"))

    assert (pa.string(), ["a", None, "a"]) == (read.schema.field("x").type, read.column("x"))


def test_a_time_beyond_python_is_carried(tmp_path):
    """A timestamp in the year 20000 does not take its batch with it."""
    far = 568_971_820_800_000_000
    write(tmp_path / "a.parquet", {"at": pa.array([0, far], pa.timestamp("us"))})

    (batch,) = parquet_source(tmp_path, "a.parquet").read().batches

    assert [0, far] == batch.data.column("at").cast(pa.int64()).to_pylist()


def test_partitions_are_text(tmp_path):
    """`key=value` folders become columns of text, also where the value looks like a number."""
    write(tmp_path / "d/id=007/at=2026-01-01/x.parquet", {"n": [1]})
    write(tmp_path / "d/id=a%20b/at=__HIVE_DEFAULT_PARTITION__/x.parquet", {"n": [2]})
    (tmp_path / "d/_SUCCESS").touch()
    (tmp_path / "d/.hidden").touch()

    for path in ("d", "d/*/*/*.parquet", "d/**/x.parquet"):
        read = Read(parquet_source(tmp_path, path))

        assert read.rows == [
            {"n": 1, "id": "007", "at": "2026-01-01"},
            {"n": 2, "id": "a b", "at": None},
        ]
    assert Read(parquet_source(tmp_path, "d/id=007")).schema.names == ["n", "at"]
    assert Read(parquet_source(tmp_path, "d/id=007/at=2026-01-01/x.parquet")).schema.names == ["n"]
    (tmp_path / "d/readme.txt").write_text("hello")
    with pytest.raises(SourceError, match=r"readme.txt is not a sound Parquet file"):
        parquet_source(tmp_path, "d").read()


def test_a_column_in_the_file_goes_before_the_folder(tmp_path):
    """Where a file holds the partition's column itself, that is the data."""
    write(tmp_path / "d/id=007/x.parquet", {"id": [7]})

    assert Read(parquet_source(tmp_path, "d")).rows == [{"id": 7}]


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        (pa.array([1], pa.int32()), pa.array([2**40]), pa.int64()),
        (pa.array([1]), pa.array([None], pa.null()), pa.int64()),
        (pa.array([None], pa.null()), pa.array(["a"]), pa.string()),
        (pa.array([1]), pa.array([2.0]), pa.float64()),
        (pa.array(["a"]), pa.array(["b"], pa.large_string()), pa.large_string()),
        (pa.array([[]], pa.list_(pa.null())), pa.array([["a"]]), pa.list_(pa.string())),
        (pa.array([1], pa.timestamp("s", "UTC")), pa.array([1000], pa.timestamp("ms", "Asia/Tokyo")), None),
        (pa.array(["a"]), pa.array(["b"]).dictionary_encode(), pa.string()),
    ],
)
def test_types_that_join(tmp_path, one, other, common):
    """Types that differ only in width, or by nothing but nulls, become the one that holds both."""
    write(tmp_path / "a.parquet", {"x": one, "y": [1]})
    write(tmp_path / "b.parquet", {"y": [2], "x": other})

    read = Read(parquet_source(tmp_path, "*.parquet"))

    assert (common or pa.timestamp("ms", "UTC")) == read.schema.field("x").type
    if common:
        assert [*one.to_pylist(), *other.to_pylist()] == read.column("x")


@pytest.mark.parametrize(
    "other",
    [
        pa.array(["a"]),
        pa.array([True]),
        pa.array([b"a"]),
        pa.array([[1]]),
    ],
)
def test_types_that_do_not_join(tmp_path, other):
    """A number in one file and a text in another is refused before any row, naming file and column."""
    write(tmp_path / "a.parquet", {"id": [1]})
    write(tmp_path / "b.parquet", {"id": other})

    with pytest.raises(SourceError, match=r"b.parquet: the column 'id' is .*, in a.parquet it is int64"):
        parquet_source(tmp_path, "*.parquet").read()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (pa.array([1.5]), pa.array([decimal.Decimal("1.10")])),
        (pa.array([0.1], pa.float32()), pa.array([0.1])),
        (pa.array(["a"]), pa.array([b"a"])),
        (pa.array([0], pa.timestamp("us")), pa.array([0], pa.timestamp("us", "UTC"))),
    ],
)
def test_types_that_would_change_values(tmp_path, one, other):
    """What could only be joined by changing values is refused."""
    write(tmp_path / "a.parquet", {"x": one})
    write(tmp_path / "b.parquet", {"x": other})

    with pytest.raises(SourceError, match="the column 'x'"):
        parquet_source(tmp_path, "*.parquet").read()


def test_an_integer_that_a_float_would_round(tmp_path):
    """Integers join floats only while each keeps its value."""
    write(tmp_path / "a.parquet", {"x": [0.5]})
    write(tmp_path / "b.parquet", {"x": [9007199254740993]})

    with pytest.raises(SourceError, match=r"b.parquet: a value of the column 'x' does not fit double"):
        Read(parquet_source(tmp_path, "*.parquet"))


def test_columns_that_only_one_file_has(tmp_path):
    """A column that is only in the second file is not dropped, but refused."""
    write(tmp_path / "a.parquet", {"x": [1]})
    write(tmp_path / "b.parquet", {"x": [1], "y": [1]})

    with pytest.raises(SourceError, match=r"b.parquet has a column 'y'"):
        parquet_source(tmp_path, "*.parquet").read()


def test_repeated_columns(tmp_path):
    """Two columns of one name are refused, with their places."""
    write(tmp_path / "a.parquet", pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]))

    with pytest.raises(SourceError, match="'x' more than once, at 1 and 2"):
        parquet_source(tmp_path, "a.parquet").read()


def test_damage(tmp_path):
    """Nothing, rubbish, a cut file and a flipped bit in an uncompressed page are refused."""
    path = tmp_path / "a.parquet"
    write(path, {"x": list(range(1000))}, compression="none", use_dictionary=False, write_page_checksum=True)
    data = path.read_bytes()
    flipped = bytearray(data)
    flipped[2000] ^= 1

    for damaged in (b"", b"x" * 100, data[:-10], bytes(flipped)):
        path.write_bytes(damaged)
        with pytest.raises(SourceError, match="not a sound Parquet file"):
            Read(parquet_source(tmp_path, "a.parquet"))


def test_big_rows_make_small_batches(tmp_path):
    """Batches are cut by bytes as well as by rows, and across row groups and files the numbers are right."""
    write(tmp_path / "a.parquet", {"x": ["y" * 1_000_000] * 40}, row_group_size=7, compression="zstd")
    write(tmp_path / "b.parquet", {"x": ["z"] * (ROWS_MAX + 1)})

    read = Read(parquet_source(tmp_path, "*.parquet"))

    assert [*range(1, 41), *range(1, ROWS_MAX + 2)] == read.ordinals
    assert sorted({batch.source for batch in read.batches}) == ["a.parquet", "b.parquet"]


def test_an_empty_file_and_folder(tmp_path):
    """A file without rows has columns and no rows; a folder without files is refused."""
    write(tmp_path / "a.parquet", pa.table({"x": pa.array([], pa.int64())}))
    (tmp_path / "empty").mkdir()

    read = Read(parquet_source(tmp_path, "a.parquet"))

    assert (read.schema.names, read.rows) == (["x"], [])
    with pytest.raises(SourceError, match="has no files"):
        parquet_source(tmp_path, "empty").read()
