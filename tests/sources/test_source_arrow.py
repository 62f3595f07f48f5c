"""Arrow files, Feather files and streams: types kept, and what is cut short never taken for whole."""

from decimal import Decimal

import pyarrow as pa
import pytest
from pyarrow import feather
from source_helpers import Read, arrow_source

from bucket_loader.model.errors import SourceError

TABLE = pa.table(
    {
        "id": pa.array([9007199254740993, None], pa.int64()),
        "d": pa.array([Decimal("1.10"), None], pa.decimal128(10, 2)),
        "s": pa.array([{"a": [1]}, None]),
        "c": pa.array(["x", "y"]).dictionary_encode(),
    }
)


def written(base, table, *, stream=False, name="a.arrow", **options):
    """Write a table as a file or a stream, each batch of one row."""
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with pa.OSFile(str(base / name), "wb") as sink, make(sink, table.schema, **options) as writer:
        writer.write_table(table, max_chunksize=1)
    return (base / name).read_bytes()


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("compression", [None, "lz4", "zstd"])
def test_types_are_kept(tmp_path, stream, compression):
    """Values come as they are, dictionaries decoded, in either form and compressed."""
    written(tmp_path, TABLE, stream=stream, options=pa.ipc.IpcWriteOptions(compression=compression))

    read = Read(arrow_source(tmp_path, "a.arrow"))

    assert (TABLE.to_pylist(), pa.string()) == (read.rows, read.schema.field("c").type)
    assert read.ordinals == [1, 2]


def test_feather(tmp_path):
    """A Feather file is an Arrow file."""
    feather.write_feather(TABLE.select(["id", "d"]), tmp_path / "a.feather")

    assert TABLE.select(["id", "d"]).to_pylist() == Read(arrow_source(tmp_path, "a.feather")).rows


@pytest.mark.parametrize("stream", [False, True])
def test_cut_short(tmp_path, stream):
    """Wherever a file or a stream is cut, also between two batches, it is refused."""
    data = written(tmp_path, TABLE, stream=stream)

    for kept in range(0, len(data), 8):
        (tmp_path / "a.arrow").write_bytes(data[:kept])
        with pytest.raises(SourceError):
            Read(arrow_source(tmp_path, "a.arrow"))


def test_damaged(tmp_path):
    """Whatever bytes are changed, the file is refused or gives rows; nothing else happens."""
    data = written(tmp_path, TABLE)
    for place in range(0, len(data), 5):
        (tmp_path / "a.arrow").write_bytes(data[:place] + bytes([data[place] ^ 0xFF]) + data[place + 1 :])
        try:
            batches = list(arrow_source(tmp_path, "a.arrow").read().batches)
        except SourceError:
            continue
        for batch in batches:  # to look at every value is what would crash
            assert (
                batch.data.num_rows
                == len(batch.data.filter(batch.data.column(0).is_valid())) + batch.data.column(0).null_count
            )
            assert pa.Table.from_batches([batch.data]).combine_chunks().nbytes >= 0


def test_the_end_of_a_day_is_a_time_and_what_is_beyond_it_is_none(tmp_path):
    """24:00:00 is read, alone and inside of a value; a file with a later one is damaged."""
    for count, is_read in ((86_400, True), (86_401, False), (-1, False)):
        times = pa.array([5, count], pa.int32()).view(pa.time32("s"))
        written(
            tmp_path, pa.table({"t": times, "s": pa.StructArray.from_arrays([times, pa.array([[1], [2]])], ["t", "l"])})
        )
        if is_read:
            found = Read(arrow_source(tmp_path, "a.arrow")).column("s")
            assert found == [{"t": "00:00:05", "l": [1]}, {"t": "24:00:00", "l": [2]}]
        else:
            with pytest.raises(SourceError, match="not a sound Arrow file"):
                list(arrow_source(tmp_path, "a.arrow").read().batches)


def test_repeated_and_other_columns(tmp_path):
    """A name that repeats, and files whose columns differ, are refused before any row."""
    written(tmp_path, pa.Table.from_arrays([pa.array([1]), pa.array([2])], ["a", "a"]))
    with pytest.raises(SourceError, match="'a' more than once"):
        arrow_source(tmp_path, "a.arrow").read()

    written(tmp_path, pa.table({"a": [1]}))
    written(tmp_path, pa.table({"b": [1]}), name="b.arrow")
    with pytest.raises(SourceError, match="lacks the column 'a'"):
        arrow_source(tmp_path, "*.arrow").read()


def test_other_files(tmp_path):
    """The first version of Feather and other formats are refused."""
    for data, message in ((b"FEA1....", "version 1"), (b"id\n1\n", "no Arrow file")):
        (tmp_path / "a.arrow").write_bytes(data)
        with pytest.raises(SourceError, match=message):
            arrow_source(tmp_path, "a.arrow").read()
