"""INT96 moments of all years: as they are, from one file, many, and a table that other engines made of such files."""

import datetime as dt

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pyiceberg.catalog import load_catalog
from pyiceberg.manifest import DataFileContent
from source_helpers import Read, iceberg_source, parquet_source
from workplace import Workplace

from bucket_loader.model.errors import SourceError
from bucket_loader.planning import plan_file as plan

NEAR = dt.datetime(2024, 1, 31, 12, 0, 0, 123456)  # noqa: DTZ001  # INT96 has no zone
FAR = [dt.datetime(year, 1, 1) for year in (1000, 1676, 2263, 9998)]  # noqa: DTZ001
MICROSECONDS = pa.timestamp("us")


def written(file, moments, **columns):
    """Write moments as INT96: at the top, in a list, a struct and a map."""
    table = {
        "at": pa.array(moments, MICROSECONDS),
        "l": pa.array([[moment, None] for moment in moments], pa.list_(MICROSECONDS)),
        "s": pa.array([{"a.b": moment} for moment in moments], pa.struct([("a.b", MICROSECONDS)])),
        "m": pa.array([[("k", moment)] for moment in moments], pa.map_(pa.string(), MICROSECONDS)),
        **columns,
    }
    pq.write_table(pa.table(table), file, use_deprecated_int96_timestamps=True, row_group_size=3)


def test_moments_of_all_years(tmp_path):
    """Whatever stands beside them, and at whatever depth."""
    moments = [NEAR, *FAR, None] * 5
    written(tmp_path / "t.parquet", moments, near=pa.array([NEAR] * len(moments), pa.timestamp("ns")))

    read = Read(parquet_source(tmp_path, "t.parquet"))

    assert read.column("at") == [row["a.b"] for row in read.column("s")] == moments
    assert read.column("l") == [[moment, None] for moment in moments]
    assert read.column("m") == [[("k", moment)] for moment in moments]
    assert read.schema.field("near").type == pa.timestamp("ns")
    assert read.column("near")[0] == NEAR


def test_a_column_keeps_its_nanoseconds_where_they_hold_all_of_it(tmp_path):
    """As it was read before; the range is that of all files together."""
    exact = pa.array([1_700_000_000_123_456_789], pa.timestamp("ns"))
    for name, moments in (("a", [NEAR]), ("b", [FAR[0]])):
        table = pa.table({"x": exact, "at": pa.array(moments, MICROSECONDS)})
        pq.write_table(table, tmp_path / f"{name}.parquet", use_deprecated_int96_timestamps=True)

    alone = Read(parquet_source(tmp_path, "a.parquet"))
    both = Read(parquet_source(tmp_path, "*.parquet"))

    assert alone.schema.types == [pa.timestamp("ns")] * 2
    assert both.schema.types == [pa.timestamp("ns"), MICROSECONDS]
    assert both.batches[0].data.column("x").cast(pa.int64()).to_pylist() == [1_700_000_000_123_456_789]
    assert both.column("at") == [NEAR, FAR[0]]


def test_a_moment_beyond_nanoseconds_beside_json(tmp_path):
    """What stands beside it in a struct is read as it is."""
    documents = pa.ExtensionArray.from_storage(pa.json_(), pa.array(['{"n": 1}', "[2]"]))
    moments = pa.array([FAR[0], FAR[-1]], pa.timestamp("us"))
    table = pa.table({"s": pa.StructArray.from_arrays([documents, moments], ["doc", "at"])})
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)

    found = Read(parquet_source(tmp_path, "t.parquet")).column("s")

    assert found == [{"doc": '{"n": 1}', "at": FAR[0]}, {"doc": "[2]", "at": FAR[-1]}]


def test_a_moment_beyond_microseconds(tmp_path):
    """It is read as milliseconds, and rejected like any year beyond 9998; its neighbours arrive."""
    seconds = pa.array([400_000 * 31_556_952, 0], pa.timestamp("s"))
    table = pa.table({"user_id": ["a", "b"], "at": seconds.cast(pa.timestamp("ms"))})
    pq.write_table(table, tmp_path / "t.parquet", use_deprecated_int96_timestamps=True)
    place = Workplace(tmp_path, "http://127.0.0.1:9")  # planning sends nothing
    place.pipeline(
        "- name: users\n  record: user\n  timezone: UTC\n  source: {type: parquet, path: t.parquet}\n"
        '  fields: {userId: user_id, attributes: "*"}'
    )

    result = place.command("plan", "--json")

    (stream,) = plan.read(tmp_path / result.summary["plan"], verify=True).manifest.streams
    assert (stream.records, stream.counts.rejected) == (1, 1)


def test_an_iceberg_table_of_such_files(tmp_path):
    """Its reader takes INT96 for nanoseconds: what those hold is read, and a file with anything else is refused."""
    words = {"name": "c", "type": "sql", "uri": f"sqlite:///{tmp_path}/c.db", "warehouse": f"file://{tmp_path}/w"}
    found = load_catalog(**words)
    found.create_namespace("s")
    table = found.create_table("s.t", pa.schema([("at", MICROSECONDS)]))
    table.append(pa.table({"at": pa.array([NEAR], MICROSECONDS)}))
    (task,) = table.scan().plan_files()
    assert task.file.content == DataFileContent.DATA
    for moments, is_read in (([NEAR], True), ([FAR[0]], False)):
        field = pa.field("at", MICROSECONDS, metadata={"PARQUET:field_id": "1"})
        rows = pa.table([pa.array(moments, MICROSECONDS)], schema=pa.schema([field]))
        pq.write_table(rows, task.file.file_path.removeprefix("file://"), use_deprecated_int96_timestamps=True)
        source = iceberg_source(tmp_path, table="s.t", catalog=words)
        if is_read:
            assert Read(source).column("at") == moments
        else:
            with pytest.raises(SourceError, match="'at' has moments before 1677"):
                Read(source)
    found.close()
